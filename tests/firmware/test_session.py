"""The device's half of a session against another implementation of the Noise framework, our host's half, and attackers."""

from __future__ import annotations

import inspect
import random
import shutil
import struct
from copy import copy
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from noise.connection import NoiseConnection

from tests.firmware import program_process
from tests.firmware.program_process import FirmwareProgram
from tinyfleet.smp import session as session_module
from tinyfleet.smp.session import Handshake, Session
from tinyfleet_codegen.errors import AccessError
from tinyfleet_codegen.firmware_tree import firmware_dir
from tinyfleet_codegen.wire.ids import Status
from tinyfleet_codegen.wire.session import HELLO_BYTES, MAC_BYTES, PROLOGUE, PROTOCOL

SEED = 65
DEVICE_ID = bytes(range(16))
PSK = bytes(range(100, 132))
ENTROPY = bytes(range(32))
LAST_COUNTER = 2**32 - 2
LOW_ORDER = [bytes(32), b"\x01" + bytes(31), *((2**255 - 19 + offset).to_bytes(32, "little") for offset in (-1, 0, 1))]


class Responder:
    """The C code, one step a call."""

    def __init__(
        self, program: FirmwareProgram, *, entropy: bytes = ENTROPY, psk: bytes | None = PSK, device_id: bytes = DEVICE_ID
    ) -> None:
        self._program = program
        self._step(b"e" + entropy)
        self._step(b"i" + device_id)
        if psk is not None:
            assert self.provision(psk) is Status.OK

    def provision(self, psk: bytes) -> Status:
        return self._status(self._step(b"p" + psk))

    def accept(self, request: bytes) -> tuple[Status, bytes]:
        reply = self._step(b"a" + request)
        return self._status(reply), reply[1:]

    def open(self, counter: int, record: bytes) -> tuple[Status, bytes]:
        reply = self._step(b"o" + struct.pack("<I", counter) + record)
        return self._status(reply), reply[1:]

    def seal(self, data: bytes) -> tuple[Status, int, bytes]:
        reply = self._step(b"s" + data)
        return self._status(reply), struct.unpack_from("<I", reply, 1)[0], reply[5:]

    def close(self) -> None:
        self._step(b"c")

    def random(self, count: int) -> tuple[Status, bytes]:
        reply = self._step(b"r" + struct.pack("<I", count))
        return self._status(reply), reply[1:]

    def _step(self, data: bytes) -> bytes:
        return self._program.ask("s", data)

    @staticmethod
    def _status(reply: bytes) -> Status:
        return Status(int.from_bytes(reply[:1], "little", signed=True))


@pytest.fixture
def device(program: FirmwareProgram) -> Responder:
    return Responder(program)


def open_session(device: Responder, psk: bytes = PSK, device_id: bytes = DEVICE_ID) -> Session:
    handshake = Handshake(psk, device_id)
    status, answer = device.accept(handshake.request)
    assert status is Status.OK
    return handshake.finish(answer)


def takes(device: Responder, session: Session, message: bytes = b"ping") -> bool:
    counter, record = session.seal(message)
    status, data = device.open(counter, record)
    assert status in (Status.OK, Status.ERR_SIGNATURE, Status.ERR_STATE)
    assert status is not Status.OK or data[: len(message)] == message
    return status is Status.OK


def peer(initiator: bool) -> NoiseConnection:
    connection = NoiseConnection.from_name(PROTOCOL)
    connection.set_as_initiator() if initiator else connection.set_as_responder()
    connection.set_psks(PSK)
    connection.set_prologue(PROLOGUE + DEVICE_ID)
    connection.start_handshake()
    return connection


def test_device_speaks_with_another_implementation_of_noise(device: Responder) -> None:
    rng = random.Random(SEED)
    for _ in range(20):
        other = peer(initiator=True)
        status, answer = device.accept(bytes(other.write_message()))
        assert status is Status.OK
        assert other.read_message(answer) == b""
        for counter in range(5):
            message, reply = rng.randbytes(rng.randrange(600)), rng.randbytes(rng.randrange(600))
            assert device.open(counter, other.encrypt(message))[1][: len(message)] == message
            status, number, record = device.seal(reply)
            assert (status, number) == (Status.OK, counter)
            assert other.decrypt(record) == reply


def test_host_speaks_with_another_implementation_of_noise() -> None:
    rng = random.Random(SEED)
    other, handshake = peer(initiator=False), Handshake(PSK, DEVICE_ID)
    assert other.read_message(handshake.request) == b""
    session = handshake.finish(bytes(other.write_message()))
    for counter in range(5):
        message = rng.randbytes(100)
        assert other.decrypt(session.seal(message)[1]) == message
        assert session.open(counter, other.encrypt(message)) == message


@pytest.mark.parametrize(("psk", "device_id"), [(bytes(32), DEVICE_ID), (PSK[:-1] + b"\0", DEVICE_ID), (PSK, bytes(16))])
def test_other_keys_and_other_devices_are_refused(device: Responder, psk: bytes, device_id: bytes) -> None:
    assert device.accept(Handshake(psk, device_id).request)[0] is Status.ERR_SIGNATURE
    assert takes(device, open_session(device))


def test_the_host_refuses_every_changed_bit_of_an_answer(device: Responder) -> None:
    handshake = Handshake(PSK, DEVICE_ID)
    answer = device.accept(handshake.request)[1]
    for bit in range(8 * HELLO_BYTES):
        changed = bytearray(answer)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(AccessError, match="key"):
            copy(handshake).finish(bytes(changed))
    handshake.finish(answer)


def test_a_device_without_key_or_randomness_opens_nothing(program: FirmwareProgram) -> None:
    request = Handshake(PSK, DEVICE_ID).request
    assert Responder(program, psk=None).accept(request)[0] is Status.ERR_STATE
    assert Responder(program, entropy=b"").accept(request)[0] is Status.ERR_NO_IDENTITY
    assert Responder(program, entropy=b"").random(8)[0] is Status.ERR_NO_IDENTITY


def test_every_changed_bit_of_a_request_is_refused(device: Responder) -> None:
    request = Handshake(PSK, DEVICE_ID).request
    for bit in range(8 * HELLO_BYTES):
        changed = bytearray(request)
        changed[bit // 8] ^= 1 << bit % 8
        assert device.accept(bytes(changed))[0] is Status.ERR_SIGNATURE, bit


@pytest.mark.parametrize("public", LOW_ORDER)
def test_public_keys_of_low_order_are_refused_even_from_a_host_with_the_key(
    device: Responder, public: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Chosen:
        """Stands where the host would make a fresh pair."""

        @classmethod
        def generate(cls) -> Chosen:
            return cls()

        def public_key(self) -> Chosen:
            return self

        def public_bytes_raw(self) -> bytes:
            return public

    monkeypatch.setattr(session_module, "X25519PrivateKey", Chosen)
    assert device.accept(Handshake(PSK, DEVICE_ID).request)[0] is Status.ERR_SIGNATURE


def test_records_count_once_and_in_order(device: Responder) -> None:
    session = open_session(device)
    records = [session.seal(bytes([i])) for i in range(4)]
    assert device.open(*records[1])[0] is Status.OK
    for counter, record in records[:2]:
        assert device.open(counter, record)[0] is Status.ERR_SIGNATURE
    assert device.open(records[3][0], records[2][1])[0] is Status.ERR_SIGNATURE, "a record under another number"
    assert device.open(*records[3])[0] is Status.OK
    assert device.open(*records[2])[0] is Status.ERR_SIGNATURE, "late"


def test_every_changed_bit_of_a_record_is_refused_and_leaves_it_as_it_was(device: Responder) -> None:
    session = open_session(device)
    counter, record = session.seal(b"confirm")
    for bit in range(8 * len(record)):
        changed = bytearray(record)
        changed[bit // 8] ^= 1 << bit % 8
        assert device.open(counter, bytes(changed)) == (Status.ERR_SIGNATURE, bytes(changed))
    for size in range(len(record)):
        assert device.open(counter, record[:size])[0] is Status.ERR_SIGNATURE
    assert device.open(counter, record)[0] is Status.OK


def test_counters_end(device: Responder) -> None:
    session = open_session(device)
    session._next_send = LAST_COUNTER
    counter, record = session.seal(b"last")
    assert counter == LAST_COUNTER
    assert device.open(counter, record)[0] is Status.OK
    assert device.open(LAST_COUNTER + 1, record)[0] is Status.ERR_SIGNATURE
    with pytest.raises(AccessError, match="records"):
        session.seal(b"one more")


def test_a_replayed_opening_ends_no_session(device: Responder) -> None:
    handshake = Handshake(PSK, DEVICE_ID)
    session = handshake.finish(device.accept(handshake.request)[1])
    assert takes(device, session)
    for _ in range(3):
        assert device.accept(handshake.request)[0] is Status.OK
        assert takes(device, session)
    newer = open_session(device)
    assert takes(device, session), "the old one counts until the new one is used"
    assert takes(device, newer)
    assert not takes(device, session)
    device.close()
    assert device.open(*newer.seal(b"to nobody"))[0] is Status.ERR_STATE
    assert device.seal(b"nobody listens")[0] is Status.ERR_STATE


def test_a_new_key_ends_the_session(device: Responder) -> None:
    session = open_session(device)
    assert takes(device, session)
    assert device.provision(bytes(32)) is Status.OK
    assert not takes(device, session)
    assert device.accept(Handshake(PSK, DEVICE_ID).request)[0] is Status.ERR_SIGNATURE
    assert takes(device, open_session(device, psk=bytes(32)))


def test_a_thousand_openings_use_no_key_up(device: Responder) -> None:
    good, bad = Handshake(PSK, DEVICE_ID).request, Handshake(bytes(32), DEVICE_ID).request
    for _ in range(500):
        assert device.accept(good)[0] is Status.OK
        assert device.accept(bad)[0] is Status.ERR_SIGNATURE
    assert takes(device, open_session(device))


def test_no_boot_repeats_anothers_randomness(program: FirmwareProgram) -> None:
    rng, seen = random.Random(SEED), set()
    for _ in range(50):
        device = Responder(program, entropy=rng.randbytes(32))
        for count in (1, 31, 32, 64, 65, 200):
            status, data = device.random(count)
            assert status is Status.OK
            blocks = {data[i : i + 16] for i in range(0, len(data) - 15, 16)}
            assert not blocks & seen
            seen |= blocks
        request = Handshake(PSK, DEVICE_ID).request
        answers = {device.accept(request)[1] for _ in range(4)}
        assert len(answers) == 4
        assert not answers & seen
        seen |= answers


@seed(SEED)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_an_attacker_sends_only_the_hosts_records_are_taken(program: FirmwareProgram, data: st.DataObject) -> None:
    device = Responder(program)
    session = open_session(device)
    sent = [session.seal(bytes([i])) for i in range(3)]
    expected = 0
    for _ in range(data.draw(st.integers(1, 12))):
        counter, record = data.draw(st.sampled_from(sent))
        if data.draw(st.booleans()):
            record = data.draw(st.one_of(st.binary(max_size=MAC_BYTES + 8), st.just(record[::-1])))
        number = data.draw(st.sampled_from([counter, counter + 1, LAST_COUNTER + 1]))
        is_genuine = (number, record) in sent and number >= expected
        assert (device.open(number, record)[0] is Status.OK) == is_genuine
        expected = number + 1 if is_genuine else expected


SESSION, SOFTWARE = "session/src/session.c", "crypto/src/software.c"
MUTATIONS = {
    "records may come again": (SESSION, "counter < keys->next_receive ||", "", test_records_count_once_and_in_order),
    "a request ends the session": (
        SESSION,
        "destroy_keys(&session->offered);\n        status",
        "tyf_session_close(session);\n        status",
        test_a_replayed_opening_ends_no_session,
    ),
    "the device is not bound": (
        SESSION,
        "{session->device_id, sizeof session->device_id}",
        "{prologue, 0}",
        test_device_speaks_with_another_implementation_of_noise,
    ),
    "a new key keeps the session": (SESSION, "tyf_session_close(session);\n    tyf_port", "tyf_port", test_a_new_key_ends_the_session),
    "a refused request keeps a key": (SESSION, "tyf_port_key_destroy(&state.ck);\n    tyf", "tyf", test_a_thousand_openings_use_no_key_up),
    "the generator stands still": (
        SOFTWARE,
        "crypto_blake2b_keyed(generator.state, sizeof generator.state, generator.state",
        "crypto_blake2b_keyed((uint8_t[64]){0}, 64, generator.state",
        test_no_boot_repeats_anothers_randomness,
    ),
    "random without entropy": (
        SOFTWARE,
        "if (!generator.is_seeded) {",
        "if (false) {",
        test_a_device_without_key_or_randomness_opens_nothing,
    ),
}


@pytest.mark.full
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_broken_session_is_seen(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, before, after, test = MUTATIONS[name]
    shutil.copytree(firmware_dir(), tmp_path / "firmware")
    source = tmp_path / "firmware" / "lib" / file
    text = source.read_text()
    assert text.count(before) == 1
    source.write_text(text.replace(before, after))
    monkeypatch.setattr(program_process, "firmware_dir", lambda: tmp_path / "firmware")
    program = FirmwareProgram(program_process.build_program(tmp_path))
    try:
        argument = next(iter(inspect.signature(test).parameters))
        with pytest.raises((AssertionError, AccessError, InvalidTag)):
            test(**{argument: program if argument == "program" else Responder(program)})
    finally:
        program.kill()
