"""TLS of sinks that connect to somebody: whom to trust, and who we are."""

from __future__ import annotations

import ssl

from pydantic import Field

from tinyfleet.gateway.sinks.sink import SinkContext, SinkSettings
from tinyfleet_codegen.errors import ConfigError

_FILE = "a PEM file, relative to the configuration file"


class TlsSinkSettings(SinkSettings):
    """The keys that such sinks share."""

    ca_file: str | None = Field(default=None, min_length=1, description=f"{_FILE}: whom to trust; default: whom the system trusts")
    cert_file: str | None = Field(default=None, min_length=1, description=f"{_FILE}: our certificate; together with key_file")
    key_file: str | None = Field(default=None, min_length=1, description=f"{_FILE}: the key of cert_file")

    def problem(self) -> str | None:
        """See :class:`SinkSettings`."""
        if (self.cert_file is None) is not (self.key_file is None):
            missing = "key_file" if self.key_file is None else "cert_file"
            return f"{missing}: missing; allowed: cert_file and key_file together"
        return None

    def tls(self, context: SinkContext) -> ssl.SSLContext:
        """A client's side of TLS 1.2 or newer that checks the other end's name.

        Raises:
            ConfigError: a file cannot be read or does not hold what it should; the message names it.
        """
        key = f"sink {self.label}"
        try:
            tls = ssl.create_default_context(cafile=None if self.ca_file is None else context.path(self.ca_file))
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"{key}: ca_file: cannot use {context.path(self.ca_file or '')}: {error}", hint=_HINT) from error
        tls.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.cert_file is not None and self.key_file is not None:
            certificate, private = context.path(self.cert_file), context.path(self.key_file)
            try:
                # A password would be asked for at the terminal.
                tls.load_cert_chain(certificate, private, password=_no_password)
            except (OSError, ssl.SSLError, ValueError) as error:
                raise ConfigError(f"{key}: cannot use cert_file {certificate} with key_file {private}: {error}", hint=_HINT) from error
        return tls


_HINT = "PEM files, the key without a password and readable by this user"


def _no_password() -> str:
    raise ValueError("the key has a password")
