"""Clients of the OPC UA sink: one that is let in, and those that are not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asyncua import Client
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256

from tests.support.patience import HANG_S
from tests.support.pki import Identity, TestCa
from tinyfleet.cloud.ingest.opcua import APPLICATION
from tinyfleet.gateway.sinks.opcua import NAMESPACE


@dataclass(frozen=True, slots=True)
class UaFleet:
    """RSA certificates."""

    ca: Path
    server: Identity
    reader: Identity
    expired: Identity
    foreign: Identity

    @classmethod
    def make(cls, folder: Path) -> UaFleet:
        """Issue all into a folder."""
        ours, others = TestCa(folder, "ua"), TestCa(folder, "ua-stranger")
        return cls(
            ca=ours.certificate,
            server=ours.issue("gateway", server=True, uri="urn:tinyfleet:gateway:gw-1"),
            reader=ours.issue("reader", uri=APPLICATION),
            expired=ours.issue("reader", uri=APPLICATION, expired=True),
            foreign=others.issue("reader", uri=APPLICATION),
        )


@asynccontextmanager
async def ua_client(url: str, who: Identity, *, as_user: bool = True) -> AsyncIterator[Client]:
    """A secure session; ``as_user=False``: without a user's token."""
    client = Client(url, timeout=HANG_S)
    client.application_uri = APPLICATION
    await client.set_security(SecurityPolicyBasic256Sha256, str(who.certificate), str(who.key))
    if as_user:
        await client.load_client_certificate(str(who.certificate))
        await client.load_private_key(who.key)
    await client.connect()
    try:
        yield client
    finally:
        await client.disconnect()


async def history(url: str, who: Identity) -> list[Any]:
    """Every event that the server's history holds, device by device."""
    found: list[Any] = []
    async with ua_client(url, who) as client:
        namespace = await client.get_namespace_index(NAMESPACE)
        folder = await client.nodes.objects.get_child(f"{namespace}:Tinyfleet")
        for device in await folder.get_children():
            node = client.get_node(f"ns={namespace};s={device.nodeid.Identifier}/Event")
            found += [json.loads(v.Value.Value) for v in await node.read_raw_history()]
    return found
