"""SPACE_TO_BATCH_ND: pixels at the same place of every block become an image of their own."""

from __future__ import annotations

from tinyfleet_codegen.blocks import image_of, phases, read_blocks
from tinyfleet_codegen.errors import ShapeError, UnsupportedOp
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.movement import Copy, MoveOp, strides_of
from tinyfleet_codegen.op import Array, require_shape


class SpaceToBatchNd(MoveOp):
    """One image of rank 3 or 4, constant block, no paddings; the output has one image for each place of a block."""

    name = "SPACE_TO_BATCH_ND"
    input_count = (3, 3)
    has_int16 = False

    def check(self, graph: Graph, node: Node) -> None:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        blocks = read_blocks(graph, node)
        h, w, c = image_of(source.shape)
        if source.shape[0] != 1 or any(d % b for d, b in zip((h, w), blocks.sizes, strict=True)):
            raise ShapeError(f"{node.label}: {list(source.shape)} is no whole number of blocks {list(blocks.sizes)}")
        if any((*blocks.before, *blocks.behind)):
            raise UnsupportedOp(
                f"{node.label} pads, and TensorFlow Lite Micro leaves the border unset",
                hint="convert the model with a fixed batch of 1, then dilated convolutions stay convolutions",
            )
        parts = [d // b for d, b in zip((h, w), blocks.sizes, strict=True)][: len(source.shape) - 2]
        require_shape(node, "output", output, (blocks.sizes[0] * blocks.sizes[1], *parts, c))
        self.check_copies(graph, node)

    def copies(self, graph: Graph, node: Node) -> list[Copy]:
        h, w, c = image_of(graph.input_tensor(node, 0).shape)
        rows, columns, _ = image_of(graph.output_tensor(node).shape)
        source, target, blocks = strides_of((h, w, c)), strides_of((rows, columns, c)), read_blocks(graph, node)
        return [
            Copy(
                0,
                (*p.counts, c),
                (source[0] * blocks.sizes[0], source[1] * blocks.sizes[1], 1),
                target,
                p.start[0] * source[0] + p.start[1] * source[1],
                p.batch * rows * columns * c + p.first[0] * target[0] + p.first[1] * target[1],
            )
            for p in phases(blocks, (h, w))
        ]

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        x, output, blocks = inputs[0], graph.output_tensor(node), read_blocks(graph, node)
        assert x is not None
        (bh, bw), (h, w, c) = blocks.sizes, image_of(x.shape)
        return x.reshape(h // bh, bh, w // bw, bw, c).transpose(1, 3, 0, 2, 4).reshape(output.shape)
