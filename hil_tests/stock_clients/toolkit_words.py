"""Words to a board by mcumgr-toolkit, unmodified, in an environment of its own; prints JSON, a line each.

::

    python toolkit_words.py PORT WORD [ARGUMENT]... [-- WORD [ARGUMENT]...]...
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

from mcumgr_toolkit import MCUmgrClient

TIMEOUT_MS = 20_000


def images(states: Any) -> list[dict[str, Any]]:
    """What a client says of the slots, as plain data."""
    return [
        {"slot": state.slot, "version": state.version, "hash": bytes(state.hash).hex()}
        | {name: getattr(state, name) for name in ("pending", "confirmed", "active")}
        for state in states
    ]


def say(client: MCUmgrClient, word: str, *arguments: str) -> Any:
    """One word; what came back."""
    words: dict[str, Callable[..., Any]] = {
        "echo": lambda text: {"r": client.os_echo(text)},
        "list": lambda: {"images": images(client.image_get_state())},
        "upload": lambda file: client.image_upload(Path(file).read_bytes()),
        "test": lambda digest: {"images": images(client.image_set_state(bytes.fromhex(digest), confirm=False))},
        "confirm": lambda: {"images": images(client.image_set_state(confirm=True))},
        "reset": client.os_system_reset,
        "update": lambda file: client.firmware_update(Path(file).read_bytes()),
        "stats": lambda: {"stat_list": list(client.stats_list_groups())},
        "stat": lambda name: {"fields": dict(client.stats_get_group_data(name))},
        "write": lambda name, value: client.settings_write(name, value.encode()),
        "read": lambda name: {"val": bytes(client.settings_read(name)).hex()},
        "delete": client.settings_delete,
    }
    return words[word](*arguments)


def main(port: str, words: list[list[str]]) -> None:
    """Say them in one connection, and print what came back."""
    client = MCUmgrClient.serial(port, 115200, TIMEOUT_MS)
    client.use_auto_frame_size()
    for word in words:
        print(json.dumps(say(client, *word)))


main(sys.argv[1], [list(word) for is_word, word in groupby(sys.argv[2:], lambda text: text != "--") if is_word])
