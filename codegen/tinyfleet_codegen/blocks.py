"""What SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND share: one image, whose pixels at the same place of every block become a batch."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from tinyfleet_codegen.errors import ShapeError
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.movement import constant_ints
from tinyfleet_codegen.op import require_dtype, require_per_tensor_quant
from tinyfleet_codegen.wire.ids import DType


class Blocks(NamedTuple):
    """Block sizes and borders (before, behind) of rows and columns; a tensor of rank 3 has rows only."""

    sizes: tuple[int, int]
    before: tuple[int, int]
    behind: tuple[int, int]


class Phase(NamedTuple):
    """The pixels at one place of every block, along rows and columns: first index, count and start in the whole image."""

    batch: int
    first: tuple[int, int]
    counts: tuple[int, int]
    start: tuple[int, int]


def image_of(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Rows, columns and channels of one image."""
    return (shape[1], shape[2] if len(shape) == 4 else 1, shape[-1])


def read_blocks(graph: Graph, node: Node) -> Blocks:
    """The constant inputs of both ops.

    Raises:
        UnsupportedOp, QuantError: input or output is not int8 with one scale.
        ShapeError: not one or two spatial dimensions, or sizes that make no sense.
    """
    for what, tensor in (("input", graph.input_tensor(node, 0)), ("output", graph.output_tensor(node))):
        require_dtype(node, what, tensor, DType.INT8)
        require_per_tensor_quant(node, what, tensor)
    rank = len(graph.input_tensor(node, 0).shape)
    spatial = rank - 2
    if spatial not in (1, 2):
        raise ShapeError(f"{node.label}: rank {rank} is not supported, only 3 and 4")
    sizes = constant_ints(graph, node, 1, "block shape", spatial)
    borders = constant_ints(graph, node, 2, "borders", 2 * spatial)
    if min(sizes) < 1 or min(borders) < 0 or max((*sizes, *borders)) > 65535:
        raise ShapeError(f"{node.label}: block {list(sizes)} with borders {list(borders)}")
    if spatial == 1:
        return Blocks((sizes[0], 1), (borders[0], 0), (borders[1], 0))
    return Blocks((sizes[0], sizes[1]), (borders[0], borders[2]), (borders[1], borders[3]))


def phases(blocks: Blocks, image: tuple[int, int]) -> Iterator[Phase]:
    """Every place in a block: which elements of its batch lie inside an image with these borders around it."""
    for batch, place in enumerate(itertools.product(range(blocks.sizes[0]), range(blocks.sizes[1]))):
        first, counts, start = [], [], []
        for size, before, pixels, offset in zip(blocks.sizes, blocks.before, image, place, strict=True):
            low = max(0, -(-(before - offset) // size))
            high = (pixels - 1 + before - offset) // size
            first.append(low)
            counts.append(high - low + 1)
            start.append(low * size + offset - before)
        if min(counts) > 0:
            yield Phase(batch, (first[0], first[1]), (counts[0], counts[1]), (start[0], start[1]))
