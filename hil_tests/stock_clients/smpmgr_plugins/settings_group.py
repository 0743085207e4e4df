"""Settings for smpmgr, which has no command for them: found by ``smpmgr --plugin-path=DIR``. Runs in smpmgr's environment."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import typer
from smpclient.requests.settings_management import DeleteSetting, ReadSetting, WriteSetting
from smpmgr.common import Options, connect_with_spinner, get_smpclient, smp_request

app = typer.Typer(name="settings", help="The SMP settings management group.")


@app.command()
def write(ctx: typer.Context, name: str, value: str) -> None:
    """Set it."""
    _ask(ctx, WriteSetting(name=name, val=value.encode()))


@app.command()
def read(ctx: typer.Context, name: str) -> None:
    """Show it."""
    _ask(ctx, ReadSetting(name=name))


@app.command()
def delete(ctx: typer.Context, name: str) -> None:
    """Remove it."""
    _ask(ctx, DeleteSetting(name=name))


def _ask(ctx: typer.Context, request: Any) -> None:
    client = get_smpclient(cast(Options, ctx.obj))

    async def ask() -> None:
        await connect_with_spinner(client)
        print(await smp_request(client, request))

    asyncio.run(ask())
