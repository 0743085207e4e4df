"""The image check broken on purpose, one thing at a time: an attack of the matrix must get through, or the tests are blind.

Bugs that a power cut brings to light are in test_powercut.py.
"""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest

from tests.support.boot_slots import OLD, BootDevice, build_boot_library, factory_memory
from tests.support.images import SLOT_ADDRESSES, Sketch, firmware_body, firmware_entries, key
from tinyfleet_codegen.firmware_tree import firmware_dir
from tinyfleet_codegen.wire import image as wire
from tinyfleet_codegen.wire.ids import Status
from tinyfleet_codegen.wire.image import ImageTlv

BLANK_KEY = bytes(32)


def for_slot_1(**changes: object) -> Sketch:
    return Sketch(slot=1, **changes)  # type: ignore[arg-type]


def attacks() -> dict[str, bytes]:
    """Images for slot 1 that must not be taken, by the family of the matrix and a name."""
    good = for_slot_1().build()
    signed = good[:-144]
    digest, key_hash, signature = for_slot_1().signature_entries(signed)
    forged = for_slot_1(signer=key("somebody")).signature_entries(signed)[2]
    without_counter = {kind: value for kind, value in firmware_entries().items() if kind != ImageTlv.SECURITY_COUNTER}
    bare = for_slot_1(protected=without_counter)
    bare_signed = bare.build()[:-144]
    bare.others = [*bare.signature_entries(bare_signed), (int(ImageTlv.SECURITY_COUNTER), (9).to_bytes(4, "little"))]
    blank = for_slot_1(named_key=BLANK_KEY)
    blank.others = [*blank.signature_entries(signed)[:2], (ImageTlv.ED25519, bytes(64))]
    dependency = bytes([0, 0, 0, 0]) + struct.pack("<BBHI", 1, 0, 0, 0)
    flipped = bytearray(good)
    flipped[1000] ^= 1
    return {
        "S2 a bit of the body": bytes(flipped),
        "S5 another hash": for_slot_1(others=[(ImageTlv.SHA256, bytes(32)), key_hash, signature]).build(),
        "S5 another key": for_slot_1(others=[digest, key_hash, forged]).build(),
        "S5 two signatures": for_slot_1(others=[digest, key_hash, forged, signature]).build(),
        "S5 a blank key": blank.build(),
        "S5 the model's key": for_slot_1(signer=key("model")).build(),
        "S6 a lower counter": for_slot_1(protected=firmware_entries(0)).build(),
        "S6 the counter where it is not signed": bare.build(),
        "S7 another vendor": for_slot_1(protected=firmware_entries(VENDOR=bytes(16))).build(),
        "S7 another board": for_slot_1(protected=firmware_entries(CLASS=bytes(16))).build(),
        "S7 the other slot": Sketch(slot=0).build(),
        "S7 a model": for_slot_1(flags=wire.FLAG_NON_BOOTABLE).build(),
        "S7 encrypted": for_slot_1(flags=wire.FLAG_ROM_FIXED | 4).build(),
        "S7 an entry point outside": for_slot_1(body=firmware_body(SLOT_ADDRESSES[1] + 0x10000)).build(),
        "S7 a dependency": for_slot_1(protected=firmware_entries(DEPENDENCY=dependency)).build(),
    }


def taken(device: BootDevice) -> set[str]:
    """The attacks that a device takes: marked to be tried, or started after somebody wrote its trailer."""
    found = set()
    for name, data in attacks().items():
        device.open(factory_memory(OLD))
        assert device.start() == 0
        if name == "S5 a blank key":
            security = device.security()
            security.next_key = (type(security.next_key))(*BLANK_KEY)
            assert device.write_security(security) == Status.OK
        assert device.upload(1, data) == Status.OK
        if device.mark_test(1) == Status.OK:
            found.add(name)
        slots = device.slots()
        slots.put_trailer(1, order=9)
        device.open(bytes(slots.memory))
        if device.start() == 1:
            found.add(name)
    return found


def test_no_attack_is_taken(tmp_path: Path) -> None:
    device = BootDevice(build_boot_library(tmp_path))
    assert taken(device) == set()
    device.open(factory_memory(OLD))
    device.start()
    assert device.upload(1, for_slot_1().build()) == Status.OK
    assert device.mark_test(1) == Status.OK, "what has nothing wrong with it"


MUTANTS = {
    "no signature check": (
        "boot/src/image.c",
        " ||\n        tyf_ed25519_verify(key, digest, sizeof digest, image->signature) != TYF_OK) {",
        ") {",
        "S5 another key",
    ),
    "no comparison of the hash": (
        "boot/src/image.c",
        "if (memcmp(digest, image->digest, sizeof digest) != 0 || key == NULL",
        "if (key == NULL",
        "S5 another hash",
    ),
    "an entry taken from the area that is not protected": (
        "boot/src/image.c",
        "            return &image->signature;\n        default:\n            return NULL;\n        }\n    }\n    switch",
        "            return &image->signature;\n        default:\n            break;\n        }\n    }\n    switch",
        "S6 the counter where it is not signed",
    ),
    "the last of two entries counts": (
        "boot/src/image.c",
        "*place != NULL || bytes != wanted_bytes",
        "bytes != wanted_bytes",
        "S5 two signatures",
    ),
    "no security counter": (
        "boot/src/image.c",
        "if (is_firmware && (image.counter == NULL || tyf_image_counter(&image) < wanted->least_counter)) {",
        "if (is_firmware && image.counter == NULL) {",
        "S6 a lower counter",
    ),
    "no vendor": (
        "boot/src/image.c",
        "!is_same(image.vendor_id, wanted->vendor_id, TYF_IMAGE_ID_BYTES) ||",
        "",
        "S7 another vendor",
    ),
    "no class": (
        "boot/src/image.c",
        "!is_same(image.class_id, wanted->class_id, TYF_IMAGE_ID_BYTES) ||",
        "",
        "S7 another board",
    ),
    "no link address": (
        "boot/src/image.c",
        "load_address == (is_firmware ? wanted->address : 0u) &&",
        "load_address != 1u &&",
        "S7 the other slot",
    ),
    "a model taken for firmware": (
        "boot/src/image.c",
        "return flags == (is_firmware ? TYF_IMAGE_FLAG_ROM_FIXED : TYF_IMAGE_FLAG_NON_BOOTABLE) &&",
        "return flags != 1u &&",
        "S7 a model",
    ),
    "no dependency": ("boot/src/image.c", "    if (image->dependency == NULL) {", "    if (true) {", "S7 a dependency"),
    "no entry point": (
        "boot/src/image.c",
        "(is_firmware && !has_entry(&image))",
        "(is_firmware && false && !has_entry(&image))",
        "S7 an entry",
    ),
    "one key for both": (
        "boot/src/slots.c",
        ".key_count = tyf_ed25519_is_key(security.next_key) ? 2u : 1u,",
        ".key_count = (memcpy(trust->keys[1], tyf_model_key, sizeof trust->keys[1]), 2u),",
        "S5 the model's key",
    ),
    "any key is a key": (
        "crypto/src/ed25519.c",
        "bool is_zero_or_one = y[31] == 0 && y[0] <= 1u",
        "bool is_zero_or_one = y[31] == 0 && y[0] == 1u",
        "S5 a blank key",
    ),
}
"""File in ``lib``, text, what takes its place, and an attack that gets through then."""


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_broken_check_lets_an_attack_through(mutant: str, tmp_path: Path) -> None:
    file, before, after, attack = MUTANTS[mutant]
    firmware = tmp_path / "firmware"
    for folder in ("lib", "boards"):
        shutil.copytree(firmware_dir() / folder, firmware / folder)
    source = firmware / "lib" / file
    text = source.read_text()
    assert text.count(before) == 1, before
    source.write_text(text.replace(before, after))
    found = taken(BootDevice(build_boot_library(tmp_path, firmware)))
    assert any(name.startswith(attack) for name in found), f"taken: {sorted(found)}"
