"""TLS of sinks that connect to somebody."""

from __future__ import annotations

from tinyfleet.gateway.sinks.sink import SinkSettings
from tinyfleet.gateway.tls import TlsSettings


class TlsSinkSettings(TlsSettings, SinkSettings):
    """The keys that such sinks share."""

    @property
    def table(self) -> str:
        """See :class:`TlsSettings`."""
        return f"sink {self.label}"

    def problem(self) -> str | None:
        """See :class:`SinkSettings`."""
        return self.pair_problem()
