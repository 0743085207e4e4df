"""What tests of rules and of sinks share."""

from __future__ import annotations

import pytest

from tests.gateway.sinks.peers import Fleet


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """Certificates."""
    return Fleet.make(tmp_path_factory.mktemp("pki"))
