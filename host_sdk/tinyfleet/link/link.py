"""An SMP transport to one device: what all links share, and the one over bytes with console framing."""

from __future__ import annotations

from collections import deque

from smp.header import OP, Header
from smpclient.transport import SMPTransport

from tinyfleet.link.framing import FrameDecoder, encode_message
from tinyfleet.link.pipe import BytePipe

FIRST_MESSAGE_BYTES = 124
"""Largest message that may be sent before the server said how large its buffer is."""
MOST_UNDER_WAY = 64
"""A message's sequence number must tell it from all that are under way."""


class Link(SMPTransport):
    """An open link to one device; a transport for ``smpclient.SMPClient``.

    It waits without a deadline: whoever asks sets one.

    Args:
        url: Device URL, for messages to people.
    """

    needs_session = False
    """Whether strangers can reach the device on such a link: then it is used in a session only."""
    is_in_session = False
    """Whether what is sent goes in a session that somebody else holds: then none is opened within it."""
    frame_overhead_bytes = 0
    """What shares the server's buffer with the message."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._is_settled = True  # no request is without its answer

    async def connect(self, address: str, timeout_s: float) -> None:
        """Nothing to do: a link is made open. Part of smpclient's interface."""

    async def disconnect(self) -> None:
        """Close the link."""
        raise NotImplementedError

    async def send(self, data: bytes) -> None:
        """Send one message.

        Raises:
            LinkClosed: the device is gone.
        """
        raise NotImplementedError

    async def receive(self) -> bytes:
        """Wait for the next whole message; text and damaged frames between are passed over.

        Raises:
            LinkClosed: the device is gone.
        """
        raise NotImplementedError

    async def send_and_receive(self, data: bytes) -> bytes:
        """Send a request and return its reply; late replies to requests given up are passed over.

        Raises:
            LinkClosed: the device is gone.
        """
        await self.send(data)
        reply = await self.receive_answer(data)
        self._is_settled = True
        return reply

    async def receive_answer(self, data: bytes) -> bytes:
        """Wait for the reply to a request that was sent; every other message is passed over.

        Raises:
            LinkClosed: the device is gone.
        """
        request = Header.loads(data[: Header.SIZE])
        while True:
            reply = await self.receive()
            if _answers(reply, request):
                return reply

    async def renew(self, timeout_s: float) -> None:
        """Make a link usable again that raised LinkLost or SessionLost; one that did not stays as it is.

        Args:
            timeout_s: Longest wait for a new connection, where it takes one.

        Raises:
            AccessError: the device does not take this host's key any more.
            LinkClosed: the device is gone.
            LinkTimeout: there is no new connection in time.
        """

    def give_up(self) -> None:
        """Told when no answer, or no good one, is waited for any more: what is sent next must not be taken for the rest of what was."""

    @property
    def mtu(self) -> int:
        """Bytes of message that one frame carries."""
        return self.max_unencoded_size

    @property
    def max_unencoded_size(self) -> int:
        """Largest message in bytes, header included."""
        if self._smp_server_transport_buffer_size is None:
            return FIRST_MESSAGE_BYTES
        return self._smp_server_transport_buffer_size - self.frame_overhead_bytes

    @property
    def most_under_way(self) -> int:
        """Requests that may be sent before the first of them is answered, as far as the link is concerned."""
        return MOST_UNDER_WAY

    @property
    def dropped_frames(self) -> int:
        """Replies that arrived damaged so far."""
        return 0


class ConsoleLink(Link):
    """Messages as lines of text in a byte stream.

    Args:
        url: Device URL, for messages to people.
        pipe: The open byte stream; the link closes it.
    """

    frame_overhead_bytes = 4
    """Length and CRC."""

    def __init__(self, url: str, pipe: BytePipe) -> None:
        super().__init__(url)
        self._pipe = pipe
        self._decoder = FrameDecoder()
        self._messages: deque[bytes] = deque()

    async def disconnect(self) -> None:
        """Close the link."""
        await self._pipe.close()

    async def send(self, data: bytes) -> None:
        """See :class:`Link`."""
        # After a request that got no answer half a line may stand in the device's buffer; a line end clears it.
        prefix = b"" if self._is_settled else b"\n"
        self._is_settled = False
        await self._pipe.write(prefix + encode_message(data))

    async def receive(self) -> bytes:
        """See :class:`Link`."""
        while not self._messages:
            self._messages.extend(self._decoder.feed(await self._pipe.read()))
        return self._messages.popleft()

    @property
    def dropped_frames(self) -> int:
        """Replies that arrived damaged so far."""
        return self._decoder.dropped_frames


def _answers(reply: bytes, request: Header) -> bool:
    if len(reply) < Header.SIZE:
        return False
    op = OP.READ_RSP if request.op == OP.READ else OP.WRITE_RSP
    group, sequence, command = int.from_bytes(reply[4:6], "big"), reply[6], reply[7]
    return (reply[0] & 0b111, group, sequence, command) == (op, request.group_id, request.sequence, request.command_id)
