"""What shall go wrong in the air: an object that may be changed while it runs, or a file. The keys are in ``docs/guides/ble.md``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from tinyfleet_codegen.errors import ConfigError

MIN_MTU, MAX_MTU = 23, 517
MIN_ACL_BYTES, MAX_ACL_BYTES = 27, 251
MAX_CREDITS = 64


@dataclass(slots=True)
class AirFaults:
    """Faults of all links; the default is an air without any.

    Loss, duplicates and reordering concern write commands and notifications only: these are what operating systems lose in
    silence, whereas a link layer repeats everything else until it arrives or the link is lost.

    Attributes:
        seed: Of the pseudo-random choices.
        drop: Share of write commands and notifications that vanish, [0, 1].
        duplicate: Share of them that arrive twice, [0, 1].
        late: Share of them that the next packet of the same direction overtakes, [0, 1].
        drop_advertisements: Share of advertisements that a scanner does not hear, [0, 1].
        delay_ms: Time that every packet takes, its order kept.
        jitter_ms: At most that much is added to it.
        link_loss_after_bytes: Each entry ends one link, without a word to either side's host but "connection timeout": the link
            that carries the next packet takes the first entry and ends when it has carried that many bytes more, both directions together.
        silence_after_bytes: The same, but first nothing arrives any more, in either direction, for ``supervision_timeout_s``.
        supervision_timeout_s: See there.
        withhold_credits: The controllers give no buffer back to their hosts until this is false again.
        credit_delay_ms: The buffers come back that late.
        credits: Buffers for outgoing packets that each controller has; read by its host after a reset.
        acl_bytes: Size of each, [27, 251]; also packets towards a host come in such pieces.
        att_mtu: The largest ATT MTU that may be agreed, or None.
    """

    seed: int = 1
    drop: float = 0.0
    duplicate: float = 0.0
    late: float = 0.0
    drop_advertisements: float = 0.0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    link_loss_after_bytes: list[int] = field(default_factory=list)
    silence_after_bytes: list[int] = field(default_factory=list)
    supervision_timeout_s: float = 1.0
    withhold_credits: bool = False
    credit_delay_ms: float = 0.0
    credits: int = 8
    acl_bytes: int = MAX_ACL_BYTES
    att_mtu: int | None = None

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: one has the wrong type or is outside its range.
        """
        for name in ("drop", "duplicate", "late", "drop_advertisements"):
            self._check(name, isinstance(getattr(self, name), int | float) and 0 <= getattr(self, name) <= 1, "a share between 0 and 1")
        for name in ("delay_ms", "jitter_ms", "credit_delay_ms", "supervision_timeout_s"):
            self._check(name, isinstance(getattr(self, name), int | float) and getattr(self, name) >= 0, "a number >= 0")
        for name in ("link_loss_after_bytes", "silence_after_bytes"):
            value = getattr(self, name)
            self._check(name, isinstance(value, list) and all(type(entry) is int and entry >= 0 for entry in value), "a list of counts")
        self._check("seed", type(self.seed) is int, "a whole number")
        self._check("withhold_credits", type(self.withhold_credits) is bool, "true or false")
        self._check("credits", type(self.credits) is int and 1 <= self.credits <= MAX_CREDITS, f"1 to {MAX_CREDITS}")
        is_size = type(self.acl_bytes) is int and MIN_ACL_BYTES <= self.acl_bytes <= MAX_ACL_BYTES
        self._check("acl_bytes", is_size, f"{MIN_ACL_BYTES} to {MAX_ACL_BYTES}")
        is_mtu = self.att_mtu is None or (type(self.att_mtu) is int and MIN_MTU <= self.att_mtu <= MAX_MTU)
        self._check("att_mtu", is_mtu, f"{MIN_MTU} to {MAX_MTU}")

    def _check(self, name: str, is_good: bool, wanted: str) -> None:
        if not is_good:
            raise ConfigError(f"faults: {name} must be {wanted}, not {getattr(self, name)!r}")


def load_faults(path: Path) -> AirFaults:
    """Read a TOML file whose keys are the attributes of :class:`AirFaults`.

    Raises:
        ConfigError: it cannot be read, or a key or value makes no sense.
    """
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read faults {path}: {error.strerror}", hint="docs/guides/ble.md lists every key") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}", hint="docs/guides/ble.md lists every key") from error
    known = [entry.name for entry in fields(AirFaults)]
    for name in values:
        if name not in known:
            raise ConfigError(f"{path} has an unknown key '{name}'", hint=f"known: {', '.join(known)}")
    return AirFaults(**values)
