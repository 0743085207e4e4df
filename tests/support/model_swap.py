"""Test builds that can take other models at run time: keys of their own, and kernels that fault or hang."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from enum import StrEnum
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.signed_images import keys_header, model_key
from tests.support.small_models import dense_package
from tinyfleet.model_package import PackageContents, pack_model, read_package
from tinyfleet.model_package.pack import wrap
from tinyfleet_codegen.abi.contract import read_contracts
from tinyfleet_codegen.abi.table import print_kernel_table
from tinyfleet_codegen.compile import compile_model
from tinyfleet_codegen.emit.blob import with_checksum
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.wire import blob as blob_wire

BUILT_IN = dense_package("built_in", 1)
ARENA_BYTES = 4096
"""For models that are loaded at run time."""
_STANDS_FOR = {
    "host": "tyf_fully_connected_s8",
    "dsp": "tyf_fully_connected_s8_dsp",
    "mve": "tyf_fully_connected_s8_mve",
    "v6m": "tyf_fully_connected_shared_s8_v6m",
}
"""CPU class -> what the bad kernels look like: their arguments and contract are its."""


class Bad(StrEnum):
    """Kernels that exist in test builds alone."""

    FAULT = "fault"
    HANG = "hang"
    FAULT_AT_TRIGGER = "fault_at_trigger"
    HANG_AT_TRIGGER = "hang_at_trigger"


TRIGGER = 77
"""The first element of an input at which the kernels ..._AT_TRIGGER go bad; else they do their work."""
_BODIES = {Bad.FAULT: "__builtin_trap();", Bad.HANG: 'for (;;) {\n        __asm__ volatile("");\n    }'}


def _body(bad: Bad, good: str) -> str:
    if bad in _BODIES:
        return f"    (void)a;\n    {_BODIES[bad]}\n"
    action = _BODIES[Bad.FAULT if bad is Bad.FAULT_AT_TRIGGER else Bad.HANG]
    return f"    if (*(const int8_t *)a[1] == {TRIGGER}) {{\n        {action}\n    }}\n    call_{good}(a);\n"


def bad_kernel_id(bad: Bad) -> int:
    """Id of a bad kernel: no real kernel has such a name."""
    return zlib.crc32(f"test kernel {bad}".encode())


def print_test_kernel_table(cpu_class: str) -> str:
    """The kernel table of a class with the bad kernels."""
    source = print_kernel_table(cpu_class)
    good = _STANDS_FOR[cpu_class]
    contract = read_contracts(cpu_class)[good]
    head, rows, tail = _split(source)
    (model,) = [row for row in rows if row.startswith(f"    {{{contract.id}u,")]
    calls = ""
    for bad in Bad:
        calls += f"static void bad_{bad}(void *const *a) {{\n{_body(bad, good)}}}\n\n"
        row = model.replace(f"{contract.id}u,", f"{bad_kernel_id(bad)}u,").replace(f"call_{good},", f"bad_{bad},")
        rows.append(row)
    rows.sort(key=lambda row: int(row.split("u,")[0].strip(" {")))
    return head.replace("static const tyf_kernel kernels[]", calls + "static const tyf_kernel kernels[]") + "".join(rows) + tail


def _split(source: str) -> tuple[str, list[str], str]:
    start = source.index("static const tyf_kernel kernels[] = {\n") + len("static const tyf_kernel kernels[] = {\n")
    end = source.index("};\n", start)
    return source[:start], source[start:end].splitlines(keepends=True), source[end:]


def write_swap_files(folder: Path, cpu_class: str, arena_bytes: int, **more: int) -> None:
    """What makes a generated model's folder one of a test build that swaps models; ``more``: further TYF_CFG_*."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kernel_table.c").write_text(print_test_kernel_table(cpu_class), encoding="utf-8")
    config = f"#define TYF_CFG_MODEL_ARENA_BYTES {arena_bytes}\n" + "".join(
        f"#define TYF_CFG_{name} {value}\n" for name, value in more.items()
    )
    (folder / "model_config.h").write_text(config, encoding="utf-8")
    (folder / "tyf_keys.h").write_text(keys_header(), encoding="utf-8")


def swap_model_dir(folder: Path, board: str) -> Path:
    """The folder of a test build with the model ``BUILT_IN``, little patience with live models, and room for others."""
    compiled = compile_model(BUILT_IN, board, folder, swap_arena_bytes=ARENA_BYTES)
    write_swap_files(folder, compiled.cpu_class, ARENA_BYTES, LIVE_LIMIT_MS=300)
    return folder


def write_key(folder: Path, key: Ed25519PrivateKey | None = None) -> Path:
    """A private key, by default that of models, as imgtool reads it."""
    path = folder / "model.pem"
    path.write_bytes((key or model_key()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


@cache
def good_package(model: ModelPackage, board: str, key: Path, version: str = "1.0.0") -> bytes:
    """A signed package; the same one again and again."""
    return pack_model(model, board, key=key, version=version)


def with_bad_kernel(package: bytes, cpu_class: str, bad: Bad, key: Path) -> bytes:
    """A signed package that calls a bad kernel where it called a dense layer, and promises what the good one did."""
    contents = read_package(package)
    wanted = read_contracts(cpu_class)[_STANDS_FOR[cpu_class]].id
    header = dict(zip((name for name, _ in blob_wire.HEADER), blob_wire.HEADER_STRUCT.unpack_from(contents.blob), strict=True))
    blob = bytearray(contents.blob)
    changed = 0
    kernels = []
    for i in range(header["kernel_count"]):
        at = header["kernels"] + 4 * i
        (kernel,) = struct.unpack_from("<I", blob, at)
        if kernel == wanted:
            kernel = bad_kernel_id(bad)
            struct.pack_into("<I", blob, at, kernel)
            changed += 1
        kernels.append(kernel)
    assert changed == 1, "the model has no dense layer of the kind that the bad kernels stand for"
    bad_contents = replace(contents, blob=with_checksum(bytes(blob)), kernels=tuple(sorted(kernels)))
    return _again(bad_contents, key)


def with_wrong_golden(package: bytes, key: Path) -> bytes:
    """A signed package whose last golden output is another one."""
    contents = read_package(package)
    last = contents.vectors[-1]
    wrong = replace(last, output=bytes([last.output[0] ^ 1]) + last.output[1:])
    return _again(replace(contents, vectors=(*contents.vectors[:-1], wrong)), key)


def with_facts(package: bytes, key: Path, **facts: int) -> bytes:
    """A signed package that says other things of its blob than the blob does."""
    return _again(replace(read_package(package), **facts), key)  # type: ignore[arg-type]


def _again(contents: PackageContents, key: Path) -> bytes:
    return wrap(contents, contents.version_text, contents.vendor.hex(), contents.device_class.hex(), key)
