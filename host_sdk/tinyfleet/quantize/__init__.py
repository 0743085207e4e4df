"""Float network to int8 .tflite, behind an interface, because converters come and go.

::

    quantized = quantize_model(keras_file, calibration)     # float32 [n, ...] inputs as the network sees them
    model = make_recipe_model("gesture")                    # train, quantize and judge a recipe
"""

from tinyfleet.quantize.backend import QuantizerBackend, quantize_model
from tinyfleet.quantize.package import calibration_indices, package_recipe
from tinyfleet.quantize.recipe_model import RecipeModel, finish_recipe_model, make_recipe_model
from tinyfleet.quantize.result import LayerAccuracy, QuantizedModel
from tinyfleet.quantize.tflite_backend import TfLiteBackend

__all__ = [
    "LayerAccuracy",
    "QuantizedModel",
    "QuantizerBackend",
    "RecipeModel",
    "TfLiteBackend",
    "calibration_indices",
    "finish_recipe_model",
    "make_recipe_model",
    "package_recipe",
    "quantize_model",
]
