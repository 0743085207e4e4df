"""Damaged bytes into every C parser of the firmware, under sanitizers; see ``tests/support/firmware_fuzz.py``.

::

    python -m tests.campaigns.fuzz_firmware --minutes 20
    python -m tests.campaigns.fuzz_firmware --seed 4711 --parser "CBOR map"
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from tests.campaigns.campaign import campaign_parser, start_campaign
from tests.firmware.program_process import FirmwareProgram, build_program
from tests.support.firmware_fuzz import PARSERS, prepare

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
        for parser in PARSERS:
            if options.parser and parser.name not in options.parser:
                continue
            done = accepted = 0
            while done < options.rounds and campaign.has_time():
                program = FirmwareProgram(executable)
                seed = campaign.seed + done // STEP
                try:
                    prepare(program)
                    accepted += parser.run(program, seed, min(STEP, options.rounds - done))
                    program.stop()
                except AssertionError as error:
                    campaign.found(f"{parser.name}, seed {seed}: {error}")
                finally:
                    program.kill()
                done += min(STEP, options.rounds - done)
                campaign.progress(f"{parser.name}: {done}")
            campaign.facts[parser.name] = {"inputs": done, "accepted": accepted}
    return campaign.finish()


if __name__ == "__main__":
    raise SystemExit(main())
