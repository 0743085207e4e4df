"""tinyfleet's PlatformIO platform: no packages, no frameworks; ``builder/main.py`` does the work."""

from platformio.public import PlatformBase


class TinyfleetPlatform(PlatformBase):
    """The boards of ``firmware/boards`` (``boards_dir`` in platformio.ini)."""

    def is_embedded(self):
        return True
