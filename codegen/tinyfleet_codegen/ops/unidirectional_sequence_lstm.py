"""UNIDIRECTIONAL_SEQUENCE_LSTM: int8 activations, int16 cells; what it remembers are two states of the graph."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from tinyfleet_codegen.errors import QuantError, ShapeError, UnsupportedOp
from tinyfleet_codegen.ir import Graph, Node, Tensor
from tinyfleet_codegen.op import (
    Array,
    CallPrinter,
    Op,
    ReadOnlyOp,
    attrs_of,
    data_of,
    require_constant,
    require_dtype,
    require_per_tensor_quant,
    require_same_quant,
    require_shape,
)
from tinyfleet_codegen.overlap import Overlap, forward_overlap
from tinyfleet_codegen.quant import INT32_MAX, Int64Array, quantize_multiplier, requantize
from tinyfleet_codegen.sigmoid_table import SIGMOID_TABLE, logistic_q15, tanh_q15
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.wire.ids import DType

TANH = 4
"""The one function of cells that the schema can name and the oracle has."""
GATES = 4
"""In the order of the file: input, forget, cell, output."""
CELL_GATE = 2
GATE_SCALE = 2.0**-12
"""Of what logistic and tanh take."""
UNIT_SCALE = 2.0**-15
"""Of what logistic and tanh give."""
CELL_POWERS = (-20, 0)
"""Of two, smallest and largest, that the scale of cells may be."""

# Positions in the file.
WEIGHTS, RECURRENT, BIAS = slice(1, 5), slice(5, 9), slice(12, 16)
OUTPUT_STATE, CELL_STATE = 18, 19
ABSENT = (9, 10, 11, 16, 17, 20, 21, 22, 23)


@dataclass(frozen=True, slots=True)
class LstmAttrs:
    """Options; ``cell_clip`` 0 does not clip."""

    activation: int
    cell_clip: float
    time_major: bool


class UnidirectionalSequenceLstm(ReadOnlyOp):
    """Input `[1, steps, n]` or `[steps, 1, n]`, four gates, all weights `[units, n or units]`, biases; cells of a scale 2^k.

    No peepholes, projection or layer normalisation. The states go on from one run to the next until a reset.
    """

    name = "UNIDIRECTIONAL_SEQUENCE_LSTM"
    input_count = (24, 24)
    state_inputs = (OUTPUT_STATE, CELL_STATE)
    rounding = "double rounding of each int32 sum and product; logistic and tanh of int16 by a 256-entry table and straight lines between"

    def read_attrs(self, options: Table | None) -> LstmAttrs:
        if options is None:
            return LstmAttrs(0, 0.0, time_major=False)
        return LstmAttrs(options.u8(0), options.f32(1), time_major=bool(options.u8(3)))

    def split_state(self, node: Node, following: tuple[int, ...]) -> tuple[Node, ...]:
        if any(node.inputs[i] is not None for i in ABSENT):
            raise UnsupportedOp(f"{node.label} with peepholes, a projection or layer normalisation is not supported")
        missing = [i for i in range(24) if i not in ABSENT and node.inputs[i] is None]
        if missing:
            raise UnsupportedOp(f"{node.label}: input {missing[0]} is absent; all four gates need weights and a bias")
        inputs = (node.inputs[0], *node.inputs[WEIGHTS], *node.inputs[RECURRENT], *node.inputs[BIAS])
        states = (node.inputs[OUTPUT_STATE], node.inputs[CELL_STATE])
        return (replace(node, op=LstmSequence(), inputs=(*inputs, *states), outputs=(*node.outputs, *following)),)


@dataclass(frozen=True, slots=True)
class _Scales:
    """Multipliers and shifts of every sum and product, and the function of cells."""

    inputs: tuple[tuple[int, int], ...]
    recurrent: tuple[tuple[int, int], ...]
    forget: tuple[int, int]
    update: tuple[int, int]
    hidden: tuple[int, int]
    tanh: tuple[int, int]
    cell_range: tuple[int, int]


class LstmSequence(Op):
    """(input, weights of four gates, recurrent ones, biases, output state, cells) to (sequence, next output state, next cells)."""

    name = "UNIDIRECTIONAL_SEQUENCE_LSTM"
    input_count = (15, 15)
    made = 3
    rounding = UnidirectionalSequenceLstm.rounding

    def read_attrs(self, options: Table | None) -> object:
        return None

    def _sizes(self, graph: Graph, node: Node) -> tuple[int, int, int]:
        """(steps, input size, units)."""
        units, size = graph.input_tensor(node, 1).shape
        return graph.input_tensor(node, 0).elements // size, size, units

    def _tensors(self, graph: Graph, node: Node, first: int) -> list[Tensor]:
        return [graph.input_tensor(node, first + gate) for gate in range(GATES)]

    def check(self, graph: Graph, node: Node) -> None:
        source, hidden, cells, output = (graph.input_tensor(node, 0), *self._states(graph, node), graph.output_tensor(node))
        for what, tensor, dtype in (("input", source, DType.INT8), ("output state", hidden, DType.INT8), ("cells", cells, DType.INT16)):
            require_dtype(node, what, tensor, dtype)
            require_per_tensor_quant(node, what, tensor)
        require_same_quant(node, hidden, output)
        weights, recurrent, biases = (self._tensors(graph, node, first) for first in (1, 5, 9))
        for tensor in (*weights, *recurrent):
            require_dtype(node, "weights", tensor, DType.INT8)
            require_constant(node, "weights", tensor)
            require_per_tensor_quant(node, "weights", tensor)
            if tensor.zero_point:
                raise QuantError(f"{node.label}: weights '{tensor.name}' must have zero point 0")
        self._check_shapes(graph, node)
        units = weights[0].shape[0]
        for tensor in biases:
            require_dtype(node, "bias", tensor, DType.INT32)
            require_constant(node, "bias", tensor)
            require_shape(node, "bias", tensor, (units,))
        for tensor, bias in (*zip(weights, biases, strict=True), *((r, None) for r in recurrent)):
            largest = np.abs(data_of(tensor).astype(np.int64)).sum(axis=1) * 255
            if int((largest + (0 if bias is None else np.abs(data_of(bias).astype(np.int64)))).max()) > INT32_MAX:
                raise QuantError(f"{node.label}: sums of '{tensor.name}' do not fit into int32")
        attrs = attrs_of(node, LstmAttrs)
        if attrs.activation != TANH:
            raise UnsupportedOp(f"{node.label}: activation {attrs.activation} is not supported, only TANH ({TANH}) is")
        if not (math.isfinite(attrs.cell_clip) and attrs.cell_clip >= 0.0):
            raise QuantError(f"{node.label}: clips cells at {attrs.cell_clip!r}, must be finite and >= 0")
        power = math.log2(cells.scale)
        if cells.zero_point or not power.is_integer() or not CELL_POWERS[0] <= power <= CELL_POWERS[1]:
            raise QuantError(
                f"{node.label}: cells have scale {cells.scale!r} and zero point {cells.zero_point}, expected "
                f"a power of two in 2**{CELL_POWERS[0]} to 2**{CELL_POWERS[1]} and 0"
            )
        self._scales(graph, node)

    def _check_shapes(self, graph: Graph, node: Node) -> None:
        source, first = graph.input_tensor(node, 0), graph.input_tensor(node, 1)
        if (
            len(first.shape) != 2
            or not first.elements
            or len(source.shape) != 3
            or source.shape[2] != first.shape[1]
            or not source.elements
        ):
            raise ShapeError(f"{node.label}: input {list(source.shape)} must be [1, steps, n], weights {list(first.shape)} [units, n]")
        is_time_major = attrs_of(node, LstmAttrs).time_major
        if source.shape[1 if is_time_major else 0] != 1:
            raise ShapeError(f"{node.label}: input {list(source.shape)} has a batch of more than 1")
        units, size = first.shape
        for tensor in self._tensors(graph, node, 1):
            require_shape(node, "weights", tensor, (units, size))
        for tensor in self._tensors(graph, node, 5):
            require_shape(node, "recurrent weights", tensor, (units, units))
        for tensor in self._states(graph, node):
            require_shape(node, "state", tensor, (1, units))
        require_shape(node, "output", graph.output_tensor(node), (*source.shape[:2], units))

    def _states(self, graph: Graph, node: Node) -> tuple[Tensor, Tensor]:
        """Output state and cells, whose next values have the same types and scales."""
        return graph.input_tensor(node, 13), graph.input_tensor(node, 14)

    def _scales(self, graph: Graph, node: Node) -> _Scales:
        source, (hidden, cells) = graph.input_tensor(node, 0), self._states(graph, node)

        def of_gates(first: int, scale: float) -> tuple[tuple[int, int], ...]:
            return tuple(quantize_multiplier(scale * t.scale / GATE_SCALE) for t in self._tensors(graph, node, first))

        clip = attrs_of(node, LstmAttrs).cell_clip
        limit = int(min(clip / cells.scale, 32767.0))
        left = 12 + round(math.log2(cells.scale))
        return _Scales(
            inputs=of_gates(1, source.scale),
            recurrent=of_gates(5, hidden.scale),
            forget=quantize_multiplier(UNIT_SCALE * cells.scale / cells.scale),
            update=quantize_multiplier(UNIT_SCALE * UNIT_SCALE / cells.scale),
            hidden=quantize_multiplier(UNIT_SCALE * UNIT_SCALE / hidden.scale),
            tanh=(3 << max(left, 0), max(-left, 0)),
            cell_range=(-limit, limit) if clip > 0.0 else (-(2**15), 2**15 - 1),
        )

    def macs(self, graph: Graph, node: Node) -> int:
        steps, size, units = self._sizes(graph, node)
        return steps * GATES * units * (size + units)

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        return self.references(graph, node, inputs)[0]

    def references(self, graph: Graph, node: Node, inputs: list[Array | None]) -> tuple[Array, ...]:
        values = [x.astype(np.int64) for x in inputs if x is not None]
        x, weights, recurrent, biases, (hidden, cells) = values[0], values[1:5], values[5:9], values[9:13], values[13:]
        scales, output = self._scales(graph, node), graph.output_tensor(node)
        _, size, units = self._sizes(graph, node)
        h, c = hidden[0], cells[0]
        rows = []
        for row in x.reshape(-1, size) - graph.input_tensor(node, 0).zero_point:
            gates = []
            for gate in range(GATES):
                now = _int16(requantize(weights[gate] @ row + biases[gate], *scales.inputs[gate]))
                before = _int16(requantize(recurrent[gate] @ (h - output.zero_point), *scales.recurrent[gate]))
                gates.append((tanh_q15 if gate == CELL_GATE else logistic_q15)(_int16(now + before)))
            kept, added = _int16(requantize(gates[1] * c, *scales.forget)), _int16(requantize(gates[0] * gates[2], *scales.update))
            c = np.clip(_int16(kept + added), *scales.cell_range)
            result = requantize(tanh_q15(c, *scales.tanh) * gates[3], *scales.hidden) + output.zero_point
            h = np.clip(result, -128, 127)
            rows.append(h)
        sequence = np.array(rows, np.int8).reshape(output.shape)
        return sequence, h.astype(np.int8).reshape(1, units), c.astype(np.int16).reshape(1, units)

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap | None:
        if position:
            return None
        steps, size, units = self._sizes(graph, node)
        step = np.arange(steps)
        return forward_overlap(step * units + units - 1, step * size)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        (steps, size, units), scales, output = self._sizes(graph, node), self._scales(graph, node), graph.output_tensor(node)
        fields = {"steps": steps, "size": size, "units": units}
        fields |= {"input_offset": -graph.input_tensor(node, 0).zero_point, "output_offset": output.zero_point}
        for name, pairs in (("input", scales.inputs), ("recurrent", scales.recurrent)):
            for gate, (multiplier, shift) in enumerate(pairs):
                fields |= {f"{name}_multiplier[{gate}]": multiplier, f"{name}_shift[{gate}]": shift}
        named = (("forget", scales.forget), ("update", scales.update), ("hidden", scales.hidden), ("tanh", scales.tanh))
        for name, (multiplier, shift) in named:
            fields |= {f"{name}_multiplier": multiplier, f"{name}_shift": shift}
        fields |= {"cell_min": scales.cell_range[0], "cell_max": scales.cell_range[1]}

        def stacked(first: int) -> Array:
            return np.stack([data_of(tensor) for tensor in self._tensors(graph, node, first)])

        printer.call(
            "tyf_lstm_s8",
            printer.params("tyf_lstm_s8_params", fields),
            printer.constant("table", "uint16_t", SIGMOID_TABLE),
            printer.tensor(node.inputs[0]),
            printer.constant("weights", "int8_t", stacked(1)),
            printer.constant("weights_1", "int8_t", stacked(5)),
            printer.constant("bias", "int32_t", stacked(9)),
            # Each state that is read and its next value lie in one place.
            *(printer.tensor(i) for i in (*node.outputs[1:], node.outputs[0])),
        )


def _int16(x: Int64Array) -> Int64Array:
    return np.clip(x, -(2**15), 2**15 - 1)
