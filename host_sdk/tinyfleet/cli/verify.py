"""``tinyfleet verify``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from tinyfleet.cli.output import ArenaBudget, JsonFlag, print_facts, print_json
from tinyfleet_codegen.errors import ConfigError

if TYPE_CHECKING:
    from tinyfleet.verify import TargetResult


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify", epilog="Example: tinyfleet verify kws.tflite --on host --on emu://mps2_an386 -n 100")(verify_command)


def verify_command(
    model: Annotated[Path, typer.Argument(metavar="MODEL.tflite", help="The model to check.")],
    on: Annotated[
        list[str] | None, typer.Option("--on", help="host (default), blob, reference, emu://BOARD or a device URL; may be repeated.")
    ] = None,
    count: Annotated[int, typer.Option("-n", help="Number of inputs.", min=1)] = 100,
    seed: Annotated[int, typer.Option(help="Seed of the inputs.", min=0, max=2**32 - 1)] = 1,
    inputs: Annotated[Path | None, typer.Option(help="Inputs from a .npy file instead, [n, ...] in the model's input type.")] = None,
    per_layer: Annotated[
        bool, typer.Option("--per-layer/--outputs-only", help="Compare every layer, or only the outputs (faster, sees less).")
    ] = True,
    arena_budget: ArenaBudget = None,
    as_json: JsonFlag = False,
) -> int:
    """Prove that targets compute the oracle's bits; name the first layer that differs."""
    from tinyfleet.verify import verify  # noqa: PLC0415 - keeps --help fast
    from tinyfleet_codegen.package import load_package  # noqa: PLC0415

    result = verify(
        load_package(model),
        on or ["host"],
        count=count,
        seed=seed,
        inputs=None if inputs is None else _load_inputs(inputs),
        per_layer=per_layer,
        arena_budget_bytes=arena_budget,
    )
    if as_json:
        print_json(asdict(result))
    else:
        print_facts([("model", f"{result.model_id.hex()[:8]}  {model.name}"), ("oracle", result.oracle)])
        print_facts([(target.target, _describe(target)) for target in result.targets])
    return 0 if result.equal else 1


def _describe(target: TargetResult) -> str:
    layers = f", {target.layers_compared} layers compared" if target.layers_compared else ""
    if target.first_difference is None:
        return f"equal on {target.checked} inputs{layers}"
    first = target.first_difference
    values = "" if first.element is None else f", element {first.element}: expected {first.expected}, got {first.actual}"
    where = f"input {first.case} at {first.op}, tensor {first.tensor}{values}"
    return f"DIFFERS on {target.mismatches} of {target.checked} inputs; first in {where}"


def _load_inputs(path: Path) -> Any:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read inputs from {path}: {error}", hint="save them with numpy.save") from error
