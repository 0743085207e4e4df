"""Remove channels that no result depends on, and those whose value is known at build time.

Pruned models keep filters of zeros: what such a filter writes is one value everywhere, which the consumer's bias can
hold. The channels of a tensor are its last axis. Three things happen, each for the whole graph:

1. Forward, which channels have one value at every position, for every input.
2. Backward to a fixed point, which channels somebody reads. What a convolution reads of a known channel is a constant,
   unless its windows leave the image and the value is not the zero point: outside, zero points are read.
3. Weights are cut to the channels that stay; what they made of known channels goes into the bias.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.convolution import ConvolutionAttrs, convolution_axes
from tinyfleet_codegen.geometry import Axis, activation_range
from tinyfleet_codegen.ir import Graph, Node, Quantization, Tensor
from tinyfleet_codegen.op import data_of
from tinyfleet_codegen.ops.fully_connected import FullyConnectedAttrs
from tinyfleet_codegen.pooling import Pool2DAttrs
from tinyfleet_codegen.quant import INT32_MAX, Int64Array
from tinyfleet_codegen.weights import bias_tensor, bias_values, requantization
from tinyfleet_codegen.wire.ids import DType

BoolArray = npt.NDArray[np.bool_]

TOGETHER = 4
"""Kernels take channels four at a time, so a multiple of four stays."""

MAX_CHANNELS = 1 << 22
"""Of one tensor; no microcontroller has room for more, and noting something of each channel would take memory here."""

DEPTHWISE = "DEPTHWISE_CONV_2D"


@dataclass(frozen=True, slots=True)
class Known:
    """Channels ``[c]`` of a tensor that hold one value everywhere, and that value; elsewhere the value means nothing."""

    where: BoolArray
    value: Int64Array


def remove_channels(graph: Graph) -> Graph:
    """Cut every tensor to the channels that count; graph inputs, states and outputs stay whole."""
    if any(tensor.shape and tensor.shape[-1] > MAX_CHANNELS for tensor in graph.tensors):
        return graph
    known = _find_known(graph)
    kept = _find_kept(graph, known)
    return graph if all(k.all() for k in kept.values()) else _cut(graph, known, kept)


def _kind(graph: Graph, node: Node) -> str:
    """``mixing``, ``depthwise``, ``same`` (channel i reads channel i), ``flatten``, or ``opaque``."""
    first = None if node.inputs[0] is None else graph.tensors[node.inputs[0]]
    output = graph.output_tensor(node)
    # Sums of int16 do not follow the rules of int8's, and nobody has asked for its dead channels yet.
    if first is None or first.data is not None or not first.shape or not output.shape or first.dtype is DType.INT16:
        return "opaque"
    channels, name = first.shape[-1], node.op.name
    if name in ("CONV_2D", "FULLY_CONNECTED"):
        kind, is_so = "mixing", graph.input_tensor(node, 1).shape[-1] == channels
    elif name == DEPTHWISE:
        kind, is_so = "depthwise", output.shape[-1] == channels
    elif name == "RESHAPE":
        kind, is_so = "flatten", output.shape == (1, first.elements)
    else:
        kind, is_so = "same", name in ("AVERAGE_POOL_2D", "MAX_POOL_2D")
    return kind if is_so else "opaque"


def _find_known(graph: Graph) -> dict[int, Known]:
    """What is known of each tensor that a node writes, and of the graph's inputs (nothing)."""
    known = {i: _nothing(graph.tensors[i]) for i in graph.sources}
    for node in graph.nodes:
        kind, output = _kind(graph, node), graph.output_tensor(node)
        found = _nothing(output)
        if kind != "opaque":
            source = known[_source(node)]
            if kind in ("mixing", "depthwise"):
                found = _known_of_sums(graph, node, source)
            elif kind == "same":
                # A window is cut off at the border, so every mean and every maximum of one value is that value.
                found = Known(source.where, np.clip(source.value, *_clamp(node, output)))
            else:
                repeats = output.elements // len(source.where)
                found = Known(np.tile(source.where, repeats), np.tile(source.value, repeats))
        known |= {made: _nothing(graph.tensors[made]) for made in node.outputs[1:]}
        known[node.outputs[0]] = found
    return known


def _nothing(tensor: Tensor) -> Known:
    channels = tensor.shape[-1] if tensor.shape else 1
    return Known(np.zeros(channels, np.bool_), np.zeros(channels, np.int64))


def _source(node: Node) -> int:
    source = node.inputs[0]
    assert source is not None
    return source


def _clamp(node: Node, output: Tensor) -> tuple[int, int]:
    assert isinstance(node.attrs, ConvolutionAttrs | FullyConnectedAttrs | Pool2DAttrs)
    return activation_range(node.attrs.activation, output)


def _by_channel(graph: Graph, node: Node) -> Int64Array:
    """Weights ``[taps, in, out]`` of a mixing node, ``[taps, channels]`` of a depthwise one."""
    weights = data_of(graph.input_tensor(node, 1)).astype(np.int64)
    if node.op.name == DEPTHWISE:
        return weights.reshape(-1, weights.shape[3])
    return weights.reshape(weights.shape[0], -1, weights.shape[-1]).transpose(1, 2, 0)


def _usable(graph: Graph, node: Node, source: Known) -> BoolArray:
    """Input channels ``[in]`` of which the node reads the same at every position."""
    if node.op.name == "FULLY_CONNECTED" or all(_stays_inside(axis) for axis in convolution_axes(graph, node)):
        return source.where
    usable: BoolArray = source.where & (source.value == graph.input_tensor(node, 0).zero_point)
    return usable


def _stays_inside(axis: Axis) -> bool:
    return axis.pad == 0 and (axis.output - 1) * axis.stride + (axis.kernel - 1) * axis.dilation < axis.input


def _known_sums(graph: Graph, node: Node, source: Known, channels: BoolArray) -> Int64Array:
    """What the given usable input channels add to each output channel's sum, ``[out]``."""
    offset = np.where(channels, source.value - graph.input_tensor(node, 0).zero_point, 0)
    weights = _by_channel(graph, node).sum(axis=0)
    sums: Int64Array = offset * weights if node.op.name == DEPTHWISE else offset @ weights
    return sums


def _known_of_sums(graph: Graph, node: Node, source: Known) -> Known:
    output = graph.output_tensor(node)
    channels = output.shape[-1]
    usable, has_weights = _usable(graph, node, source), (_by_channel(graph, node) != 0).any(axis=0)
    reads_unknown = has_weights & ~usable if node.op.name == DEPTHWISE else (has_weights & ~usable[:, None]).any(axis=0)
    scaling = requantization(graph, node)
    multipliers = np.repeat(np.array(scaling.multipliers), channels // len(scaling.multipliers))
    sums = bias_values(graph, node, channels) + _known_sums(graph, node, source, usable)
    value = scaling.apply(sums, output.zero_point, *_clamp(node, output)).astype(np.int64)
    return Known(~reads_unknown | (multipliers == 0), value)


def _find_kept(graph: Graph, known: dict[int, Known]) -> dict[int, BoolArray]:
    """Channels of each tensor that stay: the least that satisfies every consumer, in multiples of ``TOGETHER``."""
    kept = {i: np.zeros_like(k.where) for i, k in known.items()}
    for i in (*graph.sources, *graph.results):
        kept[i][:] = True
    for node in graph.nodes:
        if _kind(graph, node) == "opaque":
            for tensor_id in (*node.inputs, *node.outputs):
                if tensor_id in kept:
                    kept[tensor_id][:] = True
    before = -1
    while (count := sum(int(k.sum()) for k in kept.values())) != before:
        before = count
        for node in reversed(graph.nodes):
            _keep_for(graph, node, known, kept)
        for keep in kept.values():
            _round_up(keep)
    return kept


def _keep_for(graph: Graph, node: Node, known: dict[int, Known], kept: dict[int, BoolArray]) -> None:
    """Keep what one node needs of its input, and of its output what follows from it."""
    kind = _kind(graph, node)
    if kind == "opaque":
        return
    source, output = kept[_source(node)], kept[node.outputs[0]]
    if kind == "mixing":
        reads = (_by_channel(graph, node)[:, :, output] != 0).any(axis=(0, 2))
        source |= reads & ~_usable(graph, node, known[_source(node)])
    elif kind == "flatten":
        source |= output.reshape(-1, len(source)).any(axis=0)
        output |= np.tile(source, len(output) // len(source))
    else:
        source |= output
        output |= source


def _round_up(keep: BoolArray) -> None:
    """Keep further channels, first ones first, up to a multiple of ``TOGETHER`` and at least one."""
    wanted = min(len(keep), -(-max(1, int(keep.sum())) // TOGETHER) * TOGETHER)
    keep[np.flatnonzero(~keep)[: wanted - int(keep.sum())]] = True


def _cut(graph: Graph, known: dict[int, Known], kept: dict[int, BoolArray]) -> Graph:
    tensors = list(graph.tensors)
    for i, keep in kept.items():
        if not keep.all():
            channels = tuple(np.flatnonzero(keep).tolist())
            tensors[i] = replace(tensors[i], shape=(*tensors[i].shape[:-1], len(channels)), channels=channels)
    nodes = []
    for node in graph.nodes:
        inputs = node.inputs
        if _kind(graph, node) in ("mixing", "depthwise"):
            source, output = kept[_source(node)], kept[node.outputs[0]]
            if not (source.all() and output.all()):
                weights, bias = _cut_weights(graph, node, known[_source(node)], source, output)
                tensors += [weights, bias]
                inputs = (node.inputs[0], len(tensors) - 2, len(tensors) - 1)
        nodes.append(replace(node, inputs=inputs))
    return replace(graph, tensors=tuple(tensors), nodes=tuple(nodes))


def _cut_weights(graph: Graph, node: Node, known: Known, source: BoolArray, output: BoolArray) -> tuple[Tensor, Tensor]:
    """Weights and bias for the channels that stay."""
    weights = graph.input_tensor(node, 1)
    data = data_of(weights)
    is_depthwise = node.op.name == DEPTHWISE
    sums = bias_values(graph, node, len(output))
    if is_depthwise:
        data = data[..., output]
    else:
        data = data[output][..., source]
        sums = sums + _known_sums(graph, node, known, _usable(graph, node, known) & ~source)
    assert np.abs(sums).max() <= INT32_MAX  # no sum of the whole layer leaves int32, see check_weighted
    old_bias = bias_tensor(graph, node)
    bias = Tensor(
        name=f"{weights.name}/bias" if old_bias is None else old_bias.name,
        shape=(int(output.sum()),),
        dtype=DType.INT32,
        quant=None if old_bias is None else _cut_quantization(old_bias.quant, output),
        data=sums[output].astype(np.int32),
    )
    return replace(weights, shape=data.shape, quant=_cut_quantization(weights.quant, output), data=data), bias


def _cut_quantization(quant: Quantization | None, output: BoolArray) -> Quantization | None:
    """One scale for all stays, one a channel is cut."""
    if quant is None or len(quant.scales) == 1:
        return quant
    left = np.flatnonzero(output)
    zero_points = quant.zero_points if len(quant.zero_points) == 1 else tuple(quant.zero_points[i] for i in left)
    return replace(quant, scales=tuple(quant.scales[i] for i in left), zero_points=zero_points)
