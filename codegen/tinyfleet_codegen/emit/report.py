"""``report.json``: what a compiled model is and what it costs, for people, tests and other tools."""

from __future__ import annotations

import json
from typing import Any

from tinyfleet_codegen.compiled import CompiledModel, TensorInfo
from tinyfleet_codegen.fitting import find_peak


def _tensor(info: TensorInfo) -> dict[str, Any]:
    return {"shape": list(info.shape), "dtype": info.dtype.name.lower(), "scale": info.scale, "zero_point": info.zero_point}


def _peak(model: CompiledModel) -> dict[str, Any]:
    peak = find_peak(model)
    places = [{"name": name, "bytes": count} for name, count in peak.places]
    return {"step": peak.step, "layer": peak.label, "bytes": peak.used_bytes, "places": places, "text": peak.text}


def _memories(model: CompiledModel) -> dict[str, Any]:
    """What of the arena lies in each memory, of a board that has several."""
    if not model.memories:
        return {}
    used = {part.memory: part.bytes for part in model.plan.parts}
    rows = [{"name": m.name, "free_bytes": m.free_bytes, "arena_bytes": used.get(i, 0)} for i, m in enumerate(model.memories)]
    return {"memories": rows}


def _place(model: CompiledModel, offset: int) -> dict[str, Any]:
    part, within = model.plan.split(offset)
    memory = {"memory": model.memories[model.plan.parts[part].memory].name} if model.memories else {}
    return {"offset": within, **memory}


def report_dict(model: CompiledModel) -> dict[str, Any]:
    """The report as JSON values."""
    return {
        "version": 1,
        "name": model.name,
        "model_id": model.model_id.hex(),
        "board": model.board,
        "macs": model.macs,
        "weights_bytes": model.weights_bytes,
        "flash": {
            "weights_bytes": sum(layer.weights_bytes for layer in model.layers),
            "tables_bytes": sum(layer.tables_bytes for layer in model.layers),
        },
        "arena_bytes": model.arena_bytes,
        "arena_lower_bound_bytes": model.arena_lower_bound_bytes,
        **_memories(model),
        "peak": _peak(model),
        "input": _tensor(model.input),
        "output": _tensor(model.output),
        "labels": list(model.package.labels),
        "layers": [
            {
                "layer": position,
                "op_index": layer.op_index,
                "op": layer.op,
                "kernel": layer.kernel,
                "output": layer.output_name,
                "output_shape": list(layer.output_shape),
                "macs": layer.macs,
                "constant_bytes": layer.constant_bytes,
                "weights_bytes": layer.weights_bytes,
                "tables_bytes": layer.tables_bytes,
                "streamed": list(layer.streamed),
            }
            for position, layer in enumerate(model.layers)
        ],
        "arena": [
            {
                **_place(model, a.offset),
                "bytes": a.bytes,
                "first_step": a.first,
                "last_step": a.last,
                "tensors": [model.graph.tensors[t].name for t in a.tensors],
            }
            for a in model.plan.allocations
        ],
    }


def print_report(model: CompiledModel) -> str:
    """The report's text; the same model gives the same bytes."""
    return json.dumps(report_dict(model), indent=2) + "\n"
