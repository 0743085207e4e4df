"""The C engine on this machine is faster than TFLite Micro's interpreter."""

from __future__ import annotations

import pytest

from tests.support import standins
from tinyfleet.bench import host as bench_host
from tinyfleet.bench.host import compare_on_host
from tinyfleet_codegen.errors import ProtocolError
from tinyfleet_codegen.package import ModelPackage

ATTEMPTS = 4


@pytest.mark.parametrize("name", sorted(standins.STANDINS))
def test_host_engine_is_faster_than_the_interpreter(name: str) -> None:
    package = ModelPackage(name, standins.STANDINS[name]())
    ratios = []
    # Other work on the machine can spoil a whole attempt; it cannot make a slow engine fast.
    while not ratios or (min(ratios) >= 1 and len(ratios) < ATTEMPTS):
        ratios.append(compare_on_host(package, rounds=5).ratio)
    assert min(ratios) < 1, ratios


def test_wrong_bytes_are_no_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(bench_host.HostModel):
        def run(self, x: bench_host.Array) -> bench_host.Array:
            return super().run(x) ^ 1

    monkeypatch.setattr(bench_host, "HostModel", Wrong)
    with pytest.raises(ProtocolError, match="ad on the host computed other bytes than tflite-micro"):
        compare_on_host(ModelPackage("ad", standins.ad()))
