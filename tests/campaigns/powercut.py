"""Power is cut at every operation of the flash: ``./run powercut``.

::

    ./run powercut --minutes 5 --kills 240
    ./run powercut --seed 4711 --json
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.campaigns.campaign import Campaign, campaign_parser, start_campaign
from tests.support.powercut.firmware_flows import CounterFlow, ManagedUpdateFlow, Rotation, UpdateFlow
from tests.support.powercut.kills import BOARD, OTHER_BOARD, KilledBoard, KilledConfirmedUpdate, KilledSettings, KilledUpdate, sample_cuts
from tests.support.powercut.model_flow import ModelFlow
from tests.support.powercut.model_kills import KilledModels
from tests.support.powercut.settings_flow import SettingsFlow
from tests.support.powercut.sweep import MANNERS, Flow, Report, Sweep
from tests.support.powercut.transfer_flow import TransferFlow

FLOWS: tuple[Callable[[Path], Flow], ...] = (
    SettingsFlow,
    CounterFlow,
    lambda folder: UpdateFlow(folder, confirm=True),
    lambda folder: UpdateFlow(folder, confirm=False),
    lambda folder: UpdateFlow(folder, confirm=True, new=0),
    lambda folder: UpdateFlow(folder, confirm=False, new=0),
    lambda folder: UpdateFlow(folder, confirm=True, rotation=Rotation.OFFERED),
    lambda folder: UpdateFlow(folder, confirm=False, rotation=Rotation.OFFERED),
    lambda folder: UpdateFlow(folder, confirm=True, rotation=Rotation.TAKEN),
    lambda folder: UpdateFlow(folder, confirm=False, rotation=Rotation.TAKEN),
    lambda folder: ManagedUpdateFlow(folder, confirm=True),
    lambda folder: ManagedUpdateFlow(folder, confirm=False),
    ModelFlow,
    lambda folder: TransferFlow(folder, model=False),
    lambda folder: TransferFlow(folder, model=True),
)
"""What is cut; each is made with a folder of its own."""
DOUBLE_CUTS = 100
"""Of each flow, at least."""
KILLED: dict[str, tuple[Callable[[Path, str], KilledBoard], ...]] = {
    BOARD: (KilledSettings, KilledUpdate, KilledConfirmedUpdate, KilledModels),
    OTHER_BOARD: (KilledUpdate, KilledConfirmedUpdate, KilledModels),
}
"""Emulated board -> what is cut there; each is made in the same folder."""


def sweep_all(campaign: Campaign, report: Report) -> None:
    """Each flow: every operation once, in each manner; then pairs, until the time is up."""
    with tempfile.TemporaryDirectory(prefix="tinyfleet-") as folder:
        sweeps = [Sweep(make(Path(folder)), report, campaign.seed + number) for number, make in enumerate(FLOWS)]
        for sweep in sweeps:
            for cut in sweep.cuts():
                sweep.single(cut)
                campaign.progress(
                    f"{sweep.flow.name}: {cut} of {sweep.operations}, {report.cuts} cuts, {len(report.violations)} violations"
                )
        is_first = True
        while is_first or campaign.has_time():
            for sweep in sweeps:
                sweep.doubles(DOUBLE_CUTS if is_first else 10)
                campaign.progress(f"{sweep.flow.name}: {report.double_cuts} double cuts, {len(report.violations)} violations")
            is_first = False


def kill_boards(campaign: Campaign, report: Report, kills: int) -> None:
    """Emulated boards, each flow its share of the kills."""
    with tempfile.TemporaryDirectory(prefix="tinyfleet-") as name:
        killed = [make(Path(name), board) for board, flows in KILLED.items() for make in flows]
        for number, flow in enumerate(killed):
            for cut_at, how in sample_cuts(flow.start().operations, -(-kills // len(killed)), campaign.seed + number):
                wrong = flow.kill_and_check(cut_at, how)
                report.kills += 1
                report.violations += [f"{flow.board}: {flow.name}: {MANNERS[how]} operation {cut_at}: {text}" for text in wrong]
                campaign.progress(f"{flow.board}: {flow.name}: {report.kills} kills, {len(report.violations)} violations")


def main() -> int:
    """Cut them all; the exit code is 1 when something was violated."""
    parser = campaign_parser(
        "powercut", "Cuts the power at every flash operation of every flow, then at pairs of them until the time is up.", minutes=5
    )
    parser.add_argument("--kills", type=int, default=240, help="of emulated boards, in all (default 240)")
    options = parser.parse_args()
    campaign = start_campaign("powercut", options)
    report = Report()
    kill_boards(campaign, report, options.kills)
    sweep_all(campaign, report)
    for violation in report.violations[:50]:
        campaign.found(violation)
    campaign.findings += report.violations[50:]
    campaign.facts |= report.facts()
    return campaign.finish()


if __name__ == "__main__":
    raise SystemExit(main())
