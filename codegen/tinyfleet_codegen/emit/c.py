"""Print a planned graph as ``model.c`` and ``model.h``: constants, one direct kernel call a node, one model descriptor."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.emit.constants import ConstantKind, constant_kind
from tinyfleet_codegen.errors import QuantError
from tinyfleet_codegen.ir import NUMPY_DTYPES, Graph, Node, Tensor
from tinyfleet_codegen.kernels import KERNELS, choose_kernel
from tinyfleet_codegen.op import Memory, PrintedCall
from tinyfleet_codegen.package import FrontEnd, ModelPackage
from tinyfleet_codegen.plan import Part, Plan
from tinyfleet_codegen.text import c_array, c_comment, c_identifier, c_string, c_struct_array
from tinyfleet_codegen.wire.ids import DType

C_TYPES = {
    DType.FLOAT32: "float",
    DType.INT32: "int32_t",
    DType.UINT8: "uint8_t",
    DType.INT64: "int64_t",
    DType.BOOL: "uint8_t",
    DType.INT16: "int16_t",
    DType.INT8: "int8_t",
}


@dataclass(frozen=True, slots=True)
class LayerSource:
    """What one layer became: its kernel (empty when it needs none) and the bytes of its constants."""

    kernel: str
    weights_bytes: int
    tables_bytes: int


@dataclass(frozen=True, slots=True)
class CSource:
    """The generated files, and each layer."""

    model_c: str
    model_h: str
    layers: tuple[LayerSource, ...]


@dataclass(slots=True)
class _NodePrinter:
    """Collects the constants and the call of one node; see :class:`tinyfleet_codegen.op.CallPrinter`."""

    graph: Graph
    plan: Plan
    node: Node
    step: int
    functions: dict[tuple[str, bytes], str]
    """Tables of functions that earlier nodes declared: each is declared once."""
    declarations: list[str] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)
    kernel: str = ""
    constant_bytes: Counter[ConstantKind] = field(default_factory=Counter)
    constants: dict[int, str] = field(default_factory=dict)

    def constant(self, name: str, c_type: str, values: npt.ArrayLike) -> str:
        symbol = f"{self.node.symbol}_{name}"
        array = np.asarray(values)
        if constant_kind(name) is ConstantKind.CODE:
            known = self.functions.setdefault((f"{c_type} {array.dtype} {array.shape}", array.tobytes()), symbol)
            if known != symbol:
                return known
        self.declarations.append(c_array(f"static const {c_type} {symbol}", array))
        sizes = {"int8_t": 1, "uint8_t": 1, "int16_t": 2, "uint16_t": 2, "int64_t": 8}
        self.constant_bytes[constant_kind(name)] += array.size * sizes.get(c_type, 4)
        return symbol

    def table(self, name: str, c_type: str, rows: npt.NDArray[np.int64]) -> str:
        symbol = f"{self.node.symbol}_{name}"
        self.declarations.append(c_struct_array(f"static const {c_type} {symbol}", rows))
        self.constant_bytes[constant_kind(name)] += rows.size * 4
        return symbol

    def params(self, c_type: str, fields: dict[str, int], name: str = "params") -> str:
        symbol = f"{self.node.symbol}_{name}"
        members = "".join(f"    .{name} = {'INT32_MIN' if value == -(2**31) else value},\n" for name, value in fields.items())
        self.declarations.append(f"static const {c_type} {symbol} = {{\n{members}}};\n")
        return f"&{symbol}"

    def tensor(self, tensor_id: int | None) -> str:
        if tensor_id is None:
            return "NULL"
        tensor = self.graph.tensors[tensor_id]
        c_type = C_TYPES[tensor.dtype]
        if tensor.data is not None:
            # A node may read a constant twice.
            if tensor_id not in self.constants:
                self.constants[tensor_id] = self.constant(f"tensor{tensor_id}", c_type, tensor.data)
            return self.constants[tensor_id]
        return f"({c_type} *)(void *)({arena_address(self.plan, self.plan.offsets[tensor_id])})"

    def scratch(self) -> str:
        return arena_address(self.plan, self.plan.scratch[self.step])

    def call(self, kernel: str, *arguments: str) -> None:
        self.kernel = kernel
        self.statements.append(f"    {kernel}({', '.join(arguments)});\n")

    def repeat(self, count: int, calls: tuple[PrintedCall, ...]) -> None:
        self.kernel = calls[-1].kernel
        indent = "    " if count == 1 else "        "
        lines = "".join(f"{indent}{c.kernel}({', '.join(self._argument(a, count) for a in c.arguments)});\n" for c in calls)
        self.statements.append(lines if count == 1 else f"    for (int32_t i = 0; i < {count}; i++) {{\n{lines}    }}\n")

    def _argument(self, argument: str | Memory, count: int) -> str:
        if isinstance(argument, str):
            return argument
        base = self.plan.scratch[self.step] if argument.tensor is None else self.plan.offsets[argument.tensor]
        step = f" + {argument.step_bytes} * i" if count > 1 and argument.step_bytes else ""
        return f"(int8_t *)(void *)({arena_address(self.plan, base, argument.first_byte)}{step})"

    @property
    def layer(self) -> LayerSource:
        """What was printed."""
        return LayerSource(self.kernel, self.constant_bytes[ConstantKind.WEIGHTS], self.constant_bytes[ConstantKind.TABLES])


def arena_address(plan: Plan, offset: int, beyond: int = 0) -> str:
    """C expression of a place in the arena, or of one so many bytes behind it."""
    part, within = plan.split(offset)
    return f"{'arena' if part == 0 else _part_symbol(plan.parts[part])} + {within + beyond}"


def _part_symbol(part: Part) -> str:
    return f"arena_{part.memory}"


def memory_attribute(memory: int) -> str:
    """What puts a variable into one of the board's memories; the linker script has the sections."""
    return f'__attribute__((section(".ram{memory}")))'


def _own_parts(plan: Plan) -> str:
    """Definitions of the parts of the arena that the program does not give."""
    return "".join(
        f"static _Alignas(16) uint8_t {_part_symbol(part)}[{part.bytes}]{f' {memory_attribute(part.memory)}' if part.memory else ''};\n"
        for part in plan.parts[1:]
    )


def print_c(graph: Graph, plan: Plan, package: ModelPackage, cpu_class: str) -> CSource:
    """Print a checked, planned graph.

    Raises:
        QuantError: the front end's gains do not fit the input scale.
    """
    functions: dict[tuple[str, bytes], str] = {}
    printers = [_NodePrinter(graph, plan, node, step, functions) for step, node in enumerate(graph.nodes)]
    for printer in printers:
        kernel = choose_kernel(graph, printer.node, cpu_class) or printer.node.op
        kernel.emit(graph, printer.node, printer)
    constants = "".join(
        f"/* {c_comment(p.node.label)} -> {c_comment(graph.tensors[p.node.outputs[0]].name)} */\n" + "\n".join(p.declarations) + "\n"
        for p in printers
        if p.declarations
    )
    steps = "".join("".join(p.statements) + _trace(graph, plan, p.node, layer) for layer, p in enumerate(printers))
    model_c = f"""{_header_line(package)}
#include "model.h"

#include <stddef.h>
#include <string.h>

#include "tyf/core/wire.h"
#include "tyf/nn/kernels.h"
#include "tyf/nn/kernels_s16.h"
{_class_header(cpu_class)}
{_own_parts(plan)}{constants}static void run(const tyf_model *model, uint8_t *arena, tyf_trace_fn trace, void *context)
{{
    (void)model;
    (void)arena;
    (void)context;
    (void)trace;
{steps}}}

{_reset(graph, plan)}{print_descriptor(graph, plan, package)}"""
    return CSource(model_c, print_header(graph, plan, package), tuple(p.layer for p in printers))


def print_descriptor(graph: Graph, plan: Plan, package: ModelPackage) -> str:
    """The definition of the model, which refers to a function ``run``, and to ``reset`` when it has states.

    Raises:
        QuantError: the front end's gains do not fit the input scale.
    """
    source, output = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    frontend, frontend_reference = _frontend(graph, package)
    return f"""{c_array("static const uint8_t model_id", np.frombuffer(package.model_id, np.uint8))}
{frontend}const tyf_model {c_identifier(package.name)}_model = {{
    .name = {c_string(package.name)},
    .model_id = model_id,
    .frontend = {frontend_reference},
    .arena_bytes = {plan.parts[0].bytes},
    .input_offset = {plan.offsets[graph.inputs[0]]},
    .input_bytes = {source.bytes},
    .output_offset = {plan.offsets[graph.outputs[0]]},
    .output_bytes = {output.bytes},
    .layer_count = {len(graph.nodes)},
    .input_dtype = TYF_DTYPE_{source.dtype.name},
    .output_dtype = TYF_DTYPE_{output.dtype.name},
    .run = run,
    .reset = {"reset" if graph.states else "NULL"},
}};
"""


def print_header(graph: Graph, plan: Plan, package: ModelPackage) -> str:
    """``model.h``."""
    identifier = c_identifier(package.name)
    source, output = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    return f"""{_header_line(package)}
#ifndef TYF_GENERATED_MODEL_H
#define TYF_GENERATED_MODEL_H

{_arena_place(plan.parts[0])}#include "tyf/model/model.h"

extern const tyf_model {identifier}_model;

#define TYF_APP_MODEL {identifier}_model
#define TYF_APP_ARENA_BYTES {plan.parts[0].bytes}u
#define TYF_APP_INPUT_BYTES {source.bytes}u
#define TYF_APP_OUTPUT_BYTES {output.bytes}u

/* real = scale * (q - zero_point); 1 and 0 for float32 */
{_quantization("INPUT", source)}{_quantization("OUTPUT", output)}
#endif
"""


def _arena_place(part: Part) -> str:
    return f"#define TYF_APP_ARENA_PLACE(otherwise) {memory_attribute(part.memory)}\n\n" if part.memory else ""


def _quantization(which: str, tensor: Tensor) -> str:
    scale, zero_point = (1.0, 0) if tensor.quant is None else (float(np.float32(tensor.scale)), tensor.zero_point)
    return f"#define TYF_APP_{which}_SCALE {scale!r}f\n#define TYF_APP_{which}_ZERO_POINT ({zero_point})\n"


def _header_line(package: ModelPackage) -> str:
    return f"/* Generated by tinyfleet from {c_comment(package.name)}.tflite. Do not edit. */"


def _reset(graph: Graph, plan: Plan) -> str:
    """The function that gives states their first values; empty when there are none."""
    if not graph.states:
        return ""
    constants, statements = [], []
    for i, state in enumerate(graph.states):
        tensor = graph.tensors[state.tensor]
        place = arena_address(plan, plan.offsets[state.tensor])
        raw = np.frombuffer(state.initial.tobytes(), np.uint8)
        if (raw == raw[0]).all():
            statements.append(f"    memset({place}, {raw[0]}, {tensor.bytes});\n")
        else:
            constants.append(c_array(f"static const uint8_t state{i}", raw))
            statements.append(f"    memcpy({place}, state{i}, {tensor.bytes});\n")
    return f"""{"".join(constants)}static void reset(const tyf_model *model, uint8_t *arena)
{{
    (void)model;
{"".join(statements)}}}

"""


def _class_header(cpu_class: str) -> str:
    return f'#include "tyf/nn/kernels_{cpu_class}.h"\n' if cpu_class in KERNELS else ""


def _trace(graph: Graph, plan: Plan, node: Node, layer: int) -> str:
    tensor_id = node.outputs[0]
    tensor = graph.tensors[tensor_id]
    return f"""    if (trace != NULL) {{
        trace(context, {layer}, {arena_address(plan, plan.offsets[tensor_id])}, {tensor.bytes});
    }}
"""


def require_frontend_fits(source: Tensor, frontend: FrontEnd) -> None:
    """Refuse a front end that does not make the model's input.

    Raises:
        QuantError: it makes another number of values, or the input is not int8.
    """
    if source.dtype is not DType.INT8 or source.elements != frontend.window_samples * frontend.channels:
        raise QuantError(
            f"the front end makes {frontend.window_samples} samples of {frontend.channels} channels in int8, "
            f"the model's input is {list(source.shape)} of {np.dtype(NUMPY_DTYPES[source.dtype])}"
        )


def _frontend(graph: Graph, package: ModelPackage) -> tuple[str, str]:
    """Declarations of the front end and the expression that refers to it."""
    frontend = package.frontend
    if frontend is None:
        return "", "NULL"
    source = graph.tensors[graph.inputs[0]]
    require_frontend_fits(source, frontend)
    constants = frontend.constants(source.scale)
    declarations = (
        c_array("static const int16_t frontend_offset", np.array(frontend.offset))
        + c_array("static const int32_t frontend_multiplier", np.array([m for m, _ in constants]))
        + c_array("static const int8_t frontend_shift", np.array([s for _, s in constants]))
    )
    return (
        f"""{declarations}
static const tyf_frontend frontend = {{
    .offset = frontend_offset,
    .multiplier = frontend_multiplier,
    .shift = frontend_shift,
    .channels = {frontend.channels},
    .window_samples = {frontend.window_samples},
    .hop_samples = {frontend.hop_samples},
    .zero_point = {source.zero_point},
}};

""",
        "&frontend",
    )
