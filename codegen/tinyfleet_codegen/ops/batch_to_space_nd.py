"""BATCH_TO_SPACE_ND: images become one, each the pixels at one place of every block."""

from __future__ import annotations

from tinyfleet_codegen.blocks import image_of, phases, read_blocks
from tinyfleet_codegen.errors import ShapeError
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.movement import Copy, MoveOp, strides_of
from tinyfleet_codegen.op import Array, require_shape


class BatchToSpaceNd(MoveOp):
    """As many images of rank 3 or 4 as a block has places, constant block and crops; the output is one image."""

    name = "BATCH_TO_SPACE_ND"
    input_count = (3, 3)
    has_int16 = False

    def check(self, graph: Graph, node: Node) -> None:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        blocks = read_blocks(graph, node)
        h, w, c = image_of(source.shape)
        sizes = [d * b - before - behind for d, b, before, behind in zip((h, w), blocks.sizes, blocks.before, blocks.behind, strict=True)]
        if source.shape[0] != blocks.sizes[0] * blocks.sizes[1] or min(sizes) < 1:
            raise ShapeError(f"{node.label}: {list(source.shape)} does not become one image in blocks of {list(blocks.sizes)}")
        require_shape(node, "output", output, (1, *sizes[: len(source.shape) - 2], c))
        self.check_copies(graph, node)

    def copies(self, graph: Graph, node: Node) -> list[Copy]:
        rows, columns, c = image_of(graph.input_tensor(node, 0).shape)
        h, w, _ = image_of(graph.output_tensor(node).shape)
        source, target, blocks = strides_of((rows, columns, c)), strides_of((h, w, c)), read_blocks(graph, node)
        return [
            Copy(
                0,
                (*p.counts, c),
                source,
                (target[0] * blocks.sizes[0], target[1] * blocks.sizes[1], 1),
                p.batch * rows * columns * c + p.first[0] * source[0] + p.first[1] * source[1],
                p.start[0] * target[0] + p.start[1] * target[1],
            )
            for p in phases(blocks, (h, w))
        ]

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        x, output, blocks = inputs[0], graph.output_tensor(node), read_blocks(graph, node)
        assert x is not None
        rows, columns, c = image_of(x.shape)
        (bh, bw), (oh, ow, _) = blocks.sizes, image_of(output.shape)
        whole = x.reshape(bh, bw, rows, columns, c).transpose(2, 0, 3, 1, 4).reshape(rows * bh, columns * bw, c)
        top, left = blocks.before
        return whole[top : top + oh, left : left + ow].reshape(output.shape)
