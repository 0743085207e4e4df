"""QUANTIZE: float32 to int8 or int16, and between int8 and uint8, int8 and int16, or two scales of one type."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.errors import UnsupportedOp
from tinyfleet_codegen.ir import NUMPY_DTYPES, Graph, Node, Tensor
from tinyfleet_codegen.op import Array, CallPrinter, Op, require_dtype, require_per_tensor_quant, require_shape
from tinyfleet_codegen.overlap import Overlap, elementwise_overlap
from tinyfleet_codegen.quant import quantize_multiplier, requantize, round_floats_half_away
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.wire.ids import DType

_KERNELS = {
    (DType.FLOAT32, DType.INT8): "tyf_quantize_f32_s8",
    (DType.INT8, DType.INT8): "tyf_requantize_s8_s8",
    (DType.UINT8, DType.INT8): "tyf_requantize_u8_s8",
    (DType.INT8, DType.UINT8): "tyf_requantize_s8_u8",
    (DType.FLOAT32, DType.INT16): "tyf_quantize_f32_s16",
    (DType.INT8, DType.INT16): "tyf_requantize_s8_s16",
    (DType.INT16, DType.INT8): "tyf_requantize_s16_s8",
    (DType.INT16, DType.INT16): "tyf_requantize_s16_s16",
}


def quantize_floats(x: npt.NDArray[np.float32], output: Tensor) -> Array:
    """float32 to a quantized tensor's type; saturates, where the oracle's conversion of what int32 cannot hold is undefined."""
    limits = np.iinfo(NUMPY_DTYPES[output.dtype])
    with np.errstate(over="ignore"):
        ratio = np.nan_to_num(x / np.float32(output.scale), nan=-np.inf)
    result = np.clip(round_floats_half_away(np.clip(ratio, -1e6, 1e6)) + output.zero_point, limits.min, limits.max)
    quantized: Array = result.astype(NUMPY_DTYPES[output.dtype])
    return quantized


class Quantize(Op):
    """Elementwise, any shape."""

    name = "QUANTIZE"
    has_int16 = True
    input_count = (1, 1)
    rounding = "from float32: nearest, ties away from zero; between integers: double rounding"

    def read_attrs(self, options: Table | None) -> None:
        return None

    def check(self, graph: Graph, node: Node) -> None:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        require_dtype(node, "input", source, DType.FLOAT32, DType.INT8, DType.UINT8, DType.INT16)
        require_dtype(node, "output", output, DType.INT8, DType.UINT8, DType.INT16)
        if (source.dtype, output.dtype) not in _KERNELS:
            raise UnsupportedOp(f"{node.label} from {source.dtype.name.lower()} to {output.dtype.name.lower()} is not supported")
        require_shape(node, "output", output, source.shape)
        require_per_tensor_quant(node, "output", output)
        if source.dtype is not DType.FLOAT32:
            require_per_tensor_quant(node, "input", source)
            quantize_multiplier(source.scale / output.scale)

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        x = inputs[0]
        assert x is not None
        limits = np.iinfo(NUMPY_DTYPES[output.dtype])
        if source.dtype is DType.FLOAT32:
            return quantize_floats(x.astype(np.float32), output)
        multiplier, shift = quantize_multiplier(source.scale / output.scale)
        scaled = requantize(x.astype(np.int64) - source.zero_point, multiplier, shift) + output.zero_point
        return np.clip(scaled, limits.min, limits.max).astype(NUMPY_DTYPES[output.dtype])

    def aliases_input(self, graph: Graph, node: Node) -> bool:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        # A state's place gets the next value at the end, when a view of the old one may still be wanted.
        is_kept = source.data is not None or any(state.tensor == node.inputs[0] for state in graph.states)
        is_identity = source.dtype is output.dtype and source.quant is not None and output.quant is not None
        return not is_kept and is_identity and (source.scale, source.zero_point) == (output.scale, output.zero_point)

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap | None:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        return elementwise_overlap(output.shape, source.shape, output.element_bytes, source.element_bytes)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        if self.aliases_input(graph, node):
            return
        kernel = _KERNELS[(source.dtype, output.dtype)]
        arguments = (printer.tensor(node.inputs[0]), printer.tensor(node.outputs[0]))
        if source.dtype is DType.FLOAT32:
            scale = printer.constant("scale", "float", np.array([output.scale], np.float32))
            params = printer.params("tyf_quantize_f32_params", {"count": source.elements, "zero_point": output.zero_point})
            printer.call(kernel, params, scale, *arguments)
            return
        multiplier, shift = quantize_multiplier(source.scale / output.scale)
        params = printer.params(
            "tyf_requantize_params",
            {
                "count": source.elements,
                "input_offset": -source.zero_point,
                "output_offset": output.zero_point,
                "multiplier": multiplier,
                "shift": shift,
            },
        )
        printer.call(kernel, params, *arguments)
