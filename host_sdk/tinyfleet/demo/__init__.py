"""``tinyfleet demo``: the product's whole job in one run, with a proof at every step."""

from tinyfleet.demo.report import DemoFigures, DemoReport
from tinyfleet.demo.run import DemoOptions, Display, run_demo

__all__ = ["DemoFigures", "DemoOptions", "DemoReport", "Display", "run_demo"]
