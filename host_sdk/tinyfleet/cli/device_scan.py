"""``tinyfleet device scan``: which devices this machine can reach."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tinyfleet.cli.output import JsonFlag, print_facts, print_json
from tinyfleet_codegen.errors import LinkClosed, SetupError

if TYPE_CHECKING:
    from tinyfleet.link.ble import Found


def add_command(group: typer.Typer) -> None:
    """Add ``scan``."""
    group.command("scan", epilog="Example: tinyfleet device scan --air 127.0.0.1:7700 --timeout 1")(scan_command)


def scan_command(
    air: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", envvar="TINYFLEET_AIR", help="Look in this air instead of by this machine's Bluetooth adapter."),
    ] = None,
    timeout: Annotated[float, typer.Option("--timeout", metavar="SECONDS", help="How long to listen for Bluetooth.", min=0.1)] = 3.0,
    everybody: Annotated[bool, typer.Option("--all", help="Also Bluetooth devices that offer no management.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """List the serial ports of this machine, with the URL that finds a port on USB whatever its name will be, and the boards in reach of
    Bluetooth Low Energy.
    """
    ports = _serial_ports()
    try:
        devices = [_ble_facts(device) for device in _listen(air or None, timeout) if everybody or device.speaks_smp]
    except (LinkClosed, SetupError) as error:
        if air:
            raise
        # Not having Bluetooth is no fault of who looks for serial ports.
        devices = []
        typer.echo(str(error), err=True)
    if as_json:
        print_json([*ports, *devices])
        return
    print_facts((port["url"], _describe_port(port)) for port in ports)
    print_facts((device["url"] or device["address"], _describe(device)) for device in devices)
    if not ports and not devices:
        typer.echo("no device; an emulated board prints its address when it starts: tinyfleet emulate", err=True)


def _serial_ports() -> list[dict[str, Any]]:
    from tinyfleet.link.serial_ports import serial_ports, usb_url  # noqa: PLC0415 - keeps --help fast

    ports = serial_ports()
    return [
        {
            "url": f"serial://{port.path}",
            "usb_url": usb_url(port, ports),
            "description": port.description,
            "serial_number": port.serial_number,
            "vendor_product": port.vendor_product,
            "interface": port.interface,
        }
        for port in ports
    ]


def _describe_port(port: dict[str, Any]) -> str:
    usb = [f"usb {port['vendor_product']}"] if port["vendor_product"] else []
    if port["usb_url"]:
        lasting = f"always {port['usb_url']}"
    else:
        lasting = f"serial number {port['serial_number']}, of others as well" if port["serial_number"] else "no serial number"
    return ", ".join([port["description"], *usb, lasting])


def _listen(air: str | None, seconds: float) -> list[Found]:
    import asyncio  # noqa: PLC0415

    from tinyfleet.link.ble import scan_ble  # noqa: PLC0415

    return asyncio.run(scan_ble(air, seconds))


def _ble_facts(device: Found) -> dict[str, Any]:
    from urllib.parse import quote  # noqa: PLC0415

    from tinyfleet.device_keys import devices_with_keys  # noqa: PLC0415
    from tinyfleet_codegen.wire.ble import address_of  # noqa: PLC0415

    # A board's name holds the first digits; the rest this host knows of boards that it has a key for. Of two the address tells.
    ids = [known for known in devices_with_keys() if device.id_begins and known.hex().startswith(device.id_begins)]
    if ":" in device.address:  # else this system hides it
        ids = [known for known in ids if address_of(known) == device.address.upper()]
    return {
        "url": f"ble://{quote(device.name)}" if device.name else None,
        "name": device.name,
        "device_id": ids[0].hex() if len(ids) == 1 else None,
        "address": device.address,
        "rssi_dbm": device.rssi,
        "services": list(device.services),
        "management": device.speaks_smp,
    }


def _describe(device: dict[str, Any]) -> str:
    known = f"device {device['device_id']}, has a key here" if device["device_id"] else "no key here"
    services = "management" if device["management"] else f"{len(device['services'])} services"
    return f"{known}, {device['rssi_dbm']} dBm, {services}"
