"""A port that is ours while nobody listens on it."""

from __future__ import annotations

import socket

import pytest

from tinyfleet.demo.reserved_port import ReservedPort


def test_nobody_else_gets_it_and_its_server_comes_and_goes() -> None:
    with ReservedPort() as port:
        address = ("127.0.0.1", port.number)
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address)
            # As the kernel sees whoever asks for any port: what it would not give to this one, it does not choose for that one.
            with socket.socket() as other, pytest.raises(OSError, match="in use"):
                other.bind(address)
            with socket.create_server(address) as server, socket.create_connection(address) as client:
                server.accept()[0].sendall(b"here")
                assert client.recv(4) == b"here"
    with pytest.raises(OSError, match="in use"), socket.create_server(("127.0.0.1", 0)) as taken:
        ReservedPort(taken.getsockname()[1])
