"""The Python board behind somebody else's Bluetooth host, in an air."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import cbor2
from smp.header import OP, Header

from tests.host.peer import PythonBoard
from tests.support.ble_peripheral import ReferencePeripheral, reference_peripheral
from tinyfleet.emulator.air import Air
from tinyfleet_codegen.wire.ble import address_of, name_of
from tinyfleet_codegen.wire.ids import PROTOCOL_MAX, PROTOCOL_MIN, Command, SmpGroup

HELLO = (OP.READ, SmpGroup.TINYFLEET, Command.HELLO)


@asynccontextmanager
async def in_air(air: str, board: PythonBoard, device_id: bytes, *, name: str | None = None) -> AsyncIterator[ReferencePeripheral]:
    """Put the board into an air, under its own or another name; who it is, it always says, whatever it was told to do."""
    who = {"proto_min": PROTOCOL_MIN, "proto_max": PROTOCOL_MAX, "device_id": device_id, "boot_id": 7, "uptime_us": 1}

    def answer(request: bytes) -> bytes | None:
        header = Header.loads(request[: Header.SIZE])
        if (header.op, header.group_id, header.command_id) == HELLO and HELLO not in board.handlers:
            body = cbor2.dumps(who | {"board": "python", "app": "test"})
            return bytes([request[0] | 1, 0]) + len(body).to_bytes(2, "big") + request[4:8] + body
        return b"".join(board.answer(request)) or None

    address = address_of(device_id)
    async with reference_peripheral(air, name=name or name_of(device_id), answer=answer, address=address) as peripheral:
        peripheral.noise, peripheral.piece_bytes = board.noise, board.piece_bytes
        yield peripheral


@asynccontextmanager
async def ble_peer(board: PythonBoard) -> AsyncIterator[tuple[str, None]]:
    """Serve the board in an air of its own; yields its URL. Its connection can be lost, but is made again as long as it is there."""
    device_id = secrets.token_bytes(16)
    async with await Air.start() as air, in_air(air.address, board, device_id):
        yield f"ble://{device_id.hex()}?air={air.address}", None
