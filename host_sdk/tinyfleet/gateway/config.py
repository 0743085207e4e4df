"""The gateway's configuration: one versioned TOML file, validated whole before anything starts.

Each field's ``description`` says what is allowed; it is what an error shows and what ``docs/spec/config.md`` repeats.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel, Field, SerializeAsAny, ValidationError
from pydantic_core import ErrorDetails

from tinyfleet.gateway.edge import CaptureSettings, FilterSettings, PolicySettings, RuleSettings, Visibility, WindowSettings
from tinyfleet.gateway.outbox import WhenFull
from tinyfleet.gateway.seal import KeySource
from tinyfleet.gateway.sinks import SINKS
from tinyfleet.gateway.sinks.sink import SinkSettings
from tinyfleet.gateway.table import Table
from tinyfleet.link.opening import check_url
from tinyfleet_codegen.errors import ConfigError, UsageError

CONFIG_VERSION = 2
"""Version 1 had exactly one sink, of type ``http``, and fewer keys; such a file means today what it meant then."""


def _device_url(url: str) -> str:
    try:
        check_url(url)
    except UsageError as error:
        raise ValueError(str(error)) from error
    return url


class GatewaySettings(Table):
    """``[gateway]``: who this gateway is and where it keeps its data."""

    id: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="1 to 64 letters, digits, '.', '_' or '-'")
    data_dir: str = Field(min_length=1, description="a folder, relative to the configuration file")
    metrics_port: int | None = Field(
        default=None, ge=0, le=65535, description="port of /metrics, /healthz and /readyz, 0 to 65535 (0: a free one); default: none"
    )
    metrics_host: str = Field(default="127.0.0.1", min_length=1, max_length=255, description="address that they listen on")


class DeviceSettings(Table):
    """``[[device]]``: one port behind which a device answers."""

    url: Annotated[str, AfterValidator(_device_url)] = Field(
        description="serial:///dev/ttyACM0, serial://usb:SERIAL, tcp://HOST:PORT, ble://NAME, emu://BOARD?elf=FILE or memory://?model=DIR"
    )
    timeout_s: float = Field(default=5.0, ge=0.1, le=120, description="seconds for one request, 0.1 to 120")
    poll_s: float = Field(default=0.5, ge=0.01, le=3600, description="seconds between pulls when there is nothing new, 0.01 to 3600")
    max_records: int = Field(default=64, ge=1, le=10_000, description="records in one pull, 1 to 10000")
    clock_drift_ppm: int = Field(
        default=200, ge=1, le=100_000, description="how far the device's clock may be off, in parts per million, 1 to 100000"
    )
    region: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9._-]{1,64}$", description="what it sends goes only to sinks of this region; default: to all"
    )


class OutboxSettings(Table):
    """``[outbox]``: the bounds of the durable queue."""

    max_bytes: int = Field(default=256 * 2**20, ge=2**18, le=2**40, description="bytes of the database, 262144 (256 KiB) to 2**40 (1 TiB)")
    max_age_s: int | None = Field(
        default=None, ge=60, le=10**9, description="seconds in which the gateway runs, 60 to 1000000000; older entries are dropped"
    )
    when_full: Annotated[WhenFull, Field(strict=False)] = Field(default=WhenFull.DROP_OLDEST, description="'drop_oldest' or 'stop_pulling'")
    encrypt: Annotated[KeySource | None, Field(strict=False)] = Field(default=None, description="'keyfile' or 'tpm2'; default: not sealed")
    key_file: str | None = Field(default=None, min_length=1, description="a file, relative to the configuration file; made when absent")
    tpm_tcti: str | None = Field(default=None, min_length=1, description="how tpm2-tools reach the TPM: device:/dev/tpmrm0")


class GatewayConfig(Table):
    """The whole file."""

    version: int = Field(ge=1, description="1 or 2")
    gateway: GatewaySettings = Field(description="a [gateway] table")
    device: tuple[DeviceSettings, ...] = Field(min_length=1, strict=False, description="at least one [[device]] table")
    sink: tuple[SerializeAsAny[SinkSettings], ...] = Field(min_length=1, strict=False, description="at least one [[sink]] table")
    outbox: OutboxSettings = Field(default=OutboxSettings(), description="an [outbox] table")
    filter: FilterSettings | None = Field(default=None, description="a [filter] table")
    window: WindowSettings | None = Field(default=None, description="a [window] table")
    capture: CaptureSettings | None = Field(default=None, description="a [capture] table")
    policy: PolicySettings = Field(default=PolicySettings(), description="a [policy] table")
    rule: tuple[RuleSettings, ...] = Field(default=(), strict=False, description="[[rule]] tables")

    _folder: Path = Path()

    @property
    def folder(self) -> Path:
        """The file's folder, which paths in it are relative to."""
        return self._folder

    @property
    def data_dir(self) -> Path:
        """Where outbox and status are kept."""
        return self._folder / self.gateway.data_dir


def load_config(path: Path) -> GatewayConfig:
    """Read and validate a configuration file.

    Raises:
        ConfigError: the file cannot be read or is wrong; the message has one line per wrong key with its value and what is
            allowed.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", hint="give the path of a gateway configuration") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}", hint="docs/spec/config.md shows a whole file") from error
    version = data.get("version")
    if isinstance(version, int) and not isinstance(version, bool) and version > CONFIG_VERSION:
        raise ConfigError(f"{path}: version = {version}: this code reads up to {CONFIG_VERSION}", hint="update tinyfleet on this gateway")
    sinks, lines = _sinks(data.get("sink"))
    try:
        config = GatewayConfig.model_validate(data | ({"sink": sinks} if sinks or lines else {}))
    except ValidationError as error:
        lines += [_explain(e) for e in _deepest(error.errors()) if not (lines and e["loc"] == ("sink",))]
    else:
        lines += _contradictions(config)
    if lines:
        raise ConfigError(f"{path}:\n" + "\n".join(f"  {line}" for line in lines), hint="docs/spec/config.md lists every key")
    config._folder = path.resolve().parent
    return config


def _sinks(tables: Any) -> tuple[list[SinkSettings], list[str]]:
    """Each table as what its type says it is, and what is wrong with those that are not."""
    known = {_sink_type(settings): settings for settings in SINKS}
    sinks: list[SinkSettings] = []
    lines: list[str] = []
    for index, table in enumerate(tables if isinstance(tables, list) else []):
        kind = table.get("type") if isinstance(table, dict) else None
        settings = known.get(kind) if isinstance(kind, str) else None
        if settings is None:
            shown = ": missing;" if kind is None else f" = {_shown(kind)}:"
            lines.append(f"sink[{index}].type{shown} allowed: {', '.join(repr(name) for name in known)}")
            continue
        try:
            sinks.append(settings.model_validate(table))
        except ValidationError as error:
            lines += [_explain(e, prefix=("sink", index), tables={"sink": settings}) for e in _deepest(error.errors())]
    return sinks, lines


def _sink_type(settings: type[SinkSettings]) -> str:
    """The word that chooses a sink: the one value of its ``type``."""
    (word,) = get_args(settings.model_fields["type"].annotation)
    return str(word)


def _contradictions(config: GatewayConfig) -> list[str]:
    """What is wrong between keys that are each right."""
    lines = [f"sink[{index}].{problem}" for index, sink in enumerate(config.sink) if (problem := sink.problem())]
    outbox = config.outbox
    if (outbox.key_file is None) is (outbox.encrypt is KeySource.KEYFILE):
        lines.append(f"outbox.key_file = {outbox.key_file!r}: allowed: with encrypt = 'keyfile', and only then")
    if outbox.tpm_tcti is not None and outbox.encrypt is not KeySource.TPM2:
        lines.append(f"outbox.tpm_tcti = {outbox.tpm_tcti!r}: allowed: only with encrypt = 'tpm2'")
    if config.version == 1 and len(config.sink) > 1:
        lines.append("version = 1: allowed: 2 where there is more than one sink")
    lines += [f"rule[{index}].{problem}" for index, rule in enumerate(config.rule) if (problem := rule.problem())]
    lines += [f"rule[{i}].{problem}" for i, rule in enumerate(config.rule) if (problem := rule.conflict(config.policy))]
    if config.capture is not None and (problem := config.capture.problem()):
        lines.append(f"capture.{problem}")
    for name in ("output", "samples"):
        if getattr(config.policy, name) is Visibility.SUMMARY:
            lines.append(f"policy.{name} = 'summary': allowed: 'raw' or 'never'; a tensor has no summary")
    names = (
        ("device[{}].url", [d.url for d in config.device]),
        ("sink[{}].name", [s.label for s in config.sink]),
        ("rule[{}].name", [r.name for r in config.rule]),
    )
    for key, values in names:
        lines += [f"{key.format(i)} = {v!r}: allowed: each one once" for i, v in enumerate(values) if v in values[:i]]
    return lines


def _deepest(errors: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Without what follows from another: of a list with a wrong element, the element."""
    return [e for e in errors if not any(o["loc"][: len(e["loc"])] == e["loc"] and len(o["loc"]) > len(e["loc"]) for o in errors)]


def _explain(error: ErrorDetails, *, prefix: tuple[int | str, ...] = (), tables: Mapping[str, type[BaseModel]] | None = None) -> str:
    """One line: key, value, what is allowed."""
    location = prefix + error["loc"]
    key = _key(location)
    table = _table_at(location[:-1], tables or _TABLES)
    # One of a list is allowed what the list's key says.
    name = next((part for part in reversed(location) if isinstance(part, str)), "")
    field = table.model_fields.get(name) if table else None
    if error["type"] == "extra_forbidden":
        names = list(table.model_fields) if table else []
        close = difflib.get_close_matches(str(location[-1]), names, n=1)
        return f"{key}: unknown key; {f'did you mean {close[0]}?' if close else 'allowed: ' + ', '.join(names)}"
    allowed = field.description if field and field.description else error["msg"]
    if error["type"] == "missing":
        return f"{key}: missing; allowed: {allowed}"
    return f"{key} = {_shown(error['input'])}: allowed: {allowed}"


def _key(location: Sequence[int | str]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _shown(value: Any) -> str:
    """Without what may be a password: before the host of a URL, and after its path."""
    text = re.sub(r"(?<=://)[^/\s'\"]*@|(?<=[?#])[^\s'\"]+", "...", repr(value)) if "://" in repr(value) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


_TABLES: Mapping[str, type[BaseModel]] = {
    "gateway": GatewaySettings,
    "device": DeviceSettings,
    "outbox": OutboxSettings,
    "filter": FilterSettings,
    "window": WindowSettings,
    "capture": CaptureSettings,
    "policy": PolicySettings,
    "rule": RuleSettings,
}


def _table_at(location: tuple[int | str, ...], tables: Mapping[str, type[BaseModel]]) -> type[BaseModel] | None:
    return tables.get(str(location[0])) if location else GatewayConfig
