"""What a sink is: its settings, what it is given, what it answers.

A sink::

    class MySinkSettings(SinkSettings):
        type: Literal["mine"] = Field(description="'mine'")
        delivery: ClassVar[Delivery] = Delivery.DURABLE

        def open(self, context: SinkContext) -> Sink:
            return MySink(self, context)

``open`` reads secrets and keys and contacts nobody; connections are made by the first :meth:`Sink.deliver`, and made again when they fail.
"""

from __future__ import annotations

import enum
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from pydantic import Field, SecretStr

from tinyfleet.gateway.table import Table
from tinyfleet.telemetry import Batch, Envelope
from tinyfleet_codegen.errors import ConfigError


class Delivery(enum.StrEnum):
    """What a sink's acceptance means, and so what the outbox may do with an accepted entry."""

    DURABLE = "durable"
    """The far end has committed it. Entries are kept until every durable sink has them."""
    BROKER = "broker"
    """A broker took it, and may lose it. Entries are kept for the sink only where the configuration says ``hold = true``."""
    LIVE = "live"
    """Shown to who looks at it now. Nothing is kept for the sink."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """What the other end said about one batch. An entry in neither is offered again.

    Attributes:
        accepted: Entries that it has now.
        refused: Entries that it will never accept, with its reason; kept, and offered again after a restart.
    """

    accepted: frozenset[int]
    refused: tuple[tuple[int, str], ...] = ()


class RetryLater(Exception):
    """The other end asked to wait this many seconds."""

    def __init__(self, seconds: float, reason: str) -> None:
        super().__init__(reason)
        self.seconds = seconds


class BatchTooLarge(Exception):
    """The other end takes less at once; offer fewer entries."""


class Sink(Protocol):
    """Delivers batches: at least once, in their order. One call at a time."""

    name: str
    """Where it goes, for people: logs and status."""

    async def deliver(self, batch: Batch) -> Delivered:
        """Offer one batch and wait until the other end has it, in the sense of the sink's :class:`Delivery`.

        Cancelled at any point: nothing is known about the batch, and it is offered again. A batch may hold reports alone.

        Raises:
            SinkError: nothing is known about the batch; offer it again.
            RetryLater: the same, and when.
            BatchTooLarge: the batch can never be taken as it is.
        """
        ...

    async def close(self) -> None:
        """Give up connections."""
        ...


History = Callable[[bytes, int, int, int], Awaitable[list[Envelope]]]
"""``await history(device_id, first_utc_us, last_utc_us, limit)``: see :meth:`tinyfleet.gateway.outbox.Outbox.history`."""


async def _no_devices() -> list[bytes]:
    return []


@dataclass(frozen=True, slots=True)
class SinkContext:
    """What a gateway gives to a sink.

    Attributes:
        gateway_id: Name of the gateway.
        outbox_id: 16 bytes, the outbox that entries belong to.
        folder: Folder of the configuration file; paths in it are relative to that.
        history: Reads what the outbox still holds.
        devices: The ids of all devices whose records the outbox has had.
    """

    gateway_id: str
    outbox_id: bytes
    folder: Path
    history: History
    devices: Callable[[], Awaitable[list[bytes]]] = _no_devices

    def path(self, name: str) -> Path:
        """A path from the configuration file."""
        return self.folder / name

    def secret(self, key: str, *, file: str | None, env: str | None) -> SecretStr | None:
        """A secret from a file or from the environment, never shown in logs; None when neither is named.

        Args:
            key: The configuration key without ``_file`` or ``_env``, for messages: ``sink http: token``.
            file: Path of the file, relative to the configuration file.
            env: Name of the variable.

        Raises:
            ConfigError: the file cannot be read, the variable is not set, or what is there is no secret (printable ASCII without spaces).
        """
        if file is not None:
            path = self.path(file)
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"{key}_file: cannot read {path}: {error}", hint="write the secret into that file") from error
            source = str(path)
        elif env is not None:
            text, source = os.environ.get(env, ""), f"environment variable {env}"
        else:
            return None
        if not re.fullmatch(r"[!-~]+", text.strip()):
            raise ConfigError(f"{key}: {source} holds no secret", hint="a secret is printable ASCII without spaces")
        return SecretStr(text.strip())


class SinkSettings(Table, ABC):
    """A ``[[sink]]`` table; each ``type`` has its own class in its sink's file. Descriptions say what is allowed: errors show them."""

    delivery: ClassVar[Delivery]

    type: str
    name: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9._-]{1,64})?$",
        description="1 to 64 letters, digits, '.', '_' or '-'; its place in the outbox goes by it; default: the type",
    )
    region: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        description="where it is; of devices with a region it gets those of the same; default: only devices without one",
    )
    batch_records: int = Field(default=500, ge=1, le=5000, description="records in one delivery, 1 to 5000")
    retry_max_s: float = Field(default=30.0, ge=0.05, le=3600, description="longest pause between two attempts in seconds, 0.05 to 3600")

    @property
    def label(self) -> str:
        """The sink's name, or its type."""
        return self.name or self.type

    @property
    def holds(self) -> bool:
        """Whether the outbox keeps an entry until this sink has it."""
        return self.delivery is Delivery.DURABLE

    def problem(self) -> str | None:
        """What is wrong with keys that must fit each other, as ``key = value: allowed: ...``; None when nothing is."""
        return None

    @abstractmethod
    def describe(self) -> str:
        """Where it goes and how, in a few words without secrets: ``https://cloud, with token``."""

    @abstractmethod
    def open(self, context: SinkContext) -> Sink:
        """Make the sink.

        Raises:
            ConfigError: a secret or key cannot be read.
            SetupError: the sink needs a package that is not installed; the hint names the extra.
        """
