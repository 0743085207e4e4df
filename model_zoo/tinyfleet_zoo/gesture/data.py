"""Recordings of the gesture recipe, as the sensor of a board would have delivered them."""

from __future__ import annotations

import hashlib
import io
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyfleet.train import RecipeSpec, Recording
from tinyfleet_codegen.errors import SetupError

SOURCE_RATE_HZ = 50
"""Rate of the recordings in the data file."""


def _read_source(spec: RecipeSpec) -> dict[str, Any]:
    """The data file's dictionary: X (list of float ``[n, 6]``), y, subject."""
    package, wanted = spec.data["package"], spec.data["file"]
    hint = "install the training extra: pip install 'tinyfleet[train]'"
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError as error:
        raise SetupError(f"recipe {spec.name} reads its data from the package {package}, which is not installed", hint=hint) from error
    path = next((Path(str(f.locate())) for f in files if str(f) == wanted), None)
    if path is None or not path.is_file():
        raise SetupError(f"package {package} {metadata.version(package)} does not hold {wanted}", hint=hint)
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != spec.data["sha256"]:
        raise SetupError(f"{wanted} has SHA-256 {digest[:16]}..., the recipe was made for {spec.data['sha256'][:16]}...", hint=hint)
    # The file is a pickled dictionary; the check above makes sure that it is the one that we know.
    return dict(np.load(io.BytesIO(content), allow_pickle=True).item())


def to_raw(values: npt.NDArray[np.float64], spec: RecipeSpec) -> npt.NDArray[np.int16]:
    """Physical values ``[n, 6]`` at 50 Hz to the sensor's int16 ``[n // 2, 6]`` at 25 Hz.

    Neighbours are averaged, as a sensor's own low-pass filter does before it delivers at the lower rate.
    """
    factor = round(SOURCE_RATE_HZ / spec.frontend.sample_rate_hz)
    count = len(values) // factor
    slow = values[: count * factor].reshape(count, factor, -1).mean(axis=1)
    raw: npt.NDArray[np.int16] = np.clip(np.rint(slow * np.array(spec.lsb_per_unit)), -32768, 32767).astype(np.int16)
    return raw


def load_recordings(spec: RecipeSpec) -> tuple[Recording, ...]:
    """All 140 recordings; streams are numbered from 1 in the order of the file.

    Raises:
        SetupError: the data package is missing, or holds another file than the recipe was made for.
    """
    source = _read_source(spec)
    return tuple(
        Recording(stream=i + 1, subject=str(int(subject)), label=int(label), samples=to_raw(values, spec))
        for i, (values, subject, label) in enumerate(zip(source["X"], source["subject"], source["y"], strict=True))
    )
