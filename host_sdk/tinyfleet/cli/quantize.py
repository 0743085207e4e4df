"""``tinyfleet quantize``: a user's own Keras model to int8."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer

from tinyfleet.cli.output import JsonFlag, print_facts, print_json, progress_console
from tinyfleet.quantize import quantize_model
from tinyfleet_codegen.errors import ConfigError


def register(app: typer.Typer) -> None:
    """Add ``quantize``."""
    app.command()(quantize)


def _read_calibration(path: Path) -> npt.NDArray[np.float32]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            names = list(arrays.files)
            if "x" not in names and len(names) != 1:
                raise ConfigError(
                    f"{path} holds the arrays {names}", hint="store the inputs as x, float32 [n, ...]: np.savez(path, x=inputs)"
                )
            x = np.asarray(arrays["x" if "x" in names else names[0]], np.float32)
    except (OSError, ValueError, AttributeError, TypeError, EOFError, zipfile.BadZipFile) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "it is not a .npz file"
        raise ConfigError(f"cannot read calibration data {path}: {reason}", hint="write it with np.savez(path, x=inputs)") from error
    if x.ndim < 2 or not len(x) or not np.isfinite(x).all():
        raise ConfigError(f"calibration data {path} has shape {list(x.shape)}; it must be finite, [n, ...] with n > 0")
    return x


def quantize(
    model: Annotated[Path, typer.Argument(metavar="MODEL.keras", help="The float network.")],
    calibration: Annotated[Path, typer.Option(metavar="X.npz", help="Inputs as the network sees them: x, float32 [n, ...].")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="M.tflite", help="Where to write the int8 model.")],
    json: JsonFlag = False,
) -> None:
    """Quantize to int8, with a report per layer. Example: tinyfleet quantize m.keras --calibration x.npz -o m.tflite"""
    try:
        keras_file = model.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read model {model}: {error.strerror}", hint="give the path of a .keras file") from error
    x = _read_calibration(calibration)
    with progress_console.status("quantize to int8"):
        result = quantize_model(keras_file, x)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_bytes(result.tflite)
    except OSError as error:
        raise ConfigError(f"cannot write {output}: {error.strerror}", hint="give another path with -o") from error
    if json:
        layers = [
            {
                "op": v.op,
                "name": v.name,
                "scale": v.scale,
                "zero_point": v.zero_point,
                "signal_to_noise_db": v.signal_to_noise_db,
                "max_error": v.max_error,
            }
            for v in result.layers
        ]
        print_json({"model": str(output), "bytes": len(result.tflite), "calibration_inputs": len(x), "layers": layers})
        return
    width = max((len(v.op) for v in result.layers), default=0)
    for v in result.layers:
        noise = "   exact" if v.signal_to_noise_db is None else f"{v.signal_to_noise_db:5.1f} dB"
        typer.echo(f"{v.op:<{width}}  {noise}  max error {v.max_error:.4g}  {v.name.split(';')[0]}")
    print_facts([("wrote", f"{output}, {len(result.tflite)} bytes, int8, {len(x)} calibration inputs")])
