"""Recipes: data, network and settings of each model, found through the entry point ``tinyfleet.recipes``."""
