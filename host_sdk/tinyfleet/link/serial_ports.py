"""Serial ports of this machine, and which of them a name means.

A port on USB comes back under another name when it is plugged in again, or when the machine starts with others beside it. What stays is the
serial number of the USB device: ``usb:SERIAL`` names a port by it, and is looked up each time that the port is opened.
"""

from __future__ import annotations

import os
import re
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass

from serial.tools import list_ports

from tinyfleet_codegen.errors import LinkClosed

USB = "usb:"
"""How a name begins that is a USB serial number."""
_SCHEME = "serial://"


@dataclass(frozen=True, slots=True)
class SerialPort:
    """One serial port that is here now.

    Attributes:
        path: Its name today, ``/dev/ttyACM0`` or ``COM3``.
        description: What the system calls it.
        serial_number: Of the USB device; None where it has none, or is not on USB.
        vendor_product: Of the USB device, as ``0483:374b``; None: not on USB.
        interface: Number of the USB interface, where the device has several; None: it has one, or the system does not say.
    """

    path: str
    description: str
    serial_number: str | None = None
    vendor_product: str | None = None
    interface: int | None = None

    def __str__(self) -> str:
        number = f"serial number {self.serial_number}" if self.serial_number else "no serial number"
        interface = f", interface {self.interface}" if self.interface is not None else ""
        return f"{self.path} ({f'usb {self.vendor_product}, {number}{interface}' if self.vendor_product else 'not usb'})"


def serial_ports() -> list[SerialPort]:
    """All of them, by name."""
    ports = []
    for port in list_ports.comports():
        is_usb = port.vid is not None and port.pid is not None
        # "1-4:1.2" is interface 2 in configuration 1 of the device at 1-4.
        interface = re.search(r":\d+\.(\d+)$", port.location or "")
        ports.append(
            SerialPort(
                path=port.device,
                description=port.description,
                serial_number=port.serial_number or None,
                vendor_product=f"{port.vid:04x}:{port.pid:04x}" if is_usb else None,
                interface=int(interface[1]) if interface else None,
            )
        )
    return sorted(ports, key=lambda port: port.path)


def path_of(name: str, interface: int | None = None) -> str:
    """The path of a port today.

    Args:
        name: A path, or ``usb:SERIAL``.
        interface: With ``usb:``, which of several ports of one USB device.

    Raises:
        LinkClosed: no port has that serial number, or several have.
    """
    if not name.startswith(USB):
        return name
    number = name.removeprefix(USB)
    ports = serial_ports()
    found = [port for port in ports if port.serial_number == number and interface in (None, port.interface)]
    if len(found) == 1:
        return found[0].path
    what = f"USB serial number {number}" + ("" if interface is None else f", interface {interface}")
    if not found:
        there = "; ".join(map(str, ports)) or "no serial port at all"
        raise LinkClosed(f"no serial port has {what}; there is: {there}", hint="plug it in, or name another: tinyfleet device scan")
    clear = usb_url(found[0], ports)
    raise LinkClosed(
        f"{len(found)} serial ports have {what}: {' and '.join(map(str, found))}",
        hint=f"say which: {clear}" if clear else f"name one by its path: {_SCHEME}{found[0].path}",
    )


def usb_url(port: SerialPort, ports: Sequence[SerialPort]) -> str | None:
    """The URL that finds a port again whatever its name will be; None: there is none that is clear among ``ports``."""
    if port.serial_number is None:
        return None
    url = f"{_SCHEME}{USB}{urllib.parse.quote(port.serial_number, safe='')}"
    alike = [other.interface for other in ports if other.serial_number == port.serial_number]
    if len(alike) == 1:
        return url
    return f"{url}?interface={port.interface}" if port.interface is not None and alike.count(port.interface) == 1 else None


def held_name(url: str) -> str:
    """What a device URL is called by programs that share its port: the port as it is today, so that all of its names are one.

    Raises:
        LinkClosed: see :func:`path_of`.
    """
    if not url.startswith(_SCHEME):
        return url
    name, _, options = url.removeprefix(_SCHEME).partition("?")
    interface = urllib.parse.parse_qs(options).get("interface", [""])[0]
    path = path_of(urllib.parse.unquote(name), int(interface) if interface.isdecimal() else None)
    return _SCHEME + (os.path.realpath(path) if path.startswith("/") else path)
