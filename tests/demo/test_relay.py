"""The relay with its kills on real processes and a small model; a tampered outbox must not pass the audit."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hil_tests.conftest import small_package
from tinyfleet.demo.audit import Audit, ExpectedWindow, audit
from tinyfleet.demo.cloud_client import CloudClient
from tinyfleet.demo.relay import RelayResult, relay_with_kills
from tinyfleet.demo.shared_port import share_port
from tinyfleet.demo.site import Site
from tinyfleet.demo.timeline import Timeline
from tinyfleet.platformio_build import build_firmware
from tinyfleet.train import Recording
from tinyfleet_codegen.compile import compile_model
from tinyfleet_codegen.compiled import CompiledModel

pytestmark = pytest.mark.slow

BOARD = "mps2_an386"
RNG = np.random.default_rng(11)
RECORDINGS = [Recording(i, "9", 0, RNG.integers(-3000, 3000, (200, 3)).astype(np.int16)) for i in range(1, 7)]
Tamper = Callable[[sqlite3.Connection], object]


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> tuple[CompiledModel, Path]:
    folder = tmp_path_factory.mktemp("firmware")
    compiled = compile_model(small_package(), BOARD, folder / "c")
    return compiled, build_firmware(BOARD, folder / "c", folder / "firmware").elf


class TamperedSite(Site):
    """A site in which somebody changes the outbox while the cloud is dead."""

    tamper: Tamper | None = None

    def start_cloud(self) -> None:
        if self.tamper is not None:
            with sqlite3.connect(self.outbox, timeout=30) as outbox:
                self.tamper(outbox)
        super().start_cloud()


def expected_windows(compiled: CompiledModel) -> list[ExpectedWindow]:
    frontend = compiled.package.frontend
    assert frontend is not None and compiled.input.scale is not None and compiled.input.zero_point is not None
    return [
        ExpectedWindow(r.stream, start, 0, window.tobytes())
        for r in RECORDINGS
        for start, window in zip(
            frontend.window_starts(len(r.samples)),
            frontend.apply(r.samples, compiled.input.scale, compiled.input.zero_point),
            strict=True,
        )
    ]


async def run(folder: Path, firmware: tuple[CompiledModel, Path], tamper: Tamper | None, timeline: Timeline) -> tuple[RelayResult, Audit]:
    compiled, elf = firmware
    with TamperedSite(folder, board=BOARD, elf=elf, link="tcp") as site:
        site.start_cloud()
        async with share_port(site.board_url) as url:
            site.configure_gateway(url)
            site.start_gateway()
            site.tamper = tamper
            result = await relay_with_kills(url, RECORDINGS, site, timeline, on_progress=lambda _done, _total, _what: None)
        with CloudClient(site.cloud_url) as cloud:
            totals = cloud.totals()
            audited = audit(
                produced=result.stats.records,
                boot=(result.hello.device_id, result.hello.boot_id),
                on_board=result.on_board,
                rows=cloud.rows(site.device_id),
                redelivered_twice=totals["duplicated"] + totals["alarms"],
                expected=expected_windows(compiled),
                model_id=compiled.model_id,
            )
    return result, audited


async def test_nothing_is_lost_or_doubled_when_cloud_and_gateway_are_killed(tmp_path: Path, firmware: tuple[CompiledModel, Path]) -> None:
    timeline = Timeline()
    result, audited = await run(tmp_path, firmware, None, timeline)
    assert audited.failures == ()
    assert audited.produced == audited.in_cloud == audited.checked == len(expected_windows(firmware[0]))
    assert result.outbox_depth_at_cloud_kill > 0
    assert result.undelivered_at_gateway_kill > 0
    order = [event for _, event in timeline.events]
    assert order == ["replay begins", "cloud killed", "cloud restarted", "gateway killed", "gateway restarted", "all delivered"]
    assert max(depth for _, depth in timeline.depths) >= result.outbox_depth_at_cloud_kill


async def test_a_record_dropped_in_the_outbox_is_found(tmp_path: Path, firmware: tuple[CompiledModel, Path]) -> None:
    def drop(outbox: sqlite3.Connection) -> None:
        outbox.execute("DELETE FROM queue WHERE entry = (SELECT max(entry) FROM queue)")
        outbox.execute("UPDATE sink SET waiting = waiting - 1")  # as a bug would that loses it without a trace

    _, audited = await run(tmp_path, firmware, drop, Timeline())
    assert (audited.lost, audited.duplicates) == (1, 0)
    assert audited.failures


async def test_a_byte_changed_in_the_outbox_is_found(tmp_path: Path, firmware: tuple[CompiledModel, Path]) -> None:
    def flip(outbox: sqlite3.Connection) -> None:
        entry, record = outbox.execute("SELECT entry, payload FROM queue ORDER BY entry DESC LIMIT 1").fetchone()
        outbox.execute("UPDATE queue SET payload = ? WHERE entry = ?", (record[:-1] + bytes([record[-1] ^ 1]), entry))

    _, audited = await run(tmp_path, firmware, flip, Timeline())
    assert (audited.lost, audited.duplicates, audited.mismatches) == (0, 0, 1)
    assert len(audited.failures) >= 2
