"""Words to a board by smpclient, unmodified, in an environment of its own; prints JSON, a line each.

::

    python smpclient_words.py PORT WORD [ARGUMENT]... [-- WORD [ARGUMENT]...]...
"""

from __future__ import annotations

import asyncio
import json
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

from smpclient import SMPClient
from smpclient.generics import error, success
from smpclient.requests.image_management import ImageStatesRead, ImageStatesWrite
from smpclient.requests.os_management import EchoWrite, ResetWrite
from smpclient.requests.settings_management import DeleteSetting, ReadSetting, WriteSetting
from smpclient.requests.statistics_management import GroupData, ListOfGroups
from smpclient.transport.serial import SMPSerialTransport

TIMEOUT_S = 20.0
LIST_TIMEOUT_S = 4.0
"""The board may be restarting: then the request is lost, and whoever asks asks again."""


def _read(path: str) -> bytes:
    return Path(path).read_bytes()


async def main(port: str, words: list[list[str]]) -> None:
    """Say them in one connection, and print what came back."""
    timeout_s = LIST_TIMEOUT_S if words == [["list"]] else TIMEOUT_S
    async with SMPClient(SMPSerialTransport(), port, timeout_s=timeout_s) as client:
        for word in words:
            print(json.dumps(await say(client, *word), default=lambda value: value.hex()))


async def say(client: SMPClient, word: str, *arguments: str) -> Any:
    """One word; what came back."""
    if word == "upload":
        async for _ in client.upload(_read(arguments[0]), slot=0, subsequent_timeout_s=TIMEOUT_S):
            pass
        return None
    request: Any = {
        "echo": lambda text: EchoWrite(d=text),
        "list": ImageStatesRead,
        "test": lambda digest: ImageStatesWrite(hash=bytes.fromhex(digest)),
        "confirm": lambda: ImageStatesWrite(confirm=True),
        "reset": ResetWrite,
        "stats": ListOfGroups,
        "stat": lambda name: GroupData(name=name),
        "write": lambda name, value: WriteSetting(name=name, val=value.encode()),
        "read": lambda name: ReadSetting(name=name),
        "delete": lambda name: DeleteSetting(name=name),
    }[word](*arguments)
    reply = await client.request(request, timeout_s=TIMEOUT_S)
    if error(reply):
        sys.exit(str(reply))
    assert success(reply)
    return reply.model_dump(exclude={"header", "version", "sequence", "smp_data"})


asyncio.run(main(sys.argv[1], [list(word) for is_word, word in groupby(sys.argv[2:], lambda text: text != "--") if is_word]))
