"""The whole thread: recorded data -> model -> C -> firmware -> emulated board -> gateway -> cloud, proved at each step."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from tinyfleet.demo.audit import Audit, ExpectedWindow, audit
from tinyfleet.demo.cloud_client import CloudClient
from tinyfleet.demo.ports import open_ports
from tinyfleet.demo.relay import RelayResult, relay_with_kills
from tinyfleet.demo.report import DemoFigures, DemoReport, check_figures
from tinyfleet.demo.report_html import render_report
from tinyfleet.demo.site import Site
from tinyfleet.demo.timeline import Timeline
from tinyfleet.engine import HostModel
from tinyfleet.platformio_build import FirmwareBuild, build_firmware
from tinyfleet.quantize import RecipeModel, finish_recipe_model
from tinyfleet.train import TrainedModel, as_model_input, cut_windows, train_recipe
from tinyfleet_codegen.compile import compile_model
from tinyfleet_codegen.compiled import CompiledModel
from tinyfleet_codegen.errors import ConfigError, UsageError

RECIPE = "gesture"
BOARD = "mps2_an386"


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What a user may choose.

    Attributes:
        output: Folder for everything that the run writes.
        link: How the gateway reaches the emulated board: ``tcp``, ``serial`` for a pseudo-terminal, or ``ble`` over an air.
        sink: How records reach the cloud: one of :data:`tinyfleet.demo.route.SINKS`.
        seed: Of the training; None is the recipe's own.
        keep: Leave board, gateway and cloud running until interrupted.
    """

    output: Path
    link: str = "tcp"
    sink: str = "http"
    seed: int | None = None
    keep: bool = False


class Display(Protocol):
    """Where progress is shown."""

    def begin(self, title: str) -> None:
        """A step begins."""

    def advance(self, done: int, total: int, detail: str = "") -> None:
        """It has come so far."""

    def finish(self, result: str) -> None:
        """It is done."""


@dataclass(frozen=True, slots=True)
class HostProof:
    """The C engine on the host against TFLite Micro, and the outputs that the board will have to give."""

    checked: int
    mismatches: int
    expected: tuple[ExpectedWindow, ...]


def run_demo(options: DemoOptions, display: Display, on_done: Callable[[DemoReport], None]) -> DemoReport:
    """Run all steps; see :class:`DemoReport`.

    Args:
        display: Told about each step.
        on_done: Called with the report while board, gateway and cloud still run; with ``keep`` they then go on until interrupted.

    Raises:
        UsageError: another demo uses the folder.
        SetupError: this machine lacks something.
        TinyfleetError: a step failed.
    """
    with _held_folder(options.output) as folder:
        return _Demo(folder, options, display).run(on_done)


class _Demo:
    def __init__(self, folder: Path, options: DemoOptions, display: Display) -> None:
        self._folder = folder
        self._options = options
        self._display = display
        self._started_s = time.monotonic()
        self._steps: list[tuple[str, float]] = []

    def run(self, on_done: Callable[[DemoReport], None]) -> DemoReport:
        with self._step("train on recorded data") as done:
            trained = train_recipe(RECIPE, self._options.seed, progress=self._display.advance)
            done(f"{trained.float_accuracy:.1%} of {len(trained.held_out)} windows of unseen people")
        with self._step("quantize to int8") as done:
            model = finish_recipe_model(trained)
            model.save(self._folder / "model")
            done(f"{model.int8_accuracy:.1%}, {len(model.package.tflite) / 1024:.1f} KiB")
        with self._step("compile to C") as done:
            compiled = compile_model(model.package, BOARD, self._folder / "c")
            done(f"{len(compiled.layers)} layers, {compiled.macs} MACs, arena {compiled.arena_bytes / 1024:.1f} KiB")
        with self._step("prove the C on the host") as done:
            proof = _prove_on_host(model)
            done(f"{proof.checked - proof.mismatches} of {proof.checked} outputs equal the oracle's")
        with self._step("build firmware") as done:
            firmware = build_firmware(BOARD, self._folder / "c", self._folder / "firmware")
            done(f"flash {firmware.flash_bytes / 1024:.1f} KiB, RAM {firmware.ram_bytes / 1024:.1f} KiB")
        return asyncio.run(self._live(model, compiled, proof, firmware, on_done))

    async def _live(
        self, model: RecipeModel, compiled: CompiledModel, proof: HostProof, firmware: FirmwareBuild, on_done: Callable[[DemoReport], None]
    ) -> DemoReport:
        timeline = Timeline()
        trained = model.trained
        async with contextlib.AsyncExitStack() as stack:
            with self._step("start board, cloud and gateway") as done:
                site = stack.enter_context(
                    Site(self._folder / "site", board=BOARD, elf=firmware.elf, link=self._options.link, sink=self._options.sink)
                )
                await asyncio.to_thread(site.start_cloud)
                with CloudClient(site.cloud_url) as cloud:
                    cloud.register_model(compiled)
                ports = await stack.enter_async_context(open_ports(site))
                site.configure_gateway(ports.gateway)
                await asyncio.to_thread(site.start_gateway)
                done(f"{BOARD} {site.device_id.hex()[:8]}, {site.cloud_url}")
            with self._step("replay, kill cloud and gateway") as done:
                relay = await relay_with_kills(
                    ports.replay, trained.replay, site, timeline, through_gateway=ports.through_gateway, on_progress=self._display.advance
                )
                queued = f"{relay.outbox_depth_at_cloud_kill} and {relay.undelivered_at_gateway_kill} queued at the kills"
                done(f"{relay.stats.records} records, {queued}")
            with self._step("audit the cloud") as done:
                audited = await asyncio.to_thread(_audit, site, relay, proof, compiled)
                equal = f"{audited.checked - audited.mismatches} of {audited.checked} equal"
                done(f"{audited.lost} lost, {audited.duplicates} duplicated, {equal}")
            report = self._report(model, compiled, proof, firmware, relay, audited, timeline, site.cloud_url)
            report.write(self._folder / "report.json")
            (self._folder / "report.html").write_text(render_report(report, model, compiled, timeline), encoding="utf-8")
            on_done(report)
            if self._options.keep:
                await asyncio.Event().wait()
        return report

    def _report(
        self,
        model: RecipeModel,
        compiled: CompiledModel,
        proof: HostProof,
        firmware: FirmwareBuild,
        relay: RelayResult,
        audited: Audit,
        timeline: Timeline,
        url: str,
    ) -> DemoReport:
        trained: TrainedModel = model.trained
        figures = DemoFigures(
            float_accuracy=trained.float_accuracy,
            int8_accuracy=model.int8_accuracy,
            device_accuracy=audited.correct_on_device / max(1, audited.checked),
            host_equal=proof.mismatches == 0,
            host_checked=proof.checked,
            device_equal=audited.mismatches == 0,
            device_checked=audited.checked,
            flash_bytes=firmware.flash_bytes,
            ram_bytes=firmware.ram_bytes,
            instructions_per_inference=relay.stats.max_instructions,
            records_produced=audited.produced,
            records_in_cloud=audited.in_cloud,
            duplicates=audited.duplicates,
            lost=audited.lost,
            cloud_kills=relay.cloud_kills,
            gateway_kills=relay.gateway_kills,
            outbox_depth_at_cloud_kill=relay.outbox_depth_at_cloud_kill,
            undelivered_at_gateway_kill=relay.undelivered_at_gateway_kill,
            seconds=round(time.monotonic() - self._started_s, 1),
        )
        failures = [*audited.failures, *check_figures(figures, audited.correct_on_host / max(1, audited.checked))]
        if relay.model_info.model_id != compiled.model_id:
            failures.append(f"the board runs model {relay.model_info.model_id.hex()[:8]}, built was {compiled.model_id.hex()[:8]}")
        return DemoReport(
            recipe=RECIPE,
            board=BOARD,
            link=self._options.link,
            sink=self._options.sink,
            seed=trained.seed,
            model_id=compiled.model_id.hex(),
            device_id=relay.hello.device_id.hex(),
            oracle=model.oracle,
            figures=figures,
            steps=tuple(self._steps),
            events=tuple(timeline.events),
            failures=tuple(failures),
            url=url,
        )

    @contextlib.contextmanager
    def _step(self, title: str) -> Iterator[Callable[[str], None]]:
        """One step: begun, timed, and finished by calling what this yields with its result."""
        self._display.begin(title)
        started_s = time.monotonic()

        def done(result: str) -> None:
            self._steps.append((title, round(time.monotonic() - started_s, 1)))
            self._display.finish(result)

        yield done


def _prove_on_host(model: RecipeModel) -> HostProof:
    """Every held-out window through the C engine, and the replayed ones also through the C front end."""
    spec = model.trained.recipe.spec
    engine = HostModel(model.package)
    held_out = model.trained.held_out
    outputs = engine.run(as_model_input(held_out.x)).reshape(len(held_out), -1)
    mismatches = int(np.any(outputs != model.oracle_outputs, axis=1).sum())

    replayed = cut_windows(model.trained.replay, spec.frontend, spec.input_scale, spec.input_zero_point)
    samples = {r.stream: r.samples for r in model.trained.replay}
    through_c = [
        engine.frontend(samples[int(stream)][int(start) : int(start) + spec.frontend.window_samples])
        for stream, start in zip(replayed.stream, replayed.sample_index, strict=True)
    ]
    mismatches += int(np.any(np.array(through_c) != replayed.x, axis=(1, 2)).sum())
    expected = engine.run(as_model_input(replayed.x)).reshape(len(replayed), -1)
    windows = tuple(
        ExpectedWindow(int(stream), int(start), int(label), output.tobytes())
        for stream, start, label, output in zip(replayed.stream, replayed.sample_index, replayed.label, expected, strict=True)
    )
    return HostProof(len(held_out), mismatches, windows)


def _audit(site: Site, relay: RelayResult, proof: HostProof, compiled: CompiledModel) -> Audit:
    with CloudClient(site.cloud_url) as cloud:
        totals = cloud.totals()
        result = audit(
            produced=relay.stats.records,
            boot=(relay.hello.device_id, relay.hello.boot_id),
            on_board=relay.on_board,
            rows=cloud.rows(site.device_id),
            redelivered_twice=totals["duplicated"] + totals["alarms"],
            expected=proof.expected,
            model_id=compiled.model_id,
        )
    return result


@contextlib.contextmanager
def _held_folder(folder: Path) -> Iterator[Path]:
    """Make the folder, keep other demos out of it, and clear what the last run left running state in."""
    folder = folder.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "demo.lock").open("a")
    except OSError as error:
        raise ConfigError(f"cannot write in {folder}: {error.strerror}", hint="give another folder with -o") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(f"another demo runs in {folder}", hint="stop it, or give this one another folder with -o") from error
        shutil.rmtree(folder / "site", ignore_errors=True)
        yield folder
