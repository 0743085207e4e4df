"""A model as C, with everything known about it at build time."""

from __future__ import annotations

from dataclasses import dataclass

from tinyfleet_codegen.emit.c import CSource
from tinyfleet_codegen.ir import Graph, Tensor
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.plan import Plan
from tinyfleet_codegen.target import Ram
from tinyfleet_codegen.wire.ids import DType


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Shape and quantization of a model's input or output; scale and zero_point are None for float32."""

    shape: tuple[int, ...]
    dtype: DType
    scale: float | None
    zero_point: int | None


@dataclass(frozen=True, slots=True)
class Layer:
    """One node of the compiled model.

    Attributes:
        op_index: Its place in the .tflite; of the first when it is several layers computed together.
        streamed: Places of all of those; what lies between them is never whole in memory.
    """

    op_index: int
    op: str
    kernel: str
    output_name: str
    output_shape: tuple[int, ...]
    macs: int
    weights_bytes: int
    tables_bytes: int
    streamed: tuple[int, ...] = ()

    @property
    def label(self) -> str:
        """For messages, for example ``op 3 (CONV_2D)``."""
        return f"op {self.op_index} ({self.op})"

    @property
    def constant_bytes(self) -> int:
        """Its weights and tables in flash."""
        return self.weights_bytes + self.tables_bytes


@dataclass(frozen=True, slots=True, eq=False)
class CompiledModel:
    """A model as C, with everything known about it at build time."""

    package: ModelPackage
    board: str
    cpu_class: str
    graph: Graph
    plan: Plan
    source: CSource
    layers: tuple[Layer, ...]
    memories: tuple[Ram, ...] = ()
    """Of a board that has several."""

    @property
    def name(self) -> str:
        """The model's name: its file's stem."""
        return self.package.name

    @property
    def model_id(self) -> bytes:
        """SHA-256 of the canonical manifest, 32 bytes."""
        return self.package.model_id

    @property
    def arena_bytes(self) -> int:
        """Working memory of one inference."""
        return self.plan.arena_bytes

    @property
    def arena_lower_bound_bytes(self) -> int:
        """What no plan of the same lifetimes can go below."""
        return self.plan.lower_bound_bytes

    @property
    def weights_bytes(self) -> int:
        """Constants in flash: weights, biases, multipliers and shifts."""
        return sum(layer.constant_bytes for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(layer.macs for layer in self.layers)

    @property
    def input(self) -> TensorInfo:
        """The model's input."""
        return _tensor_info(self.graph.tensors[self.graph.inputs[0]])

    @property
    def output(self) -> TensorInfo:
        """The model's output."""
        return _tensor_info(self.graph.tensors[self.graph.outputs[0]])


def _tensor_info(tensor: Tensor) -> TensorInfo:
    if tensor.quant is None or tensor.dtype is DType.FLOAT32:
        return TensorInfo(tensor.shape, tensor.dtype, None, None)
    return TensorInfo(tensor.shape, tensor.dtype, tensor.scale, tensor.zero_point)
