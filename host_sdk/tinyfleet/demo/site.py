"""The processes of one demo run: an emulated board, a cloud and a gateway, with their files."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from tinyfleet.demo.cloud_client import CloudClient
from tinyfleet.demo.process import Process
from tinyfleet.demo.reserved_port import ReservedPort
from tinyfleet.demo.route import Route
from tinyfleet.gateway.outbox import OUTBOX_FILE, inspect_outbox

GATEWAY_ID = "demo"
_WORDS: dict[str, list[str]] = {"tcp": [], "serial": ["--pty"], "ble": ["--ble"]}


class Site:
    """Everything that runs beside the demo itself; a context manager that leaves no process behind.

    Args:
        folder: For state and logs; must be new.
        board: Id of the emulated board.
        elf: Its firmware.
        link: ``tcp``, ``serial`` (a pseudo-terminal), or ``ble`` (a TCP port, and an air).
        sink: How the gateway's records reach the cloud: one of :data:`tinyfleet.demo.route.SINKS`.
    """

    def __init__(self, folder: Path, *, board: str, elf: Path, link: str, sink: str = "http") -> None:
        self._folder = folder
        self._logs = folder / "logs"
        self._processes = contextlib.ExitStack()
        self._cloud_port = self._processes.enter_context(ReservedPort()).number
        self.cloud_url = f"http://127.0.0.1:{self._cloud_port}"
        words = ["emulate", board, "--elf", str(elf), "--nvm", str(folder / "board.nvm"), *_WORDS[link]]
        self._board = self._start("board", words)
        self._gateway: Process | None = None
        self._cloud: Process | None = None
        self._route = Route(sink, folder=folder, logs=self._logs, processes=self._processes, start=self._start)
        self._cloud_answers = False
        self._last_stored = 0

    @property
    def board_url(self) -> str:
        """The board's own port, for one host."""
        return str(self._board.facts["smp"])

    @property
    def ble_url(self) -> str | None:
        """The board in its air, when it is in one."""
        url: str | None = self._board.facts["ble"]
        return url

    @property
    def device_id(self) -> bytes:
        """The identity in the board's NVM file."""
        return bytes.fromhex(self._board.facts["device_id"])

    @property
    def keys(self) -> Path:
        """Folder for the keys of devices."""
        return self._folder / "keys"

    @property
    def outbox(self) -> Path:
        """The gateway's database."""
        return self._folder / "gateway" / OUTBOX_FILE

    def _start(self, name: str, words: list[str]) -> Process:
        process = Process.start(name, words, self._logs / f"{name}.log")
        self._processes.callback(process.stop)
        return process

    def start_cloud(self) -> None:
        """Start the cloud; again: on the address that it had."""
        is_first = self._cloud is None
        self._cloud = self._start("cloud", ["cloud", "serve", "--data", str(self._folder / "cloud"), "--port", str(self._cloud_port)])
        self._cloud_answers = True
        if is_first:
            self._route.reach(self.cloud_url)

    def configure_gateway(self, device_url: str) -> Path:
        """Write the gateway's configuration file and return its path."""
        path = self._folder / "gateway.toml"
        # JSON strings are TOML strings.
        path.write_text(
            f"""version = 2

[gateway]
id = {json.dumps(GATEWAY_ID)}
data_dir = "gateway"

[[device]]
url = {json.dumps(device_url)}
timeout_s = 20.0
poll_s = 0.1

{self._route.table()}""",
            encoding="utf-8",
        )
        return path

    def start_gateway(self) -> None:
        """Start the gateway on its configuration file."""
        self._gateway = self._start("gateway", ["gateway", "run", str(self._folder / "gateway.toml")])

    def freeze_cloud(self) -> None:
        """See :class:`tinyfleet.demo.relay.RelayProcesses`."""
        assert self._cloud is not None
        self._last_stored = self.stored()
        self._cloud_answers = False
        self._cloud.freeze()

    def thaw_cloud(self) -> None:
        """See :class:`tinyfleet.demo.relay.RelayProcesses`."""
        assert self._cloud is not None
        self._cloud.thaw()
        self._cloud_answers = True

    def kill_cloud(self) -> None:
        """See :class:`tinyfleet.demo.relay.RelayProcesses`."""
        assert self._cloud is not None
        self._cloud.kill()

    def kill_gateway(self) -> None:
        """See :class:`tinyfleet.demo.relay.RelayProcesses`."""
        assert self._gateway is not None
        self._gateway.kill()

    def waiting(self) -> int:
        """See :class:`tinyfleet.demo.relay.RelayProcesses`."""
        if self._route.is_answered:
            return inspect_outbox(self.outbox)[0].waiting
        return max(0, self.pulled() - (self.stored() if self._cloud_answers else self._last_stored))

    def pulled(self) -> int:
        """See :class:`tinyfleet.demo.relay.RelayProcesses`."""
        return max((boot.next_seq for boot in inspect_outbox(self.outbox)[1]), default=0)

    def stored(self) -> int:
        """See :class:`tinyfleet.demo.relay.RelayProcesses`."""
        with CloudClient(self.cloud_url) as cloud:
            return cloud.totals()["stored"]

    def close(self) -> None:
        """Stop every process, the newest first."""
        self._processes.close()

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
