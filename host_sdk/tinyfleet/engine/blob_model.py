"""A blob as a Python object: opened and run by the same C as on a board."""

from __future__ import annotations

import numpy as np

from tinyfleet.engine.engine import Array, Engine, aligned
from tinyfleet.engine.host_build import build_blob_library
from tinyfleet_codegen.errors import ImageError, ShapeError
from tinyfleet_codegen.ir import NUMPY_DTYPES
from tinyfleet_codegen.wire.blob import read_blob
from tinyfleet_codegen.wire.ids import DType, Status

_REASONS = {
    Status.ERR_FORMAT: "it is malformed",
    Status.ERR_VERSION: "it is of a later version, or was compiled for the kernels of a board",
    Status.ERR_TOO_LARGE: "it uses more different kernels than one handle holds",
}


class BlobModel:
    """A model blob running on this machine. Not safe to share between threads: one arena.

    Args:
        blob: The bytes of a ``.tfm`` that was compiled for the host.

    Raises:
        ImageError: the blob is damaged, malformed, of a later version, or for the kernels of a board.
        SetupError, BuildError: see :mod:`tinyfleet_codegen.errors`.
    """

    def __init__(self, blob: bytes) -> None:
        self._engine = Engine(build_blob_library(), "blob_model")
        lib, pointer = self._engine.lib, self._engine.pointer
        # Both are used by the C code as long as this object lives.
        self._blob, self._handle = aligned(len(blob)), aligned(lib.tyf_engine_handle_bytes())
        self._blob[:] = np.frombuffer(blob, np.uint8)
        status = Status(lib.tyf_engine_open(pointer(self._handle), pointer(self._blob), len(blob)))
        if status is not Status.OK:
            raise ImageError(f"the blob cannot be opened ({status.c_name}): {_REASONS.get(status, 'refused')}")
        if not lib.tyf_engine_is_intact(pointer(self._handle)):
            raise ImageError("the blob is damaged: its checksum is wrong", hint="compile or copy it again")
        self._model = pointer(self._handle, "const tyf_model *")
        self._layout = read_blob(blob)
        self._arena = aligned(self._layout.arena_bytes)
        self.reset()

    @property
    def model_id(self) -> bytes:
        """The id that the blob carries, 32 bytes."""
        return self._engine.model_id(self._model)

    def reset(self) -> None:
        """Forget earlier inputs: a streaming model starts a new stream; others remember nothing anyway."""
        self._engine.reset(self._model, self._arena)

    def run(self, x: Array) -> Array:
        """Run a batch, one inference after the other; other Python threads run meanwhile.

        A streaming model goes on from where the last call left it; see :meth:`reset`.

        Args:
            x: ``[n, ...]`` in the input's type, as many elements each as the input has.

        Returns:
            ``[n, elements]`` in the output's type; a blob knows no shapes.

        Raises:
            ShapeError: size or type do not fit.
        """
        inputs = self._as_inputs(x)
        dtype = np.dtype(NUMPY_DTYPES[DType(self._layout.output_dtype)])
        outputs = np.empty((len(inputs), self._layout.output_bytes // dtype.itemsize), dtype)
        self._engine.run(self._model, self._arena, inputs, outputs)
        return outputs

    def run_layers(self, x: Array) -> list[bytes]:
        """The bytes that each layer wrote, for one input ``[1, ...]``."""
        inputs = self._as_inputs(x)
        if len(inputs) != 1:
            raise ShapeError(f"layers are compared for one input, got {len(inputs)}")
        return self._engine.run_layers(self._model, self._arena, inputs, list(self._layout.layer_bytes))

    def _as_inputs(self, x: Array) -> Array:
        expected = np.dtype(NUMPY_DTYPES[DType(self._layout.input_dtype)])
        elements = self._layout.input_bytes // expected.itemsize
        if x.dtype != expected or x.ndim < 1 or x[:1].size not in (0, elements):
            raise ShapeError(f"input is {x.dtype} {list(x.shape)}, the blob takes {expected} [n, {elements}]")
        return np.ascontiguousarray(x)
