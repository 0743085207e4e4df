"""SVDF: a dense layer in two steps, of features now and of features over time; int8 with a state of int16 or int8.

The reader makes two nodes of it, so that the state is a value like others: one moves the state on, one reads it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tinyfleet_codegen.errors import QuantError, ShapeError, UnsupportedOp
from tinyfleet_codegen.geometry import Activation, read_activation
from tinyfleet_codegen.ir import NUMPY_DTYPES, Graph, Node
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
    require_shape,
)
from tinyfleet_codegen.quant import INT32_MAX, quantize_multiplier, requantize
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.wire.ids import DType

KERNELS = {DType.INT16: "s8", DType.INT8: "s8_state_s8"}
"""The end of the kernels' names, by the state's type."""
C_TYPES = {DType.INT16: "int16_t", DType.INT8: "int8_t"}


@dataclass(frozen=True, slots=True)
class SvdfAttrs:
    """Options of SVDF: how many filters add up to a unit."""

    rank: int
    activation: Activation


class Svdf(ReadOnlyOp):
    """Input `[1, n]`, weights `[filters, n]`, bias; over time `[filters, memory]` and state `[1, filters * memory]`, both int16 or int8."""

    name = "SVDF"
    input_count = (5, 5)
    state_inputs = (4,)
    rounding = "double rounding of both int32 sums; the second wraps around, as the oracle's does"

    def read_attrs(self, options: Table | None) -> SvdfAttrs:
        if options is None:
            return SvdfAttrs(1, Activation.NONE)
        return SvdfAttrs(options.i32(0), read_activation(options.u8(1), options.what))

    def split_state(self, node: Node, following: tuple[int, ...]) -> tuple[Node, ...]:
        features, weights, time_weights, bias, state = node.inputs
        update = replace(node, op=SvdfUpdate(), inputs=(features, weights, state), outputs=following, part=0, parts=2)
        output = replace(node, op=SvdfOutput(), inputs=(*following, time_weights, bias), part=1, parts=2)
        return update, output


class SvdfUpdate(Op):
    """Features of the input, behind those of earlier inputs: (input, weights, state) to the next state, in the same place."""

    name = "SVDF"
    input_count = (3, 3)
    rounding = "double rounding of the int32 sum"

    def read_attrs(self, options: Table | None) -> object:
        return None

    def _sizes(self, graph: Graph, node: Node) -> tuple[int, int, int]:
        """(input size, filters, memory)."""
        filters, size = graph.input_tensor(node, 1).shape
        return size, filters, graph.output_tensor(node).elements // filters

    def check(self, graph: Graph, node: Node) -> None:
        source, weights, state = (graph.input_tensor(node, i) for i in range(3))
        require_dtype(node, "input", source, DType.INT8)
        require_dtype(node, "weights", weights, DType.INT8)
        require_dtype(node, "state", state, *KERNELS)
        require_constant(node, "weights", weights)
        for what, tensor in (("input", source), ("weights", weights), ("state", state)):
            require_per_tensor_quant(node, what, tensor)
        if weights.zero_point or state.zero_point:
            raise QuantError(f"{node.label}: weights and state must have zero point 0")
        if len(weights.shape) != 2 or not weights.elements or source.shape != (1, weights.shape[1]):
            raise ShapeError(f"{node.label}: input {list(source.shape)} must be [1, n] and weights {list(weights.shape)} [filters, n]")
        if len(state.shape) != 2 or state.shape[0] != 1 or not state.elements or state.elements % weights.shape[0]:
            raise ShapeError(f"{node.label}: state {list(state.shape)} must be [1, filters * memory]")
        if int(np.abs(data_of(weights).astype(np.int64)).sum(axis=1).max()) * 255 > INT32_MAX:
            raise QuantError(f"{node.label}: sums of {weights.shape[1]} products do not fit into int32")
        self._multiplier(graph, node)

    def _multiplier(self, graph: Graph, node: Node) -> tuple[int, int]:
        source, weights, state = (graph.input_tensor(node, i) for i in range(3))
        return quantize_multiplier(source.scale * weights.scale / state.scale)

    def macs(self, graph: Graph, node: Node) -> int:
        return graph.input_tensor(node, 1).elements

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        x, weights, state = inputs
        assert x is not None and weights is not None and state is not None
        _, filters, memory = self._sizes(graph, node)
        sums = weights.astype(np.int64) @ (x[0].astype(np.int64) - graph.input_tensor(node, 0).zero_point)
        limits = np.iinfo(NUMPY_DTYPES[graph.output_tensor(node).dtype])
        newest = np.clip(requantize(sums, *self._multiplier(graph, node)), limits.min, limits.max).astype(limits.dtype)
        return np.concatenate([state.reshape(filters, memory)[:, 1:], newest[:, None]], axis=1).reshape(state.shape)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        size, filters, memory = self._sizes(graph, node)
        multiplier, shift = self._multiplier(graph, node)
        fields = {"size": size, "filters": filters, "memory": memory, "input_offset": -graph.input_tensor(node, 0).zero_point}
        params = printer.params("tyf_svdf_update_s8_params", {**fields, "multiplier": multiplier, "shift": shift})
        weights = printer.constant("weights", "int8_t", data_of(graph.input_tensor(node, 1)))
        # The state that is read and the one that is written lie in one place.
        kernel = f"tyf_svdf_update_{KERNELS[graph.output_tensor(node).dtype]}"
        printer.call(kernel, params, printer.tensor(node.inputs[0]), weights, printer.tensor(node.outputs[0]))


class SvdfOutput(Op):
    """Units from the features over time: (state, time weights, bias)."""

    name = "SVDF"
    input_count = (2, 3)
    rounding = "double rounding of the int32 sum, which wraps around"

    def read_attrs(self, options: Table | None) -> object:
        return None

    def check(self, graph: Graph, node: Node) -> None:
        state, weights, output = graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node)
        require_dtype(node, "time weights", weights, state.dtype)
        require_dtype(node, "output", output, DType.INT8)
        require_constant(node, "time weights", weights)
        for what, tensor in (("time weights", weights), ("output", output)):
            require_per_tensor_quant(node, what, tensor)
        attrs = attrs_of(node, SvdfAttrs)
        if weights.zero_point:
            raise QuantError(f"{node.label}: time weights must have zero point 0")
        # The oracle clamps to int8 only, which is what RELU means for the lowest zero point.
        if attrs.activation is not Activation.NONE and (attrs.activation, output.zero_point) != (Activation.RELU, -128):
            raise UnsupportedOp(f"{node.label}: fused {attrs.activation.name} with zero point {output.zero_point} is not supported")
        if len(weights.shape) != 2 or weights.elements != state.elements or attrs.rank < 1 or weights.shape[0] % attrs.rank:
            raise ShapeError(f"{node.label}: time weights {list(weights.shape)} do not fit state {list(state.shape)} and rank {attrs.rank}")
        units = weights.shape[0] // attrs.rank
        require_shape(node, "output", output, (1, units))
        if len(node.inputs) < 3 or node.inputs[2] is None:
            raise UnsupportedOp(f"{node.label}: TensorFlow Lite Micro needs a bias")
        bias = graph.input_tensor(node, 2)
        require_dtype(node, "bias", bias, DType.INT32)
        require_constant(node, "bias", bias)
        require_shape(node, "bias", bias, (units,))
        self._multiplier(graph, node)

    def _multiplier(self, graph: Graph, node: Node) -> tuple[int, int]:
        state, weights = graph.input_tensor(node, 0), graph.input_tensor(node, 1)
        return quantize_multiplier(state.scale * weights.scale / graph.output_tensor(node).scale)

    def macs(self, graph: Graph, node: Node) -> int:
        return graph.input_tensor(node, 1).elements

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        state, weights, bias = inputs
        assert state is not None and weights is not None and bias is not None
        output = graph.output_tensor(node)
        products = weights.astype(np.int64).reshape(output.elements, -1) * state.astype(np.int64).reshape(output.elements, -1)
        wrapped = (products.sum(axis=1) + bias.astype(np.int64) + 2**31) % 2**32 - 2**31
        result = requantize(wrapped, *self._multiplier(graph, node)) + output.zero_point
        return np.clip(result, -128, 127).astype(np.int8).reshape(output.shape)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        weights, output = graph.input_tensor(node, 1), graph.output_tensor(node)
        multiplier, shift = self._multiplier(graph, node)
        fields = {"units": output.elements, "depth": weights.elements // output.elements, "output_offset": output.zero_point}
        params = printer.params("tyf_svdf_output_s8_params", {**fields, "multiplier": multiplier, "shift": shift})
        constants = (
            printer.constant("weights", C_TYPES[weights.dtype], data_of(weights)),
            printer.constant("bias", "int32_t", data_of(graph.input_tensor(node, 2))),
        )
        printer.call(
            f"tyf_svdf_output_{KERNELS[weights.dtype]}", params, printer.tensor(node.inputs[0]), *constants, printer.tensor(node.outputs[0])
        )
