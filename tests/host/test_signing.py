"""Keys and signed images on the host: who may read them, what a release refuses, what a file must be to be sent."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.images import SLOT_ADDRESSES, firmware_body
from tests.support.slots import Slots
from tinyfleet.board import load_board
from tinyfleet.image import ImageFacts, class_id, factory_slot, find_factory_image, read_image, sign_firmware, slot_of, vendor_id
from tinyfleet.signing_keys import KEYS_VARIABLE, development_keys, find_keys, is_development, key_hash, keys_header, new_keys, public_key
from tinyfleet_codegen.errors import ConfigError, ImageError, UsageError
from tinyfleet_codegen.firmware_tree import firmware_dir
from tinyfleet_codegen.wire.image import ImageTlv

BOARD = "mps2_an386"


@pytest.fixture(autouse=True)
def own_development_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEYS_VARIABLE, str(tmp_path / "development"))


def tinyfleet(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "tinyfleet", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def program(slot: int, folder: Path, name: str = "sensor") -> Path:
    area = load_board(BOARD).require_area(f"slot_{slot}")
    path = folder / f"{name}.slot{slot}.unsigned.bin"
    path.write_bytes(firmware_body(area.address))
    return path


def test_development_keys_are_made_once_for_this_user_only() -> None:
    keys = development_keys()
    again = development_keys()
    assert public_key(keys.firmware) == public_key(again.firmware) != public_key(keys.model)
    assert stat.S_IMODE(keys.firmware.stat().st_mode) == 0o600 and stat.S_IMODE(keys.firmware.parent.stat().st_mode) == 0o700
    assert keys.is_development and is_development(keys.model)


def test_no_key_is_ever_overwritten(tmp_path: Path) -> None:
    keys = new_keys(tmp_path / "keys", is_release=True)
    before = keys.firmware.read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        new_keys(tmp_path / "keys", is_release=True)
    assert keys.firmware.read_bytes() == before and not keys.is_development


def test_a_development_key_is_known_without_its_mark(tmp_path: Path) -> None:
    keys = development_keys()
    copy = tmp_path / "innocent.pem"
    copy.write_bytes(keys.firmware.read_bytes().split(b"\n", 1)[1])
    assert copy.read_bytes().startswith(b"-----BEGIN") and is_development(copy)


def test_public_keys_are_enough_to_build(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key  # noqa: PLC0415

    private = new_keys(tmp_path / "offline", is_release=True)
    (tmp_path / "public").mkdir()
    for path in (private.firmware, private.model):
        key = load_pem_private_key(path.read_bytes(), None).public_key()
        (tmp_path / "public" / f"{path.stem}.pub.pem").write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    public = find_keys(tmp_path / "public")
    assert keys_header(public) == keys_header(private)
    assert "PRIVATE" not in (tmp_path / "public" / "firmware.pub.pem").read_text()


def test_what_is_no_key_is_an_error_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("nothing")
    with pytest.raises(ConfigError, match="holds no key"):
        public_key(tmp_path / "x.pem")
    with pytest.raises(UsageError, match="no firmware key"):
        find_keys(tmp_path)


def test_a_release_refuses_development_keys(tmp_path: Path) -> None:
    for slot in (0, 1):
        program(slot, tmp_path)
    sign = ["firmware", "sign", tmp_path, "--board", BOARD, "--image-version", "1.2.0"]
    refused = tinyfleet(*sign, "--release")
    assert refused.returncode == 2 and "development keys" in refused.stderr
    copied = development_keys().firmware.parent
    assert tinyfleet(*sign, "--release", "--keys", copied).returncode == 2
    made = tinyfleet("keys", "new", "--release", "-o", tmp_path / "release", "--json")
    assert made.returncode == 0, made.stderr
    signed = tinyfleet(*sign, "--release", "--keys", tmp_path / "release", "--security-counter", "4", "--json")
    assert signed.returncode == 0, signed.stderr
    facts = json.loads(signed.stdout)
    for row in facts["images"]:
        image = read_image(Path(row["path"]).read_bytes())
        assert (image.version, image.security_counter, slot_of(image, BOARD)) == ("1.2.0", 4, row["slot"])
        assert image.others[ImageTlv.KEY_HASH] == key_hash(public_key(tmp_path / "release/firmware.pem"))
        assert image.digest.hex() == row["hash"]


def test_a_program_is_signed_only_for_the_slot_that_it_was_linked_for(tmp_path: Path) -> None:
    raw = program(0, tmp_path)
    with pytest.raises(ImageError, match="outside slot 1"):
        sign_firmware(raw, tmp_path / "out", ImageFacts(BOARD, 1, "1.0.0"), development_keys().firmware)
    with pytest.raises(ImageError, match="has room for"):
        raw.write_bytes(raw.read_bytes().ljust(0x100000 - 4096 - 600, b"x"))
        sign_firmware(raw, tmp_path / "out", ImageFacts(BOARD, 0, "1.0.0"), development_keys().firmware)
    assert not (tmp_path / "out").exists()
    with pytest.raises(UsageError, match="cannot be updated"):
        sign_firmware(raw, tmp_path / "out", ImageFacts("microbit", 0, "1.0.0"), development_keys().firmware)


def signed(slot: int, folder: Path, **more: bytes) -> Path:
    target = folder / f"sensor.slot{slot}.bin"
    sign_firmware(program(slot, folder), target, ImageFacts(BOARD, slot, "1.0.0", **more), development_keys().firmware)  # type: ignore[arg-type]
    return target


def test_an_image_says_which_board_and_slot_it_is_for(tmp_path: Path) -> None:
    files = [signed(slot, tmp_path) for slot in (0, 1)]
    assert [slot_of(read_image(path.read_bytes()), BOARD) for path in files] == [0, 1]
    with pytest.raises(ImageError, match="not for mps2_an385"):
        slot_of(read_image(files[1].read_bytes()), "mps2_an385")
    assert find_factory_image(tmp_path) == files[0]
    files[0].unlink()
    with pytest.raises(UsageError, match="holds 0 files"):
        find_factory_image(tmp_path)


def test_a_factory_slot_is_confirmed_and_holds_the_image(tmp_path: Path) -> None:
    data = signed(0, tmp_path).read_bytes()
    slots = Slots(bytearray(b"\xff" * 0x340000))
    for offset, piece in factory_slot(data, 0x100000, 4096).items():
        slots.memory[slots.areas[0].offset + offset : slots.areas[0].offset + offset + len(piece)] = piece
    assert slots.image(0, len(data)) == data
    assert slots.trailer(0).is_confirmed and slots.trailer(0).is_tried and slots.trailer(0).order == 1


def test_damage_is_seen_without_a_key(tmp_path: Path) -> None:
    data = bytearray(signed(0, tmp_path).read_bytes())
    data[1000] ^= 1
    with pytest.raises(ImageError, match="damaged"):
        read_image(bytes(data))
    for end in range(0, len(data), 97):
        with pytest.raises(ImageError):
            read_image(bytes(data[:end]))


def test_host_board_and_builder_name_boards_as_the_signer_does() -> None:
    sys.path.insert(0, str(firmware_dir() / "platform/tinyfleet/builder"))
    try:
        import board as builder  # type: ignore[import-not-found]  # noqa: PLC0415
    finally:
        sys.path.pop(0)
    manifest = json.loads((firmware_dir() / f"boards/{BOARD}.json").read_text())
    macros = dict(builder.defines(BOARD, manifest["build"], manifest["tinyfleet"]))
    header = (firmware_dir() / "boards/host/include/tyf/host_board_facts.h").read_text()
    for name, value, host in (("VENDOR", vendor_id(), vendor_id()), ("CLASS", class_id(BOARD), class_id("host"))):
        assert bytes(int(byte, 16) for byte in macros[f"TYF_BOARD_{name}_ID"].split(",")) == value
        listed = header.split(f"#define TYF_BOARD_{name}_ID")[1].split("#define")[0]
        assert bytes(int(byte, 16) for byte in re.findall(r"0x(\w\w)", listed)) == host
    assert builder.IMAGE_HEADER_BYTES == 0x200
    assert SLOT_ADDRESSES == (0x140000, 0x240000)


def test_the_crypto_source_says_what_to_do_without_a_network(tmp_path: Path) -> None:
    env = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    env = {name: value for name, value in env.items() if not name.startswith("PIP_FIND")}
    command = [sys.executable, "-P", "-m", "tinyfleet.crypto_source"]
    run = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 1
    assert "pip could not fetch it" in run.stderr and "is the network up?" in run.stderr


def test_the_crypto_source_is_checked_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tinyfleet import crypto_source  # noqa: PLC0415

    good = crypto_source.crypto_source_dir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "tinyfleet/crypto" / good.name
    folder.mkdir(parents=True)
    for name in crypto_source.FILES:
        (folder / name).write_bytes((good / name).read_bytes())
    assert crypto_source.crypto_source_dir() == folder
    (folder / "monocypher.c").write_text("int evil;")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with pytest.raises(crypto_source.SetupError):
        crypto_source.crypto_source_dir()


def test_the_ide_project_names_the_same_crypto_source() -> None:
    from tinyfleet import crypto_source  # noqa: PLC0415

    text = (firmware_dir() / "platformio.ini").read_text()
    assert f"/.cache/tinyfleet/crypto/monocypher-{crypto_source.VERSION}\n" in text
