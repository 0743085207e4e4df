"""Kernels beside the portable ones, by CPU class. Each file pairs with ``firmware/lib/nn/src/<op>_s8_<class>.c``."""

from __future__ import annotations

from collections.abc import Mapping

from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.kernels import dsp, mve, v6m
from tinyfleet_codegen.kernels.kernel import Kernel
from tinyfleet_codegen.kernels.stream import StreamKernel
from tinyfleet_codegen.stream import STREAM

KERNELS: Mapping[str, tuple[Kernel, ...]] = {"dsp": dsp.KERNELS, "mve": mve.KERNELS, "v6m": v6m.KERNELS}
"""Per CPU class, in order of preference. Other classes run the portable kernels."""


def choose_kernel(graph: Graph, node: Node, cpu_class: str) -> Kernel | None:
    """The first kernel of the class that fits the node; None when the portable one runs."""
    if node.op is STREAM:
        return StreamKernel(cpu_class, choose_kernel)
    for kernel in KERNELS.get(cpu_class, ()):
        if kernel.op == node.op.name and graph.output_tensor(node).dtype is kernel.dtype and kernel.fits(graph, node):
            return kernel
    return None
