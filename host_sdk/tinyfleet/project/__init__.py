"""A user's own project, begun from a recipe: recipe, firmware app, rig file and a test that builds and runs them all.

::

    create_project(Path("lift_counter"), recipe="gesture", board="mps2_an386")
"""

from tinyfleet.project.create import create_project

__all__ = ["create_project"]
