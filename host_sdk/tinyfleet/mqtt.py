"""One MQTT connection for asyncio, over paho's thread: what the gateway's sink and the cloud's ingest need, and no more.

A connection that fails is over, and says so to everybody who waits; who wants another one connects again::

    connection = await connect(MqttEndpoint("localhost", 1883), client_id="gw-1")
    await connection.subscribe("tf/1/gw-1/ack")
    await connection.publish("tf/1/gw-1/status", b"{}", retain=True)   # returns when the broker has it, and took it
    topic, payload = await connection.receive()
    await connection.close()

Nothing is kept in a broker's session: what must not be lost is acknowledged by who committed it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from tinyfleet.own_thread import in_own_thread
from tinyfleet_codegen.errors import SetupError, SinkError

try:
    import paho.mqtt.client as paho
    from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode
except ModuleNotFoundError as missing:
    raise SetupError(f"MQTT needs the package {missing.name}", hint="pip install 'tinyfleet[mqtt]'") from missing

log = logging.getLogger(__name__)

T = TypeVar("T")

MESSAGES_LIMIT = 1000
"""Messages that wait to be received; the connection is given up beyond that, because its reader is stuck."""


@dataclass(frozen=True, slots=True)
class MqttEndpoint:
    """A broker and who we are to it.

    Attributes:
        host: Its name.
        port: Its port.
        tls: How to speak TLS; None: plain.
        username: None: none.
        password: None: none.
        is_v5: MQTT 5; else 3.1.1.
        keepalive_s: After this silence the other end is asked whether it lives.
        timeout_s: For connecting, and for the broker to take one message.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    username: str | None = None
    password: str | None = None
    is_v5: bool = True
    keepalive_s: int = 30
    timeout_s: float = 10.0

    def __str__(self) -> str:
        return f"{'mqtt' if self.tls is None else 'mqtts'}://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class LastWill:
    """What the broker says, retained or not, when we are gone without a word."""

    topic: str
    payload: bytes
    retain: bool = True


async def connect(endpoint: MqttEndpoint, *, client_id: str, will: LastWill | None = None) -> MqttConnection:
    """Connect with a clean session.

    Raises:
        SinkError: the broker is not there or refuses us; trying again may help.
    """
    connection = MqttConnection(endpoint, client_id, will)
    try:
        await connection._open()
    except BaseException:
        await connection.close()
        raise
    return connection


class MqttConnection:
    """Made by :func:`connect`; belongs to one event loop."""

    def __init__(self, endpoint: MqttEndpoint, client_id: str, will: LastWill | None) -> None:
        self._endpoint = endpoint
        self._loop = asyncio.get_running_loop()
        self._connected: asyncio.Future[None] = self._loop.create_future()
        self._lost: asyncio.Future[str] = self._loop.create_future()
        self._hint: str | None = None
        self._published: dict[int, asyncio.Future[ReasonCode | None]] = {}
        self._subscribed: dict[int, asyncio.Future[list[ReasonCode]]] = {}
        self._messages: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self.max_packet_bytes: int | None = None
        """What the broker takes at most; None when it did not say."""
        version = MQTTProtocolVersion.MQTTv5 if endpoint.is_v5 else MQTTProtocolVersion.MQTTv311
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=version,
            reconnect_on_failure=False,
            clean_session=None if endpoint.is_v5 else True,
        )
        client = self._client
        client.connect_timeout = endpoint.timeout_s
        client.on_connect = self._on_connect
        client.on_connect_fail = lambda *_: self._call(self._lose, "it cannot be reached")
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        if endpoint.tls is not None:
            client.tls_set_context(endpoint.tls)
        if endpoint.username is not None:
            client.username_pw_set(endpoint.username, endpoint.password)
        if will is not None:
            client.will_set(will.topic, will.payload, qos=1, retain=will.retain)

    async def _open(self) -> None:
        e = self._endpoint
        try:
            async with asyncio.timeout(e.timeout_s):
                # The name is looked up and TLS is negotiated in here; nobody waits for it once it is given up.
                await in_own_thread(lambda: self._reach(e))
                self._client.loop_start()
                await self._unless_lost(self._connected)
        except (OSError, ValueError) as error:  # TimeoutError and ssl.SSLError are OSErrors
            raise SinkError(f"cannot connect to {e}: {str(error) or type(error).__name__}", retryable=True) from error

    def _reach(self, e: MqttEndpoint) -> None:
        self._client.connect(e.host, e.port, e.keepalive_s)
        if self._lost.done() and (socket := self._client.socket()) is not None:
            socket.close()

    async def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, properties: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Send one message with QoS 1 and wait until the broker has taken it.

        Args:
            properties: User properties; before MQTT 5 there are none, and they are left out.

        Raises:
            SinkError: the connection is gone, the broker was silent for too long, or it refuses the message (MQTT 5 only: an older
                broker takes what it then throws away).
        """
        told: Properties | None = None
        if properties and self._endpoint.is_v5:
            told = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            told.UserProperty = list(properties.items())
        info = self._client.publish(topic, payload, qos=1, retain=retain, properties=told)
        done: asyncio.Future[ReasonCode | None] = self._loop.create_future()
        self._published[info.mid] = done  # answers come through the loop, so not before this
        try:
            async with asyncio.timeout(self._endpoint.timeout_s):
                code = await self._unless_lost(done)
        except TimeoutError as error:
            raise SinkError(f"{self._endpoint} did not take a message on {topic} in time", retryable=True) from error
        finally:
            self._published.pop(info.mid, None)
        if code is not None and code.is_failure:
            raise SinkError(f"{self._endpoint} refuses a message on {topic}: {code}", retryable=True, hint=_ACL_HINT)

    async def subscribe(self, *topics: str) -> None:
        """Ask for messages with QoS 1.

        Raises:
            SinkError: the connection is gone, or the broker does not allow it.
        """
        _, mid = self._client.subscribe([(topic, 1) for topic in topics])
        if mid is None:
            raise SinkError(f"no connection to {self._endpoint}", retryable=True)
        done: asyncio.Future[list[ReasonCode]] = self._loop.create_future()
        self._subscribed[mid] = done
        try:
            async with asyncio.timeout(self._endpoint.timeout_s):
                codes = await self._unless_lost(done)
        except TimeoutError as error:
            raise SinkError(f"{self._endpoint} did not answer a subscription in time", retryable=True) from error
        finally:
            self._subscribed.pop(mid, None)
        for topic, code in zip(topics, codes, strict=True):
            if code.is_failure:
                raise SinkError(f"{self._endpoint} refuses a subscription of {topic}: {code}", retryable=True, hint=_ACL_HINT)

    async def receive(self) -> tuple[str, bytes]:
        """The next message: topic and payload.

        Raises:
            SinkError: the connection is gone and no message is left.
        """
        if not self._messages.empty():
            return self._messages.get_nowait()
        return await self._unless_lost(asyncio.ensure_future(self._messages.get()))

    @property
    def is_lost(self) -> bool:
        """Whether it failed or was closed."""
        return self._lost.done()

    async def close(self) -> None:
        """Say goodbye, when there is somebody to say it to, and stop. The last will is not said."""
        if not self._lost.done():
            self._lost.set_result("closed")
        with contextlib.suppress(OSError, ValueError):
            self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    async def _unless_lost(self, wanted: asyncio.Future[T]) -> T:
        try:
            both: set[asyncio.Future[Any]] = {wanted, self._lost}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if wanted.done():
                return wanted.result()
        finally:
            wanted.cancel()
        raise SinkError(f"no connection to {self._endpoint}: {self._lost.result()}", retryable=True, hint=self._hint)

    def _lose(self, why: str) -> None:
        if not self._lost.done():
            self._lost.set_result(why)

    # --- paho's thread from here on ---------------------------------------------------------------------------------------

    def _call(self, work: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended; nobody waits
            self._loop.call_soon_threadsafe(work, *arguments)

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, code: ReasonCode, properties: Properties | None) -> None:
        def accept() -> None:
            if code.is_failure:
                self._hint = "does it know our certificate, user and password?"
                self._lose(f"it refuses us: {code}")
                return
            self.max_packet_bytes = getattr(properties, "MaximumPacketSize", None)
            if not self._connected.done():
                self._connected.set_result(None)

        self._call(accept)

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        self._call(self._lose, str(code))

    def _on_publish(self, _client: Any, _data: Any, mid: int, code: ReasonCode, _properties: Any) -> None:
        def settle() -> None:
            waiting = self._published.get(mid)
            if waiting is not None and not waiting.done():
                waiting.set_result(code)

        self._call(settle)

    def _on_subscribe(self, _client: Any, _data: Any, mid: int, codes: list[ReasonCode], _properties: Any) -> None:
        def settle() -> None:
            waiting = self._subscribed.get(mid)
            if waiting is not None and not waiting.done():
                waiting.set_result(codes)

        self._call(settle)

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        def take() -> None:
            if self._messages.qsize() < MESSAGES_LIMIT:
                self._messages.put_nowait((message.topic, bytes(message.payload)))
            else:
                self._lose(f"{MESSAGES_LIMIT} messages wait to be read")

        self._call(take)


_ACL_HINT = "its access list decides what this identity may do"
