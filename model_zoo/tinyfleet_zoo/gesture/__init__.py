"""Shoulder exercises from a wrist-worn IMU: seven classes, ten people, six axes (see README.md)."""

from tinyfleet_zoo.gesture.data import load_recordings
from tinyfleet_zoo.gesture.network import build_network

__all__ = ["build_network", "load_recordings"]
