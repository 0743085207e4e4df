"""What CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED share: constant weights, bias and one multiplier a channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.errors import QuantError, ShapeError
from tinyfleet_codegen.ir import Graph, Node, Tensor
from tinyfleet_codegen.op import (
    CallPrinter,
    data_of,
    require_constant,
    require_dtype,
    require_per_tensor_quant,
)
from tinyfleet_codegen.quant import INT32_MAX, Int64Array, quantize_multiplier, requantize
from tinyfleet_codegen.wire.ids import DType


@dataclass(frozen=True, slots=True)
class Requantization:
    """One multiplier and shift per output channel, from int32 sums to int8."""

    multipliers: tuple[int, ...]
    shifts: tuple[int, ...]

    def apply(self, acc: Int64Array, zero_point: int, low: int, high: int) -> npt.NDArray[np.int8]:
        """Sums ``[..., channels]`` to clamped int8."""
        scaled = requantize(acc, np.array(self.multipliers), np.array(self.shifts)) + zero_point
        return np.clip(scaled, low, high).astype(np.int8)


def check_weighted(graph: Graph, node: Node, channel_axis: int) -> None:
    """Check types, constants and scales of a node with (input, weights, bias or none).

    Args:
        channel_axis: Axis of the weights that holds output channels.
    """
    source, weights, output = graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node)
    require_dtype(node, "input", source, DType.INT8)
    require_dtype(node, "weights", weights, DType.INT8)
    require_dtype(node, "output", output, DType.INT8)
    require_constant(node, "weights", weights)
    require_per_tensor_quant(node, "input", source)
    require_per_tensor_quant(node, "output", output)
    if weights.quant is None or any(weights.quant.zero_points):
        raise QuantError(f"{node.label}: weights '{weights.name}' must be quantized with zero point 0")
    if len(weights.quant.scales) > 1 and weights.quant.axis != channel_axis:
        raise QuantError(f"{node.label}: weights '{weights.name}' have scales along axis {weights.quant.axis}, expected {channel_axis}")
    bias = bias_tensor(graph, node)
    if bias is not None:
        require_dtype(node, "bias", bias, DType.INT32)
        require_constant(node, "bias", bias)
        if bias.elements != weights.shape[channel_axis]:
            raise ShapeError(f"{node.label}: bias '{bias.name}' has {bias.elements} values for {weights.shape[channel_axis]} channels")
        _check_bias_scale(graph, node, bias)
    _check_sums_fit(graph, node, channel_axis)
    requantization(graph, node)


def _check_bias_scale(graph: Graph, node: Node, bias: Tensor) -> None:
    """A bias is added to sums as it stands, so its scale must be theirs (the oracle allows 2 % of an output step)."""
    weights = graph.input_tensor(node, 1)
    if bias.quant is None or weights.quant is None or len(bias.quant.scales) not in (1, len(weights.quant.scales)):
        return
    of_sums = graph.input_tensor(node, 0).scale * np.array(weights.quant.scales)
    apart = np.abs(of_sums - np.array(bias.quant.scales)) / graph.output_tensor(node).scale
    if apart.max() > 0.02:
        channel = int(apart.argmax())
        raise QuantError(f"{node.label}: the scale of bias '{bias.name}' is not that of its sums, {of_sums[channel]} in channel {channel}")


def largest_sums(graph: Graph, node: Node, channel_axis: int) -> Int64Array:
    """A bound of each channel's sums over all inputs: ``|bias| + 255 * sum |weights|``, int64 ``[channels]``."""
    weights = data_of(graph.input_tensor(node, 1)).astype(np.int64)
    others = tuple(a for a in range(weights.ndim) if a != channel_axis)
    bound: Int64Array = np.abs(weights).sum(axis=others) * 255 + np.abs(bias_values(graph, node, weights.shape[channel_axis]))
    return bound


def _check_sums_fit(graph: Graph, node: Node, channel_axis: int) -> None:
    """No sum of products with any input may leave int32: the kernels do not check."""
    worst = largest_sums(graph, node, channel_axis)
    if worst.size and worst.max() > INT32_MAX:
        channel = int(worst.argmax())
        raise QuantError(f"{node.label}: sums of channel {channel} may reach {int(worst.max())}, which does not fit into int32")


def bias_tensor(graph: Graph, node: Node) -> Tensor | None:
    """The optional third input."""
    tensor_id = node.inputs[2] if len(node.inputs) > 2 else None
    return None if tensor_id is None else graph.tensors[tensor_id]


def bias_values(graph: Graph, node: Node, channels: int) -> Int64Array:
    """The bias as int64 ``[channels]``; zeros when the node has none."""
    bias = bias_tensor(graph, node)
    return np.zeros(channels, np.int64) if bias is None else data_of(bias).astype(np.int64).reshape(-1)


def requantization(graph: Graph, node: Node) -> Requantization:
    """Multipliers ``s_input * s_weight[c] / s_output``, in double precision like the oracle."""
    source, weights, output = graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node)
    assert weights.quant is not None
    pairs = [quantize_multiplier(source.scale * s / output.scale) for s in weights.quant.scales]
    return Requantization(tuple(m for m, _ in pairs), tuple(s for _, s in pairs))


def emit_weighted(graph: Graph, node: Node, printer: CallPrinter, *, kernel: str, params: str, channel_axis: int) -> None:
    """Print weights, bias, multipliers and shifts, one per channel, and the call."""
    weights = graph.input_tensor(node, 1)
    channels = weights.shape[channel_axis]
    scaling = requantization(graph, node)
    repeat = channels // len(scaling.multipliers)
    printer.call(
        kernel,
        params,
        printer.tensor(node.inputs[0]),
        printer.constant("weights", "int8_t", data_of(weights)),
        printer.constant("bias", "int32_t", bias_values(graph, node, channels)),
        printer.constant("multiplier", "int32_t", np.repeat(np.array(scaling.multipliers), repeat)),
        printer.constant("shift", "int8_t", np.repeat(np.array(scaling.shifts), repeat)),
        printer.tensor(node.outputs[0]),
    )
