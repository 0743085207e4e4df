"""A board's Bluetooth stack on the bench: ``tests/firmware/program`` with a controller that is played byte by byte.

::

    bench = BleBench(program)
    bench.bring_up()
    bench.connect()
    assert bench.att(bytes.fromhex("02 f7 00")) == bytes.fromhex("03 f7 00")
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import cbor2

from tests.firmware.program_process import FirmwareProgram, message, nvm_image
from tinyfleet_codegen.wire.session import SessionCommand

COMMAND, ACL, EVENT = 1, 2, 4
RESET, SET_EVENT_MASK, READ_BUFFER_SIZE = 0x0C03, 0x0C01, 0x1005
LE_SET_EVENT_MASK, LE_READ_BUFFER_SIZE, LE_SET_RANDOM_ADDRESS = 0x2001, 0x2002, 0x2005
LE_SET_ADVERTISING_PARAMETERS, LE_SET_ADVERTISING_DATA, LE_SET_ADVERTISING = 0x2006, 0x2008, 0x200A
LE_WRITE_DATA_LENGTH, LE_READ_DATA_LENGTH, LE_REFUSE_KEY, LE_ACCEPT_PARAMETERS = 0x2024, 0x2023, 0x201B, 0x2020
DISCONNECT = 0x0406
BRING_UP = [
    *(RESET, SET_EVENT_MASK, LE_SET_EVENT_MASK, LE_READ_BUFFER_SIZE, LE_WRITE_DATA_LENGTH, LE_READ_DATA_LENGTH),
    *(LE_SET_RANDOM_ADDRESS, LE_SET_ADVERTISING_PARAMETERS, LE_SET_ADVERTISING_DATA, LE_SET_ADVERTISING),
]
HANDLE = 0x0041
NVM_BYTES = 0x10000
"""With the areas for settings."""
ATT, SIGNALLING, PAIRING = 4, 5, 6
MANAGEMENT, MANAGEMENT_SWITCH, TELEMETRY, TELEMETRY_SWITCH = 9, 10, 13, 14
LAST_HANDLE = 23


def event(code: int, data: bytes) -> bytes:
    """An event packet."""
    return bytes([EVENT, code, len(data)]) + data


def completed(opcode: int, values: bytes = b"\0", *, allowed: int = 1) -> bytes:
    """Command Complete; the first of ``values`` is the status."""
    return event(0x0E, struct.pack("<BH", allowed, opcode) + values)


def status(opcode: int, error: int) -> bytes:
    """Command Status."""
    return event(0x0F, struct.pack("<BBH", error, 1, opcode))


def acl(data: bytes, *, handle: int = HANDLE, first: bool = True) -> bytes:
    """One packet from the controller."""
    return struct.pack("<BHH", ACL, handle | (0x2000 if first else 0x1000), len(data)) + data


def pdu(channel: int, data: bytes) -> bytes:
    """An L2CAP message."""
    return struct.pack("<HH", len(data), channel) + data


def packets(data: bytes) -> list[bytes]:
    """The H4 packets that a board sent: commands and ACL data, nothing else, nothing half."""
    found = []
    while data:
        assert data[0] in (COMMAND, ACL), data.hex()
        size = 4 + data[3] if data[0] == COMMAND else 5 + int.from_bytes(data[3:5], "little")
        assert size <= len(data), "half a packet"
        found.append(data[:size])
        data = data[size:]
    return found


@dataclass
class BleBench:
    """See the module.

    Attributes:
        buffer_bytes, buffers: What the controller has for ACL data.
        answers: Opcode -> what the controller completes it with, instead of success.
        keeps_credits: Do not tell of packets that were sent.
        commands: Opcodes so far, with their parameters.
        acl_packets: ACL packets so far.
        sent: L2CAP messages so far, ``(channel, data)``.
    """

    program: FirmwareProgram
    buffer_bytes: int = 251
    buffers: int = 8
    answers: dict[int, bytes] = field(default_factory=dict)
    keeps_credits: bool = False
    commands: list[tuple[int, bytes]] = field(default_factory=list)
    acl_packets: list[bytes] = field(default_factory=list)
    sent: list[tuple[int, bytes]] = field(default_factory=list)
    cut: Callable[[bytes], Iterable[bytes]] | None = None
    data_length: bytes = struct.pack("<HH", 27, 328)
    _partial: bytes = b""

    def power_on(self) -> list[int]:
        """Switch the board on; opcodes of what it said at once."""
        self.program.power_on(nvm_image().ljust(NVM_BYTES, b"\xff"))
        return self.feed(b"")

    def feed(self, data: bytes) -> list[int]:
        """Bytes from the controller; opcodes of the commands that come back."""
        pieces = self.cut(data) if self.cut is not None else [data]
        out = b"".join(self.program.ask("H", piece) for piece in pieces)
        opcodes = []
        for packet in packets(out):
            if packet[0] == COMMAND:
                opcode = int.from_bytes(packet[1:3], "little")
                self.commands.append((opcode, packet[4:]))
                opcodes.append(opcode)
            else:
                self._take_acl(packet)
        return opcodes

    def _take_acl(self, packet: bytes) -> None:
        flags, size = struct.unpack_from("<HH", packet, 1)
        assert flags & 0xFFF == HANDLE and size <= self.buffer_bytes
        self.acl_packets.append(packet)
        if flags & 0x3000 == 0x1000:
            assert self._partial, "goes on with nothing"
        else:
            assert flags & 0xF000 == 0 and not self._partial, "begins within another"
        self._partial += packet[5:]
        total = 4 + int.from_bytes(self._partial[:2], "little")
        assert len(self._partial) <= total
        if len(self._partial) == total:
            self.sent.append((int.from_bytes(self._partial[2:4], "little"), self._partial[4:]))
            self._partial = b""

    def wait(self, seconds: float) -> list[int]:
        """Time goes on; opcodes of the commands that come."""
        self.program.ask("A", struct.pack("<Q", round(seconds * 1e6)))
        return self.feed(b"")

    def complete(self, opcode: int) -> list[int]:
        """Answer a command as a controller does; opcodes of what comes next."""
        values = {
            LE_READ_BUFFER_SIZE: struct.pack("<BHB", 0, self.buffer_bytes, self.buffers),
            READ_BUFFER_SIZE: struct.pack("<BHBHH", 0, self.buffer_bytes, 64, self.buffers, 0),
            LE_READ_DATA_LENGTH: b"\0" + self.data_length,
        }.get(opcode, b"\0")
        if opcode == LE_WRITE_DATA_LENGTH:
            self.data_length = self.commands[-1][1]
        return self.feed(completed(opcode, self.answers.get(opcode, values)))

    def bring_up(self) -> list[int]:
        """From power-on to advertising; the opcodes."""
        todo = self.power_on()
        seen = []
        while todo:
            (opcode,) = todo
            seen.append(opcode)
            todo = self.complete(opcode)
        return seen

    def connect(self, *, enhanced: bool = False, handle: int = HANDLE, role: int = 1, error: int = 0) -> None:
        """A central comes."""
        self._partial = b""
        peer = struct.pack("<BBHBB6s", 0x0A if enhanced else 1, error, handle, role, 1, bytes(6))
        self.feed(event(0x3E, peer + (bytes(12) if enhanced else b"") + struct.pack("<HHHB", 24, 0, 72, 0)))

    def disconnect(self, reason: int = 0x13) -> list[int]:
        """It goes; opcodes of what the board does."""
        return self.feed(event(0x05, struct.pack("<BHB", 0, HANDLE, reason)))

    def credit(self, count: int = 1) -> None:
        """The controller has sent packets."""
        self.feed(event(0x13, struct.pack("<BHH", 1, HANDLE, count)))

    def exchange(self, channel: int, data: bytes) -> list[tuple[int, bytes]]:
        """Send a message, and let all go out that wants to; what came."""
        before = len(self.sent)
        done = len(self.acl_packets)
        self.feed(acl(pdu(channel, data)))
        while not self.keeps_credits and len(self.acl_packets) > done:
            count, done = len(self.acl_packets) - done, len(self.acl_packets)
            self.credit(count)
        return self.sent[before:]

    def att(self, data: bytes) -> bytes:
        """A request and its one answer; empty: there was none."""
        answers = self.exchange(ATT, data)
        assert all(channel == ATT for channel, _ in answers) and len(answers) <= 1, answers
        return answers[0][1] if answers else b""

    def set_mtu(self, mtu: int) -> None:
        """Agree on it."""
        assert self.att(struct.pack("<BH", 2, mtu)) == struct.pack("<BH", 3, 247)

    def switch(self, handle: int, value: int = 1) -> None:
        """Turn notifications on or off."""
        assert self.att(struct.pack("<BHH", 0x12, handle, value)) == b"\x13"

    def write(self, data: bytes) -> list[bytes]:
        """Write to management in one piece; notifications that come, without their headers."""
        return [value[3:] for channel, value in self.exchange(ATT, struct.pack("<BH", 0x52, MANAGEMENT) + data) if value[0] == 0x1B]

    def ready(self, *, mtu: int = 247) -> None:
        """From power-on to a central that manages."""
        self.bring_up()
        self.connect()
        self.set_mtu(mtu)
        self.switch(MANAGEMENT_SWITCH)

    def ask(self, request: bytes, *, piece_bytes: int = 244) -> bytes:
        """An SMP request and its reply."""
        reply = b""
        for at in range(0, len(request), piece_bytes):
            reply += b"".join(self.write(request[at : at + piece_bytes]))
        return reply

    def smp(self, op: int, group: int, command: int, body: object, *, piece_bytes: int = 244) -> dict[str, object]:
        """The decoded reply."""
        answer = cbor2.loads(self.ask(message(op, group, command, body), piece_bytes=piece_bytes)[8:])
        assert isinstance(answer, dict)
        return answer


def record_of(counter: int, sealed: bytes) -> bytes:
    """A sealed message as a request."""
    return message(2, 65, SessionCommand.RECORD, {"n": counter, "d": sealed})
