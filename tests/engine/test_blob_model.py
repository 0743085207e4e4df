"""A blob as a Python object, and blobs that are refused."""

from __future__ import annotations

import struct
from functools import cache

import numpy as np
import pytest

from tests.engine.test_host_model import package_with_front_end
from tests.support import standins
from tests.support.op_cases import all_cases
from tinyfleet.cases import Cases
from tinyfleet.engine import BlobModel, HostModel
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.emit.blob import print_blob, with_checksum
from tinyfleet_codegen.errors import ImageError, ShapeError
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.target import load_target
from tinyfleet_codegen.wire.blob import HEADER, HEADER_BYTES, HEADER_STRUCT

KWS = ModelPackage("kws", standins.kws())


@cache
def kws_blob() -> bytes:
    model = compile_graph(KWS, None)
    return print_blob(model.graph, model.plan, model.package, model.cpu_class)


def changed(**fields: int) -> bytes:
    """The blob with other header fields and the right checksum."""
    header = dict(zip((name for name, _ in HEADER), HEADER_STRUCT.unpack_from(kws_blob()), strict=True)) | fields
    return with_checksum(HEADER_STRUCT.pack(*header.values()) + kws_blob()[HEADER_BYTES:])


def test_blob_equals_the_compiled_model() -> None:
    compiled, blob = HostModel(KWS), BlobModel(kws_blob())
    x = Cases(compiled.compiled, 3).inputs(0, 5)
    np.testing.assert_array_equal(blob.run(x), compiled.run(x).reshape(5, -1))
    assert blob.run_layers(x[2:3]) == compiled.run_layers(x[2:3])
    assert blob.model_id == KWS.model_id


def test_streaming_blob_keeps_its_state_until_it_is_reset() -> None:
    case = all_cases()["ASSIGN_VARIABLE"][0]
    package = ModelPackage(case.name, case.tflite)
    compiled = HostModel(package)
    model = compiled.compiled
    blob = BlobModel(print_blob(model.graph, model.plan, package, model.cpu_class))
    x = Cases(model, 3).inputs(0, 6)
    expected = compiled.run(x).reshape(6, -1)
    np.testing.assert_array_equal(blob.run(x), expected)
    assert not np.array_equal(blob.run(x), expected)
    blob.reset()
    np.testing.assert_array_equal(blob.run(x), expected)


def test_blob_with_a_front_end_opens() -> None:
    model = compile_graph(package_with_front_end(), None)
    x = np.arange(24, dtype=np.int8).reshape(1, 8, 3)
    blob = BlobModel(print_blob(model.graph, model.plan, model.package, model.cpu_class))
    np.testing.assert_array_equal(blob.run(x), x.reshape(1, 24))


@pytest.mark.parametrize("x", [np.zeros((1, 490), np.uint8), np.zeros((2, 489), np.int8), np.int8(3).reshape(())])
def test_wrong_input_is_refused(x: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> None:
    with pytest.raises(ShapeError, match=r"the blob takes int8 \[n, 490\]"):
        BlobModel(kws_blob()).run(x)


@pytest.mark.parametrize(
    ("blob", "status"),
    [
        (b"", "TYF_ERR_FORMAT"),
        (kws_blob()[:-1], "TYF_ERR_FORMAT"),
        (kws_blob()[:HEADER_BYTES], "TYF_ERR_FORMAT"),
        (b"X" + kws_blob()[1:], "TYF_ERR_FORMAT"),
        (changed(version=2), "TYF_ERR_VERSION"),
        (changed(version=65535), "TYF_ERR_VERSION"),
        (changed(reserved=1), "TYF_ERR_FORMAT"),
        (changed(arena_bytes=16), "TYF_ERR_FORMAT"),
        (changed(arena_bytes=2**31), "TYF_ERR_FORMAT"),
        (changed(input_dtype=200), "TYF_ERR_FORMAT"),
        (changed(layer_count=12), "TYF_ERR_FORMAT"),
        (changed(step_count=2**32 - 1), "TYF_ERR_FORMAT"),
        (changed(kernel_count=65535), "TYF_ERR_FORMAT"),
        (changed(kernels=2**32 - 4), "TYF_ERR_FORMAT"),
        (changed(name=2**32 - 1), "TYF_ERR_FORMAT"),
        (changed(states=4, state_count=1), "TYF_ERR_FORMAT"),
    ],
)
def test_malformed_and_newer_blobs_are_refused_by_status(blob: bytes, status: str) -> None:
    with pytest.raises(ImageError, match=status):
        BlobModel(blob)


def test_unknown_kernel_is_a_later_version() -> None:
    kernels = struct.unpack_from("<I", kws_blob(), dict(HEADER_OFFSETS)["kernels"])[0]
    blob = bytearray(kws_blob())
    struct.pack_into("<I", blob, kernels, 0xFFFFFFFF)
    with pytest.raises(ImageError, match="TYF_ERR_VERSION"):
        BlobModel(with_checksum(bytes(blob)))


def test_blob_for_a_board_is_refused_with_the_reason() -> None:
    model = compile_graph(KWS, load_target("mps2_an386"))
    with pytest.raises(ImageError, match="kernels of a board"):
        BlobModel(print_blob(model.graph, model.plan, model.package, model.cpu_class))


def test_every_flipped_bit_is_found_or_refused() -> None:
    blob = kws_blob()
    rng = np.random.default_rng(7)
    for at in [*range(0, HEADER_BYTES, 2), *rng.integers(HEADER_BYTES, len(blob), 40).tolist()]:
        damaged = bytearray(blob)
        damaged[at] ^= 1 << int(rng.integers(8))
        with pytest.raises(ImageError):
            BlobModel(bytes(damaged))


HEADER_OFFSETS = [(name, struct.calcsize("<" + "".join(code for _, code in HEADER[:i]))) for i, (name, _) in enumerate(HEADER)]
