"""What a model costs on a board: counts per layer, flash, RAM; as data, as a page, and two of them compared.

::

    profile = profile_model(load_package(Path("kws.tflite")), "mps2_an386")
    print(profile.instructions, profile.flash.code_bytes, profile.ram_bytes)
"""

from __future__ import annotations

from tinyfleet.arena_plot import ArenaPlace
from tinyfleet.profile.compare import ProfileComparison, compare_profiles, load_profile
from tinyfleet.profile.executed import CycleEstimate, InstructionClasses
from tinyfleet.profile.page import render_profile
from tinyfleet.profile.profiling import FunctionSize, LayerProfile, ModelProfile, profile_model

__all__ = [
    "ArenaPlace",
    "CycleEstimate",
    "FunctionSize",
    "InstructionClasses",
    "LayerProfile",
    "ModelProfile",
    "ProfileComparison",
    "compare_profiles",
    "load_profile",
    "profile_model",
    "render_profile",
]
