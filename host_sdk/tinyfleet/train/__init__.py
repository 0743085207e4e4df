"""From a recipe to a trained float network. TensorFlow is imported only when training starts."""

from tinyfleet.train.recipe import Recipe, RecipeSpec, load_recipe, parse_recipe, recipe_names
from tinyfleet.train.recording import Recording, WindowSet, cut_windows, of_subjects
from tinyfleet.train.training import Progress, TrainedModel, as_model_input, load_windows, model_input, train_recipe

__all__ = [
    "Progress",
    "Recipe",
    "RecipeSpec",
    "Recording",
    "TrainedModel",
    "WindowSet",
    "as_model_input",
    "cut_windows",
    "load_recipe",
    "load_windows",
    "model_input",
    "of_subjects",
    "parse_recipe",
    "recipe_names",
    "train_recipe",
]
