"""A connection to a broker that is made when it is needed, greeted once, and read all the time: what all sinks over MQTT share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from tinyfleet_codegen.errors import SinkError

if TYPE_CHECKING:
    from tinyfleet.mqtt import LastWill, MqttConnection, MqttEndpoint

log = logging.getLogger(__name__)

T = TypeVar("T")


class MqttSession:
    """One broker.

    Args:
        name: Of the sink, for logs.
        endpoint: Gives the broker and who we are; asked for each connection, because passwords may have an end.
        client_id: Our name at the broker.
        will: What the broker says when we are gone; asked for each connection.
        greet: Subscribes, and says hello, on a new connection.
        take: Is given each message: topic, payload.
    """

    def __init__(
        self,
        name: str,
        *,
        endpoint: Callable[[], MqttEndpoint],
        client_id: str,
        will: Callable[[], LastWill | None],
        greet: Callable[[MqttConnection], Awaitable[None]],
        take: Callable[[str, bytes], None],
    ) -> None:
        self._name = name
        self._endpoint = endpoint
        self._client_id = client_id
        self._will = will
        self._greet = greet
        self._take = take
        self._connection: MqttConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def connection(self) -> MqttConnection | None:
        """The connection that there is now, if it lives."""
        return None if self._connection is None or self._connection.is_lost else self._connection

    async def connected(self) -> MqttConnection:
        """The connection, made and greeted if there is none.

        Raises:
            SinkError: see :func:`tinyfleet.mqtt.connect`; or it was closed meanwhile.
        """
        from tinyfleet.mqtt import connect  # noqa: PLC0415 (an optional extra)

        if self.connection is not None:
            return self.connection
        await self.disconnect()
        connection = await connect(self._endpoint(), client_id=self._client_id, will=self._will())
        self._connection = connection
        try:
            if self._is_closed:
                raise SinkError(f"{self._name} is closed", retryable=True)
            await self._greet(connection)
        except BaseException:
            await self.disconnect()
            raise
        self._reader = asyncio.create_task(self._read(connection), name=f"messages of {self._name}")
        log.info("connected sink=%s", self._name)
        return connection

    async def _read(self, connection: MqttConnection) -> None:
        while True:
            topic, payload = await connection.receive()
            try:
                self._take(topic, payload)
            except Exception:
                # Whatever somebody publishes, what comes after it is still read.
                log.exception("message cannot be read sink=%s topic=%s bytes=%d", self._name, topic, len(payload))

    async def unless_lost(self, wanted: asyncio.Future[T]) -> T:
        """Wait for something that a message will bring.

        Raises:
            SinkError: the connection is gone.
        """
        reader = self._reader
        if reader is None:
            wanted.cancel()
            raise SinkError(f"no connection to {self._name}", retryable=True)
        try:
            both: set[asyncio.Future[Any]] = {wanted, reader}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if wanted.done():
                return wanted.result()
        finally:
            wanted.cancel()
            wanted.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        reader.result()  # raises why it ended
        raise SinkError(f"no connection to {self._name}", retryable=True)

    async def disconnect(self) -> None:
        """Drop the connection, if there is one."""
        connection, reader = self._connection, self._reader
        self._connection = self._reader = None
        if reader is not None:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
        if connection is not None:
            await connection.close()

    async def close(self) -> None:
        """Drop the connection, also one that is being made now."""
        self._is_closed = True
        await self.disconnect()
