"""Models as signed packages that a device proves before it takes them.

::

    package = pack_model(load_package(Path("kws.tflite")), "mps2_an386", version="1.2.0", key=Path("model.pem"))
    print(read_package(package).digest.hex())
"""

from tinyfleet.model_package.contents import GoldenVector, PackageContents, Quantization, read_package
from tinyfleet.model_package.delta import apply_delta, is_delta, make_delta
from tinyfleet.model_package.pack import HOST_BOARD, GoldenPlan, golden_vectors, pack_model, sign_package

__all__ = [
    "HOST_BOARD",
    "GoldenPlan",
    "GoldenVector",
    "PackageContents",
    "Quantization",
    "apply_delta",
    "golden_vectors",
    "is_delta",
    "make_delta",
    "pack_model",
    "read_package",
    "sign_package",
]
