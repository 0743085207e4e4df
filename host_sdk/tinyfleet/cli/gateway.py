"""``tinyfleet gateway``: the relay from devices to the cloud."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tinyfleet.cli.announce import announce
from tinyfleet.cli.output import JsonFlag, print_facts, print_json

if TYPE_CHECKING:
    from tinyfleet.gateway.config import GatewayConfig

LEAVE_S = 1.0
"""How long a gateway that has stopped may still take to end."""

group = typer.Typer(help="The relay from devices to the cloud.", no_args_is_help=True, rich_markup_mode=None)

ConfigArgument = Annotated[
    Path, typer.Argument(metavar="CONFIG.toml", help="The gateway's configuration; docs/spec/config.md lists every key.")
]


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    app.add_typer(group, name="gateway")


class LogFormat(StrEnum):
    """How log lines look on stderr."""

    TEXT = "text"
    JSON = "json"


@group.command(epilog="Example: tinyfleet gateway run gateway.toml")
def run(
    config_path: ConfigArgument,
    log_format: Annotated[LogFormat, typer.Option(help="Log lines for people, or one JSON object each.")] = LogFormat.TEXT,
    json: JsonFlag = False,
) -> None:
    """Pull, keep and deliver until interrupted. SIGHUP reads the configuration again."""
    from tinyfleet.gateway.config import load_config  # noqa: PLC0415 - keeps --help fast

    if log_format is LogFormat.JSON:
        from tinyfleet.gateway.log_format import JsonFormatter  # noqa: PLC0415

        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonFormatter())

    config = load_config(config_path)
    logging.getLogger("tinyfleet").setLevel(min(logging.INFO, logging.getLogger().level))
    with _ends_in_time() as stopped:
        asyncio.run(_run(config, lambda: load_config(config_path), json, stopped))


async def _run(config: GatewayConfig, reread: Callable[[], GatewayConfig], json: bool, stopped: Callable[[], None]) -> None:
    from tinyfleet.gateway.proxy import open_port  # noqa: PLC0415
    from tinyfleet.gateway.service import Gateway  # noqa: PLC0415

    gateway = Gateway(config, open_port, reread=reread)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, gateway.reload)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, gateway.stop)

    def on_ready() -> None:
        facts: dict[str, Any] = {
            "gateway_id": config.gateway.id,
            "data_dir": str(config.data_dir),
            "devices": [d.url for d in config.device],
            "sinks": [s.describe() for s in config.sink],
            **({} if gateway.metrics_url is None else {"metrics": f"{gateway.metrics_url}/metrics"}),
        }
        announce(facts, json)

    await gateway.run(on_ready)
    stopped()


@contextlib.contextmanager
def _ends_in_time() -> Iterator[Callable[[], None]]:
    """Once the gateway has stopped, the process ends, whoever holds a thread of it: a name server that is silent, for one."""
    reading, writing = os.pipe()

    def leave() -> None:
        if not select.select([reading], [], [], LEAVE_S)[0]:
            os._exit(0)  # all that must be kept is on the disk

    try:
        yield threading.Thread(target=leave, name="leave", daemon=True).start
    finally:
        os.close(writing)


@group.command(epilog="Example: tinyfleet gateway check gateway.toml")
def check(config_path: ConfigArgument, json: JsonFlag = False) -> None:
    """Validate the configuration and look at the outbox; changes nothing, contacts nobody."""
    from tinyfleet.gateway.config import load_config  # noqa: PLC0415
    from tinyfleet.gateway.service import check_sinks, describe_edge, describe_sinks  # noqa: PLC0415
    from tinyfleet.gateway.status import check_data_dir  # noqa: PLC0415

    config = load_config(config_path)
    asyncio.run(check_sinks(config))
    waiting = check_data_dir(config.data_dir)
    if json:
        print_json({"ok": True, "config": config.model_dump(mode="json"), "waiting": waiting})
        return
    print_facts(
        [
            ("gateway", config.gateway.id),
            ("data", str(config.data_dir)),
            *(("device", f"{d.url}, {d.timeout_s:g} s a request") for d in config.device),
            ("outbox", f"{waiting} waiting, bound {config.outbox.max_bytes / 2**20:.1f} MiB, then {config.outbox.when_full}"),
            *(("edge", line) for line in describe_edge(config)),
            *(("sink", line) for line in describe_sinks(config)),
        ]
    )


@group.command(epilog="Example: tinyfleet gateway status gateway.toml --json")
def status(config_path: ConfigArgument, json: JsonFlag = False) -> None:
    """What the gateway of this configuration does, or did before it stopped, and what its outbox holds."""
    from tinyfleet.gateway.config import load_config  # noqa: PLC0415
    from tinyfleet.gateway.status import read_status  # noqa: PLC0415

    config = load_config(config_path)
    found = read_status(config.data_dir)
    if json:
        print_json(found)
        return
    outbox = found["outbox"]
    facts = [
        ("gateway", f"{config.gateway.id}, {'running, pid ' + str(found['pid']) if found['running'] else 'not running'}"),
        ("outbox", f"{outbox['waiting']} waiting, {outbox['refused']} refused, {outbox['used_bytes'] / 1024:.0f} KiB"),
        ("never sent", f"{outbox['dropped']} dropped, {outbox['lost']} lost on devices, {outbox['filtered']} filtered"),
    ]
    for device in found["devices"]:
        facts.append(
            ("device", f"{device['url']}  {device['state']}, {device['pulled']} pulled{_ago(device['last_pull_s'])}{_error(device)}")
        )
    facts += [("windows", f"{w['device_id'][:8]}  {_windows_line(w)}") for w in outbox["windows"]]
    live = {sink["name"]: sink for sink in found["sinks"]}
    for place in outbox["sinks"]:
        facts.append(("sink", _sink_line(place, live.get(place["name"]))))
    for target in outbox["targets"]:
        error = found["actions"].get(target["name"])
        counts = ", ".join(
            f"{target[name]} {name.replace('_', ' ')}"
            for name in ("waiting", "done", "given_up", "dropped")
            if target[name] or name in ("waiting", "done")
        )
        facts.append(("rule", f"{target['name']}: {counts}{'' if error is None else f'; last error: {error}'}"))
    if outbox["edges_put_aside"]:
        facts.append(("edge", f"{outbox['edges_put_aside']} damaged states put aside, as edge.damaged-N in {config.data_dir}"))
    print_facts(facts)


@group.command(epilog="Example: tinyfleet gateway monitoring --target gw1:9464 -o monitoring")
def monitoring(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder that gets the files; made when it is absent.")],
    target: Annotated[
        list[str], typer.Option(metavar="HOST:PORT", help="A gateway's metrics, see [gateway] metrics_port; may be given several times.")
    ] = ["127.0.0.1:9464"],  # noqa: B006
    json: JsonFlag = False,
) -> None:
    """Write what watches gateways: a Prometheus configuration with recording and alert rules, a Grafana dashboard with its provisioning."""
    from tinyfleet.deploy.monitoring import write_monitoring  # noqa: PLC0415

    files = write_monitoring(output, target)
    if json:
        print_json({"files": [str(path) for path in files]})
    else:
        print_facts([("wrote", str(path)) for path in files])


def _windows_line(windows: dict[str, Any]) -> str:
    """What became of the windows that were wanted of a device."""
    ends = ("gone", "over_budget", "not_kept", "given_up", "waiting")
    others = [f"{windows[end]} {end.replace('_', ' ')}" for end in ends if windows[end]]
    return ", ".join([f"{windows['fetched']} of {windows['wanted']} fetched ({windows['bytes']} bytes)", *others])


def _sink_line(place: dict[str, Any], live: dict[str, Any] | None) -> str:
    counts = ", ".join(
        f"{place[name]} {name}" for name in ("waiting", "delivered", "refused", "dropped", "filtered") if place[name] or name[0] in "wd"
    )
    text = f"{place['name'] or 'of version 1'}: {counts}"
    if live is None:
        return text
    return f"{text}; {live['target']} {live['state']}{_ago(live['last_delivery_s'])}{_error(live)}"


def _ago(moment_s: float | None) -> str:
    return "" if moment_s is None else f", {max(0.0, time.time() - moment_s):.0f} s ago"


def _error(part: dict[str, Any]) -> str:
    return f"; last error: {part['last_error']}" if part["last_error"] else ""
