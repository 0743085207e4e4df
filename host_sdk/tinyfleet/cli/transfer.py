"""A file on its way to a board, as commands show it: a bar meanwhile, how it went afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
from rich.progress import Progress as Bars

from tinyfleet.cli.output import progress_console

if TYPE_CHECKING:
    from tinyfleet.smp.upload import Progress, UploadReport


@contextmanager
def transfer_bar() -> Iterator[Progress]:
    """Show a bar where a person looks; yields what an upload calls."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn())
    with Bars(*columns, console=progress_console, transient=True, disable=not progress_console.is_terminal) as bars:
        task = bars.add_task("sending", total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def transfer_facts(report: UploadReport) -> list[tuple[str, str]]:
    """Lines for people."""
    if report.resumed_at == report.file_bytes:
        return [("transfer", "was there already")]
    resumed = f", went on at {report.resumed_at}" if report.resumed_at else ""
    restarts = f", over {report.restarts} restarts of the board" if report.restarts else ""
    return [
        ("transfer", f"{report.file_bytes} bytes in {report.seconds:.1f} s{resumed}{restarts}, {report.kib_per_s:.1f} KiB/s"),
        ("link", f"{report.window} under way at once: {report.why}"),
    ]
