"""Signed model packages: what they say, that imgtool takes them, and what is refused."""

from __future__ import annotations

import hashlib
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support import standins
from tests.support.small_models import INPUTS, dense_package
from tests.support.stream_case import keyword_case
from tinyfleet.engine import BlobModel, HostModel
from tinyfleet.model_package import (
    GoldenPlan,
    GoldenVector,
    apply_delta,
    golden_vectors,
    is_delta,
    make_delta,
    pack_model,
    read_package,
    sign_package,
)
from tinyfleet_codegen.compile import compile_model
from tinyfleet_codegen.errors import DoesNotFit, ImageError, ShapeError, UnsupportedOp, UsageError
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.wire import model_package as wire
from tinyfleet_codegen.wire.seeded import seeded_bytes

MODEL = dense_package("dense", 1)
LARGE = dense_package("large", 2, outputs=100)


def imgtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "imgtool.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("model.pem", "other.pem"):
        assert imgtool("keygen", "-k", folder / name, "-t", "ed25519").returncode == 0
    return folder / "model.pem", folder / "other.pem"


@pytest.fixture(scope="module")
def package() -> bytes:
    stored = np.arange(INPUTS, dtype=np.int8).reshape(1, 8, 3)
    return pack_model(MODEL, "host", golden=GoldenPlan(seed=7, count=3, stored=stored), version="1.2.3+4")


def test_package_says_what_the_model_is(package: bytes) -> None:
    contents = read_package(package)
    assert contents.version_text == "1.2.3+4" and not contents.is_signed
    assert (contents.model_id, contents.input_bytes, contents.output_bytes) == (MODEL.model_id, INPUTS, 5)
    assert contents.kernel_abi == wire.kernel_abi("host")
    assert contents.input.scale == pytest.approx(0.05) and contents.output.zero_point == 3
    assert contents.digest == hashlib.sha256(package[: package.index(struct.pack("<HH", 0x10, 32)) - 4]).digest()
    model = BlobModel(contents.blob)
    for case, vector in enumerate(contents.vectors[:3]):
        x = seeded_bytes(7, case, INPUTS).reshape(1, 8, 3)
        assert vector == GoldenVector(7, case, model.run(x).tobytes(), is_hash=False)
    assert contents.vectors[3].case is None and contents.stored_input == bytes(range(INPUTS))


def test_long_outputs_are_hashes() -> None:
    (vector,) = golden_vectors(LARGE, GoldenPlan(seed=3, count=1))
    expected = HostModel(LARGE).run(np.full((1, 8, 3), -128, np.int8)).tobytes()
    assert vector == GoldenVector(3, 0, hashlib.sha256(expected).digest(), is_hash=True)


def test_golden_outputs_of_a_streaming_model_begin_at_a_reset() -> None:
    package = ModelPackage("stream", keyword_case("stream").tflite)
    vectors = golden_vectors(package, GoldenPlan(seed=5, count=3))
    for case, vector in enumerate(vectors):
        model = HostModel(package)
        assert vector.output == GoldenVector.of(5, case, model.run(model.seeded_input(5, case)).tobytes()).output


def test_imgtool_verifies_what_is_signed_and_signing_changes_nothing_else(package: bytes, keys: tuple[Path, Path], tmp_path: Path) -> None:
    key, other = keys
    signed = tmp_path / "signed"
    signed.write_bytes(sign_package(package, key))
    assert imgtool("verify", "-k", key, signed).returncode == 0
    assert imgtool("verify", "-k", other, signed).returncode != 0
    contents = read_package(signed.read_bytes())
    assert contents.is_signed and contents.digest == read_package(package).digest
    assert sign_package(signed.read_bytes(), key) == signed.read_bytes()
    assert sign_package(signed.read_bytes(), other) != signed.read_bytes()


def test_equal_models_give_equal_packages(package: bytes, keys: tuple[Path, Path]) -> None:
    plan = GoldenPlan(seed=7, count=3, stored=np.arange(INPUTS, dtype=np.int8).reshape(1, 8, 3))
    assert pack_model(MODEL, "host", golden=plan, version="1.2.3+4", key=keys[0]) == sign_package(package, keys[0])


def test_a_kernel_that_the_firmware_lacks_is_refused_by_name(package: bytes) -> None:
    kernels = frozenset(read_package(package).kernels)
    assert read_package(pack_model(MODEL, "host", kernels=kernels)).kernels == tuple(sorted(kernels))
    with pytest.raises(UnsupportedOp, match=r"dense needs tyf_fully_connected_s8, which the firmware of host lacks"):
        pack_model(MODEL, "host", kernels=frozenset())


@pytest.mark.parametrize(
    ("plan", "error", "message"),
    [
        (GoldenPlan(count=0), UsageError, "0 golden vectors"),
        (GoldenPlan(count=17), UsageError, "17 golden vectors"),
        (GoldenPlan(stored=np.zeros((2, 8, 3), np.int8)), ShapeError, "one tensor"),
        (GoldenPlan(stored=np.zeros((1, 9, 3), np.int8)), ShapeError, "the model takes"),
        (GoldenPlan(stored=np.zeros((1, 5000), np.int8)), UsageError, "at most 4096"),
    ],
)
def test_a_golden_plan_that_no_package_holds_is_refused(plan: GoldenPlan, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        golden_vectors(MODEL, plan)


def test_every_damaged_byte_and_every_truncation_is_refused(package: bytes) -> None:
    # Of the blob a few: all of it lies under the same digest.
    blob_end = wire.HEADER_BYTES + len(read_package(package).blob)
    for at in [*range(wire.HEADER_BYTES), *range(wire.HEADER_BYTES, blob_end, 97), *range(blob_end, len(package))]:
        damaged = bytearray(package)
        damaged[at] ^= 0x40
        with pytest.raises(ImageError):
            read_package(bytes(damaged))
    for count in [*range(wire.HEADER_BYTES + 1), *range(blob_end, len(package))]:
        with pytest.raises(ImageError):
            read_package(package[:count])


def test_a_delta_of_a_retrained_head_is_small_and_makes_the_signed_bytes(keys: tuple[Path, Path]) -> None:
    base = pack_model(dense_package("ad", 3, hidden=256, outputs=4), "mps2_an386", version="1.0.0", key=keys[0])
    retrained = pack_model(dense_package("ad", 3, hidden=256, outputs=4, head_seed=9), "mps2_an386", version="1.0.1", key=keys[0])
    delta = make_delta(base, retrained)
    assert delta is not None and is_delta(delta) and not is_delta(base)
    print(f"delta {len(delta)} of {len(retrained)} bytes")
    assert len(delta) < 0.5 * len(retrained)  # the head is a third of this small model
    assert apply_delta(base, delta) == retrained
    with pytest.raises(ImageError, match="another base"):
        apply_delta(retrained, delta)
    refused = 0
    for at in range(0, len(delta), 7):
        damaged = bytearray(delta)
        damaged[at] ^= 1
        try:  # A copy may come from elsewhere and be the same bytes.
            assert apply_delta(base, bytes(damaged)) == retrained
        except ImageError:
            refused += 1
    assert refused > len(delta) // 14


def test_no_delta_when_it_does_not_pay() -> None:
    base, other = (pack_model(dense_package("a", seed, hidden=hidden), "host") for seed, hidden in ((1, 8), (2, 300)))
    assert make_delta(base, other) is None


def test_a_retrained_head_of_kws_is_a_fifth_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    old = ModelPackage("kws", standins.kws())
    dense = standins.Net.dense

    def other_head(net: standins.Net, units: int, *, activation: int = standins.NONE) -> standins.Net:
        net.rng = np.random.default_rng(99)
        return dense(net, units, activation=activation)

    monkeypatch.setattr(standins.Net, "dense", other_head)
    new = ModelPackage("kws", standins.kws())
    base, package = (pack_model(model, "mps2_an386", golden=GoldenPlan(count=1)) for model in (old, new))
    delta = make_delta(base, package)
    assert delta is not None and apply_delta(base, delta) == package
    print(f"delta of {len(delta)} bytes, package of {len(package)}")
    assert len(delta) <= 0.2 * len(package)


def test_what_fits_no_slot_is_refused() -> None:
    with pytest.raises(UsageError, match="microbit has no slots"):
        pack_model(MODEL, "microbit")
    with pytest.raises(UsageError, match="microbit has no slots"):
        compile_model(MODEL, "microbit", Path("nowhere"), swap_arena_bytes=4096)
    with pytest.raises(DoesNotFit, match="a slot of mps2_an386 524288"):
        pack_model(dense_package("large", 1, hidden=24_000), "mps2_an386", golden=GoldenPlan(count=1))
