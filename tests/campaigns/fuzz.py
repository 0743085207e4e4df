"""All campaigns that look for what a random input breaks, one after the other: ``./run fuzz``.

::

    ./run fuzz --minutes 60
    ./run fuzz --seed 4711 --json
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.campaigns.campaign import campaign_parser, start_campaign

ROOT = Path(__file__).resolve().parents[2]
CAMPAIGNS = ("random_graphs", "fuzz_reader", "blob_fuzz", "fuzz_firmware", "fuzz_images")


def main() -> int:
    """Run them, each for its share of the time; a finding of one does not stop the others."""
    options = campaign_parser("fuzz", "Random models, damaged files, blobs, messages and memory.", minutes=60).parse_args()
    campaign = start_campaign("fuzz", options)
    for name in CAMPAIGNS:
        print(f"--- {name}", file=sys.stderr, flush=True)
        share = ["--seed", str(campaign.seed), "--minutes", str(options.minutes / len(CAMPAIGNS)), "--json"]
        done = subprocess.run(
            [sys.executable, "-m", f"tests.campaigns.{name}", *share], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
        )
        try:
            facts = json.loads(done.stdout)
        except ValueError:
            campaign.found(f"{name} broke off with {done.returncode}")
            continue
        for finding in facts.pop("findings"):
            campaign.findings.append(f"{name}: {finding}")
        campaign.facts[name] = facts
    return campaign.finish()


if __name__ == "__main__":
    raise SystemExit(main())
