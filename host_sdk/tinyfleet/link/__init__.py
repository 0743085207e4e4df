"""Links: how management messages reach a board. One :func:`open_link` for all; every kind passes one contract test.

=============================================  ==========================================================
``serial:///dev/ttyACM0?baud=115200``          a serial port, also a pseudo-terminal
``serial://usb:SERIAL?baud=115200``            the port of the USB device with this serial number, whatever it is called today
``tcp://127.0.0.1:5555``                       a UART behind a socket, as an emulated board's
``emu://mps2_an386?elf=FILE&nvm=FILE``         starts an emulated board and stops it again; ``nvm`` may be left out
``memory://?model=DIR&nvm=FILE``               the firmware itself, compiled for this machine; ``nvm`` may be left out
``ble://tf-1a2b3?air=HOST:PORT``               Bluetooth Low Energy, by name or device id; without an air this machine's adapter
=============================================  ==========================================================

A new kind is a module with a :class:`~tinyfleet.link.pipe.BytePipe` or a :class:`Link`, and a line in ``opening``.
"""

from __future__ import annotations

from tinyfleet.link.link import Link
from tinyfleet.link.opening import open_link

__all__ = ["Link", "open_link"]
