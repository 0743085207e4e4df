"""``tinyfleet cloud``: the embedded default cloud endpoint."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tinyfleet.cli.announce import announce
from tinyfleet.cli.output import JsonFlag
from tinyfleet_codegen.errors import ConfigError, SetupError, UsageError

if TYPE_CHECKING:
    from tinyfleet.cloud.ingest.source import Credentials, Source

TOKEN_VARIABLE = "TINYFLEET_CLOUD_TOKEN"
PASSWORD_VARIABLE = "TINYFLEET_SOURCE_PASSWORD"
_SOURCES_HELP = "mqtt://HOST, mqtts://HOST, kafka://HOST:PORT[/TOPIC], kafkas://..., opc.tcp://HOST:PORT, a file or a folder of files"

group = typer.Typer(help="The embedded default cloud endpoint.", no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    app.add_typer(group, name="cloud")


@group.callback()
def _group() -> None:
    pass


@group.command(epilog="Example: tinyfleet cloud serve --data cloud --port 8080")
def serve(
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Folder of the database; made when it is absent.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8080,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help=f"File with the access token of gateways and readers; or set {TOKEN_VARIABLE}.")
    ] = None,
    cert: Annotated[Path | None, typer.Option(metavar="FILE", help="PEM file: the server's certificate; then it speaks HTTPS.")] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="PEM file: the key of --cert.")] = None,
    client_ca: Annotated[
        Path | None, typer.Option(metavar="FILE", help="PEM file: who must have signed the certificate that every client then needs.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Store records and show them on a page until interrupted; prints its URL once when it listens."""
    try:
        from tinyfleet.cloud.server import ServerTls  # noqa: PLC0415 (an optional extra)
        from tinyfleet.cloud.server import serve as run_server  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise SetupError(f"the cloud endpoint needs the package {error.name}", hint="pip install 'tinyfleet[cloud]'") from error
    if (cert is None) is not (key is None) or (client_ca and not cert):
        raise UsageError("--cert and --key belong together, and --client-ca to them", hint="give --cert and --key")
    tls = ServerTls(cert, key, client_ca) if cert is not None and key is not None else None
    token = _token(token_file)
    if token is None and client_ca is None and not _is_loopback(host):
        typer.echo(f"warning: everybody who reaches {host} may read and write; set {TOKEN_VARIABLE} or --token-file", err=True)
    run_server(data, host=host, port=port, token=token, on_ready=lambda url: announce({"url": url, "data_dir": str(data)}, json), tls=tls)


@group.command(epilog="Example: tinyfleet cloud ingest --from mqtts://broker:8883 --ca ca.pem --cert cloud.pem --key cloud-key.pem")
def ingest(
    source: Annotated[str, typer.Option("--from", metavar="URL", help=f"Where events are: {_SOURCES_HELP}.")],
    to: Annotated[str, typer.Option(metavar="URL", help="The cloud that stores them.")] = "http://127.0.0.1:8080",
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help=f"File with the access token of that cloud; or set {TOKEN_VARIABLE}.")
    ] = None,
    ca: Annotated[Path | None, typer.Option(metavar="FILE", help="PEM file: whom to trust at the source.")] = None,
    cert: Annotated[Path | None, typer.Option(metavar="FILE", help="PEM file: our certificate at the source.")] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="PEM file: its key.")] = None,
    username: Annotated[str | None, typer.Option(help=f"A user of the source; its password is in {PASSWORD_VARIABLE}.")] = None,
    cloud_ca: Annotated[Path | None, typer.Option(metavar="FILE", help="PEM file: whom to trust at the cloud.")] = None,
    json: JsonFlag = False,
) -> None:
    """Bring events from a broker, a server or files into a cloud until interrupted, or until all files are read; says so once."""
    from tinyfleet.cloud.ingest import find_source  # noqa: PLC0415 - keeps --help fast
    from tinyfleet.cloud.ingest.source import Credentials  # noqa: PLC0415

    if (cert is None) is not (key is None):
        raise UsageError("--cert and --key belong together", hint="give both, or none")
    credentials = Credentials(ca, cert, key, username, os.environ.get(PASSWORD_VARIABLE))
    run_source = find_source(source)
    asyncio.run(_ingest(run_source, source, to, credentials, token=_token(token_file), cloud_ca=cloud_ca, json=json))


async def _ingest(
    run_source: Source, source: str, to: str, credentials: Credentials, *, token: str | None, cloud_ca: Path | None, json: bool
) -> None:
    from tinyfleet.cloud.ingest.forward import Forwarder  # noqa: PLC0415
    from tinyfleet.cloud.ingest.source import Credentials as CloudCredentials  # noqa: PLC0415

    tls = CloudCredentials(ca=cloud_ca).tls() if to.startswith("https:") else None
    async with Forwarder(to.rstrip("/"), token=token, tls=tls) as forwarder:
        running = asyncio.ensure_future(run_source(source, credentials, forwarder, lambda: announce({"from": source, "to": to}, json)))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, running.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            if (facts := await running) is not None:
                announce(facts, json)


def _token(path: Path | None) -> str | None:
    if path is None:
        text = os.environ.get(TOKEN_VARIABLE)
        if text is None:
            return None
        source = TOKEN_VARIABLE
    else:
        source = str(path)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ConfigError(f"cannot read the token file {path}: {reason}", hint="write the access token into that file") from error
    token = text.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(f"{source} holds no access token", hint="a token is printable ASCII without spaces")
    return token


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
