"""The air without a radio: where emulated boards, hosts and Bluetooth LE programs of others meet over TCP.

Each TCP client gets a Bluetooth controller of its own that speaks HCI (H4), and all controllers hear each other. ::

    with serve_air() as air:
        print(air.address)                                  # 127.0.0.1:40123, for boards and hosts
        air.faults = AirFaults(link_loss_after_bytes=[5000])

or, in a program that has a loop: ``async with await Air.start() as air``. What goes wrong on purpose is in
``docs/guides/ble.md``. The controllers are Bumble's, mended: an HCI reset and a closed connection end links on the other side too.
Needs the extra ``sim``.
"""

from __future__ import annotations

from tinyfleet.emulator.air.faults import AirFaults, load_faults
from tinyfleet_codegen.errors import SetupError

try:
    from tinyfleet.emulator.air.server import Air, ThreadedAir, serve_air
except ModuleNotFoundError as error:
    raise SetupError(f"the air needs the package {error.name}", hint="pip install 'tinyfleet[sim]'") from error

__all__ = ["Air", "AirFaults", "ThreadedAir", "load_faults", "serve_air"]
