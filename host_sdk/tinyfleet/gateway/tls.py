"""TLS of whoever connects to somebody, sinks and rules alike: whom to trust, and who we are."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Protocol

from pydantic import Field, SecretStr

from tinyfleet.gateway.table import Table
from tinyfleet_codegen.errors import ConfigError

_FILE = "a PEM file, relative to the configuration file"


class ConfigFolder(Protocol):
    """Where a configuration's files and secrets are; see :class:`tinyfleet.gateway.sinks.sink.SinkContext`."""

    def path(self, name: str) -> Path: ...

    def secret(self, key: str, *, file: str | None, env: str | None) -> SecretStr | None: ...


class TlsSettings(Table):
    """The keys that such tables share."""

    ca_file: str | None = Field(default=None, min_length=1, description=f"{_FILE}: whom to trust; default: whom the system trusts")
    cert_file: str | None = Field(default=None, min_length=1, description=f"{_FILE}: our certificate; together with key_file")
    key_file: str | None = Field(default=None, min_length=1, description=f"{_FILE}: the key of cert_file")

    @property
    def has_tls_files(self) -> bool:
        """Whether any of them is given."""
        return self.ca_file is not None or self.cert_file is not None or self.key_file is not None

    @property
    def table(self) -> str:
        """Which table it is, for messages: ``sink http``."""
        raise NotImplementedError

    def pair_problem(self) -> str | None:
        """What is wrong between these keys, as ``key: ...``; None when nothing is."""
        if (self.cert_file is None) is not (self.key_file is None):
            missing = "key_file" if self.key_file is None else "cert_file"
            return f"{missing}: missing; allowed: cert_file and key_file together"
        return None

    def tls(self, folder: ConfigFolder) -> ssl.SSLContext:
        """A client's side of TLS 1.2 or newer that checks the other end's name.

        Raises:
            ConfigError: a file cannot be read or does not hold what it should; the message names it.
        """
        try:
            tls = ssl.create_default_context(cafile=None if self.ca_file is None else folder.path(self.ca_file))
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"{self.table}: ca_file: cannot use {folder.path(self.ca_file or '')}: {error}", hint=_HINT) from error
        tls.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.cert_file is not None and self.key_file is not None:
            certificate, private = folder.path(self.cert_file), folder.path(self.key_file)
            try:
                # A password would be asked for at the terminal.
                tls.load_cert_chain(certificate, private, password=_no_password)
            except (OSError, ssl.SSLError, ValueError) as error:
                text = f"{self.table}: cannot use cert_file {certificate} with key_file {private}: {error}"
                raise ConfigError(text, hint=_HINT) from error
        return tls


_HINT = "PEM files, the key without a password and readable by this user"


def _no_password() -> str:
    raise ValueError("the key has a password")
