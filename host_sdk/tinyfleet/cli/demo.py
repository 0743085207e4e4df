"""``tinyfleet demo``: the whole job in one command."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from tinyfleet.cli.output import JsonFlag, print_json, progress_console
from tinyfleet_codegen.errors import TinyfleetError

if TYPE_CHECKING:
    from tinyfleet.demo import DemoReport


class DemoLink(StrEnum):
    """How the gateway reaches the emulated board."""

    TCP = "tcp"
    SERIAL = "serial"
    BLE = "ble"


class DemoSink(StrEnum):
    """How the gateway's records reach the cloud."""

    HTTP = "http"
    MQTT = "mqtt"
    KAFKA = "kafka"
    OPCUA = "opcua"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo", epilog="Example: tinyfleet demo --link ble --keep")(demo_command)


def demo_command(
    link: Annotated[
        DemoLink,
        typer.Option(help="How the gateway reaches the board: its UART as a TCP port or a pseudo-terminal, or BLE without a radio."),
    ] = DemoLink.TCP,
    sink: Annotated[
        DemoSink, typer.Option(help="How records reach the cloud: directly, or through a broker and `tinyfleet cloud ingest` behind it.")
    ] = DemoSink.HTTP,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running until Ctrl-C and print the URL of the live page.")] = False,
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Of the training, instead of the recipe's own.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for report.html and all else.")] = Path(
        "build/demo"
    ),
    as_json: JsonFlag = False,
) -> None:
    """Real recordings to a row in the cloud: train, quantize, compile, prove, emulate, relay, kill, audit."""
    from tinyfleet.demo import DemoOptions, run_demo  # noqa: PLC0415 - keeps --help fast

    options = DemoOptions(output=output, link=link.value, sink=sink.value, seed=seed, keep=keep)

    def on_done(report: DemoReport) -> None:
        display.close()
        if as_json:
            print_json(asdict(report.figures))
        else:
            Console().print(_table(report))
            typer.echo(f"report   {output / 'report.html'}")
        if report.failures:
            raise TinyfleetError("; ".join(report.failures), hint=f"logs of board, gateway and cloud are in {output / 'site' / 'logs'}")
        if keep:
            typer.echo(f"live     {report.url}  (Ctrl-C ends everything)", err=as_json)

    with _terminated_as_interrupt(), RichDisplay() as display:
        run_demo(options, display, on_done)


@contextmanager
def _terminated_as_interrupt() -> Iterator[None]:
    """SIGTERM ends the demo as Ctrl-C does: in order, with no process left."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class RichDisplay:
    """One line per step on stderr, with a bar while it runs."""

    def __init__(self) -> None:
        columns = (
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.description:<31}"),
            BarColumn(bar_width=12),
            TimeElapsedColumn(),
            TextColumn("{task.fields[detail]}"),
        )
        self._progress = Progress(*columns, console=progress_console)
        self._task: TaskID | None = None
        self._title = ""

    def begin(self, title: str) -> None:
        """See :class:`tinyfleet.demo.Display`."""
        self._title = title
        self._task = self._progress.add_task(title, total=None, detail="")

    def advance(self, done: int, total: int, detail: str = "") -> None:
        """See :class:`tinyfleet.demo.Display`."""
        assert self._task is not None
        self._progress.update(self._task, completed=done, total=total, detail=detail)

    def finish(self, result: str) -> None:
        """See :class:`tinyfleet.demo.Display`."""
        assert self._task is not None
        self._progress.update(self._task, completed=1, total=1, detail=result)

    def close(self) -> None:
        """Leave the lines as they are."""
        self._progress.stop()

    def __enter__(self) -> RichDisplay:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _table(report: DemoReport) -> Table:
    f = report.figures
    table = Table(title=f"{report.recipe} on {report.board}, {f.seconds:.0f} s", show_header=False, title_justify="left")
    table.add_column()
    table.add_column(justify="right")
    table.add_column()

    def row(name: str, value: str, note: str = "", *, holds: bool | None = None) -> None:
        mark = "" if holds is None else "[green]ok[/]" if holds else "[red]FAILED[/]"
        table.add_row(name, value, f"{note}  {mark}" if note and mark else note or mark)

    row("float accuracy", f"{f.float_accuracy:.1%}", f"{f.host_checked} windows of unseen people")
    row("int8 accuracy", f"{f.int8_accuracy:.1%}", "the same windows")
    row("accuracy on the board", f"{f.device_accuracy:.1%}", f"{f.device_checked} windows of one of them")
    row("host C = oracle", f"{f.host_checked}", f"windows, every byte, {report.oracle}", holds=f.host_equal)
    row("board = host C", f"{f.device_checked}", "windows, every byte", holds=f.device_equal)
    row("flash", f"{f.flash_bytes / 1024:.1f} KiB", "the whole firmware")
    row("RAM", f"{f.ram_bytes / 1024:.1f} KiB", "stack, arena and rings included")
    row("one inference", f"{f.instructions_per_inference / 1e6:.2f} M", "instructions, counted by the emulator")
    row("records", f"{f.records_in_cloud} of {f.records_produced}", "in the cloud", holds=f.records_in_cloud == f.records_produced)
    row("lost", f"{f.lost}", holds=f.lost == 0)
    row("duplicated", f"{f.duplicates}", holds=f.duplicates == 0)
    row("cloud killed", f"{f.cloud_kills}", f"{f.outbox_depth_at_cloud_kill} records queued", holds=f.outbox_depth_at_cloud_kill > 0)
    row(
        "gateway killed",
        f"{f.gateway_kills}",
        f"{f.undelivered_at_gateway_kill} records undelivered",
        holds=f.undelivered_at_gateway_kill > 0,
    )
    return table
