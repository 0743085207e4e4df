"""Firmware updates, model swaps, records and questions over the air, whatever goes wrong there.

::

    python -m tests.campaigns.air --minutes 20
    python -m tests.campaigns.air --seed 4711 --json
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.campaigns.campaign import campaign_parser, start_campaign
from tests.support.air_site import FLOWS, air_site, some_faults
from tests.support.images import key, pem
from tests.support.model_swap import swap_model_dir
from tinyfleet.device_keys import ENVIRONMENT
from tinyfleet.emulator.air import serve_air
from tinyfleet.platformio_build import build_signed
from tinyfleet.signing_keys import SigningKeys

BOARD = "mps2_an386"


def main() -> int:
    """Until the time is up; the exit code is 1 when something was wrong."""
    campaign = start_campaign(
        "air", campaign_parser("air", "Updates and records over the air, whatever goes wrong there.", minutes=20).parse_args()
    )
    chance, done = random.Random(campaign.seed), Counter[str]()
    with TemporaryDirectory(prefix="tinyfleet-air-") as name, serve_air() as air:
        folder = Path(name)
        os.environ[ENVIRONMENT] = str(folder / "keys")
        keys = SigningKeys(folder / "firmware.pem", folder / "model.pem")
        for path in (keys.firmware, keys.model):
            path.write_bytes(pem(key(path.stem)))
        signed = build_signed(BOARD, swap_model_dir(folder / "model", BOARD), folder / "build", keys)
        with air_site(BOARD, signed, keys, air, folder) as site:
            while campaign.has_time():
                flow, faults = chance.choice(FLOWS), some_faults(chance)
                for wrong in asyncio.run(site.survive(flow, faults)):
                    campaign.found(wrong)
                done[flow.__name__] += 1
                campaign.progress(
                    f"{done.total()} flows, {air.counts.links} links, {air.counts.links_lost} lost, {len(campaign.findings)} findings"
                )
            counts = air.counts
            campaign.facts = {
                **done,
                "links": counts.links,
                "links_lost": counts.links_lost,
                "packets": counts.carried_packets,
                "dropped": counts.dropped,
                "duplicated": counts.duplicated,
                "late": counts.late,
                "pulled": sum(len(pulled) for pulled in site.pulled.values()),
                "errors": dict(site.errors),
            }
    return campaign.finish()


if __name__ == "__main__":
    raise SystemExit(main())
