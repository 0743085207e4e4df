"""Damaged model files through the compiler: whatever is in them, only a CompileError may come of it, soon and in little memory.

::

    python -m tests.campaigns.fuzz_reader --minutes 20
    python -m tests.campaigns.fuzz_reader --seed 77 --files 100000

A finding's file is written to the folder given by ``--keep``.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections import Counter
from pathlib import Path

import numpy as np

from tests.campaigns.campaign import Campaign, campaign_parser, start_campaign
from tests.support.damage import damage
from tests.support.isolated import Isolated
from tests.support.op_cases import all_cases
from tests.support.random_graphs import build, random_spec
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.emit.blob import print_blob
from tinyfleet_codegen.errors import CompileError
from tinyfleet_codegen.firmware_tree import HOST_CLASS
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.target import load_target

CPU_LIMIT_S = 4.0
"""Processor time for one file."""
WALL_LIMIT_S = 60.0
"""Until the process is killed; other work on the machine does not count as a finding."""
MEMORY_BYTES = 384 << 20
"""Beyond what the process has when it starts; DESIGN's limit for the compiler is 500 MB in all."""
GRAPHS = 60


def corpus() -> list[bytes]:
    """Every op case and some larger models."""
    return [case.tflite for cases in all_cases().values() for case in cases] + [build(random_spec(seed)) for seed in range(GRAPHS)]


def compile_hostile(data: bytes) -> str:
    """Compile for the host and for a board, in both formats; the name of what came of it.

    Raises:
        AssertionError: it took too long.
        Exception: anything but a CompileError.
    """
    start = time.process_time()
    result = "compiled"
    try:
        package = ModelPackage("hostile", data)
        model = compile_graph(package, None)
        print_blob(model.graph, model.plan, package, HOST_CLASS)
        compile_graph(package, load_target("mps2_an386"))
    except CompileError as error:
        result = type(error).__name__
    used = time.process_time() - start
    assert used < CPU_LIMIT_S, f"took {used:.1f} s, at most {CPU_LIMIT_S} s are allowed ({result})"
    return result


def fuzz_reader(campaign: Campaign, files: int, keep: Path | None) -> None:
    """Damage and compile until there are enough files or no time is left; fills the campaign's facts."""
    originals = corpus()
    rng = np.random.default_rng(campaign.seed)
    results: Counter[str] = Counter()
    seen: set[str] = set()
    with Isolated(compile_hostile, timeout_s=WALL_LIMIT_S, memory_bytes=MEMORY_BYTES) as isolated:
        while results.total() < files and campaign.has_time():
            data = damage(originals, rng)
            outcome = isolated.call(data)
            results[outcome.result or "FINDING"] += 1
            if outcome.problem is not None and outcome.problem not in seen:
                seen.add(outcome.problem)
                name = f"{hashlib.sha256(data).hexdigest()[:16]}.tflite"
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / name).write_bytes(data)
                campaign.found(f"file {results.total()} of seed {campaign.seed} ({name}): {outcome.problem}")
            campaign.progress(f"{results.total()} files")
    campaign.facts |= {"files": results.total(), "results": dict(results.most_common())}


def main() -> int:
    """Run it."""
    parser = campaign_parser("fuzz_reader", "Damaged model files through the compiler.", minutes=30)
    parser.add_argument("--files", type=int, default=100_000, help="how many (default 100000)")
    parser.add_argument("--keep", type=Path, help="folder for the files of findings")
    options = parser.parse_args()
    campaign = start_campaign("fuzz_reader", options)
    with contextlib.suppress(KeyboardInterrupt):
        fuzz_reader(campaign, options.files, options.keep)
    return campaign.finish()


if __name__ == "__main__":
    raise SystemExit(main())
