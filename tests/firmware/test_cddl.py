"""Messages of a session with every command, judged by zcbor against ``docs/spec/smp.cddl``: another implementation of CBOR and CDDL."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import cbor2
import pytest

from tests.firmware.program_process import READ, WRITE, FirmwareProgram, message, nvm_image
from tests.support.model_swap import good_package, write_key
from tests.support.signed_images import SLOT_ADDRESSES, factory_nvm, image_digest, make_image
from tests.support.small_models import dense_package
from tinyfleet_codegen.wire import messages
from tinyfleet_codegen.wire.image import FIRMWARE_HEADER_BYTES
from tinyfleet_codegen.wire.messages import MESSAGES
from tinyfleet_codegen.wire.print_messages import CDDL
from tinyfleet_codegen.wire.schema import Op

ROOT = Path(__file__).parents[2]
ZCBOR = ROOT / ".tinyfleet" / "venvs" / "zcbor" / "bin" / "python"
A, B = make_image(0), make_image(1, (2, 0, 0, 7))
SHA = hashlib.sha256(B).digest()

SESSION: list[tuple[str, dict[str, Any]]] = [
    ("echo", {"d": "text"}),
    ("task_statistics", {}),
    ("memory_pools", {}),
    ("datetime_write", {"datetime": "2026-11-26T12:00:00"}),
    ("datetime_read", {}),
    ("params", {}),
    ("application_info", {"format": "s"}),
    ("bootloader_info", {}),
    ("bootloader_info", {"query": "mode"}),
    ("image_state", {}),
    ("image_slots", {}),
    ("image_upload", {"image": 1, "len": len(B), "off": 0, "sha": SHA, "data": B[:900]}),
    *(("image_upload", {"off": off, "data": B[off : off + 900]}) for off in range(900, len(B), 900)),
    ("image_state_write", {"hash": image_digest(B), "confirm": False}),
    ("image_erase", {"slot": 1}),
    ("stat_list", {}),
    ("stat_read", {"name": "sensor"}),
    ("setting_write", {"name": "n", "val": b"value"}),
    ("setting_read", {"name": "n", "max_size": 1000}),
    ("setting_delete", {"name": "n"}),
    ("settings_commit", {}),
    ("settings_load", {}),
    ("settings_save", {}),
    ("file_hash_types", {}),
    ("file_close", {}),
    ("group_count", {}),
    ("group_list", {}),
    ("group_single", {"index": 1}),
    ("group_details", {}),
    ("hello", {}),
    ("model_info", {}),
    ("infer", {"off": 0, "data": bytes(10), "reset": True}),
    ("infer", {"off": 10, "data": bytes(14)}),
    ("output", {"off": 3}),
    ("self_infer", {"seed": 1, "first": 0, "count": 3, "keep": False}),
    ("self_infer", {"seed": 1, "first": 0, "layers": True, "from": 0}),
    ("replay", {"stream": 1, "off": 0, "data": bytes(6 * 20)}),
    ("results", {"since": 0, "max": 10}),
    ("window", {"boot_id": 1, "seq": 1, "off": 5}),
    ("stats", {}),
    ("sampling", {"period_ms": 0, "seed": 1}),
    ("sampling_state", {}),
    ("session_status", {}),
    ("session_provision", {"psk": bytes(range(32)), "lock": False}),
    ("session_close", {}),
    ("models", {"kernels": True}),
]
"""Then a model is swapped, and the board is reset."""
NOT_HERE = {"file_read", "file_status", "file_hash", "session_open", "session_record"}
"""The host board never crashed, so it has no file; what is sealed is random, and test_session.py has it."""

JUDGE = """
import collections, functools, json, sys
from zcbor import CddlValidationError, DataTranslator, zcbor
# It hands what it read to Python by the names of the keys, and "from" is none.
zcbor.zcbor.namedtuple = functools.partial(collections.namedtuple, rename=True)
types = DataTranslator.from_cddl(cddl_string=open(sys.argv[1]).read(), default_max_qty=64).my_types
def judge(name, data):
    try:
        return types[name].validate_str(bytes.fromhex(data)) and None
    except CddlValidationError as error:
        return str(error) or "refused"
print(json.dumps([judge(name, data) for name, data in json.load(sys.stdin)]))
"""


def judged(captured: list[tuple[str, bytes]]) -> list[str | None]:
    """What zcbor has against each message, in one process of its own environment."""
    assert ZCBOR.is_file(), f"zcbor is not installed at {ZCBOR}: ./run test sets it up (version 0.9.1, an environment of its own)"
    run = subprocess.run(
        [ZCBOR, "-c", JUDGE, ROOT / CDDL],
        input=json.dumps([(name, data.hex()) for name, data in captured]),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    verdicts = json.loads(run.stdout)
    assert isinstance(verdicts, list)
    return verdicts


def swap(package: bytes) -> list[tuple[str, dict[str, Any]]]:
    """Send a model package, prove it, and let it come and go."""
    pieces: list[tuple[str, dict[str, Any]]] = [
        ("model_upload", {"off": off, "data": package[off : off + 900]}) for off in range(0, len(package), 900)
    ]
    pieces[0][1].update({"len": len(package), "sha": hashlib.sha256(package).digest()})
    test = {"shadow": 0, "budget_ms": 50, "skip_shadow": True, "confirm": False}
    return [
        *pieces,
        ("model_test", test),
        ("models", {}),
        ("model_confirm", {}),
        ("model_revert", {}),
        ("model_erase", {}),
        ("reset", {"force": 1}),
    ]


@pytest.fixture
def session(program: FirmwareProgram, tmp_path: Path) -> list[tuple[str, dict[str, Any], bytes]]:
    """Name, request and payload of the reply of every exchange."""
    program.power_on(factory_nvm(nvm_image(), A))
    program.run_image(SLOT_ADDRESSES[0] + FIRMWARE_HEADER_BYTES)
    captured = []
    for name, request in SESSION + swap(good_package(dense_package("a", 1), "host", write_key(tmp_path))):
        (declared,) = (known for known in MESSAGES if known.name == name)
        op = READ if declared.op is Op.READ else WRITE
        (reply,) = program.exchange(message(op, declared.group, declared.command, request))
        assert messages.message(declared.group, declared.command, op) is declared
        assert not {"rc", "err"} & set(cbor2.loads(reply[8:])), f"{name}: {cbor2.loads(reply[8:])}"
        captured.append((name.replace("_", "-"), request, reply[8:]))
    program.run_image(0)
    return captured


def test_every_message_is_what_the_cddl_says(session: list[tuple[str, dict[str, Any], bytes]]) -> None:
    assert {name.replace("-", "_") for name, _, _ in session} | NOT_HERE == {declared.name for declared in MESSAGES}
    # zcbor takes the keys of a map in the order of the CDDL alone. Ours may come in any; the board's do as declared.
    good = [(f"{name}-request", cbor2.dumps(request)) for name, request, _ in session]
    good += [(f"{name}-reply", reply) for name, _, reply in session]
    # And each is refused without a key that it must have, and with a value of another type.
    bad = []
    for name, data in good:
        body = cbor2.loads(data)
        (declared,) = (known for known in MESSAGES if known.name == name.rpartition("-")[0].replace("-", "_"))
        fields = () if declared.is_table else declared.reply if name.endswith("reply") else declared.request
        bad += [(name, cbor2.dumps({k: v for k, v in body.items() if k != field.key})) for field in fields if not field.is_optional]
        bad += [(name, cbor2.dumps({**body, field.key: wrong})) for field in fields if field.key in body for wrong in (-1, 1.5)]
    verdicts = judged(good + bad)
    assert [(name, cbor2.loads(data), why) for (name, data), why in zip(good, verdicts, strict=False) if why is not None] == []
    assert [(name, cbor2.loads(data)) for (name, data), why in zip(bad, verdicts[len(good) :], strict=True) if why is None] == []
    print(f"zcbor took {len(good)} messages and refused {len(bad)} broken ones")
