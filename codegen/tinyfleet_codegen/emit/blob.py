"""Print a planned graph as one binary that ``firmware/lib/model`` opens: the same calls as generated C, as data.

The layout of what kernels read comes from their headers (:mod:`tinyfleet_codegen.abi`); each call is checked here against its
kernel's contract as the device will check it.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.abi.c_headers import SCALARS, Headers, Struct, read_headers
from tinyfleet_codegen.abi.contract import Contract, Violation, read_contracts
from tinyfleet_codegen.abi.table import print_kernel_table
from tinyfleet_codegen.emit.c import C_TYPES, print_descriptor, require_frontend_fits
from tinyfleet_codegen.errors import DoesNotFit, UnsupportedOp
from tinyfleet_codegen.ir import Graph, Node, State
from tinyfleet_codegen.kernels import choose_kernel
from tinyfleet_codegen.op import Memory, PrintedCall
from tinyfleet_codegen.package import FrontEnd, ModelPackage
from tinyfleet_codegen.plan import Plan
from tinyfleet_codegen.text import c_array, printable
from tinyfleet_codegen.wire import blob as wire


@dataclass(slots=True)
class _Data:
    """Constants, each once, aligned within the blob."""

    content: bytearray = field(default_factory=bytearray)
    places: dict[tuple[bytes, int], int] = field(default_factory=dict)

    def place(self, data: bytes, align: int) -> int:
        """Offset of these bytes from the start of the constants."""
        if (data, align) not in self.places:
            self.content += bytes(-len(self.content) % align)
            self.places[data, align] = len(self.content)
            self.content += data
        return self.places[data, align]


class Argument(NamedTuple):
    """What a call is given: an offset in the arena or among the constants, and the bytes there; None is NULL."""

    in_arena: bool
    offset: int
    bytes: int | None
    fields: dict[str, int] | None = None
    """Values of the parameters by path; of a scalar, its value by the empty one."""


class Step(NamedTuple):
    """One word for the head, then the arguments; an output's place when it ends a layer."""

    contract: Contract | None
    arguments: list[Argument]
    output: tuple[int, int] | None

    @property
    def fields(self) -> dict[str, int]:
        """What the contract's expressions may name: members of the parameters and scalars."""
        if self.contract is None:
            return {}
        first = int(self.contract.params is not None)
        fields = dict((self.arguments[0].fields or {}) if first else {})
        scalars = [(a, d) for a, d in zip(self.contract.arguments, self.arguments[first:], strict=True) if a.is_scalar]
        return fields | {a.name: (d.fields or {})[""] for a, d in scalars}


class Steps(NamedTuple):
    """All calls of a model and the constants that they refer to."""

    steps: list[Step]
    data: _Data


_ABSENT = Argument(False, 0, None)


@dataclass(slots=True)
class _NodePrinter:
    """Collects the calls of one node; see :class:`tinyfleet_codegen.op.CallPrinter`. Its expressions are keys of ``arguments``."""

    graph: Graph
    plan: Plan
    node: Node
    step: int
    headers: Headers
    contracts: dict[str, Contract]
    data: _Data
    arguments: dict[str, Argument] = field(default_factory=dict)
    calls: list[Step] = field(default_factory=list)

    def constant(self, name: str, c_type: str, values: npt.ArrayLike) -> str:
        code = SCALARS[c_type]
        packed = np.ascontiguousarray(np.asarray(values).astype(f"<{code}")).tobytes()
        return self._placed(name, packed, struct.calcsize(code))

    def table(self, name: str, c_type: str, rows: npt.NDArray[np.int64]) -> str:
        layout = self.headers.structs[c_type]
        return self._placed(name, b"".join(_pack(layout, row) for row in rows.tolist()), layout.align)

    def params(self, c_type: str, fields: dict[str, int], name: str = "params") -> str:
        layout = self.headers.structs[c_type]
        unknown = set(fields) - {f.path for f in layout.fields}
        assert not unknown, f"{c_type} has no {sorted(unknown)}"
        return self._placed(name, _pack(layout, [fields.get(f.path, 0) for f in layout.fields]), layout.align, fields)

    def tensor(self, tensor_id: int | None) -> str:
        if tensor_id is None:
            return "NULL"
        tensor = self.graph.tensors[tensor_id]
        if tensor.data is not None:
            return self.constant(f"tensor {tensor_id}", C_TYPES[tensor.dtype], tensor.data)
        return self._key(f"tensor {tensor_id}", Argument(True, self.plan.offsets[tensor_id], tensor.bytes))

    def scratch(self) -> str:
        offset = self.plan.scratch[self.step]
        place = next(a for a in self.plan.allocations if not a.tensors and (a.first, a.offset) == (self.step, offset))
        return self._key("scratch", Argument(True, offset, place.bytes))

    def call(self, kernel: str, *arguments: str) -> None:
        contract = self.contracts.get(kernel)
        if contract is None:
            raise UnsupportedOp(
                f"{self.node.label}: {kernel} cannot run from a blob: its comment in {', '.join(self.headers.files)} lacks the contract",
                hint="use --format c",
            )
        step = Step(contract, [self._argument(argument) for argument in arguments], None)
        data = step.arguments[contract.params is not None :]
        try:
            contract.check(step.fields, [a.bytes for a in data], [a.offset if a.in_arena else None for a in data])
        except Violation as violation:
            raise UnsupportedOp(f"{self.node.label} cannot run from a blob: {violation}", hint="use --format c") from None
        self.calls.append(step)

    def _argument(self, expression: str) -> Argument:
        """What an expression stands for; besides those of this printer, a number or NULL."""
        if expression not in self.arguments:
            if expression == "NULL":
                return _ABSENT
            value = int(expression)
            self._placed(expression, struct.pack("<i", value), 4, {"": value})
        return self.arguments[expression]

    def repeat(self, count: int, calls: tuple[PrintedCall, ...]) -> None:
        for i in range(count):
            for call in calls:
                self.call(call.kernel, *(a if isinstance(a, str) else self._memory(a, i) for a in call.arguments))

    def _memory(self, memory: Memory, i: int) -> str:
        base = self.plan.scratch[self.step] if memory.tensor is None else self.plan.offsets[memory.tensor]
        at = base + memory.first_byte + memory.step_bytes * i
        return self._key(f"memory {at} {memory.bytes}", Argument(True, at, memory.bytes))

    def _placed(self, name: str, data: bytes, align: int, fields: dict[str, int] | None = None) -> str:
        return self._key(name, Argument(False, self.data.place(data, max(align, 4)), len(data), fields))

    def _key(self, name: str, argument: Argument) -> str:
        self.arguments[name] = argument
        return name


def _pack(layout: Struct, values: list[int]) -> bytes:
    data = bytearray(layout.bytes)
    for member, value in zip(layout.fields, values, strict=True):
        struct.pack_into(f"<{member.code}", data, member.offset, value)
    return bytes(data)


def print_blob(graph: Graph, plan: Plan, package: ModelPackage, cpu_class: str) -> bytes:
    """Print a checked, planned graph for the kernels of a CPU class.

    Raises:
        UnsupportedOp: a kernel cannot be called from a blob.
        QuantError: the front end's gains do not fit the input scale.
        DoesNotFit: the blob would be larger than 2 GiB.
    """
    return _assemble(graph, plan, package, blob_steps(graph, plan, cpu_class))


def blob_steps(graph: Graph, plan: Plan, cpu_class: str) -> Steps:
    """The calls of a planned graph, each inside its kernel's contract.

    Raises:
        UnsupportedOp: a kernel cannot be called from a blob.
    """
    headers, contracts, data = read_headers(cpu_class), dict(read_contracts(cpu_class)), _Data()
    steps: list[Step] = []
    for position, node in enumerate(graph.nodes):
        printer = _NodePrinter(graph, plan, node, position, headers, contracts, data)
        kernel = choose_kernel(graph, node, cpu_class)
        (node.op if kernel is None else kernel).emit(graph, node, printer)
        calls = printer.calls or [Step(None, [], None)]
        output = (plan.offsets[node.outputs[0]], graph.output_tensor(node).bytes)
        steps += [*calls[:-1], calls[-1]._replace(output=output)]
    return Steps(steps, data)


def _assemble(graph: Graph, plan: Plan, package: ModelPackage, content: Steps) -> bytes:
    steps, data = content
    kernels = sorted({step.contract.id for step in steps if step.contract is not None})
    kernels_at = wire.HEADER_BYTES
    steps_at = kernels_at + 4 * len(kernels)
    words = sum(1 + len(step.arguments) + 2 * (step.output is not None) for step in steps)
    states = [_state(graph, plan, data, state) for state in graph.states]
    name = printable(package.name).encode()[: wire.MAX_NAME_BYTES] + b"\0"
    frontend = b"" if package.frontend is None else _frontend(graph, package.frontend)
    frontend_at = steps_at + 4 * words
    states_at = frontend_at + len(frontend)
    name_at = states_at + wire.STATE.size * len(graph.states)
    data_at = -(-(name_at + len(name)) // wire.ALIGNMENT) * wire.ALIGNMENT
    body = b"".join(struct.pack("<I", kernel) for kernel in kernels)
    for step in steps:
        kernel = wire.NO_KERNEL if step.contract is None else kernels.index(step.contract.id)
        body += wire.STEP.pack(kernel, len(step.arguments), 0 if step.output is None else wire.FLAG_LAYER, 0)
        body += b"".join(struct.pack("<I", _word(argument, data_at)) for argument in step.arguments)
        body += b"" if step.output is None else struct.pack("<II", *step.output)
    body += frontend
    for place, size, value in states:
        body += wire.STATE.pack(place, size, value if value & wire.FILL else data_at + value)
    body += name
    body += bytes(data_at - wire.HEADER_BYTES - len(body)) + data.content
    total = wire.HEADER_BYTES + len(body)
    if max(total, plan.arena_bytes) > wire.MAX_BYTES:
        raise DoesNotFit(f"a blob of {total} bytes with an arena of {plan.arena_bytes} is larger than {wire.MAX_BYTES}")
    source, output = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    values = {
        "magic": wire.MAGIC,
        "crc32": 0,
        "version": wire.BLOB_VERSION,
        "kernel_count": len(kernels),
        "blob_bytes": total,
        "model_id": package.model_id,
        "arena_bytes": plan.arena_bytes,
        "input_offset": plan.offsets[graph.inputs[0]],
        "input_bytes": source.bytes,
        "output_offset": plan.offsets[graph.outputs[0]],
        "output_bytes": output.bytes,
        "input_dtype": source.dtype,
        "output_dtype": output.dtype,
        "reserved": 0,
        "layer_count": len(graph.nodes),
        "step_count": len(steps),
        "kernels": kernels_at,
        "steps": steps_at,
        "name": name_at,
        "frontend": frontend_at if frontend else 0,
        "state_count": len(graph.states),
        "states": states_at,
    }
    return with_checksum(wire.HEADER_STRUCT.pack(*(values[name] for name, _ in wire.HEADER)) + body)


_RESET = """static void reset(const tyf_model *model, uint8_t *arena)
{
    if (opens(model)) {
        tyf_model_reset(&blob.model, arena);
    }
}

"""


def print_blob_c(graph: Graph, plan: Plan, package: ModelPackage, cpu_class: str, *, has_table: bool = True) -> str:
    """``model.c`` that carries the blob and opens it for the first inference: firmware built with it runs the model as a blob.

    With ``has_table`` it also defines ``tyf_kernels``.
    """
    blob = print_blob(graph, plan, package, cpu_class)
    return f"""{print_kernel_table(cpu_class) if has_table else ""}
#include "model.h"
#include "tyf/model/blob.h"

{c_array("static const _Alignas(16) uint8_t data", np.frombuffer(blob, np.uint8))}
static tyf_blob blob;

/* What the compiler wrote opens; if it did not, the arena would stay as it is. */
static bool opens(const tyf_model *model)
{{
    return blob.data != NULL || tyf_blob_open(&blob, &tyf_kernels, data, sizeof data, model->arena_bytes) == TYF_OK;
}}

static void run(const tyf_model *model, uint8_t *arena, tyf_trace_fn trace, void *context)
{{
    if (opens(model)) {{
        tyf_model_run(&blob.model, arena, trace, context);
    }}
}}

{_RESET if graph.states else ""}{print_descriptor(graph, plan, package)}"""


def with_checksum(blob: bytes) -> bytes:
    """The blob with the checksum that its bytes ask for."""
    crc = struct.pack("<I", zlib.crc32(blob[wire.CRC_START :]))
    return blob[: wire.CRC_START - 4] + crc + blob[wire.CRC_START :]


def _word(argument: Argument, data_at: int) -> int:
    if argument.in_arena:
        return argument.offset | wire.IN_ARENA
    return 0 if argument.bytes is None else data_at + argument.offset


def _state(graph: Graph, plan: Plan, data: _Data, state: State) -> tuple[int, int, int]:
    """Place, size, and the value after a reset: its offset among the constants, or one byte for all."""
    initial = state.initial.tobytes()
    value = wire.FILL | initial[0] if len(set(initial)) == 1 else data.place(initial, 4)
    return plan.offsets[state.tensor], graph.tensors[state.tensor].bytes, value


def _frontend(graph: Graph, frontend: FrontEnd) -> bytes:
    """The section, padded to whole words."""
    source = graph.tensors[graph.inputs[0]]
    require_frontend_fits(source, frontend)
    constants = frontend.constants(source.scale)
    data = wire.FRONTEND.pack(frontend.channels, frontend.window_samples, frontend.hop_samples, source.zero_point, 0)
    data += b"".join(struct.pack("<i", multiplier) for multiplier, _ in constants)
    data += b"".join(struct.pack("<h", offset) for offset in frontend.offset)
    data += bytes(shift & 0xFF for _, shift in constants)
    return data + bytes(-len(data) % 4)
