"""FULLY_CONNECTED: int8 or int16 with int8 weights, per-channel or per-tensor weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyfleet_codegen.errors import ShapeError, UnsupportedOp
from tinyfleet_codegen.geometry import Activation, activation_range, read_activation
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import Array, CallPrinter, Op, attrs_of, data_of
from tinyfleet_codegen.overlap import Overlap, forward_overlap
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.weights import bias_values, check_weighted, emit_weighted, requantization


@dataclass(frozen=True, slots=True)
class FullyConnectedAttrs:
    """Options of FULLY_CONNECTED."""

    activation: Activation


class FullyConnected(Op):
    """Input of ``rows * depth`` elements, weights `[units, depth]`, bias `[units]` or none, output ``rows * units``."""

    name = "FULLY_CONNECTED"
    has_int16 = True
    input_count = (2, 3)
    rounding = (
        "double rounding of the int32 sum, per channel (TensorFlow Lite itself rounds once here; the oracle does not);"
        " of int64 sums (int16 without an int32 bias) one rounding with a 15-bit multiplier"
    )

    def read_attrs(self, options: Table | None) -> FullyConnectedAttrs:
        if options is None:
            return FullyConnectedAttrs(Activation.NONE)
        if options.u8(1):
            raise UnsupportedOp(f"{options.what}: shuffled weights are not supported")
        return FullyConnectedAttrs(read_activation(options.u8(0), options.what))

    def check(self, graph: Graph, node: Node) -> None:
        source, weights, output = graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node)
        if len(weights.shape) != 2 or min(weights.shape) < 1:
            raise ShapeError(f"{node.label}: weights {list(weights.shape)} must be [units, depth]")
        units, depth = weights.shape
        if source.elements % depth or output.elements != source.elements // depth * units:
            raise ShapeError(
                f"{node.label}: input {list(source.shape)}, weights {list(weights.shape)} and output {list(output.shape)} do not fit"
            )
        check_weighted(graph, node, channel_axis=0)

    def macs(self, graph: Graph, node: Node) -> int:
        return graph.output_tensor(node).elements * graph.input_tensor(node, 1).shape[1]

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        source, weights, output = graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node)
        units, depth = weights.shape
        x = inputs[0]
        assert x is not None
        # Exact in float64, see conv2d.
        acc = (x.astype(np.float64).reshape(-1, depth) - source.zero_point) @ data_of(weights).astype(np.float64).T
        low, high = activation_range(attrs_of(node, FullyConnectedAttrs).activation, output)
        sums = acc.astype(np.int64) + bias_values(graph, node, units)
        return requantization(graph, node).apply(sums, output.zero_point, low, high).reshape(output.shape)

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap:
        units, depth = graph.input_tensor(node, 1).shape
        rows = np.arange(graph.input_tensor(node, 0).elements // depth)
        # Each unit reads the whole row again.
        size = graph.output_tensor(node).element_bytes
        return forward_overlap((rows * units + units - 1) * size, rows * depth * size)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        params = printer.params("tyf_fully_connected_s8_params", fully_connected_params(graph, node))
        emit_weighted(graph, node, printer, kernel="tyf_fully_connected", params=params, channel_axis=0)


def fully_connected_params(graph: Graph, node: Node) -> dict[str, int]:
    """Fields of ``tyf_fully_connected_s8_params``."""
    source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
    units, depth = graph.input_tensor(node, 1).shape
    low, high = activation_range(attrs_of(node, FullyConnectedAttrs).activation, output)
    return {
        "rows": source.elements // depth,
        "depth": depth,
        "units": units,
        "input_offset": -source.zero_point,
        "output_offset": output.zero_point,
        "activation_min": low,
        "activation_max": high,
    }
