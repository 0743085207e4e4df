"""The gateway's configuration: one versioned TOML file, validated whole before anything starts.

Each field's ``description`` says what is allowed; it is what an error shows and what ``docs/spec/config.md`` repeats.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from tinyfleet.gateway.outbox import WhenFull
from tinyfleet.link.opening import OPENERS
from tinyfleet_codegen.errors import ConfigError

CONFIG_VERSION = 1


_KEYS_HINT = "docs/spec/config.md lists every key"


def _device_url(url: str) -> str:
    if urlsplit(url).scheme not in OPENERS:
        raise ValueError("unknown scheme")
    return url


def _http_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise ValueError("not such a URL")
    return url.rstrip("/")


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class GatewaySettings(_Table):
    """``[gateway]``: who this gateway is and where it keeps its data."""

    id: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="1 to 64 letters, digits, '.', '_' or '-'")
    data_dir: str = Field(min_length=1, description="a folder, relative to the configuration file")


class DeviceSettings(_Table):
    """``[[device]]``: one port behind which a device answers."""

    url: Annotated[str, AfterValidator(_device_url)] = Field(
        description="serial:///dev/ttyACM0, tcp://HOST:PORT, emu://BOARD?elf=FILE or memory://?model=DIR"
    )
    timeout_s: float = Field(default=5.0, ge=0.1, le=120, description="seconds for one request, 0.1 to 120")
    poll_s: float = Field(default=0.5, ge=0.01, le=3600, description="seconds between pulls when there is nothing new, 0.01 to 3600")
    max_records: int = Field(default=64, ge=1, le=10_000, description="records in one pull, 1 to 10000")
    clock_drift_ppm: int = Field(
        default=200, ge=1, le=100_000, description="how far the device's clock may be off, in parts per million, 1 to 100000"
    )


class OutboxSettings(_Table):
    """``[outbox]``: the bound of the durable queue."""

    max_bytes: int = Field(default=256 * 2**20, ge=2**18, le=2**40, description="bytes of the database, 262144 (256 KiB) to 2**40 (1 TiB)")
    when_full: Annotated[WhenFull, Field(strict=False)] = Field(default=WhenFull.DROP_OLDEST, description="'drop_oldest' or 'stop_pulling'")


class HttpSinkSettings(_Table):
    """``[[sink]]`` of type ``http``: a tinyfleet cloud endpoint."""

    type: Literal["http"] = Field(description="'http'")
    url: Annotated[str, AfterValidator(_http_url)] = Field(description="http://HOST:PORT or https://HOST, without user and password")
    token_file: str | None = Field(
        default=None, min_length=1, description="a file with the access token, relative to the configuration file"
    )
    token_env: str | None = Field(
        default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="name of an environment variable with the access token"
    )
    timeout_s: float = Field(default=10.0, ge=0.1, le=600, description="seconds for one delivery, 0.1 to 600")
    batch_records: int = Field(default=500, ge=1, le=5000, description="records in one delivery, 1 to 5000")
    retry_max_s: float = Field(default=30.0, ge=0.05, le=3600, description="longest pause between two attempts in seconds, 0.05 to 3600")


class GatewayConfig(_Table):
    """The whole file."""

    version: int = Field(ge=1, description="1")
    gateway: GatewaySettings = Field(description="a [gateway] table")
    device: tuple[DeviceSettings, ...] = Field(min_length=1, strict=False, description="at least one [[device]] table")
    sink: tuple[HttpSinkSettings, ...] = Field(min_length=1, max_length=1, strict=False, description="exactly one [[sink]] table")
    outbox: OutboxSettings = Field(default=OutboxSettings(), description="an [outbox] table")

    _folder: Path = Path()

    def path(self, name: str) -> Path:
        """A path from the file, relative to the file's folder."""
        return self._folder / name

    @property
    def data_dir(self) -> Path:
        """Where outbox and status are kept."""
        return self.path(self.gateway.data_dir)

    def token(self) -> SecretStr | None:
        """The sink's access token, never shown in logs; None when none is configured.

        Raises:
            ConfigError: the file cannot be read, the variable is not set, or it is empty.
        """
        sink = self.sink[0]
        if sink.token_file is not None:
            path = self.path(sink.token_file)
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(
                    f"sink[0].token_file: cannot read {path}: {error}", hint="write the access token into that file"
                ) from error
            source = str(path)
        elif sink.token_env is not None:
            text, source = os.environ.get(sink.token_env, ""), f"environment variable {sink.token_env}"
        else:
            return None
        if not re.fullmatch(r"[!-~]+", text.strip()):
            raise ConfigError(f"sink[0]: {source} holds no access token", hint="a token is printable ASCII without spaces")
        return SecretStr(text.strip())


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
    try:
        config = GatewayConfig.model_validate(data)
    except ValidationError as error:
        lines = "\n".join(f"  {_explain(e)}" for e in error.errors())
        raise ConfigError(f"{path}:\n{lines}", hint=_KEYS_HINT) from error
    if config.sink[0].token_file is not None and config.sink[0].token_env is not None:
        raise ConfigError(
            f"{path}:\n  sink[0].token_env = {config.sink[0].token_env!r}: allowed: not together with token_file", hint=_KEYS_HINT
        )
    urls = [device.url for device in config.device]
    for index, url in enumerate(urls):
        if url in urls[:index]:
            raise ConfigError(f"{path}:\n  device[{index}].url = {url!r}: allowed: each port once", hint=_KEYS_HINT)
    config._folder = path.resolve().parent
    return config


def _explain(error: ErrorDetails) -> str:
    """One line: key, value, what is allowed."""
    location = error["loc"]
    key = _key(location)
    if error["type"] == "extra_forbidden":
        table = _table_at(location[:-1])
        names = list(table.model_fields) if table else []
        close = difflib.get_close_matches(str(location[-1]), names, n=1)
        return f"{key}: unknown key; {f'did you mean {close[0]}?' if close else 'allowed: ' + ', '.join(names)}"
    allowed = _allowed(location) or error["msg"]
    if error["type"] == "missing":
        return f"{key}: missing; allowed: {allowed}"
    return f"{key} = {_shown(error['input'])}: allowed: {allowed}"


def _key(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


_TABLES: dict[str, type[_Table]] = {
    "gateway": GatewaySettings,
    "device": DeviceSettings,
    "sink": HttpSinkSettings,
    "outbox": OutboxSettings,
}


def _table_at(location: tuple[int | str, ...]) -> type[_Table] | None:
    return _TABLES.get(str(location[0])) if location else GatewayConfig


def _allowed(location: tuple[int | str, ...]) -> str | None:
    """The description of the field at an error's location."""
    names = [str(part) for part in location if isinstance(part, str)]
    if len(names) == 1:
        return GatewayConfig.model_fields[names[0]].description if names[0] in GatewayConfig.model_fields else None
    table = _TABLES.get(names[0]) if names else None
    return table.model_fields[names[1]].description if table and names[1] in table.model_fields else None
