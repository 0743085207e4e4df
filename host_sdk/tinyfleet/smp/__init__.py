"""SMP messages of tinyfleet, as classes for ``smpclient``, and the client that asks with deadlines and typed errors."""

from __future__ import annotations
