"""Damaged images into the bootloader's check, under sanitizers: none is taken that differs where it is signed.

::

    python -m tests.campaigns.fuzz_images --minutes 20
    python -m tests.campaigns.fuzz_images --seed 4711 --rounds 1000000
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.campaigns.campaign import campaign_parser, start_campaign
from tests.firmware.boot_process import MODEL, SLOT_0, SLOT_1, BootProgram, build_boot_program
from tests.support.firmware_fuzz import transfers
from tests.support.images import corpus
from tinyfleet_codegen.wire.image import IMAGE_MAGIC

KINDS = {"firmware for slot 0": SLOT_0, "firmware for slot 1": SLOT_1, "model packages": MODEL}
STEP = 20_000


def main() -> int:
    """Run it."""
    options_of = campaign_parser("fuzz_images", "Damaged images into the bootloader's check.", minutes=60)
    options_of.add_argument("--rounds", type=int, default=400_000, help="damaged images of each kind (default 400000)")
    options = options_of.parse_args()
    campaign = start_campaign("fuzz_images", options)
    done, malformed = Counter[str](), Counter[str]()
    with TemporaryDirectory(prefix="tinyfleet-fuzz-") as folder:
        executable = build_boot_program(Path(folder))
        corpora = {kind: corpus(kind) for kind in KINDS.values()}
        corpora[MODEL] += [image for image in transfers() if image.startswith(IMAGE_MAGIC.to_bytes(4, "little"))]
        while campaign.has_time() and (left := [name for name in KINDS if done[name] < options.rounds]):
            for name in left:
                count, seed = min(STEP, options.rounds - done[name]), campaign.seed + done[name] // STEP
                program = BootProgram(executable)
                try:
                    malformed[name] += program.fuzz(corpora[KINDS[name]], KINDS[name], seed, count)[1]
                    program.stop()
                except AssertionError as error:
                    campaign.found(f"{name}, seed {seed}: {error}")
                finally:
                    program.kill()
                done[name] += count
                campaign.progress(", ".join(f"{name} {inputs}" for name, inputs in done.items()))
    campaign.facts |= {name: {"inputs": done[name], "malformed": malformed[name]} for name in KINDS}
    return campaign.finish()


if __name__ == "__main__":
    raise SystemExit(main())
