"""Certificates of one demo run: OPC UA lets nobody in without one. They are made anew each time and trusted by nobody else."""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)
KEY_BITS = 2048


@dataclass(frozen=True, slots=True)
class DemoPki:
    """PEM files; ``ca`` holds both certificates, each of which vouches for itself."""

    ca: Path
    server: Path
    server_key: Path
    reader: Path
    reader_key: Path


def make_pki(folder: Path) -> DemoPki:
    """Two self-signed certificates, of the gateway and of the ingest."""
    folder.mkdir(parents=True, exist_ok=True)
    server, server_key = _self_signed(folder, "gateway", "urn:tinyfleet:gateway:demo")
    reader, reader_key = _self_signed(folder, "ingest", "urn:tinyfleet:ingest")
    trusted = folder / "trusted.pem"
    trusted.write_bytes(server.read_bytes() + reader.read_bytes())
    return DemoPki(trusted, server, server_key, reader, reader_key)


def _self_signed(folder: Path, name: str, application: str) -> tuple[Path, Path]:
    key = rsa.generate_private_key(65537, KEY_BITS)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"tinyfleet demo {name}")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(application)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / f"{name}.pem", folder / f"{name}-key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    descriptor = os.open(paths[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return paths
