"""Whom an OPC UA server or client believes: certificates that it was given, and what those have signed."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from tinyfleet_codegen.errors import ConfigError


def load_trusted(path: Path, key: str) -> list[x509.Certificate]:
    """The certificates of a PEM file.

    Args:
        path: The file.
        key: What named it, for messages.

    Raises:
        ConfigError: it cannot be read, or holds none.
    """
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{key}: cannot use {path}: {error}", hint="a PEM file with one certificate or more") from error


def is_trusted(certificate: x509.Certificate, trusted: Sequence[x509.Certificate]) -> bool:
    """Whether it is in date, and is one of the trusted or was issued by one of them."""
    now = datetime.datetime.now(datetime.UTC)
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        return False
    return any(certificate == one or _is_issued_by(certificate, one) for one in trusted)


def _is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        if not authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        certificate.verify_directly_issued_by(authority)
    except (x509.ExtensionNotFound, InvalidSignature, ValueError, TypeError):
        return False
    return True
