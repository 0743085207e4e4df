"""What a signed model package says: read from its bytes, and the parts of it as bytes. The contract is ``docs/spec/model_package.md``."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from tinyfleet_codegen.errors import ImageError
from tinyfleet_codegen.wire import blob as blob_wire
from tinyfleet_codegen.wire import model_package as wire
from tinyfleet_codegen.wire.ids import DType
from tinyfleet_codegen.wire.model_package import Tlv

_DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class Quantization:
    """Of an input or output: ``real = scale * (q - zero_point)``; scale 0.0 when it is not quantized."""

    scale: float
    zero_point: int


@dataclass(frozen=True, slots=True)
class GoldenVector:
    """One input and what it must give. ``case`` is None for the stored input; ``output`` is the tensor, or its SHA-256."""

    seed: int
    case: int | None
    output: bytes
    is_hash: bool

    @classmethod
    def of(cls, seed: int, case: int | None, output: bytes) -> GoldenVector:
        """The vector of an output tensor, which is kept whole when it is short."""
        is_hash = len(output) > wire.MAX_WHOLE_OUTPUT_BYTES
        return cls(seed, case, hashlib.sha256(output).digest() if is_hash else output, is_hash)

    def encode(self) -> bytes:
        """As in the package."""
        source = wire.INPUT_STORED if self.case is None else wire.INPUT_SEEDED
        kind = wire.OUTPUT_SHA256 if self.is_hash else wire.OUTPUT_WHOLE
        return wire.VECTOR_STRUCT.pack(source, kind, len(self.output), self.seed, self.case or 0) + self.output


@dataclass(frozen=True, slots=True)
class PackageContents:
    """Everything that a package says.

    Attributes:
        digest: SHA-256 of header, blob and protected entries: what is signed, and the package's name on a device.
        kernels: Ids of the kernels that the blob calls, ascending.
        is_signed: There is a signature; whether it is right, only a key can say.
    """

    version: tuple[int, int, int, int]
    blob: bytes
    digest: bytes
    vendor: bytes
    device_class: bytes
    kernel_abi: int
    arena_bytes: int
    input_bytes: int
    output_bytes: int
    input_dtype: DType
    output_dtype: DType
    model_id: bytes
    input: Quantization
    output: Quantization
    kernels: tuple[int, ...]
    vectors: tuple[GoldenVector, ...]
    stored_input: bytes
    key_hash: bytes
    is_signed: bool

    @property
    def version_text(self) -> str:
        """As imgtool writes it."""
        major, minor, revision, build = self.version
        return f"{major}.{minor}.{revision}" + (f"+{build}" if build else "")

    def own_entries(self) -> dict[Tlv, bytes]:
        """The protected entries that are ours, as bytes."""
        facts = wire.FACTS_STRUCT.pack(
            wire.PACKAGE_VERSION,
            self.input_dtype,
            self.output_dtype,
            self.kernel_abi,
            self.arena_bytes,
            self.input_bytes,
            self.output_bytes,
            self.model_id,
            self.input.scale,
            self.input.zero_point,
            self.output.scale,
            self.output.zero_point,
        )
        entries = {
            Tlv.FACTS: facts,
            Tlv.KERNELS: struct.pack(f"<{len(self.kernels)}I", *self.kernels),
            Tlv.GOLDEN: b"".join(vector.encode() for vector in self.vectors),
        }
        return entries | ({Tlv.STORED_INPUT: self.stored_input} if self.stored_input else {})


def read_package(data: bytes) -> PackageContents:
    """Read a package; its signature is not checked.

    Raises:
        ImageError: it is malformed, of a later version, or its bytes are not those that its digest names.
    """
    try:
        return _read(data)
    except struct.error:
        raise ImageError(f"the model package of {len(data)} bytes is truncated") from None


def _read(data: bytes) -> PackageContents:
    header = dict(zip((name for name, _ in wire.IMAGE_HEADER), wire.IMAGE_HEADER_STRUCT.unpack_from(data), strict=True))
    _require(header["magic"] == wire.IMAGE_MAGIC, f"begins with 0x{header['magic']:08x}, not with MCUboot's 0x{wire.IMAGE_MAGIC:08x}")
    _require(header["header_bytes"] == wire.HEADER_BYTES, f"has a header of {header['header_bytes']} bytes, not {wire.HEADER_BYTES}")
    _require(bool(header["flags"] & wire.FLAG_NON_BOOTABLE), "is bootable: it is firmware")
    body_end = wire.HEADER_BYTES + header["body_bytes"]
    protected_end = body_end + header["protected_bytes"]
    protected = _entries(data[body_end:protected_end], wire.PROTECTED_MAGIC, header["protected_bytes"])
    others = _entries(data[protected_end:], wire.TLV_MAGIC, len(data) - protected_end)
    digest = hashlib.sha256(data[:protected_end]).digest()
    _require(others.get(Tlv.SHA256) == digest, "is damaged: other bytes than its SHA-256 names")
    for kind in (Tlv.FACTS, Tlv.KERNELS, Tlv.GOLDEN):
        _require(kind in protected, f"lacks the protected entry {kind.name.lower()}")
    facts = protected[Tlv.FACTS]
    version = struct.unpack_from("<H", facts)[0]
    _require(version <= wire.PACKAGE_VERSION, f"has version {version}, this host reads up to {wire.PACKAGE_VERSION}")
    fields = dict(zip((name for name, _ in wire.FACTS), wire.FACTS_STRUCT.unpack(facts), strict=True))
    return PackageContents(
        version=(header["version_major"], header["version_minor"], header["version_revision"], header["version_build"]),
        blob=data[wire.HEADER_BYTES : body_end],
        digest=digest,
        vendor=protected.get(Tlv.VENDOR, b""),
        device_class=protected.get(Tlv.CLASS, b""),
        kernel_abi=fields["kernel_abi"],
        arena_bytes=fields["arena_bytes"],
        input_bytes=fields["input_bytes"],
        output_bytes=fields["output_bytes"],
        input_dtype=_dtype(fields["input_dtype"]),
        output_dtype=_dtype(fields["output_dtype"]),
        model_id=fields["model_id"],
        input=Quantization(fields["input_scale"], fields["input_zero_point"]),
        output=Quantization(fields["output_scale"], fields["output_zero_point"]),
        kernels=struct.unpack(f"<{len(protected[Tlv.KERNELS]) // 4}I", protected[Tlv.KERNELS]),
        vectors=_vectors(protected[Tlv.GOLDEN]),
        stored_input=protected.get(Tlv.STORED_INPUT, b""),
        key_hash=others.get(Tlv.KEY_HASH, b""),
        is_signed=Tlv.ED25519 in others,
    )


def _entries(data: bytes, magic: int, size: int) -> dict[int, bytes]:
    """The entries of an area that fills ``data``."""
    found, total = wire.TLV.unpack_from(data)
    _require(found == magic and total == size, f"has an area 0x{found:04x} of {total} bytes where 0x{magic:04x} of {size} should be")
    entries, at = {}, wire.TLV.size
    while at < size:
        kind, count = wire.TLV.unpack_from(data, at)
        at += wire.TLV.size + count
        _require(at <= size and kind not in entries, f"has a malformed or second entry 0x{kind:x}")
        entries[kind] = data[at - count : at]
    return entries


def _vectors(data: bytes) -> tuple[GoldenVector, ...]:
    vectors, at = [], 0
    while at < len(data):
        source, kind, count, seed, case = wire.VECTOR_STRUCT.unpack_from(data, at)
        at += wire.VECTOR_STRUCT.size + count
        _require(at <= len(data) and source <= wire.INPUT_STORED and kind <= wire.OUTPUT_SHA256, "has a malformed golden vector")
        _require(kind == wire.OUTPUT_WHOLE or count == _DIGEST_BYTES, f"has a SHA-256 of {count} bytes")
        vectors.append(GoldenVector(seed, None if source == wire.INPUT_STORED else case, data[at - count : at], kind == wire.OUTPUT_SHA256))
    _require(1 <= len(vectors) <= wire.MAX_VECTORS, f"has {len(vectors)} golden vectors, 1 to {wire.MAX_VECTORS} are allowed")
    return tuple(vectors)


def _dtype(number: int) -> DType:
    try:
        return DType(number)
    except ValueError:
        raise ImageError(f"the model package has a tensor of the unknown type {number}", hint="update tinyfleet on this host") from None


def _require(holds: bool, complaint: str) -> None:
    if not holds:
        raise ImageError(f"the model package {complaint}", hint="make it with: tinyfleet model pack")


def blob_kernels(blob: bytes) -> tuple[int, ...]:
    """Ids of the kernels that a blob calls."""
    header = dict(zip((name for name, _ in blob_wire.HEADER), blob_wire.HEADER_STRUCT.unpack_from(blob), strict=True))
    return struct.unpack_from(f"<{header['kernel_count']}I", blob, header["kernels"])
