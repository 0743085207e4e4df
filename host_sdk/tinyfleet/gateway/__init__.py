"""The relay between devices and the cloud: pulls records, keeps them on disk, delivers them until the cloud says it has them.

``config`` (one TOML file), ``outbox`` (the durable queue), ``clock`` (device time to UTC), ``puller`` (one per device),
``sinks`` (where the queue drains to), ``service`` (all of it in one process), ``status``.
"""

from tinyfleet.gateway.config import GatewayConfig, load_config
from tinyfleet.gateway.outbox import Outbox
from tinyfleet.gateway.service import Gateway

__all__ = ["Gateway", "GatewayConfig", "Outbox", "load_config"]
