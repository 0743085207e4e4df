"""The witness and its judge: each seeded bug loses records, and is seen by what the board wrote before its ring had them."""

from __future__ import annotations

import ctypes
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.campaigns.chaos_mutants import MUTANTS, route_of
from tests.campaigns.chaos_relay import Relay
from tests.gateway.processes import wait_until
from tests.support.flash_library import build_flash_library
from tests.support.no_loss import Verdict, judge
from tests.support.witness import START, Trace, parse_trace, read_trace
from tests.support.witness_boards import ring_records, witness_model_dir
from tinyfleet.emulator.simulated import SimulatedBoard
from tinyfleet_codegen.firmware_tree import firmware_dir

RING_BYTES = 4096
PERIOD_MS = 50


@asynccontextmanager
async def a_board(folder: Path) -> AsyncIterator[SimulatedBoard]:
    """One that makes a record every 50 ms of its time, which stands still."""
    model = witness_model_dir(folder / "model", "host", ring_bytes=RING_BYTES)
    async with AsyncExitStack() as stack:
        board = await SimulatedBoard.open(model, stack, witness=folder / "trace")
        await sample(board)
        yield board


async def sample(board: SimulatedBoard) -> None:
    async with board.connect() as device:
        await device.sample(PERIOD_MS)


def make(board: SimulatedBoard, count: int) -> None:
    board.advance(count * PERIOD_MS * 1000)


async def verdict_of(relay: Relay, board: SimulatedBoard, folder: Path) -> Verdict:
    trace = read_trace(folder / "trace")
    boot = max(boot for boot, _ in trace.records)
    await relay.until_drained({(board.device_id, boot): trace.produced(boot)})
    if relay.cluster is not None:
        # A partition keeps the order: when the last is there, nothing before it is on its way any more.
        async def has_arrived() -> bool:
            return trace.produced(boot) - 1 in (await relay.cloud.holdings()).records.get((board.device_id, boot), {})

        await wait_until(has_arrived, "the last record from the broker")
    verdict = judge({board.device_id: trace}, await relay.cloud.holdings(), ring_records=ring_records(RING_BYTES))
    print(verdict)
    return verdict


@pytest.mark.parametrize("mutant", [None, *(m if m != "offsets_first" else pytest.param(m, marks=pytest.mark.full) for m in MUTANTS)])
async def test_a_kill_in_the_window_of_each_seeded_bug_is_seen(mutant: str | None, tmp_path: Path) -> None:
    dies = tmp_path / "dies"
    async with a_board(tmp_path) as board:
        route = route_of(mutant)
        relay = Relay(tmp_path, [board.url], routes=(route,), mutant=mutant, dies=dies)
        try:
            await relay.start_clouds()
            victims = {"gateway": relay.gateway, "cloud": relay.cloud} | {s.name: s for s in relay.ingests.values()}
            victim = victims["gateway" if mutant is None else MUTANTS[mutant][0]]
            relay.configure(relay.http_sink() if route == "http" else relay.kafka_sink())
            await relay.gateway.start()
            make(board, 40)
            await relay.until_drained({(board.device_id, 1): 40})
            if mutant is None:
                await victim.kill()
            else:
                dies.touch()
            make(board, 30)
            await wait_until(lambda: not victim.is_running, f"the end of {victim.name}")
            await victim.start()
            make(board, 10)
            verdict = await verdict_of(relay, board, tmp_path)
        finally:
            await relay.close()
    assert verdict.produced == 80
    if mutant is None:
        assert not verdict.findings and verdict.stored == 80
    else:
        assert verdict.lost > 0 and any("LOST" in finding for finding in verdict.findings)


WRITER = """
#include <stdint.h>
#include <string.h>
#include "tyf/port/witness.h"
static uint8_t text[65536];
static uint32_t count;
void tyf_port_witness_write(const uint8_t *data, uint32_t bytes) {
    memcpy(text + count, data, bytes);
    count += bytes;
}
const uint8_t *test_text(uint32_t *bytes) {
    *bytes = count;
    return text;
}
"""


def ring_trace(folder: Path, before: str, after: str, records: int) -> Trace:
    """What the ring alone writes when it gets so many records, with a change to its source."""
    broken = folder / "firmware"
    shutil.copytree(firmware_dir() / "lib", broken / "lib")
    shutil.copytree(firmware_dir() / "boards/host", broken / "boards/host")
    ring = broken / "lib/telemetry/src/ring.c"
    text = ring.read_text(encoding="utf-8")
    assert text.count(before) == 1
    ring.write_text(text.replace(before, after), encoding="utf-8")
    (folder / "writer.c").write_text(
        WRITER.replace("const uint8_t *test_text", "const uint8_t *test_text(uint32_t *);\nconst uint8_t *test_text")
    )
    (folder / "app_config.h").write_text("#define TYF_CFG_WITNESS 1\n", encoding="utf-8")
    path = build_flash_library(folder, libraries=("telemetry",), firmware=broken, sources=(folder / "writer.c",), includes=(folder,))
    library = ctypes.CDLL(str(path))
    memory, state, output = ctypes.create_string_buffer(2048), ctypes.create_string_buffer(128), ctypes.create_string_buffer(5)
    library.tyf_telemetry_ring_init(state, memory, 2048)
    fields = ctypes.create_string_buffer((1).to_bytes(4, "little"), 64)
    for _ in range(records):
        library.tyf_telemetry_ring_append(state, fields, output, 5)
    size = ctypes.c_uint32()
    library.test_text.restype = ctypes.c_void_p
    return parse_trace(ctypes.string_at(library.test_text(ctypes.byref(size)), size.value))


def test_a_ring_that_leaves_out_records_without_counting_them_is_seen(tmp_path: Path) -> None:
    before = "        drop_oldest(ring);\n    }\n    uint8_t header"
    # The newest goes instead of the oldest, and its number to the next one: readers see no hole.
    after = "        drop_oldest(ring);\n        ring->oldest_seq--;\n        ring->next_seq--;\n    }\n    uint8_t header"
    (tmp_path / "broken").mkdir()
    (tmp_path / "intact").mkdir()
    assert any("twice" in problem for problem in ring_trace(tmp_path / "broken", before, after, 100).problems)
    intact = ring_trace(tmp_path / "intact", before, before, 100)
    assert intact.problems == [] and intact.produced(1) == 100


async def test_what_a_restarted_board_had_in_its_ring_is_declared(tmp_path: Path) -> None:
    async with a_board(tmp_path) as board:
        relay = Relay(tmp_path, [board.url])
        try:
            await relay.start_clouds()
            relay.configure(relay.http_sink())
            await relay.gateway.start()
            make(board, 20)
            await relay.until_drained({(board.device_id, 1): 20})
            await relay.gateway.kill()
            make(board, 15)
            board.restart()
            await sample(board)
            make(board, 10)
            await relay.gateway.start()
            verdict = await verdict_of(relay, board, tmp_path)
            traces, holdings = {board.device_id: read_trace(tmp_path / "trace")}, await relay.cloud.holdings()
        finally:
            await relay.close()
    assert (verdict.produced, verdict.stored) == (45, 30)
    assert not verdict.findings
    assert (verdict.dropped_with_board, verdict.gaps, verdict.lost) == (15, 1, 0)
    # No more goes with a board than its ring holds, nor than was not pulled when it was killed.
    for most, ring in ((15, ring_records(RING_BYTES)), (14, ring_records(RING_BYTES)), (15, 14)):
        bounded = judge(traces, holdings, ring_records=ring, unpulled={(board.device_id, 1): most})
        assert bounded.most_with_board == min(most, ring)
        assert [f.partition(": ")[2] for f in bounded.findings] == (
            [] if min(most, ring) == 15 else ["15 records went with the board from 20, at most 14 could"]
        )


async def test_what_the_ring_overwrote_is_declared(tmp_path: Path) -> None:
    async with a_board(tmp_path) as board:
        relay = Relay(tmp_path, [board.url])
        try:
            await relay.start_clouds()
            relay.configure(relay.http_sink())
            make(board, ring_records(RING_BYTES) + 25)
            await relay.gateway.start()
            verdict = await verdict_of(relay, board, tmp_path)
        finally:
            await relay.close()
    assert not verdict.findings
    assert verdict.dropped == verdict.dropped_by_ring == 25 and verdict.stored == ring_records(RING_BYTES)


def test_only_the_last_line_before_a_start_may_be_torn() -> None:
    whole = b"\n" + START + b"\n00000001 00000000 62b296a6\n00000001 00000001 f9c0543d\n"
    assert parse_trace(whole).records == {(1, 0): 0x62B296A6, (1, 1): 0xF9C0543D}
    torn = parse_trace(whole + b"00000001 000000" + whole.replace(b"00000001 0", b"00000002 0") + b"00000")
    assert (len(torn.records), torn.starts, torn.torn, torn.problems) == (4, 2, 2, [])
    assert parse_trace(whole + b"00000001 0000\n" + whole[1:]).torn == 1
    for damaged in (whole + b"00000001 0000\n00000001 00000002 00000000\n", whole + b"0000000x", whole + b"00000001 00000005 00000000\n"):
        assert parse_trace(damaged).problems, damaged
