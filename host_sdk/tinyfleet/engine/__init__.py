"""The C engine on this machine: the same generated C and kernels as on a board, bound through cffi.

::

    model = HostModel(load_package(Path("model.tflite")))
    scores = model.run(windows)          # int8 [n, *input shape] -> int8 [n, *output shape]

    blob = BlobModel(Path("model.tfm").read_bytes())
    scores = blob.run(windows)           # int8 [n, output elements]
"""

from tinyfleet.engine.blob_model import BlobModel
from tinyfleet.engine.host_model import HostModel

__all__ = ["BlobModel", "HostModel"]
