"""One Bluetooth LE controller on the air: Bumble's, with what ours need mended (see each override)."""

from __future__ import annotations

import asyncio
import logging
import random
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bumble import hci, ll
from bumble.controller import Connection, Controller, LegacyAdvertiser
from bumble.core import PhysicalTransport

if TYPE_CHECKING:
    from tinyfleet.emulator.air.medium import Medium

log = logging.getLogger(__name__)

_UNIT_S = 0.000625
_MIN_INTERVAL_S = 0.02
_ADV_DELAY_S = 0.01  # Each event is late by up to that much at random, as on a radio: advertisers do not march in step.
_TIME_US = 2120  # For 251 bytes at 1 Mbit/s.
_ACL_HEADER = struct.Struct("<BHH")
_ACL_START, _ACL_CONTINUED = 2, 1
_L2CAP_HEADER_BYTES = 4
# A controller of version 4.2: hosts use the legacy commands, which are the ones that work.
_FEATURES = (
    hci.LeFeatureMask.LE_ENCRYPTION
    | hci.LeFeatureMask.CONNECTION_PARAMETERS_REQUEST_PROCEDURE
    | hci.LeFeatureMask.EXTENDED_REJECT_INDICATION
    | hci.LeFeatureMask.PERIPHERAL_INITIATED_FEATURE_EXCHANGE
    | hci.LeFeatureMask.LE_PING
    | hci.LeFeatureMask.LE_DATA_PACKET_LENGTH_EXTENSION
)


class Advertiser(LegacyAdvertiser):
    """Legacy advertising with the interval that was asked for (Bumble takes the unit for 1 ms) and the radio's random delay."""

    controller: AirController

    def _on_timer_fired(self) -> None:
        self.send_advertising_data()
        wait_s = max(_MIN_INTERVAL_S, self.advertising_interval_min * _UNIT_S) + random.uniform(0, _ADV_DELAY_S)
        self.timer_handle = asyncio.get_running_loop().call_later(wait_s, self._on_timer_fired)


class AirConnection(Connection):
    """One end of a link."""

    controller: AirController


class AirController(Controller):
    """A controller with a host behind ``send``.

    Args:
        name: For logs.
        medium: The air; the controller is on it from now on.
        public_address: Its own.
        send: Takes the packets for its host, H4.
    """

    le_features = _FEATURES
    le_connections: dict[hci.Address, AirConnection]  # type: ignore[assignment]
    le_legacy_advertiser: Advertiser

    def __init__(self, name: str, medium: Medium, public_address: str, send: Callable[[bytes], None]) -> None:
        super().__init__(name, link=medium, public_address=public_address)
        self.medium = medium
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._withheld: dict[int, int] = {}  # buffers not given back, by connection handle
        self._pieces: dict[int, bytearray] = {}  # of the packet that a host is sending, by connection handle
        self._reported: set[bytes] = set()
        self._start_fresh()

    def _start_fresh(self) -> None:
        self.le_legacy_advertiser = Advertiser(self)
        self.le_scan_enable = False
        self.pending_le_connection = None
        self.random_address = hci.Address("00:00:00:00:00:00")
        self.le_acl_data_packet_length = self.medium.faults.acl_bytes
        self.total_num_le_acl_data_packets = self.medium.faults.credits
        self.supported_max_tx_octets = self.supported_max_rx_octets = self.suggested_max_tx_octets = self.medium.faults.acl_bytes
        self._withheld.clear()
        self._pieces.clear()

    # The host's side

    def on_packet(self, packet: bytes) -> None:
        """Take one H4 packet from the host. Data takes the short way: Bumble prints every packet, also when nobody reads it."""
        if packet[0] == hci.HCI_ACL_DATA_PACKET:
            self._take_acl(packet)
        elif packet[0] == hci.HCI_COMMAND_PACKET:
            self.on_hci_command_packet(hci.HCI_Command.from_bytes(packet))
        else:
            log.debug("packet ignored controller=%s type=%d", self.name, packet[0])

    def send_hci_packet(self, packet: Any) -> None:
        """Send an event to the host."""
        self._send(bytes(packet))

    def _take_acl(self, packet: bytes) -> None:
        _type, handle_and_flags, size = _ACL_HEADER.unpack_from(packet)
        handle, boundary = handle_and_flags & 0xFFF, handle_and_flags >> 12 & 3
        connection = self._find(handle)
        if connection is None:
            return  # The link was lost while the packet was on its way here.
        data = packet[_ACL_HEADER.size :]
        if size > self.le_acl_data_packet_length:
            log.warning("packet larger than the buffer controller=%s bytes=%d buffer=%d", self.name, size, self.le_acl_data_packet_length)
        pieces = self._pieces.setdefault(handle, bytearray())
        if boundary != _ACL_CONTINUED:
            pieces.clear()
        pieces += data
        if len(pieces) >= _L2CAP_HEADER_BYTES and len(pieces) >= _L2CAP_HEADER_BYTES + int.from_bytes(pieces[:2], "little"):
            self.medium.carry(connection, bytes(pieces))
            pieces.clear()
        self._give_back(connection)

    def _find(self, handle: int) -> AirConnection | None:
        return next((connection for connection in self.le_connections.values() if connection.handle == handle), None)

    def _give_back(self, connection: AirConnection) -> None:
        """A buffer is free again; the host is told now, later or not at all."""
        faults = self.medium.faults
        if faults.withhold_credits:
            self._withheld[connection.handle] = self._withheld.get(connection.handle, 0) + 1
        elif faults.credit_delay_ms > 0:
            self._loop.call_later(faults.credit_delay_ms / 1000, self._report_completed, connection, 1)
        else:
            self._report_completed(connection, 1)

    def _report_completed(self, connection: AirConnection, count: int) -> None:
        if self.le_connections.get(connection.peer_address) is connection:
            self.send_hci_packet(
                hci.HCI_Number_Of_Completed_Packets_Event(connection_handles=[connection.handle], num_completed_packets=[count])
            )

    def give_back_withheld(self) -> None:
        """Give back all buffers that were withheld."""
        for connection in list(self.le_connections.values()):
            if count := self._withheld.pop(connection.handle, 0):
                self._report_completed(connection, count)

    # The air's side

    def deliver(self, connection: AirConnection, pdu: bytes) -> None:
        """Hand an L2CAP packet that arrived to the host, in pieces as a radio's controller does."""
        most = self.medium.faults.acl_bytes
        for start in range(0, len(pdu), most):
            piece = pdu[start : start + most]
            flags = _ACL_CONTINUED if start else _ACL_START
            self._send(_ACL_HEADER.pack(hci.HCI_ACL_DATA_PACKET, connection.handle | flags << 12, len(piece)) + piece)

    def hear_advertisement(self, advertiser: Advertiser) -> None:
        """Somebody advertises: tell the scanning host, connect if that is what it waits for.

        Bumble repeats the advertisement as the scan response; here it is the response, and only an active scan gets one.
        """
        address = advertiser.address
        if self.le_scan_enable and not (self.filter_duplicates and bytes(address) in self._reported):
            self._reported.add(bytes(address))
            events = hci.HCI_LE_Advertising_Report_Event.EventType
            self._report_advertisement(events.ADV_IND, address, advertiser.advertising_data)
            if self.le_scan_type == hci.HCI_LE_Set_Scan_Parameters_Command.ACTIVE_SCANNING:
                self._report_advertisement(events.SCAN_RSP, address, advertiser.scan_response_data)
        wanted = self.pending_le_connection
        if wanted is not None and wanted.peer_address == address:
            self._connect(wanted, advertiser)

    def _report_advertisement(self, event_type: int, address: hci.Address, data: bytes) -> None:
        report = hci.HCI_LE_Advertising_Report_Event.Report(
            event_type=event_type, address_type=address.address_type, address=address, data=bytes(data), rssi=-50
        )
        self.send_hci_packet(hci.HCI_LE_Advertising_Report_Event([report]))

    def _connect(self, wanted: Any, advertiser: Advertiser) -> None:
        """Both ends at once: Bumble lets two centrals connect to one advertisement, and one of them waits for ever."""
        if wanted.peer_address in self.le_connections:
            return
        own = self.public_address if wanted.own_address_type == hci.OwnAddressType.PUBLIC else self.random_address
        self.pending_le_connection = None
        peripheral = advertiser.controller
        address = advertiser.address
        advertiser.stop()
        ours = self._add_connection(hci.Role.CENTRAL, own, wanted.peer_address, wanted)
        theirs = peripheral._add_connection(hci.Role.PERIPHERAL, address, own, wanted)
        self.medium.on_connected(ours, theirs)

    def _add_connection(self, role: hci.Role, own: hci.Address, peer: hci.Address, wanted: Any) -> AirConnection:
        connection = AirConnection(
            controller=self,
            handle=self.allocate_connection_handle(),
            role=role,
            self_address=own,
            peer_address=peer,
            link=self.medium,
            transport=PhysicalTransport.LE,
            link_type=hci.HCI_Connection_Complete_Event.LinkType.ACL,
        )
        self.le_connections[peer] = connection
        self._send_connection_complete(hci.HCI_ErrorCode.SUCCESS, connection.handle, role, peer, wanted)
        return connection

    def _send_connection_complete(self, status: int, handle: int, role: hci.Role, peer: hci.Address, wanted: Any) -> None:
        self.send_hci_packet(
            hci.HCI_LE_Connection_Complete_Event(
                status=status,
                connection_handle=handle,
                role=role,
                peer_address_type=peer.address_type,
                peer_address=peer,
                connection_interval=wanted.connection_interval_min,
                peripheral_latency=wanted.max_latency,
                supervision_timeout=wanted.supervision_timeout,
                central_clock_accuracy=0,
            )
        )

    def lose(self, connection: AirConnection, reason: int) -> None:
        """End a link on this side: the host hears the reason. Does nothing when it has ended."""
        if self.le_connections.get(connection.peer_address) is connection:
            self.on_le_disconnected(connection, reason)
            self._withheld.pop(connection.handle, None)
            self._pieces.pop(connection.handle, None)

    def leave(self) -> None:
        """The host is gone: so is all that it had on the air."""
        self.le_legacy_advertiser.stop()
        for connection in list(self.le_connections.values()):
            self.medium.end(connection, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR, tell_this_side=False)

    # Commands that Bumble's controller answers without doing them, or not at all

    def on_hci_reset_command(self, command: Any) -> Any:
        """Links and advertising end with a reset; the peers see a connection timeout."""
        self.leave()
        self._start_fresh()
        return super().on_hci_reset_command(command)

    def on_hci_disconnect_command(self, command: Any) -> None:
        """The other side hears the reason, this side that it was its own wish."""
        connection = self._find(command.connection_handle)
        if connection is None:
            self._send_hci_command_status(hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR, command.op_code)
            return
        self._send_hci_command_status(hci.HCI_COMMAND_STATUS_PENDING, command.op_code)
        self.medium.end(connection, command.reason, tell_this_side=False)
        self._send_disconnected(connection)

    def _send_disconnected(self, connection: AirConnection) -> None:
        self.send_hci_packet(
            hci.HCI_Disconnection_Complete_Event(
                status=hci.HCI_ErrorCode.SUCCESS,
                connection_handle=connection.handle,
                reason=hci.HCI_ErrorCode.CONNECTION_TERMINATED_BY_LOCAL_HOST_ERROR,
            )
        )

    def on_hci_le_set_scan_enable_command(self, command: Any) -> Any:
        """Each scan forgets what the one before has reported."""
        self._reported.clear()
        return super().on_hci_le_set_scan_enable_command(command)

    def on_hci_le_create_connection_cancel_command(self, command: Any) -> Any:
        """The pending connection ends, and the host is told so."""
        wanted = self.pending_le_connection
        if wanted is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        self.pending_le_connection = None
        # After the answer to this command.
        status = hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR
        self._loop.call_soon(self._send_connection_complete, status, 0, hci.Role.CENTRAL, wanted.peer_address, wanted)
        return super().on_hci_le_create_connection_cancel_command(command)

    def on_hci_le_set_data_length_command(self, command: Any) -> Any:
        """Both sides agree at once."""
        octets = min(command.tx_octets, self.medium.faults.acl_bytes)
        event = hci.HCI_LE_Data_Length_Change_Event(
            connection_handle=command.connection_handle,
            max_tx_octets=octets,
            max_tx_time=_TIME_US,
            max_rx_octets=self.medium.faults.acl_bytes,
            max_rx_time=_TIME_US,
        )
        self._loop.call_soon(self.send_hci_packet, event)
        return hci.HCI_StatusAndConnectionHandleReturnParameters(
            status=hci.HCI_ErrorCode.SUCCESS, connection_handle=command.connection_handle
        )

    def send_advertising_pdu(self, packet: ll.AdvertisingPdu) -> None:
        """An advertisement of this controller reaches all others."""
        self.medium.advertise(self)
