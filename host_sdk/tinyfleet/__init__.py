"""tinyfleet: from a dataset to a fleet of Cortex-M boards, proved at every step."""

__version__ = "0.1.0"

__all__ = ["__version__"]
