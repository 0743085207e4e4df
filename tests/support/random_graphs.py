"""Small int8 models made from a seed: branches, residuals, dead ends, odd shapes, constants that fold, every op that has cases.

A model is a :class:`GraphSpec`, a list of steps. Each step draws its parameters from its own seed when the file is built, to fit whatever
shapes it meets, so that any step can be taken out and the rest still is a model: that is how a failing one is made smaller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import numpy as np

from tests.support.random_pieces import convert, is_fed, piece_rule, pieces, to_int16
from tests.support.random_rules import CHANNEL_WISE, INPUT, ONLY_INT8, WEIGHTED_RULES, GraphSpec, Rule, Site, Step, rescale, reshape_to
from tests.support.tflite_builder import TfliteBuilder, schema
from tinyfleet_codegen.op import ReadOnlyOp
from tinyfleet_codegen.ops import OPS
from tinyfleet_codegen.wire.ids import DType

PIECE = "case of "
PIECES_WEIGHT = 8.0
"""Of all rules that use op cases, together; about a quarter of the steps."""


@cache
def rules() -> dict[str, tuple[Rule, float]]:
    """Every rule with its weight, by name."""
    found = WEIGHTED_RULES | {"int16": (to_int16, 0.8)}
    usable = sorted(op for op in set(pieces()) & set(OPS) if any(map(is_fed, pieces()[op])))
    found.update({f"{PIECE}{op}": (piece_rule(op), PIECES_WEIGHT / len(usable)) for op in usable})
    return found


def random_spec(seed: int, *, with_cases: bool = True) -> GraphSpec:
    """The model of a seed. Without op cases it stays the same when ops are added."""
    rng = np.random.default_rng(seed)
    is_pruned = bool(rng.random() < 0.25)
    names = list(rules() if with_cases else WEIGHTED_RULES)
    # Passes that remove channels look through chains of few ops.
    weights = np.array([rules()[name][1] * (0.1 if is_pruned and name not in CHANNEL_WISE else 1.0) for name in names])
    channels = int(rng.choice([4, 8])) if rng.random() < 0.4 else int(rng.integers(1, 9))
    shape: tuple[int, ...] = (1, int(rng.integers(1, 11)), int(rng.integers(1, 11)), channels)
    if rng.random() < 0.15:
        shape = (1, int(rng.integers(1, 60)))
    dtype = DType(int(rng.choice([DType.INT8, DType.UINT8, DType.FLOAT32], p=[0.9, 0.05, 0.05])))
    steps = []
    for i in range(1, int(rng.integers(2, 13))):
        # Mostly a chain; at times a branch from an earlier value, which later steps may add again.
        source = i - 1 if rng.random() < 0.75 else int(rng.integers(0, i))
        steps.append(Step(i, str(rng.choice(names, p=weights / weights.sum())), int(rng.integers(2**31)), source))
    output = int(rng.integers(1, len(steps) + 1)) if rng.random() < 0.1 else -1
    return GraphSpec(seed, shape, dtype, bool(rng.random() < 0.3), is_pruned, tuple(steps), output)


def op_specs(seed: int) -> Iterator[GraphSpec]:
    """For each op whose cases can be fed with int8: one of them, and two random steps behind it."""
    for op, found in pieces().items():
        # An op that is gone once the model is read is in no graph.
        is_gone = isinstance(OPS[op], ReadOnlyOp) and not OPS[op].state_inputs if op in OPS else True
        if not is_gone and any(map(is_fed, found)):
            spec = random_spec(seed)
            rest = (*spec.steps, *random_spec(seed + 1).steps)[:2]
            steps = (Step(1, f"{PIECE}{op}", seed, INPUT), *(replace(s, id=i, source=i - 1) for i, s in enumerate(rest, 2)))
            yield GraphSpec(seed, (1, 8), DType.INT8, spec.exact_scales, spec.is_pruned, steps)
            seed += 1


def pruned_spec(seed: int) -> GraphSpec:
    """A chain that passes can cut channels from: mostly zero filters, and nothing between convolutions but pools."""
    rng = np.random.default_rng(seed)
    rules_of_steps = ["CONV_2D", *rng.choice(sorted(CHANNEL_WISE), int(rng.integers(1, 4))), "CONV_2D"]
    steps = tuple(Step(i, str(rule), int(rng.integers(2**31)), i - 1) for i, rule in enumerate(rules_of_steps, 1))
    return GraphSpec(seed, (1, int(rng.integers(2, 8)), int(rng.integers(2, 8)), 8), DType.INT8, bool(rng.random() < 0.3), True, steps)


def int16_spec(seed: int) -> GraphSpec:
    """The model of a seed with int16 from its input on; its own seed is below 0."""
    spec = random_spec(seed)
    first = Step(len(spec.steps) + 1, "int16", seed, INPUT)
    rest = (replace(step, source=first.id if step.source == INPUT else step.source) for step in spec.steps)
    return replace(spec, seed=-1 - seed, steps=(first, *rest))


def build(spec: GraphSpec) -> bytes:
    """The .tflite of a spec; always a valid model whose output is the last step's value."""
    builder = TfliteBuilder()
    site = Site(builder, np.random.default_rng(abs(spec.seed)), spec)
    source = site.value(
        spec.input_shape, 0.0625 if spec.exact_scales else 0.043, 5 if spec.input_dtype is not DType.UINT8 else 133, spec.input_dtype
    )
    values = {INPUT: source}
    if spec.input_dtype is not DType.INT8:
        values[INPUT] = convert(site, source, DType.INT8, site.scale(0.05), site.zero_point()) or source
    for step in spec.steps:
        source_value = values[step.source]
        at = Site(builder, np.random.default_rng(step.seed), spec, tuple(values.values()))
        if source_value.dtype is DType.INT16 and step.rule in ONLY_INT8:
            source_value = convert(at, source_value, DType.INT8, at.scale(source_value.scale * 250), at.zero_point()) or source_value
        at.dtype = DType.INT16 if source_value.dtype is DType.INT16 else DType.INT8
        made = rules()[step.rule][0](at, source_value) if source_value.dtype in (DType.INT8, DType.INT16) else None
        if made is None:
            made = source_value
        elif made.shape[:1] != (1,) or not 2 <= len(made.shape) <= 4:
            # Cases may have any shape; what comes next takes batch 1 and rank 2 to 4.
            made = reshape_to(at, made, (1, made.elements))
        values[step.id] = made
    last = values[spec.output] if spec.output in values else values[spec.steps[-1].id if spec.steps else INPUT]
    if last.id == source.id:
        last = rescale(site, last) or last
    if site.chance(0.1):
        wanted = DType.UINT8 if site.chance(0.5) and last.dtype is not DType.INT16 else DType.FLOAT32
        last = convert(site, last, wanted, site.scale(0.05), 131) or last
    return builder.build([source.id], [last.id])


# --- smaller models -----------------------------------------------------------------------------------------------------


def without(spec: GraphSpec, step: Step) -> GraphSpec:
    """The spec with one step taken out; who used it uses its source."""
    kept = tuple(replace(s, source=step.source if s.source == step.id else s.source) for s in spec.steps if s.id != step.id)
    return replace(spec, steps=kept)


def _smaller(spec: GraphSpec) -> Iterator[GraphSpec]:
    """Candidates, those that take away most first."""
    for length in range(len(spec.steps)):
        yield replace(spec, steps=spec.steps[:length])
    for step in spec.steps:
        yield without(spec, step)
    for axis in range(1, len(spec.input_shape)):
        size = spec.input_shape[axis]
        for less in {1, size // 2, size - 1} - {0, size}:
            yield replace(spec, input_shape=(*spec.input_shape[:axis], less, *spec.input_shape[axis + 1 :]))


def minimize(spec: GraphSpec, fails: Callable[[GraphSpec], bool], *, attempts: int = 300) -> GraphSpec:
    """The smallest spec found that still fails, by taking steps out and making the input smaller."""
    is_smaller = True
    while is_smaller and attempts > 0:
        is_smaller = False
        for candidate in _smaller(spec):
            attempts -= 1
            if fails(candidate):
                spec, is_smaller = candidate, True
                break
            if attempts <= 0:
                break
    return spec


def describe(tflite: bytes) -> str:
    """A model in words, one line an op."""
    model = schema.ModelT.InitFromPackedBuf(tflite, 0)
    graph = model.subgraphs[0]
    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}

    def tensor(i: int) -> str:
        t = graph.tensors[i]
        q = t.quantization
        quant = "" if q is None or q.scale is None or not len(q.scale) else f" {q.scale[0]:.4g}*(q{-int(q.zeroPoint[0]):+d})"
        per_channel = "..." if quant and len(q.scale) > 1 else ""
        constant = " const" if t.buffer else ""
        return f"{i}:{DType(t.type).name.lower()}{[int(d) for d in t.shape]}{quant}{per_channel}{constant}"

    lines = [f"input {tensor(int(graph.inputs[0]))}"]
    for i, operator in enumerate(graph.operators):
        name = names[model.operatorCodes[operator.opcodeIndex].builtinCode]
        inputs = ", ".join(tensor(int(j)) for j in operator.inputs if j >= 0)
        options = {} if operator.builtinOptions is None else vars(operator.builtinOptions)
        shown = " ".join(f"{k}={v}" for k, v in options.items() if isinstance(v, int | float) and v not in (0, False))
        lines.append(f"op {i} {name}({inputs}) -> {', '.join(tensor(int(j)) for j in operator.outputs)} {shown}".rstrip())
    return "\n".join([*lines, f"output {', '.join(str(int(i)) for i in graph.outputs)}"])
