from __future__ import annotations

from pathlib import Path

import pytest

from tinyfleet.gateway.config import GatewayConfig, load_config
from tinyfleet.gateway.service import check_sinks, describe_sinks
from tinyfleet.gateway.sinks.http import HttpSinkSettings
from tinyfleet.gateway.sinks.sink import SinkContext
from tinyfleet.telemetry import Envelope
from tinyfleet_codegen.errors import ConfigError

GOOD = """
version = 1

[gateway]
id = "gw-1"
data_dir = "data"

[[device]]
url = "tcp://127.0.0.1:5555"

[[sink]]
type = "http"
url = "http://127.0.0.1:8080/"
"""


def load(folder: Path, text: str) -> GatewayConfig:
    path = folder / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    return load_config(path)


def test_smallest_configuration_has_sensible_defaults(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD)
    assert config.data_dir == tmp_path / "data"
    (sink,) = config.sink
    assert isinstance(sink, HttpSinkSettings)
    assert (sink.url, sink.label, sink.holds) == ("http://127.0.0.1:8080", "http", True)
    assert config.outbox.when_full == "drop_oldest"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('id = "gw-1"', 'id = "my gateway"', "gateway.id = 'my gateway': allowed: 1 to 64 letters"),
        ('id = "gw-1"', 'idd = "gw-1"', "gateway.idd: unknown key; did you mean id?"),
        ('id = "gw-1"', "", "gateway.id: missing; allowed: 1 to 64 letters"),
        ('data_dir = "data"', "data_dir = 5", "gateway.data_dir = 5: allowed: a folder"),
        ('url = "tcp://127.0.0.1:5555"', 'url = "usb://1"', "device[0].url = 'usb://1': allowed: serial:///dev/ttyACM0, serial://usb:"),
        ('url = "tcp://127.0.0.1:5555"', 'url = "serial://usb:"', "device[0].url = 'serial://usb:': allowed: serial:///dev/ttyACM0, serial://usb:SERIAL"),
        ('url = "tcp://127.0.0.1:5555"', 'url = "tcp://x:1"\ntimeout_s = 0', "device[0].timeout_s = 0: allowed: seconds for one"),
        ('url = "tcp://127.0.0.1:5555"', 'url = "tcp://x:1"\npoll_s = "1"', "device[0].poll_s = '1': allowed: seconds between pulls"),
        ('[[device]]\nurl = "tcp://127.0.0.1:5555"', "", "device: missing; allowed: at least one [[device]] table"),
        ('type = "http"', 'type = "amqp"', "sink[0].type = 'amqp': allowed: 'http'"),
        ("http://127.0.0.1:8080/", "ftp://x", "sink[0].url = 'ftp://x': allowed: http://HOST:PORT or https://HOST"),
        ("[gateway]", '[outbox]\nwhen_full = "panic"\n[gateway]', "outbox.when_full = 'panic': allowed: 'drop_oldest' or 'stop_pulling'"),
        ("[gateway]", "[outbox]\nmax_bytes = 10\n[gateway]", "outbox.max_bytes = 10: allowed: bytes of the database, 262144"),
        ("[gateway]", "[extra]\n[gateway]", "extra: unknown key; allowed: version, gateway, device, sink, outbox"),
        ("version = 1", "", "version: missing; allowed: 1 or 2"),
        ("version = 1", 'version = "1"', "version = '1': allowed: 1 or 2"),
        ("version = 1", "version = 3", "version = 3: this code reads up to 2"),
        ("[[sink]]", '[[sink]]\ntype = "http"\nname = "b"\nurl = "http://b"\n[[sink]]', "version = 1: allowed: 2 where there is"),
        ("[[sink]]", '[[sink]]\ntype = "http"\nurl = "http://b"\n[[sink]]', "sink[1].name = 'http': allowed: each one once"),
        ('type = "http"', "", "sink[0].type: missing; allowed: 'http'"),
        ('type = "http"', 'type = "http"\nulr = "x"', "sink[0].ulr: unknown key; did you mean url?"),
        ("version = 1", "version = [", "is not valid TOML"),
        ("[[sink]]", '[[sink]]\ntoken_file = "t"\ntoken_env = "T"', "allowed: not together with token_file"),
        ("[[device]]", '[[device]]\nurl = "tcp://127.0.0.1:5555"\n[[device]]', "device[1].url = 'tcp://127.0.0.1:5555': allowed: each"),
    ],
)  # fmt: skip
def test_wrong_value_is_named_with_what_is_allowed(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, GOOD.replace(old, new, 1))
    assert expected in str(refused.value)
    assert refused.value.hint


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("http://127.0.0.1:8080/", "http://user:s3cret@host"),
        ("http://127.0.0.1:8080/", "ftp://s3cret@host"),
        ("http://127.0.0.1:8080/", "https://host/?token=s3cret"),
        ("http://127.0.0.1:8080/", "https://host/#s3cret"),
        ('type = "http"\nurl = "http://127.0.0.1:8080/"', 'type = "mqtt"\nurl = "mqtt://u:s3cret@host"'),
        ('type = "http"\nurl = "http://127.0.0.1:8080/"', 'type = "kafka"\nurl = "kafka://u:s3cret@host:1"'),
        ("[[sink]]", '[[sink]]\npassword = "s3cret"'),
        ("[[sink]]", '[[sink]]\ntoken = "s3cret"'),
    ],
)
def test_secret_in_the_wrong_place_is_refused_and_not_repeated(tmp_path: Path, old: str, new: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, GOOD.replace(old, new, 1))
    assert "s3cret" not in str(refused.value) and "sink[0]" in str(refused.value)


def test_all_wrong_values_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, GOOD.replace("gw-1", "").replace("tcp:", "udp:"))
    assert "gateway.id" in str(refused.value) and "device[0].url" in str(refused.value)


def test_absent_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        load_config(tmp_path / "absent.toml")


async def test_token_comes_from_file_or_environment_and_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("s3cret\n", encoding="utf-8")
    config = load(tmp_path, GOOD.replace("[[sink]]", '[[sink]]\ntoken_file = "token"'))
    await check_sinks(config)
    assert "s3cret" not in repr(config) and "s3cret" not in config.model_dump_json()
    config = load(tmp_path, GOOD.replace("[[sink]]", '[[sink]]\ntoken_env = "MY_TOKEN"'))
    monkeypatch.delenv("MY_TOKEN", raising=False)
    with pytest.raises(ConfigError, match="sink http: token: environment variable MY_TOKEN holds no secret"):
        await check_sinks(config)
    monkeypatch.setenv("MY_TOKEN", "from-env")
    await check_sinks(config)
    context = SinkContext("gw", bytes(16), tmp_path, no_history)
    token = context.secret("t", file=None, env="MY_TOKEN")
    assert token is not None and token.get_secret_value() == "from-env" and "from-env" not in repr(token)


async def no_history(_device_id: bytes, _first_utc_us: int, _last_utc_us: int, _limit: int) -> list[Envelope]:
    return []


def test_check_says_what_each_sink_gets_and_what_may_not_leave(tmp_path: Path) -> None:
    text = GOOD.replace("version = 1", "version = 2").replace('url = "tcp://127.0.0.1:5555"', 'url = "tcp://127.0.0.1:5555"\nregion = "eu"')
    config = load(tmp_path, text + '\n[[sink]]\ntype = "http"\nname = "local"\nregion = "eu"\nurl = "http://b"\n')
    world, local = describe_sinks(config)
    assert "gets nothing of tcp://127.0.0.1:5555 (region)" in world and "durable, kept until it has it" in world
    assert local.startswith("local: http://b") and "gets everything" in local


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ('encrypt = "keyfile"', "outbox.key_file = None: allowed: with encrypt = 'keyfile', and only then"),
        ('key_file = "k"', "outbox.key_file = 'k': allowed: with encrypt = 'keyfile', and only then"),
        ('tpm_tcti = "device:/dev/tpm0"', "outbox.tpm_tcti = 'device:/dev/tpm0': allowed: only with encrypt = 'tpm2'"),
        ('encrypt = "rot13"', "outbox.encrypt = 'rot13': allowed: 'keyfile' or 'tpm2'"),
        ("max_age_s = 5", "outbox.max_age_s = 5: allowed: seconds in which the gateway runs"),
    ],
)
def test_keys_of_the_outbox_fit_each_other(keys: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, GOOD.replace("[gateway]", f"[outbox]\n{keys}\n[gateway]"))
    assert says in str(refused.value)
