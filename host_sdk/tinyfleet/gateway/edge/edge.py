"""Decides record by record what becomes of it."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tinyfleet.gateway.edge.settings import FilterSettings, PolicySettings, RuleSettings, Visibility, WindowSettings
from tinyfleet.gateway.outbox_edge import EdgeStateBroken
from tinyfleet.gateway.outbox_schema import EdgeChange, NewDerived, PulledRecord
from tinyfleet_codegen.errors import SetupError, StoreError
from tinyfleet_codegen.wire.ids import DType
from tinyfleet_codegen.wire.record import TOP_NONE, Record

log = logging.getLogger(__name__)

STATE_VERSION = 1
WINDOW = "window"
"""Kind of a derived record: the numbers of a device's window."""
DETECTION = "detection"
"""Kind of a derived record: a rule acted. It stands for no record."""
DETECTION_PRIORITY = 4
_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Processed:
    """What becomes of pulled records.

    Attributes:
        records: To be delivered as they are.
        derived: Windows that closed, and detections.
        filtered: Records that nothing else stands for.
        change: The state of the edge before and after; committed with the rest.
    """

    records: list[PulledRecord]
    derived: list[NewDerived]
    filtered: int
    change: EdgeChange | None

    @property
    def targets(self) -> frozenset[str]:
        """Who is to act."""
        return frozenset(name for d in self.derived for name in d.targets)


class Edge:
    """The edge of one configuration. It keeps nothing between calls.

    Raises:
        SetupError: windows are configured, and the package for quantiles is not installed.
    """

    def __init__(
        self,
        *,
        filter: FilterSettings | None = None,
        window: WindowSettings | None = None,
        policy: PolicySettings | None = None,
        rules: Sequence[RuleSettings] = (),
    ) -> None:
        self._filter = filter
        self._window = window
        self._policy = policy or PolicySettings()
        self._rules = tuple(rules)
        if window is not None:
            _sketches()

    def rule(self, target: str) -> RuleSettings | None:
        """Whose target this is; None: nobody's any more."""
        return next((rule for rule in self._rules if target in rule.targets()), None)

    @property
    def has_windows(self) -> bool:
        """Whether records open windows."""
        return self._window is not None

    @property
    def idle_s(self) -> float:
        """Seconds without a record after which a window ends."""
        return 2 * self._window.seconds if self._window is not None else 0.0

    @property
    def is_idle(self) -> bool:
        """Whether every record is delivered as it is, and nothing else happens."""
        return self._filter is None and self._window is None and self._policy.lets_records_out() and not self._rules

    def process(
        self, state: bytes | None, pulled: Sequence[PulledRecord], records: Sequence[Record], dtypes: dict[int, DType]
    ) -> Processed:
        """Decide on records of one boot, in the order of their seq.

        Args:
            state: What the outbox keeps of this boot; None: nothing yet.
            pulled: As they would be delivered.
            records: The same, decoded.
            dtypes: Type of the output by model generation, as far as it is known.
        """
        if self.is_idle and state is None:
            return Processed(list(pulled), [], 0, None)
        now = _State.from_bytes(state)
        kept: list[PulledRecord] = []
        derived: list[NewDerived] = []
        filtered = 0
        for envelope, record in zip(pulled, records, strict=True):
            sure = confidence(record, dtypes.get(record.model_generation))
            derived += self._close(now, record, envelope)
            passes = self._passes(now, record, sure)
            is_out = passes and self._policy.lets_records_out()
            if is_out:
                kept.append(envelope)
            if self._window is not None:
                now.window.add(record, sure, envelope, is_covered=not is_out, seconds=self._window.seconds)
            elif not is_out:
                filtered += 1
            derived += self._fire(now, record, sure, envelope)
        now.forget(but_filter=self._filter is not None, but_rules=self._rules)
        return Processed(kept, derived, filtered, EdgeChange(state, now.to_bytes(), is_open=now.window.records > 0))

    def close(self, state: bytes) -> tuple[list[NewDerived], bytes | None]:
        """End the window that is open, because nothing comes any more; also one that an earlier configuration began.

        Returns:
            What is delivered, and the state without the window; None: nothing is left to keep.
        """
        now = _State.from_bytes(state)
        derived = self._emit(now)
        return derived, now.to_bytes()

    def _passes(self, now: _State, record: Record, sure: float | None) -> bool:
        wanted = self._filter
        if wanted is None:
            # With windows alone they say everything.
            return self._window is None
        stream = str(record.stream)
        is_new = now.last.get(stream) != record.top
        now.last[stream] = record.top
        if wanted.classes is not None and record.top not in wanted.classes:
            return False
        if wanted.min_confidence is not None and sure is not None and sure < wanted.min_confidence:
            return False
        if wanted.on_change and not is_new:
            return False
        return wanted.max_per_s is None or now.take_token(record.uptime_us, wanted.max_per_s)

    def _close(self, now: _State, record: Record, envelope: PulledRecord) -> list[NewDerived]:
        """End the open window when this record is not of it."""
        window = now.window
        if window.records and (self._window is None or not window.holds(record, envelope, self._window.seconds)):
            return self._emit(now)
        return []

    def _emit(self, now: _State) -> list[NewDerived]:
        window, now.window = now.window, _Window()
        if not window.records:
            return []
        body = window.body(self._policy, self._window.quantiles if self._window is not None else ())
        return [
            NewDerived(
                WINDOW,
                _json(body),
                first_seq=window.first_seq,
                last_seq=window.last_seq,
                count=window.covered,
                time_utc_us=window.time_utc_us,
                time_error_us=window.time_error_us,
                model_id=None if window.model is None else bytes.fromhex(window.model),
            )
        ]

    def _fire(self, now: _State, record: Record, sure: float | None, envelope: PulledRecord) -> list[NewDerived]:
        fired = []
        for rule in self._rules:
            if (rule.classes is not None and record.top not in rule.classes) or (
                rule.min_confidence is not None and (sure is None or sure < rule.min_confidence)
            ):
                continue
            seen = now.rules.setdefault(rule.name, {"hits": [], "acted_us": None})
            since_us = record.uptime_us - round(rule.within_s * _US)
            seen["hits"] = [us for us in seen["hits"] if us >= since_us][-(rule.count - 1) :] if rule.count > 1 else []
            seen["hits"].append(record.uptime_us)
            acted_us = seen["acted_us"]
            if len(seen["hits"]) < rule.count or (acted_us is not None and record.uptime_us - acted_us < rule.cooldown_s * _US):
                continue
            seen["hits"], seen["acted_us"] = [], record.uptime_us
            body: dict[str, Any] = {"rule": rule.name, "records": rule.count}
            if self._policy.classes is Visibility.RAW and record.top != TOP_NONE:
                body["class"] = record.top
            if self._policy.confidence is Visibility.RAW and sure is not None:
                body["confidence"] = sure
            log.info("rule acts rule=%s seq=%d", rule.name, record.seq)
            detection = NewDerived(
                DETECTION,
                _json(body),
                first_seq=record.seq,
                last_seq=record.seq,
                time_utc_us=envelope.time_utc_us,
                time_error_us=envelope.time_error_us,
                model_id=envelope.model_id,
                priority=DETECTION_PRIORITY,
                targets=rule.targets(),
            )
            fired.append(detection)
        return fired


def check_state(state: bytes) -> None:
    """Whether this version can go on from what the edge remembered.

    Raises:
        EdgeStateBroken: nobody can.
        StoreError: a later version can.
    """
    _State.from_bytes(state)


def confidence(record: Record, dtype: DType | None) -> float | None:
    """Where the best output element stands in its type's range, 0 to 1: a softmax's probability. None: the output has no best element."""
    if record.top == TOP_NONE or record.top >= len(record.output) or dtype not in (DType.INT8, DType.UINT8):
        return None
    byte = record.output[record.top]
    return (byte ^ 0x80 if dtype is DType.INT8 else byte) / 256


class _Window:
    """What is known of the window that is open; nothing while ``records`` is 0."""

    def __init__(self) -> None:
        self.records = 0
        self.covered = 0
        self.index = 0
        self.first_seq = self.last_seq = 0
        self.first_us = self.last_us = 0
        self.model: str | None = None
        self.time_utc_us: int | None = None
        self.time_error_us: int | None = None
        self.classes: dict[str, int] = {}
        self.numbers: dict[str, dict[str, Any]] = {}

    def holds(self, record: Record, envelope: PulledRecord, seconds: float) -> bool:
        return self.index == _index(record, seconds) and self.model == _model(envelope)

    def add(self, record: Record, sure: float | None, envelope: PulledRecord, *, is_covered: bool, seconds: float) -> None:
        if not self.records:
            self.index, self.model = _index(record, seconds), _model(envelope)
            self.first_seq, self.first_us = record.seq, record.uptime_us
            self.time_utc_us, self.time_error_us = envelope.time_utc_us, envelope.time_error_us
        self.records += 1
        self.covered += is_covered
        self.last_seq, self.last_us = record.seq, record.uptime_us
        if record.top != TOP_NONE:
            self.classes[str(record.top)] = self.classes.get(str(record.top), 0) + 1
        for name, value in (("latency_us", float(record.latency_us)), ("confidence", sure)):
            if value is None:
                continue
            if name not in self.numbers:
                self.numbers[name] = {"count": 0, "sum": 0.0, "min": value, "max": value, "sketch": _sketches()()}
            numbers = self.numbers[name]
            numbers["count"] += 1
            numbers["sum"] += value
            numbers["min"], numbers["max"] = min(numbers["min"], value), max(numbers["max"], value)
            numbers["sketch"].update(value)

    def body(self, policy: PolicySettings, ranks: Sequence[float]) -> dict[str, Any]:
        """What may be told of it."""
        body: dict[str, Any] = {
            "records": self.records,
            "first_uptime_us": self.first_us,
            "last_uptime_us": self.last_us,
        }
        if policy.classes is not Visibility.NEVER:
            body["classes"] = self.classes
        for name, visibility in (("latency_us", policy.latency), ("confidence", policy.confidence)):
            numbers = self.numbers.get(name)
            if numbers is None or visibility is Visibility.NEVER:
                continue
            body[name] = {
                "min": numbers["min"],
                "mean": numbers["sum"] / numbers["count"],
                "max": numbers["max"],
                "quantiles": {f"{rank:g}": numbers["sketch"].get_quantile(rank) for rank in ranks},
            }
        return body

    def to_json(self) -> dict[str, Any]:
        """Its sketches as base64."""
        numbers = {n: v | {"sketch": base64.b64encode(v["sketch"].serialize()).decode("ascii")} for n, v in self.numbers.items()}
        return vars(self) | {"numbers": numbers}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> _Window:
        self = cls()
        if stored.keys() != vars(self).keys():
            raise ValueError("not the fields of a window")
        vars(self).update(stored)
        for numbers in self.numbers.values():
            numbers["sketch"] = _sketches().deserialize(base64.b64decode(numbers["sketch"]))
        return self


class _State:
    """All that the edge remembers of one boot of one device."""

    def __init__(self) -> None:
        self.last: dict[str, int] = {}
        self.tokens: float | None = None
        self.tokens_us = 0
        self.rules: dict[str, dict[str, Any]] = {}
        self.window = _Window()

    def take_token(self, now_us: int, per_s: float) -> bool:
        """A bucket that holds one second's records, at least one."""
        most = max(1.0, per_s)
        gained = per_s * max(0, now_us - self.tokens_us) / _US
        self.tokens = most if self.tokens is None else min(most, self.tokens + gained)
        self.tokens_us = now_us
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True

    def to_bytes(self) -> bytes | None:
        """None when it is as if nothing had been seen."""
        if not (self.last or self.rules or self.window.records or self.tokens is not None):
            return None
        parts = {"last": self.last, "tokens": self.tokens, "tokens_us": self.tokens_us, "rules": self.rules}
        return _json({"version": STATE_VERSION, **parts, "window": self.window.to_json() if self.window.records else None})

    @classmethod
    def from_bytes(cls, data: bytes | None) -> _State:
        """Read what any version up to this one wrote.

        Raises:
            EdgeStateBroken: it is not what :meth:`to_bytes` makes.
            StoreError: a later version wrote it.
        """
        self = cls()
        if data is None:
            return self
        try:
            stored = json.loads(data)
            version = int(stored["version"])
            if version > STATE_VERSION:
                raise StoreError(
                    f"what the edge remembers has version {version}, this code reads up to {STATE_VERSION}; nothing was changed",
                    hint="update tinyfleet on this gateway",
                )
            self.last, self.tokens, self.tokens_us = dict(stored["last"]), stored["tokens"], int(stored["tokens_us"])
            self.rules = dict(stored["rules"])
            if stored["window"] is not None:
                self.window = _Window.from_json(stored["window"])
        except (ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:  # RuntimeError: of a sketch
            raise EdgeStateBroken(str(error)) from error
        return self

    def forget(self, *, but_filter: bool, but_rules: Sequence[RuleSettings]) -> None:
        """Nothing is kept for what is no longer configured."""
        if not but_filter:
            self.last, self.tokens = {}, None
        names = {rule.name for rule in but_rules}
        self.rules = {name: seen for name, seen in self.rules.items() if name in names}


def _index(record: Record, seconds: float) -> int:
    return record.uptime_us // round(seconds * _US)


def _model(envelope: PulledRecord) -> str | None:
    return None if envelope.model_id is None else envelope.model_id.hex()


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _sketches() -> Any:
    try:
        from datasketches import kll_floats_sketch  # noqa: PLC0415 - without windows it is not needed
    except ImportError as error:
        raise SetupError("[window] needs the package datasketches", hint="pip install 'tinyfleet[gateway]'") from error
    return kll_floats_sketch
