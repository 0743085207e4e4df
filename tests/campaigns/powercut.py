"""Power is cut at every operation of the flash: ``./run powercut``.

::

    ./run powercut --minutes 5
    ./run powercut --seed 4711 --json
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.campaigns.campaign import Campaign, campaign_parser, start_campaign
from tests.support.powercut.firmware_flows import CounterFlow, UpdateFlow
from tests.support.powercut.settings_flow import SettingsFlow
from tests.support.powercut.sweep import Flow, Report, Sweep

FLOWS: tuple[Callable[[Path], Flow], ...] = (
    SettingsFlow,
    CounterFlow,
    lambda folder: UpdateFlow(folder, confirm=True),
    lambda folder: UpdateFlow(folder, confirm=False),
)
"""What is cut; each is made with a folder of its own."""
DOUBLE_CUTS = 100
"""Of each flow, at least."""


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


def main() -> int:
    """Cut them all; the exit code is 1 when something was violated."""
    options = campaign_parser("powercut", "Cuts the power at every flash operation of every flow.", minutes=5).parse_args()
    campaign = start_campaign("powercut", options)
    report = Report()
    sweep_all(campaign, report)
    for violation in report.violations[:50]:
        campaign.found(violation)
    campaign.findings += report.violations[50:]
    campaign.facts |= report.facts()
    return campaign.finish()


if __name__ == "__main__":
    raise SystemExit(main())
