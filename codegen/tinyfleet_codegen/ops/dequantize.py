"""DEQUANTIZE: int8, uint8 or int16 to float32."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import Array, CallPrinter, Op, require_dtype, require_per_tensor_quant, require_shape
from tinyfleet_codegen.overlap import Overlap, elementwise_overlap
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.wire.ids import DType


class Dequantize(Op):
    """Elementwise, any shape."""

    name = "DEQUANTIZE"
    has_int16 = True
    input_count = (1, 1)
    rounding = "one float32 product"

    def read_attrs(self, options: Table | None) -> None:
        return None

    def check(self, graph: Graph, node: Node) -> None:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        require_dtype(node, "input", source, DType.INT8, DType.UINT8, DType.INT16)
        require_dtype(node, "output", output, DType.FLOAT32)
        require_per_tensor_quant(node, "input", source)
        require_shape(node, "output", output, source.shape)

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        source = graph.input_tensor(node, 0)
        x = inputs[0]
        assert x is not None
        return (x.astype(np.float32) - np.float32(source.zero_point)) * np.float32(source.scale)

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap | None:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        return elementwise_overlap(output.shape, source.shape, output.element_bytes, source.element_bytes)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        source = graph.input_tensor(node, 0)
        scale = printer.constant("scale", "float", np.array([source.scale], np.float32))
        params = printer.params("tyf_dequantize_params", {"count": source.elements, "zero_point": source.zero_point})
        kernel = {DType.INT8: "tyf_dequantize_s8_f32", DType.UINT8: "tyf_dequantize_u8_f32", DType.INT16: "tyf_dequantize_s16_f32"}[
            source.dtype
        ]
        printer.call(kernel, params, scale, printer.tensor(node.inputs[0]), printer.tensor(node.outputs[0]))
