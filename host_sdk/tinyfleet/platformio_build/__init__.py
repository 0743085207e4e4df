"""Build the firmware with PlatformIO, offline: no registry, no packages, nothing written beside the sources.

::

    build = build_firmware("mps2_an386", Path("build/model"), Path("build/firmware"))
    print(build.elf, build.flash_bytes, build.ram_bytes)
"""

from __future__ import annotations

from tinyfleet.platformio_build.build import FirmwareBuild, build_firmware
from tinyfleet.platformio_build.signed import SignedBuild, build_signed

__all__ = ["FirmwareBuild", "SignedBuild", "build_firmware", "build_signed"]
