"""Settings are changed over the end of a log."""

from __future__ import annotations

from pathlib import Path

from tests.support.powercut.sweep import Flow
from tests.support.settings_store import SettingsStore, build_settings
from tinyfleet_codegen.wire.ids import Status

CHANGES: tuple[tuple[bytes, bytes | None], ...] = (
    (b"a", b"first"),
    (b"b", b"x" * 60),
    (b"a", None),
    (b"model/live", b"y" * 100),
    (b"b", b"z" * 256),
    (b"a", b"again"),
    (b"b", None),
)


class SettingsFlow(Flow):
    """Seven changes; the log is full after some of them."""

    name = "settings"

    def __init__(self, folder: Path, firmware: Path | None = None) -> None:
        self.store = SettingsStore(build_settings(folder, firmware=firmware))
        self.flash = self.store
        self.store.new()
        self.store.start()
        self.store.change(b"a", b"before")
        self.store.change(b"c", b"stays")
        for count in range(66):  # An area has 16 KiB; a record of these 236 bytes.
            assert self.store.change(b"filler", count.to_bytes(4, "little") * 55) == Status.OK
        self._base, self._promised = self.store.memory.raw, dict(self.store.promised)

    def begin(self) -> None:
        """See :class:`Flow`."""
        self.store.new(self._base)
        self.store.promised = dict(self._promised)
        self.store.start()

    def run(self) -> None:
        """See :class:`Flow`; all changes again."""
        for change in CHANGES:
            if self.store.is_on():
                status = self.store.change(*change)
                assert status == Status.OK or not self.store.is_on(), Status(status)

    def verify(self) -> list[str]:
        """See :class:`Flow`."""
        assert self.store.start() == Status.OK
        return self.store.settle()

    def verify_done(self) -> list[str]:
        """See :class:`Flow`."""
        wrong = self.store.settle()
        if self.store.in_flash().get(b"c") != b"stays" or self.store.in_flash().get(b"a") != b"again":
            wrong.append("a or c is not what it was set to")
        return wrong
