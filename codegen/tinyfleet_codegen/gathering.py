"""What ops share that take runs of bytes from places in two tables: nearest pixels, chosen slices."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.movement import item_bytes
from tinyfleet_codegen.op import CallPrinter, Op
from tinyfleet_codegen.quant import Int64Array


class GatherOp(Op):
    """Output ``[rows, columns, run]``, each run from row offset plus column offset of the first input. Any element type."""

    rounding = "exact"

    @abstractmethod
    def tables(self, graph: Graph, node: Node) -> tuple[Int64Array, Int64Array, int]:
        """Row offsets, column offsets and the length of a run, in elements."""

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        size = item_bytes(graph.output_tensor(node))
        rows, columns, run = self.tables(graph, node)
        fields = {"rows": len(rows), "columns": len(columns), "run_bytes": run * size}
        fields |= {"last_row": int(rows.max()) * size, "last_column": int(columns.max()) * size}
        printer.call(
            "tyf_gather",
            printer.params("tyf_gather_params", fields),
            printer.constant("rows", "int32_t", np.asarray(rows * size)),
            printer.constant("columns", "int32_t", np.asarray(columns * size)),
            printer.tensor(node.inputs[0]),
            printer.tensor(node.outputs[0]),
        )
