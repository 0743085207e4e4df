"""Resource variables of streaming models, as values: what a variable holds when a run starts, and what it holds after.

In the file a variable is read and assigned through handles, by operators whose order matters. In the graph a read is the
state's tensor itself, a read after an assignment is the value that was assigned, and each variable is assigned once, by the
last nodes. So nothing is copied that need not be, and every pass may treat nodes as functions of their inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tinyfleet_codegen.errors import FormatError, ShapeError, UnsupportedOp
from tinyfleet_codegen.ir import NUMPY_DTYPES, Graph, Node, State, Tensor
from tinyfleet_codegen.op import Array, ReadOnlyOp, require_arity, require_same_quant
from tinyfleet_codegen.ops.call_once import CallOnceAttrs
from tinyfleet_codegen.ops.var_handle import VarHandleAttrs

ReadSubgraph = Callable[[int], tuple[Sequence[Tensor], Sequence[Node]]]


@dataclass(frozen=True, slots=True)
class Resolved:
    """Tensors, nodes and states of a subgraph whose variables have become values."""

    tensors: tuple[Tensor, ...]
    nodes: tuple[Node, ...]
    states: tuple[State, ...]


class _Resolver:
    """Walks the operators once, in order."""

    def __init__(self, tensors: Sequence[Tensor], read_subgraph: ReadSubgraph) -> None:
        self.tensors = list(tensors)
        self.nodes: list[Node] = []
        self._read_subgraph = read_subgraph
        self._initial: dict[str, Array] = {}
        self._variables: dict[int, str] = {}  # tensor of a handle -> variable
        self._state: dict[str, int] = {}  # variable -> tensor of its first read
        self._current: dict[str, int] = {}  # variable -> tensor that holds its value now
        self._assigned: dict[str, Node] = {}  # variable -> its last assignment
        self._renamed: dict[int, int] = {}  # output of a read -> tensor that holds the value

    def take(self, node: Node) -> None:
        """The next operator."""
        _require_arity(node)
        if node.op.name == "CALL_ONCE":
            if self._current:
                raise UnsupportedOp(f"{node.label} after a variable was read or assigned is not supported")
            assert isinstance(node.attrs, CallOnceAttrs)
            self._initial |= _run_once(node, *self._read_subgraph(node.attrs.subgraph))
        elif node.op.name == "VAR_HANDLE":
            assert isinstance(node.attrs, VarHandleAttrs)
            self._variables[node.outputs[0]] = node.attrs.variable
        elif node.op.name == "READ_VARIABLE":
            self._read(node)
        elif node.op.name == "ASSIGN_VARIABLE":
            variable, value = _variable_of(node, self._variables), node.inputs[1]
            if value is None:
                raise ShapeError(f"{node.label} assigns nothing")
            self._current[variable] = self._renamed.get(value, value)
            self._assigned[variable] = node
        else:
            inputs = tuple(None if i is None else self._renamed.get(i, i) for i in node.inputs)
            self.nodes.append(replace(node, inputs=inputs))

    def _read(self, node: Node) -> None:
        variable, output = _variable_of(node, self._variables), node.outputs[0]
        if variable not in self._current:
            self._current[variable] = self._state[variable] = output
            return
        held, wanted = self.tensors[self._current[variable]], self.tensors[output]
        if held.shape != wanted.shape:
            raise ShapeError(f"{node.label} reads {list(wanted.shape)}, the variable holds {list(held.shape)}")
        require_same_quant(node, held, wanted)
        self._renamed[output] = self._current[variable]

    def finish(self) -> tuple[State, ...]:
        """Assignments become the last nodes; variables that never change become constants."""
        states = []
        for variable, tensor_id in self._state.items():
            tensor = self.tensors[tensor_id]
            initial = _initial_value(variable, tensor, self._initial.get(variable))
            if self._current[variable] == tensor_id:
                self.tensors[tensor_id] = replace(tensor, data=initial)
                continue
            self.tensors.append(replace(tensor, name=f"{tensor.name}/next"))
            states.append(State(tensor_id, len(self.tensors) - 1, self._current[variable], initial))
        values = [self._saved(state) for state in states]
        for state, value in zip(states, values, strict=True):
            variable = next(v for v, i in self._state.items() if i == state.tensor)
            self.nodes.append(replace(self._assigned[variable], inputs=(value,), outputs=(state.next,)))
        return tuple(states)

    def _saved(self, state: State) -> int:
        """The value to assign; that of another variable is copied before any variable changes."""
        if state.value not in self._state.values() or self.tensors[state.value].data is not None:
            return state.value
        self.tensors.append(replace(self.tensors[state.value], name=f"{self.tensors[state.value].name}/saved"))
        variable = next(v for v, i in self._state.items() if i == state.tensor)
        self.nodes.append(replace(self._assigned[variable], inputs=(state.value,), outputs=(len(self.tensors) - 1,), part=0, parts=2))
        return len(self.tensors) - 1


def resolve_variables(
    tensors: Sequence[Tensor], nodes: Sequence[Node], own_variables: Sequence[int], read_subgraph: ReadSubgraph
) -> Resolved:
    """Turn variables into states.

    Args:
        own_variables: Tensors that the file marks as variables of an operator.
        read_subgraph: Gives tensors and operators of another subgraph, for CALL_ONCE.

    Raises:
        CompileError: operators on variables are used in a way that is not supported.
    """
    resolver = _Resolver(tensors, read_subgraph)
    for node in nodes:
        resolver.take(node)
    states = resolver.finish()
    return _split_operators(Resolved(tuple(resolver.tensors), tuple(resolver.nodes), states), own_variables)


def _split_operators(resolved: Resolved, own_variables: Sequence[int]) -> Resolved:
    """Operators that change a variable of their own become nodes that do not, and a state."""
    tensors, nodes, states = list(resolved.tensors), [], list(resolved.states)
    left = set(own_variables)
    for node in resolved.nodes:
        if not isinstance(node.op, ReadOnlyOp) or not node.op.state_inputs:
            nodes.append(node)
            continue
        following = []
        for position in node.op.state_inputs:
            variable = node.inputs[position] if len(node.inputs) == node.op.input_count[1] else None
            if variable not in left:
                raise UnsupportedOp(f"{node.label}: input {position} is no variable of its own")
            left.discard(variable)
            tensor = tensors[variable]
            following.append(len(tensors))
            tensors.append(replace(tensor, name=f"{tensor.name}/next"))
            # The file's tensor holds the next value after a run.
            states.append(State(variable, following[-1], variable, _initial_value(tensor.name, tensor, None)))
        nodes += node.op.split_state(node, tuple(following))
    if left:
        raise UnsupportedOp(f"tensor '{tensors[min(left)].name}' is a variable of its operator, which is not supported")
    return Resolved(tuple(tensors), tuple(nodes), tuple(states))


_ARITY = {"CALL_ONCE": (0, 0), "VAR_HANDLE": (0, 1), "READ_VARIABLE": (1, 1), "ASSIGN_VARIABLE": (2, 0)}
"""Inputs and outputs in the file, which are not those that such a node has in the graph."""


def _require_arity(node: Node) -> None:
    inputs, outputs = _ARITY.get(node.op.name, (len(node.inputs), len(node.outputs)))
    if (len(node.inputs), len(node.outputs)) != (inputs, outputs):
        raise ShapeError(f"{node.label} has {len(node.inputs)} inputs and {len(node.outputs)} outputs, expected {inputs} and {outputs}")


def _variable_of(node: Node, variables: dict[int, str]) -> str:
    handle = node.inputs[0]
    if handle not in variables:
        raise FormatError(f"{node.label}: its first input is no handle of a variable")
    return variables[handle]


def _initial_value(variable: str, tensor: Tensor, assigned: Array | None) -> Array:
    """What the initialisation assigned, else zero (the zero point of a quantized variable)."""
    dtype = NUMPY_DTYPES[tensor.dtype]
    if assigned is None:
        fill = 0 if tensor.quant is None else tensor.zero_point
        return np.full(tensor.shape, fill, dtype)
    if assigned.shape != tensor.shape or assigned.dtype != dtype:
        raise ShapeError(f"variable '{variable}' starts as {assigned.dtype} {list(assigned.shape)} and is read as {list(tensor.shape)}")
    return assigned


def _run_once(call: Node, tensors: Sequence[Tensor], nodes: Sequence[Node]) -> dict[str, Array]:
    """Run an initialisation subgraph now; what it assigns to each variable."""
    graph = Graph("init", tuple(tensors), tuple(nodes), (), ())
    values: dict[int, Array] = {i: t.data for i, t in enumerate(tensors) if t.data is not None}
    variables: dict[int, str] = {}
    assigned: dict[str, Array] = {}
    for node in nodes:
        _require_arity(node)
        if node.op.name == "VAR_HANDLE":
            assert isinstance(node.attrs, VarHandleAttrs)
            variables[node.outputs[0]] = node.attrs.variable
            continue
        is_assignment = node.op.name == "ASSIGN_VARIABLE"
        wanted = node.inputs[1:] if is_assignment else node.inputs
        if any(i is not None and i not in values for i in wanted) or node.op.name in ("CALL_ONCE", "READ_VARIABLE"):
            raise UnsupportedOp(f"{node.label} in the subgraph of {call.label} does not follow from constants")
        inputs = [None if i is None else values[i] for i in wanted]
        if is_assignment:
            value = inputs[0]
            if value is None:
                raise ShapeError(f"{node.label} assigns nothing")
            assigned[_variable_of(node, variables)] = value
        else:
            require_arity(node)
            node.op.check(graph, node)
            values[node.outputs[0]] = node.op.reference(graph, node, inputs)
    return assigned
