"""Damaged blobs under sanitizers, see ``tests/support/blob_fuzz.py``.

::

    python -m tests.campaigns.blob_fuzz --minutes 5
    python -m tests.campaigns.blob_fuzz --seed 4711 --rounds 1      one round again
    python -m tests.campaigns.blob_fuzz --rounds 0 --board mps2_an386 --board-rounds 100000
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.campaigns.campaign import campaign_parser, start_campaign
from tests.support.batch import MACHINES
from tests.support.blob_fuzz import build_fuzzer, fuzz, fuzz_on_board, write_corpus

STEP = 100_000
TIMEOUT_S = 600.0
BOARD_TIMEOUT_S = 3600.0


def main() -> int:
    """Run it."""
    parser = campaign_parser("blob_fuzz", "Damaged blobs are refused or stay inside their memory.", minutes=30)
    parser.add_argument("--rounds", type=int, default=2_000_000, help="damaged blobs (default 2000000)")
    parser.add_argument("--board", action="append", default=[], choices=sorted(MACHINES), help="also on this emulated board")
    parser.add_argument("--board-rounds", type=int, default=100_000, help="damaged blobs on each board (default 100000)")
    options = parser.parse_args()
    campaign = start_campaign("blob_fuzz", options)
    done, intact = 0, 0
    statuses: Counter[str] = Counter()
    with TemporaryDirectory(prefix="tinyfleet-blob-fuzz-") as scratch:
        folder = Path(scratch)
        program, corpus = build_fuzzer(folder), write_corpus(folder)
        while done < options.rounds and campaign.has_time() and not campaign.findings:
            count = min(STEP, options.rounds - done)
            result = fuzz(program, corpus, seed=campaign.seed + done, rounds=count, timeout_s=TIMEOUT_S)
            if result.finding:
                campaign.found(result.finding)
            done += count
            intact += result.intact
            statuses.update(result.statuses)
            campaign.progress(f"{done} blobs, {statuses['OK']} ran")
    campaign.facts |= {"blobs": done, "intact": intact, **statuses}
    for board in options.board:
        with TemporaryDirectory(prefix="tinyfleet-blob-fuzz-") as scratch:
            ran, finding = fuzz_on_board(Path(scratch), board, seed=campaign.seed, rounds=options.board_rounds, timeout_s=BOARD_TIMEOUT_S)
        if finding:
            campaign.found(finding)
        campaign.facts[board] = {"blobs": options.board_rounds, "ran": ran}
    return campaign.finish()


if __name__ == "__main__":
    raise SystemExit(main())
