"""What an ingest is given, and what a source of events is."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tinyfleet.cloud.ingest.forward import Forwarder
from tinyfleet_codegen.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Credentials:
    """Whom to trust at the source, and who we are there; PEM files.

    Attributes:
        password: Of ``username``; never shown.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    username: str | None = None
    password: str | None = None

    def tls(self) -> ssl.SSLContext:
        """A client's side of TLS.

        Raises:
            ConfigError: a file cannot be used.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            names = ", ".join(str(path) for path in (self.ca, self.certificate, self.key) if path)
            raise ConfigError(f"cannot use {names}: {error}", hint="PEM files, the key without a password") from error
        return context


class Source(Protocol):
    """Reads events somewhere and forwards them: committed there first, then acknowledged or marked as read here."""

    async def __call__(
        self, url: str, credentials: Credentials, forwarder: Forwarder, on_ready: Callable[[], None]
    ) -> dict[str, Any] | None:
        """Run until cancelled, or until nothing is left where a source has an end.

        Args:
            url: Where.
            credentials: Who we are there.
            forwarder: Where to.
            on_ready: Called once when the source is open; not where it has an end.

        Returns:
            Where it has an end: what was read and what became of it.

        Raises:
            ConfigError: the URL, or what is there, is not such a source.
            SetupError: a package is not installed.
        """
        ...
