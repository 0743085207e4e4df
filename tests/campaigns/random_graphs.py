"""Random models through the whole compiler, see ``tests/support/graph_proof.py``.

::

    python -m tests.campaigns.random_graphs --minutes 10
    python -m tests.campaigns.random_graphs --graphs 2500 --compiled 250 --board mps2_an386 --seed 10000
    python -m tests.campaigns.random_graphs --seed 4711 --graphs 1      one model again
"""

from __future__ import annotations

from tests.campaigns.campaign import campaign_parser, start_campaign
from tests.support.batch import MACHINES
from tests.support.graph_proof import Counts, prove_compiled, prove_reference
from tests.support.random_graphs import random_spec

REFERENCE_STEP = 50
COMPILED_STEP = 50


def main() -> int:
    """Run it."""
    parser = campaign_parser("random_graphs", "Random models: TFLite Micro = NumPy reference = compiled C.", minutes=30)
    parser.add_argument("--graphs", type=int, default=2500, help="models on the reference (default 2500)")
    parser.add_argument("--compiled", type=int, help="of them also compiled for the host and each board (default: a tenth)")
    parser.add_argument("--board", action="append", choices=sorted(MACHINES), help="emulated boards (default: all)")
    options = parser.parse_args()
    campaign = start_campaign("random_graphs", options)
    total = Counts()
    done = 0
    while done < options.graphs and campaign.has_time():
        count = min(REFERENCE_STEP, options.graphs - done)
        counts, failures = prove_reference(map(random_spec, range(campaign.seed + done, campaign.seed + done + count)))
        total.add(counts)
        done += count
        for failure in failures:
            campaign.found(str(failure))
        campaign.progress(f"{done} graphs, {total.layers} layers on the reference")
    campaign.facts |= {
        "graphs": total.graphs,
        "layers": total.layers,
        "blob layers": total.blob_layers,
        "informative": f"{total.informative / max(1, total.layers):.0%}",
        "ops": dict(total.ops.most_common()),
    }
    wanted = options.graphs // 10 if options.compiled is None else options.compiled
    for board in (None, *(options.board or sorted(MACHINES))):
        name = board or "host"
        compiled, from_blobs = Counts(), Counts()
        while compiled.graphs < wanted and campaign.has_time():
            first, count = campaign.seed + compiled.graphs, min(COMPILED_STEP, wanted - compiled.graphs)
            specs = [random_spec(seed) for seed in range(first, first + count)]
            for blobs, total in ((False, compiled), (True, from_blobs)):
                counts, failures = prove_compiled(specs, board, blobs=blobs)
                total.add(counts)
                for failure in failures:
                    campaign.found(str(failure))
            if compiled.graphs < first + count - campaign.seed:
                break  # a program that stops at a graph counts nothing; it has been reported
            campaign.progress(f"{compiled.graphs} graphs as C and as blobs on {name}")
        kernels = dict((compiled.kernels + from_blobs.kernels).most_common())
        campaign.facts[name] = {"graphs": compiled.graphs, "blobs": from_blobs.graphs, "layers": compiled.layers, "kernels": kernels}
    return campaign.finish()


if __name__ == "__main__":
    raise SystemExit(main())
