"""How the two hosts of a demo, the replay and the gateway, reach its one board."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tinyfleet.demo.shared_port import share_port
from tinyfleet.demo.site import Site
from tinyfleet.device import open_device
from tinyfleet.device_keys import keys_in, new_key


@dataclass(frozen=True, slots=True)
class Ports:
    """Device URLs of one board.

    Attributes:
        replay: For who feeds recordings and looks at the end.
        gateway: For the gateway.
        through_gateway: Whether who feeds reaches the board through the gateway alone.
    """

    replay: str
    gateway: str
    through_gateway: bool = False


@asynccontextmanager
async def open_ports(site: Site) -> AsyncIterator[Ports]:
    """The ports, as long as the body runs.

    On a serial line both hosts share it. In the air there is room for one host: the gateway, in sessions with a key that the board got over
    its wire; recordings go through the gateway, as with any other program of its user.

    Raises:
        LinkError: the board does not answer.
    """
    if site.ble_url is None:
        async with share_port(site.board_url) as url:
            yield Ports(url, url)
        return
    with keys_in(site.keys):
        async with open_device(site.board_url) as device:
            with new_key(site.device_id) as key:
                await device.provision(key)
        yield Ports(site.ble_url, site.ble_url, through_gateway=True)
