"""Everything between a board and the cloud fails, again and again; nothing may be lost: ``./run chaos gateway``.

::

    ./run chaos gateway --minutes 25 --json
    ./run chaos gateway --seed 4711 --minutes 1 --mutant cursor_first     # a seeded bug: must be found

Emulated boards make records by themselves and say so to a witness that no fault reaches. Between faults all is let go, drained and
judged: produced = stored + covered + filtered + declared dropped, each record in one of them. The seed gives the faults and their
order; the moment at which each hits is the machine's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.campaigns.campaign import Campaign, campaign_parser, start_campaign
from tests.campaigns.chaos_boards import BOARD, ChaosBoard
from tests.campaigns.chaos_disk import KINDS, SmallDisk, find_faketime
from tests.campaigns.chaos_kafka import missing_in, records_in
from tests.campaigns.chaos_lines import BoardLine, CloudLine, Trouble
from tests.campaigns.chaos_mutants import MUTANTS
from tests.campaigns.chaos_relay import Relay, Service
from tests.support.no_loss import Verdict, judge
from tests.support.witness_boards import ring_records, witness_model_dir
from tinyfleet.demo.broker import Broker
from tinyfleet.platformio_build import build_firmware
from tinyfleet_codegen.errors import TinyfleetError

ROUTES = ("http", "mqtt", "kafka")
BOARDS = 2
PERIOD_MS = 100
RING_BYTES = 65536
GATEWAY_DISK_MB, CLOUD_DISK_MB = 32, 96
PAUSE_S = (0.05, 0.8)
"""Between two faults."""
FAULTS_BEFORE_SETTLING = 50
JUMPS_S = (-86400, -3600, -2, 2, 3600, 30 * 86400)
"""Where a clock may be, against the right time."""
MOST_AHEAD_S = 2
"""Of a gateway with a Kafka sink; others jump ahead by 30 days."""
EDGES = (
    "",
    "[filter]\nmax_per_s = 3.0\n\n",
    "[filter]\non_change = true\n\n[window]\nseconds = 2.0\n\n",
    '[window]\nseconds = 5.0\n\n[policy]\noutput = "never"\n\n',
    "[capture]\nbelow_confidence = 0.9\nbudget_bytes_per_day = 1_000_000_000\n\n[filter]\nmax_per_s = 8.0\n\n",
)
"""What a reload chooses from: all records, some filtered, some or all covered by windows, windows of those that are unsure."""
WINDOWS_CLOSE_S = 120.0
"""In which windows that are open when all is pulled must be delivered, and what brokers hold."""
_START_TIMEOUT_S = 300.0
Fault = Callable[[random.Random], Awaitable[bool]]
"""Happens, or says that it could not now."""


class Chaos:
    """One run of it.

    Args:
        campaign: Where it reports.
        folder: For everything.
        disks: The gateway's and the clouds'.
        mutant: A seeded bug, see :mod:`tests.campaigns.chaos_mutants`.
        routes: See :class:`~tests.campaigns.chaos_relay.Relay`.
    """

    def __init__(
        self, campaign: Campaign, folder: Path, disks: tuple[SmallDisk, SmallDisk], *, mutant: str | None, routes: tuple[str, ...]
    ) -> None:
        self._campaign = campaign
        self._routes = routes
        self._folder = folder
        self._rng = random.Random(campaign.seed)
        self._happened: Counter[str] = Counter()
        self._restarts: dict[str, asyncio.Task[None]] = {}
        self._effects: set[asyncio.Task[None]] = set()
        self._gateway_disk, self._cloud_disk = disks
        self._clocks = {whose: folder / f"clock of {whose}" for whose in ("gateway", "cloud")}
        for clock in self._clocks.values():
            clock.write_text("+0\n", encoding="ascii")
        self._verdict = Verdict()
        self._unpulled: dict[tuple[bytes, int], int] = {}
        elf = _build(folder)
        self._boards = [ChaosBoard(n, elf, folder, period_ms=PERIOD_MS) for n in range(BOARDS)]
        self._line = CloudLine(lambda: self._relay.clouds["http"].port, lambda trouble: self._count(f"http {trouble}"))
        self._broker_line = BoardLine()
        self._mutant = mutant
        self._faults = self._all_faults()

    def _all_faults(self) -> dict[str, tuple[int, Fault]]:
        """Name -> how often in relation to others, and what it does."""
        faults: dict[str, tuple[int, Fault]] = {
            "gateway killed": (5, lambda _: self._kill(self._relay.gateway)),
            "gateway stopped": (1, lambda _: self._stop(self._relay.gateway)),
            "gateway frozen": (2, lambda rng: self._freeze(self._relay.gateway, rng)),
            "cloud killed": (4, lambda rng: self._kill(self._some_cloud(rng))),
            "cloud stopped": (1, lambda rng: self._stop(self._some_cloud(rng))),
            "cloud frozen": (2, lambda rng: self._freeze(self._some_cloud(rng), rng)),
            "board killed": (3, self._kill_board),
            "configuration reloaded": (3, self._reload),
            "link cut": (6, self._cut),
            "link stalled": (3, self._stall),
        }
        if "http" in self._routes:
            faults["http"] = (20, self._trouble)
        if "mqtt" in self._routes:
            faults["broker killed"] = (3, lambda _: self._break_broker(Broker.kill))
            faults["broker restarted"] = (3, lambda _: self._break_broker(Broker.stop))
            faults["broker's link cut"] = (4, self._cut_broker)
            faults["broker's link stalled"] = (2, self._stall_broker)
        if "kafka" in self._routes:
            faults["kafka killed"] = (2, lambda _: self._kill_cluster())
            faults["kafka frozen"] = (3, self._freeze_cluster)
        for route in self._routes:
            if route != "http":
                faults[f"{route} ingest killed"] = (3, lambda _, route=route: self._kill(self._relay.ingests[route]))
                faults[f"{route} ingest stopped"] = (1, lambda _, route=route: self._stop(self._relay.ingests[route]))
                faults[f"{route} ingest frozen"] = (1, lambda rng, route=route: self._freeze(self._relay.ingests[route], rng))
        if self._gateway_disk.is_bounded:
            faults["gateway's disk full"] = (2, lambda rng: self._fill(self._gateway_disk, rng))
        if self._cloud_disk.is_bounded:
            faults["cloud's disk full"] = (2, lambda rng: self._fill(self._cloud_disk, rng))
        if find_faketime() is not None:
            faults["gateway's clock jumps"] = (3, lambda rng: self._jump("gateway", rng))
            faults["clouds' clock jumps"] = (2, lambda rng: self._jump("cloud", rng))
        return faults

    async def run(self, most_faults: int | None) -> None:
        """Faults until the time is up or there were so many, settling in between."""
        await self._set_up()
        try:
            names = list(self._faults)
            weights = [weight for weight, _ in self._faults.values()]

            def goes_on() -> bool:
                return self._campaign.has_time() and (most_faults is None or self._happened.total() < most_faults)

            while goes_on() and not self._campaign.findings:
                for _ in range(FAULTS_BEFORE_SETTLING):
                    if not goes_on():
                        break
                    # All that is random is drawn here, so that a seed repeats the faults whatever becomes of them.
                    name = self._rng.choices(names, weights)[0]
                    rng = random.Random(self._rng.getrandbits(64))
                    if await self._faults[name][1](rng) and name != "http":
                        self._count(name)
                    await asyncio.sleep(self._rng.uniform(*PAUSE_S))
                await self._settle()
        finally:
            self._campaign.facts |= self._facts()
            await self._tear_down()

    def _count(self, name: str) -> None:
        self._happened[name] += 1
        self._campaign.progress(f"{self._happened.total()} faults, last: {name}; {self._verdict.produced} records judged")

    async def _set_up(self) -> None:
        for board in self._boards:
            await board.line.open()
        faketime = find_faketime()
        clocks = {whose: {} if faketime is None else {
            "LD_PRELOAD": str(faketime), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        } for whose, clock in self._clocks.items()}  # fmt: skip
        self._relay = Relay(
            self._folder,
            [board.line.url for board in self._boards],
            gateway_dir=self._gateway_disk.folder / "data",
            cloud_dir=self._cloud_disk.folder / "data",
            routes=self._routes,
            mutant=self._mutant,
            gateway_env=clocks["gateway"],
            cloud_env=clocks["cloud"],
        )
        await self._line.open()
        await self._relay.start_clouds()
        if self._relay.broker is not None:
            await self._broker_line.open()
            self._broker_line.lead_to(self._relay.broker.port)
        self._relay.configure(self._sinks())
        await self._relay.gateway.start()
        for board in self._boards:
            await board.start()
        # A device is this gateway's from the first pull on: boots before that may have been another's.
        await self._relay.until_known(board.device_id for board in self._boards)

    def _sinks(self) -> str:
        tables = {
            "http": lambda: self._relay.http_sink(self._line.port),
            "mqtt": lambda: self._relay.mqtt_sink(int(self._broker_line.url.rpartition(":")[2])),
            "kafka": self._relay.kafka_sink,
        }
        return "".join(tables[route]() for route in self._routes)

    async def _tear_down(self) -> None:
        for task in [*self._restarts.values(), *self._effects]:
            task.cancel()
        await asyncio.gather(*self._restarts.values(), *self._effects, return_exceptions=True)
        await self._relay.close()
        for board in self._boards:
            await board.close()
        await self._line.close()
        await self._broker_line.close()

    # --- what happens -------------------------------------------------------------------------------------------------

    def _is_busy(self, name: str) -> bool:
        return name in self._restarts and not self._restarts[name].done()

    def _restart(self, name: str, start: Callable[[], Awaitable[None]], pause_s: float) -> None:
        async def again() -> None:
            await asyncio.sleep(pause_s)
            async with asyncio.timeout(_START_TIMEOUT_S):
                while True:
                    try:
                        await start()
                        return
                    except TinyfleetError:
                        # A full disk; it will be freed.
                        await asyncio.sleep(0.3)

        self._restarts[name] = asyncio.create_task(again())

    async def _kill(self, service: Service) -> bool:
        if self._is_busy(service.name):
            return False
        await service.kill()
        self._restart(service.name, service.start, 0.0)
        return True

    async def _stop(self, service: Service) -> bool:
        if self._is_busy(service.name):
            return False
        await service.stop()
        self._restart(service.name, service.start, 0.2)
        return True

    async def _freeze(self, service: Service, rng: random.Random) -> bool:
        if self._is_busy(service.name) or service.process is None:
            return False
        self._later(service.freeze(), rng.uniform(0.2, 2.0))
        return True

    async def _reload(self, rng: random.Random) -> bool:
        if self._is_busy(self._relay.gateway.name) or self._relay.gateway.process is None:
            return False
        self._relay.configure(
            self._sinks(), edge=rng.choice(EDGES), max_records=rng.randrange(5, 100), poll_s=rng.choice((0.02, 0.05, 0.3))
        )
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._relay.gateway.process.pid, signal.SIGHUP)
        return True

    async def _kill_board(self, rng: random.Random) -> bool:
        board = rng.choice(self._boards)
        name = board.line.url
        if self._is_busy(name):
            return False
        await board.kill()
        # What the gateway has not committed now went with the board, or less: an answer may be on its way to the disk.
        trace = board.trace()
        boot_id = max((boot for boot, _ in trace.records), default=0)
        cursor = self._relay.cursor(board.device_id, boot_id)
        if cursor is not None:
            self._unpulled[board.device_id, boot_id] = trace.produced(boot_id) - cursor
        self._restart(name, board.start, rng.uniform(0.0, 1.0))
        return True

    def _some_cloud(self, rng: random.Random) -> Service:
        return rng.choice(list(self._relay.clouds.values()))

    async def _kill_cluster(self) -> bool:
        """With all that is in it; first its reader, whose place in the topic goes with it."""
        gateway, ingest, cluster = self._relay.gateway, self._relay.ingests["kafka"], self._relay.cluster
        assert cluster is not None
        if any(map(self._is_busy, ("kafka", gateway.name, ingest.name))) or gateway.process is None:
            return False
        await ingest.kill()
        thaw = gateway.freeze()
        try:
            has_ended = await cluster.kill(self._relay.clouds["kafka"].on_disk)
        finally:
            thaw()
        if has_ended:
            self._restart("kafka", cluster.start, 0.2)
        self._restart(ingest.name, ingest.start, 0.0)
        return has_ended

    async def _freeze_cluster(self, rng: random.Random) -> bool:
        if self._is_busy("kafka"):
            return False
        assert self._relay.cluster is not None
        self._later(self._relay.cluster.freeze(), rng.uniform(0.2, 5.0))
        return True

    async def _break_broker(self, end: Callable[[Broker], None]) -> bool:
        broker = self._relay.broker
        if broker is None or self._is_busy("broker"):
            return False
        await asyncio.to_thread(end, broker)

        async def start() -> None:
            await asyncio.to_thread(broker.start)

        self._restart("broker", start, 0.2)
        return True

    async def _cut_broker(self, _: random.Random) -> bool:
        self._broker_line.cut()
        return True

    async def _stall_broker(self, rng: random.Random) -> bool:
        self._spawn(self._broker_line.stall(rng.uniform(0.2, 5.0)))
        return True

    async def _cut(self, rng: random.Random) -> bool:
        rng.choice(self._boards).line.cut()
        return True

    async def _stall(self, rng: random.Random) -> bool:
        self._spawn(rng.choice(self._boards).line.stall(rng.uniform(0.2, 7.0)))
        return True

    async def _trouble(self, rng: random.Random) -> bool:
        self._line.troubles.append(rng.choice(list(Trouble)))
        return True

    async def _fill(self, disk: SmallDisk, rng: random.Random) -> bool:
        await asyncio.to_thread(disk.fill)
        self._later(disk.free, rng.uniform(0.3, 3.0))
        return True

    async def _jump(self, whose: str, rng: random.Random) -> bool:
        jumps = JUMPS_S
        if whose == "gateway" and "kafka" in self._routes:
            # librdkafka waits for times on the clock that libfaketime shifts and the kernel does not: it would wait for the difference.
            jumps = tuple(seconds for seconds in JUMPS_S if seconds <= MOST_AHEAD_S)
        self._clocks[whose].write_text(f"{rng.choice(jumps):+d}\n", encoding="ascii")
        return True

    def _later(self, what: Callable[[], None], seconds: float) -> None:
        async def do() -> None:
            try:
                await asyncio.sleep(seconds)
            finally:
                what()

        self._spawn(do())

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._effects.add(task)
        task.add_done_callback(self._effects.discard)

    # --- what must hold -----------------------------------------------------------------------------------------------

    async def _settle(self) -> None:
        """Let everything go, drain, judge, and go on."""
        await asyncio.gather(*self._restarts.values(), *self._effects)
        await self._line.release()
        for board in self._boards:
            await board.rest()
        traces = {board.device_id: board.trace() for board in self._boards}
        cursors = {}
        for device_id, trace in traces.items():
            boot = max((boot for boot, _ in trace.records), default=0)
            cursors[device_id, boot] = trace.produced(boot)
        deadline: float | None = None
        while True:
            try:
                await self._relay.until_drained(cursors)
                deadline = deadline or time.monotonic() + WINDOWS_CLOSE_S
                holdings = {route: await cloud.holdings() for route, cloud in self._relay.clouds.items()}
            except (TimeoutError, OSError) as error:
                self._campaign.found(str(error))
                return
            self._verdict = Verdict()
            for route, held in holdings.items():
                cluster = self._relay.cluster if route == "kafka" else None
                gone = None if cluster is None else missing_in(cluster.gone, held)
                self._verdict.add(judge(traces, held, ring_records=ring_records(RING_BYTES), unpulled=self._unpulled, gone=gone), route)
            # An open window still stands for records that nobody has yet; what a broker has may still be on its way to its cloud.
            if not self._verdict.lost or time.monotonic() > deadline:
                break
            await asyncio.sleep(0.5)
        for finding in self._verdict.findings:
            self._campaign.found(finding)
        if self._verdict.dropped_by_outbox:
            self._campaign.found(f"{self._verdict.dropped_by_outbox} records were dropped by an outbox that was never full")
        for board in self._boards:
            await board.wake()

    def _facts(self) -> dict[str, object]:
        kinds = sorted(self._happened)
        missing = [] if find_faketime() else ["clock jumps"]
        return {
            "boards": f"{BOARDS} {BOARD}",
            "routes": "+".join(self._routes),
            "disk": self._gateway_disk.kind if self._gateway_disk.is_bounded else "a folder",
            "faults": self._happened.total(),
            **self._verdict.facts(),
            "most_with_broker": records_in(self._relay.cluster.gone) if self._relay.cluster is not None else 0,
            "torn": sum(board.trace().torn for board in self._boards),
            "kinds": {kind: self._happened[kind] for kind in kinds},
            "not_tried": missing + ([] if self._gateway_disk.is_bounded else ["disk full"]),
        }


def _build(folder: Path) -> Path:
    model = witness_model_dir(folder / "model", BOARD, ring_bytes=RING_BYTES)
    return build_firmware(BOARD, model, folder / "firmware").elf


def main() -> int:
    """Run it; the exit code is 1 when something was lost, doubled or not declared."""
    parser = campaign_parser("chaos", "Faults between boards and the cloud until the time is up; then everything is judged.", minutes=5)
    parser.add_argument("what", choices=["gateway"], help="what is tried")
    parser.add_argument("--faults", type=int, help="stop after that many")
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="bring in a seeded bug, to see it found")
    parser.add_argument(
        "--routes", default=",".join(ROUTES), help=f"ways to a cloud of their own, some of {','.join(ROUTES)} (default: all)"
    )
    parser.add_argument("--disk", choices=KINDS, default=KINDS[0], help="what the gateway and the clouds write on (default tmpfs)")
    parser.add_argument("--keep", type=Path, help="work in this new folder and keep it: logs, traces, databases")
    options = parser.parse_args()
    campaign = start_campaign("chaos", options)
    with contextlib.ExitStack() as stack:
        if options.keep is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tinyfleet-")))
        else:
            folder = options.keep.resolve()
            folder.mkdir()
        disks = (
            SmallDisk(folder / "gateway_disk", GATEWAY_DISK_MB, options.disk),
            SmallDisk(folder / "cloud_disk", CLOUD_DISK_MB, options.disk),
        )
        for disk in disks:
            stack.callback(disk.close)
        asyncio.run(Chaos(campaign, folder, disks, mutant=options.mutant, routes=tuple(options.routes.split(","))).run(options.faults))
    return campaign.finish()


if __name__ == "__main__":
    raise SystemExit(main())
