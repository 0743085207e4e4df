"""``tinyfleet cloud``: the embedded default cloud endpoint."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Annotated

import typer

from tinyfleet.cli.announce import announce
from tinyfleet.cli.output import JsonFlag
from tinyfleet_codegen.errors import ConfigError, SetupError

TOKEN_VARIABLE = "TINYFLEET_CLOUD_TOKEN"

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
    json: JsonFlag = False,
) -> None:
    """Store records and show them on a page until interrupted; prints its URL once when it listens."""
    try:
        from tinyfleet.cloud.server import serve as run_server  # noqa: PLC0415 (an optional extra)
    except ModuleNotFoundError as error:
        raise SetupError(f"the cloud endpoint needs the package {error.name}", hint="pip install 'tinyfleet[cloud]'") from error
    token = _token(token_file)
    if token is None and not _is_loopback(host):
        typer.echo(f"warning: everybody who reaches {host} may read and write; set {TOKEN_VARIABLE} or --token-file", err=True)
    run_server(data, host=host, port=port, token=token, on_ready=lambda url: announce({"url": url, "data_dir": str(data)}, json))


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
            raise ConfigError(f"cannot read the token file {path}: {error}", hint="write the access token into that file") from error
    token = text.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(f"{source} holds no access token", hint="a token is printable ASCII without spaces")
    return token


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
