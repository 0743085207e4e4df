"""From a model to a package that a device can prove: compile, compute the golden outputs, wrap, sign."""

from __future__ import annotations

import contextlib
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from tinyfleet.cases import Cases
from tinyfleet.engine import BlobModel
from tinyfleet.image import VENDOR
from tinyfleet.model_package.contents import GoldenVector, PackageContents, Quantization, blob_kernels, read_package
from tinyfleet.oracle import open_oracle
from tinyfleet_codegen.abi.contract import read_contracts
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.compiled import CompiledModel, TensorInfo
from tinyfleet_codegen.emit.blob import print_blob
from tinyfleet_codegen.errors import DoesNotFit, ImageError, SetupError, ShapeError, UnsupportedOp, UsageError
from tinyfleet_codegen.firmware_tree import HOST_CLASS
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.target import load_target
from tinyfleet_codegen.wire import model_package as wire

HOST_BOARD = "host"
"""Name of the board in memory; it has the portable kernels."""


@dataclass(frozen=True, slots=True)
class GoldenPlan:
    """Which inputs a package proves: ``count`` made from ``seed``, and ``stored``, one tensor ``[1, ...]``, or None."""

    seed: int = 1
    count: int = 4
    stored: npt.NDArray[Any] | None = None


def pack_model(
    package: ModelPackage,
    board: str,
    *,
    golden: GoldenPlan | None = None,
    version: str = "1.0.0",
    kernels: frozenset[int] | None = None,
    key: Path | None = None,
) -> bytes:
    """Make a package; signed when there is a key.

    Args:
        board: Id of the board that it is for, or ``host``.
        golden: What the device has to compute before it takes the model.
        version: ``MAJOR.MINOR.REVISION[+BUILD]``.
        kernels: Ids of the kernels that the firmware has; None: all of the board's CPU class.
        key: A PEM file with the private model key.

    Raises:
        CompileError: the model is malformed, not supported, or does not fit; UnsupportedOp: the firmware lacks a kernel.
        ImageError: two implementations compute different golden outputs, or imgtool refuses.
        UsageError: there is no such board, it takes no models, or the golden plan asks for more than a package holds.
    """
    plan = golden or GoldenPlan()
    target = None if board == HOST_BOARD else load_target(board)
    if target is not None and not target.model_slot_bytes:
        raise UsageError(f"{board} has no slots for models that are loaded at run time", hint="build its firmware with this model")
    compiled = compile_graph(package, target, in_one_memory=True)
    blob = print_blob(compiled.graph, compiled.plan, package, compiled.cpu_class)
    _require_kernels(compiled, blob, board, kernels)
    vectors = golden_vectors(package, plan)
    contents = PackageContents(
        version=(0, 0, 0, 0),  # The container has it.
        blob=blob,
        digest=b"",
        vendor=b"",
        device_class=b"",
        kernel_abi=wire.kernel_abi(compiled.cpu_class),
        arena_bytes=compiled.arena_bytes,
        input_bytes=compiled.graph.tensors[compiled.graph.inputs[0]].bytes,
        output_bytes=compiled.graph.tensors[compiled.graph.outputs[0]].bytes,
        input_dtype=compiled.input.dtype,
        output_dtype=compiled.output.dtype,
        model_id=package.model_id,
        input=_quantization(compiled.input),
        output=_quantization(compiled.output),
        kernels=blob_kernels(blob),
        vectors=vectors,
        stored_input=b"" if plan.stored is None else plan.stored.tobytes(),
        key_hash=b"",
        is_signed=False,
    )
    data = wrap(contents, version, VENDOR, board, key)
    if target is not None and len(data) > target.model_slot_bytes:
        raise DoesNotFit(f"the package of {package.name} has {len(data)} bytes, a slot of {board} {target.model_slot_bytes}")
    return data


def sign_package(data: bytes, key: Path) -> bytes:
    """Sign a package, again or for the first time; what is signed stays as it is.

    Raises:
        ImageError: it is malformed, or imgtool refuses.
    """
    contents = read_package(data)
    signed = wrap(contents, contents.version_text, contents.vendor.hex(), contents.device_class.hex(), key)
    if read_package(signed).digest != contents.digest:
        raise ImageError("the model package was not made by this program: signing would change what it says", hint="pack it again")
    return signed


def golden_vectors(package: ModelPackage, plan: GoldenPlan) -> tuple[GoldenVector, ...]:
    """What the oracle says to the plan's inputs; the C engine on this machine must say the same.

    Raises:
        ImageError: it does not.
        ShapeError: the stored input is not one tensor of the model.
        UsageError: more, or larger, than a package holds.
    """
    count = plan.count + (plan.stored is not None)
    if not 1 <= count <= wire.MAX_VECTORS:
        raise UsageError(f"{count} golden vectors, a package holds 1 to {wire.MAX_VECTORS}")
    host = compile_graph(package, None)
    inputs: list[tuple[int | None, npt.NDArray[Any]]] = [(case, Cases(host, plan.seed).input(case)) for case in range(plan.count)]
    if plan.stored is not None:
        if len(plan.stored) != 1:
            raise ShapeError(f"the stored input is {list(plan.stored.shape)}, one tensor [1, ...] is stored")
        if plan.stored.nbytes > wire.MAX_STORED_INPUT_BYTES:
            raise UsageError(f"the stored input has {plan.stored.nbytes} bytes, at most {wire.MAX_STORED_INPUT_BYTES} are stored")
        inputs.append((None, Cases(host, plan.seed, plan.stored).input(0)))
    oracle = open_oracle(package.tflite, package.name)
    engine = BlobModel(print_blob(host.graph, host.plan, package, HOST_CLASS))
    vectors = []
    for case, x in inputs:
        expected = np.ascontiguousarray(oracle.run(x)).tobytes()  # from a reset on, as the device does
        engine.reset()
        if engine.run(x).tobytes() != expected:
            name = "the stored input" if case is None else f"case {case} of seed {plan.seed}"
            raise ImageError(f"{package.name}: {oracle.name} and the C engine differ for {name}", hint="tinyfleet verify names the layer")
        vectors.append(GoldenVector.of(0 if case is None else plan.seed, case, expected))
    return tuple(vectors)


def kernel_names(cpu_class: str) -> dict[int, str]:
    """Every kernel of a CPU class by its id."""
    return {contract.id: name for name, contract in read_contracts(cpu_class).items()}


def _require_kernels(compiled: CompiledModel, blob: bytes, board: str, kernels: frozenset[int] | None) -> None:
    names = kernel_names(compiled.cpu_class)
    lacking = sorted(names[kernel] for kernel in set(blob_kernels(blob)) - (frozenset(names) if kernels is None else kernels))
    if lacking:
        raise UnsupportedOp(
            f"{compiled.name} needs {', '.join(lacking)}, which the firmware of {board} lacks", hint="update the firmware first"
        )


def _quantization(tensor: TensorInfo) -> Quantization:
    return Quantization(tensor.scale or 0.0, tensor.zero_point or 0)


def wrap(contents: PackageContents, version: str, vendor: str, device_class: str, key: Path | None) -> bytes:
    """Put blob and entries into the container, with imgtool.

    Args:
        vendor, device_class: Domain and class name, or UUIDs in hex.

    Raises:
        ImageError: imgtool refuses.
        SetupError: it is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="tinyfleet-") as folder:
        source, target = Path(folder, "blob"), Path(folder, "package")
        source.write_bytes(contents.blob)
        command = ["sign", "--header-size", str(wire.HEADER_BYTES), "--pad-header", "--non-bootable", "--align", "1"]
        command += ["--slot-size", str(2**31 - 1), "--version", version, "--vid", vendor, "--cid", device_class]
        for kind, value in contents.own_entries().items():
            file = Path(folder, f"{int(kind):x}")
            file.write_bytes(value)
            command += ["--custom-tlv-file", f"0x{int(kind):04x}", str(file)]
        command += [] if key is None else ["--key", str(key)]
        _imgtool([*command, str(source), str(target)])
        return target.read_bytes()


def _imgtool(words: list[str]) -> None:
    """Its command line, in this process: another one would take longer than all else."""
    try:
        from imgtool.main import imgtool  # noqa: PLC0415 - optional package
    except ImportError as error:
        raise SetupError(f"imgtool cannot be imported: {error}", hint="pip install 'tinyfleet[build]'") from error
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # It talks while it works.
            imgtool.main(words, standalone_mode=False)
    # What it raises is no part of its interface.
    except (click.ClickException, OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        complaint = (str(error) or type(error).__name__).strip().splitlines()[-1]
        raise ImageError(f"imgtool refused the model package: {complaint}") from error
