"""What is between the controllers: it carries advertisements and packets, and is where things go wrong on purpose."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from dataclasses import dataclass, field

from bumble import hci, ll
from bumble.link import LocalLink

from tinyfleet.emulator.air.controller import AirConnection, AirController
from tinyfleet.emulator.air.faults import AirFaults

log = logging.getLogger(__name__)

_ATT_CID = 4
_MTU_REQUEST, _MTU_RESPONSE, _NOTIFICATION, _WRITE_COMMAND = 0x02, 0x03, 0x1B, 0x52
_NOTIFICATION_HEADER_BYTES = 4 + 3  # L2CAP, ATT
_LATEST_S = 0.05  # A packet that waits to be overtaken goes on after that time even if none comes.


@dataclass(slots=True)
class Counts:
    """What the air has done so far."""

    links: int = 0
    carried_packets: int = 0
    carried_bytes: int = 0
    notified_bytes: int = 0  # the values of notifications
    dropped: int = 0
    duplicated: int = 0
    late: int = 0
    links_lost: int = 0


@dataclass(slots=True)
class _Direction:
    """Packets on their way from one end of a link to the other."""

    under_way: deque[tuple[float, bytes]] = field(default_factory=deque)
    arrives_at: float = 0.0
    timer: asyncio.TimerHandle | None = None
    overtaken: bytes | None = None
    overtaken_timer: asyncio.TimerHandle | None = None


@dataclass(slots=True)
class _Link:
    """Both ends of a connection, and what is known of it."""

    ends: tuple[AirConnection, AirConnection]
    directions: tuple[_Direction, _Direction] = field(default_factory=lambda: (_Direction(), _Direction()))
    carried_bytes: int = 0
    lost_at: int | None = None
    silent_at: int | None = None
    is_silent: bool = False

    def index(self, end: AirConnection) -> int:
        return 0 if self.ends[0] is end else 1


class Medium(LocalLink):
    """The air between controllers.

    Args:
        faults: What goes wrong.
    """

    controllers: set[AirController]  # type: ignore[assignment]

    def __init__(self, faults: AirFaults) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._links: dict[int, _Link] = {}  # by the id of either end
        self.counts = Counts()
        self.faults = faults

    @property
    def faults(self) -> AirFaults:
        """What goes wrong; setting it starts the pseudo-random choices anew."""
        return self._faults

    @faults.setter
    def faults(self, faults: AirFaults) -> None:
        self._faults = faults
        self._random = random.Random(faults.seed)
        self._scan_random = random.Random(faults.seed)  # When a board advertises must not change what happens to packets.
        if not faults.withhold_credits:
            for controller in self.controllers:
                controller.give_back_withheld()

    def advertise(self, sender: AirController) -> None:
        """Let every other controller hear one advertisement, until one of them connects."""
        advertiser = sender.le_legacy_advertiser
        for controller in list(self.controllers):
            if controller is not sender and advertiser.enabled and self._scan_random.random() >= self.faults.drop_advertisements:
                controller.hear_advertisement(advertiser)

    def on_connected(self, central: AirConnection, peripheral: AirConnection) -> None:
        """Two controllers have connected."""
        link = _Link((central, peripheral))
        self._links[id(central)] = self._links[id(peripheral)] = link
        self.counts.links += 1
        log.info("link up central=%s peripheral=%s", central.self_address, peripheral.self_address)

    def carry(self, sender: AirConnection, pdu: bytes) -> None:
        """Take an L2CAP packet from one end of a link towards the other."""
        link = self._links.get(id(sender))
        if link is None:
            return
        faults = self.faults
        if link.lost_at is None and faults.link_loss_after_bytes:
            link.lost_at = link.carried_bytes + faults.link_loss_after_bytes.pop(0)
        if link.silent_at is None and faults.silence_after_bytes:
            link.silent_at = link.carried_bytes + faults.silence_after_bytes.pop(0)
        link.carried_bytes += len(pdu)
        if link.lost_at is not None and link.carried_bytes > link.lost_at:
            self._lose(link)
            return
        if link.silent_at is not None and link.carried_bytes > link.silent_at and not link.is_silent:
            link.is_silent = True
            asyncio.get_running_loop().call_later(faults.supervision_timeout_s, self._lose, link)
        if link.is_silent:
            return
        self.counts.carried_packets += 1
        self.counts.carried_bytes += len(pdu)
        self._send(link, link.index(sender), pdu)

    def _send(self, link: _Link, index: int, pdu: bytes) -> None:
        direction, faults = link.directions[index], self.faults
        operation = pdu[4] if len(pdu) > 4 and int.from_bytes(pdu[2:4], "little") == _ATT_CID else None
        copies = 1
        if operation in {_MTU_REQUEST, _MTU_RESPONSE} and faults.att_mtu is not None:
            agreed = min(faults.att_mtu, int.from_bytes(pdu[5:7], "little"))
            pdu = pdu[:5] + agreed.to_bytes(2, "little") + pdu[7:]
        elif operation in {_NOTIFICATION, _WRITE_COMMAND}:
            if operation == _NOTIFICATION:
                self.counts.notified_bytes += len(pdu) - _NOTIFICATION_HEADER_BYTES
            if self._happens(faults.drop):
                self.counts.dropped += 1
                return
            if direction.overtaken is None and self._happens(faults.late):
                self.counts.late += 1
                direction.overtaken = pdu
                direction.overtaken_timer = asyncio.get_running_loop().call_later(_LATEST_S, self._release, link, index)
                return
            if self._happens(faults.duplicate):
                self.counts.duplicated += 1
                copies = 2
        for _ in range(copies):
            self._queue(link, index, pdu)
        self._release(link, index)

    def _release(self, link: _Link, index: int) -> None:
        """Let the packet that was overtaken go on."""
        direction = link.directions[index]
        if direction.overtaken is not None:
            pdu, direction.overtaken = direction.overtaken, None
            if direction.overtaken_timer is not None:
                direction.overtaken_timer.cancel()
            self._queue(link, index, pdu)

    def _queue(self, link: _Link, index: int, pdu: bytes) -> None:
        direction, faults = link.directions[index], self.faults
        wait_s = (faults.delay_ms + (self._random.uniform(0, faults.jitter_ms) if faults.jitter_ms else 0)) / 1000
        if wait_s <= 0 and not direction.under_way:
            self._deliver(link, index, pdu)
            return
        loop = asyncio.get_running_loop()
        direction.arrives_at = max(direction.arrives_at, loop.time() + wait_s)
        direction.under_way.append((direction.arrives_at, pdu))
        if direction.timer is None:
            direction.timer = loop.call_at(direction.arrives_at, self._arrive, link, index)

    def _arrive(self, link: _Link, index: int) -> None:
        direction, loop = link.directions[index], asyncio.get_running_loop()
        direction.timer = None
        while direction.under_way and direction.under_way[0][0] <= loop.time():
            self._deliver(link, index, direction.under_way.popleft()[1])
        if direction.under_way:
            direction.timer = loop.call_at(direction.under_way[0][0], self._arrive, link, index)

    def _deliver(self, link: _Link, index: int, pdu: bytes) -> None:
        receiver = link.ends[1 - index]
        if id(receiver) in self._links and not link.is_silent:
            receiver.controller.deliver(receiver, pdu)

    def _lose(self, link: _Link) -> None:
        if self.end(link.ends[0], hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR):
            self.counts.links_lost += 1

    def lose_links(self) -> int:
        """Lose all links now; returns how many there were."""
        links = {id(link): link for link in self._links.values()}
        for link in links.values():
            self._lose(link)
        return len(links)

    def end(self, end: AirConnection, reason: int, *, tell_this_side: bool = True) -> bool:
        """End a link; False when it has ended before.

        Args:
            end: One end of it.
            reason: What the hosts are told.
            tell_this_side: Also the host of ``end``.
        """
        link = self._links.pop(id(end), None)
        if link is None:
            return False
        other = link.ends[1 - link.index(end)]
        self._links.pop(id(other), None)
        for direction in link.directions:
            for timer in (direction.timer, direction.overtaken_timer):
                if timer is not None:
                    timer.cancel()
        if tell_this_side:
            end.controller.lose(end, reason)
        else:
            end.controller.le_connections.pop(end.peer_address, None)
        other.controller.lose(other, reason)
        log.info("link down self=%s peer=%s reason=%#x", end.self_address, end.peer_address, reason)
        return True

    def send_ll_control_pdu(self, sender_address: hci.Address, receiver_address: hci.Address, packet: ll.ControlPdu) -> None:
        """Pass a link layer message on. Bumble's raises when the other side has just gone."""
        for controller in self.controllers:
            connection = controller.le_connections.get(sender_address)
            if connection is not None and connection.self_address == receiver_address:
                asyncio.get_running_loop().call_soon(controller.on_ll_control_pdu, sender_address, packet)

    def _happens(self, share: float) -> bool:
        return share > 0 and self._random.random() < share
