"""Damaged bytes into every C parser of the firmware, under sanitizers; see ``tests/support/firmware_fuzz.py``.

::

    python -m tests.campaigns.fuzz_firmware --minutes 20
    python -m tests.campaigns.fuzz_firmware --seed 4711 --parser "CBOR map"
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.campaigns.campaign import Campaign, campaign_parser, start_campaign
from tests.firmware.program_process import FirmwareProgram, build_program
from tests.support.firmware_fuzz import PARSERS, Parser, prepare

STEP = 20_000


def main() -> int:
    """Run it."""
    options_of = campaign_parser("fuzz_firmware", "Damaged bytes into every C parser.", minutes=60)
    options_of.add_argument("--rounds", type=int, default=1_000_000, help="damaged inputs for each parser (default 1000000)")
    options_of.add_argument("--parser", action="append", choices=[parser.name for parser in PARSERS], help="only these")
    options = options_of.parse_args()
    campaign = start_campaign("fuzz_firmware", options)
    with TemporaryDirectory(prefix="tinyfleet-fuzz-") as folder:
        executable = build_program(Path(folder))
        parsers = [parser for parser in PARSERS if not options.parser or parser.name in options.parser]
        done, accepted = Counter[str](), Counter[str]()
        # In turn, so that little time is shared by all.
        while campaign.has_time() and (left := [parser for parser in parsers if done[parser.name] < options.rounds]):
            for parser in left:
                count = min(STEP, options.rounds - done[parser.name])
                accepted[parser.name] += _run(campaign, executable, parser, campaign.seed + done[parser.name] // STEP, count)
                done[parser.name] += count
                campaign.progress(", ".join(f"{name} {inputs}" for name, inputs in done.items()))
        campaign.facts |= {parser.name: {"inputs": done[parser.name], "accepted": accepted[parser.name]} for parser in parsers}
    return campaign.finish()


def _run(campaign: Campaign, executable: Path, parser: Parser, seed: int, rounds: int) -> int:
    """How many were accepted; a finding is reported."""
    program = FirmwareProgram(executable)
    try:
        prepare(program)
        accepted = parser.run(program, seed, rounds)
        program.stop()
    except AssertionError as error:
        campaign.found(f"{parser.name}, seed {seed}: {error}")
        return 0
    finally:
        program.kill()
    return accepted


if __name__ == "__main__":
    raise SystemExit(main())
