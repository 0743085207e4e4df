"""``tinyfleet build``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tinyfleet.cli.output import ArenaBudget, JsonFlag, print_facts, print_json, progress_console
from tinyfleet_codegen.errors import UsageError

if TYPE_CHECKING:
    from tinyfleet.platformio_build import SignedBuild
    from tinyfleet.signing_keys import SigningKeys


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("build", epilog="Example: tinyfleet build --board mps2_an386 --model model.tflite -o build/sensor")(build_command)


def build_command(
    board: Annotated[str, typer.Option(help="Board id, for example mps2_an386.")],
    model: Annotated[Path, typer.Option(metavar="DIR|MODEL.tflite", help="Folder that tinyfleet compile wrote, or a model to compile.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for firmware.elf, firmware.bin and firmware.map.")],
    app: Annotated[str, typer.Option(help="App in firmware/apps, or the path of a folder of your own.")] = "sensor",
    signed: Annotated[bool, typer.Option("--signed", help="Also a bootloader, and an image for each update slot.")] = False,
    keys: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keys to trust: firmware.pem, model.pem or NAME.pub.pem; default: development keys."),
    ] = None,
    image_version: Annotated[str, typer.Option(help="Of the signed images: MAJOR.MINOR.REVISION[+BUILD].")] = "1.0.0",
    security_counter: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Boards that confirmed a higher one refuse the images.")] = 0,
    release: Annotated[bool, typer.Option("--release", help="With --signed: refuse development keys.")] = False,
    swap_arena: Annotated[
        int, typer.Option(min=0, metavar="BYTES", help="Let the firmware take other models at run time, with arenas up to this; 0: no.")
    ] = 0,
    arena_budget: ArenaBudget = None,
    as_json: JsonFlag = False,
) -> None:
    """Build firmware with PlatformIO, offline."""
    from tinyfleet.board import UNTRIED, load_board  # noqa: PLC0415 - keeps --help fast
    from tinyfleet.platformio_build import build_firmware, build_signed  # noqa: PLC0415
    from tinyfleet.signing_keys import keys_header  # noqa: PLC0415
    from tinyfleet_codegen.compile import compile_model, takes_models  # noqa: PLC0415
    from tinyfleet_codegen.package import load_package  # noqa: PLC0415

    model_dir = model
    is_tried = load_board(board).is_tried
    takes_others = bool(swap_arena) or (model.is_dir() and takes_models(model))
    if not signed and not takes_others and (keys is not None or release):
        raise UsageError("--keys and --release are for firmware that checks signatures", hint="add --signed or --swap-arena")
    if swap_arena and model.is_dir():
        raise UsageError("--swap-arena is for a model that is compiled here", hint="tinyfleet compile --swap-arena made the folder, or not")
    trusted = signing_keys(keys, release) if signed or takes_others else None
    signing = trusted if signed else None
    with progress_console.status(f"building {app} for {board}"):
        if not model.is_dir():
            model_dir = output / "model"
            compile_model(load_package(model), board, model_dir, arena_budget_bytes=arena_budget, swap_arena_bytes=swap_arena)
        # The same for all that is linked below, or PlatformIO compiles twice.
        header = keys_header(trusted) if trusted is not None else None
        built = build_firmware(board, model_dir, output, app=app, keys_header=header)
        update = None
        if signing is not None:
            update = build_signed(board, model_dir, output, signing, app=app, version=image_version, security_counter=security_counter)
    if as_json:
        print_json(
            {
                "board": board,
                "tried": is_tried,
                "app": app,
                "elf": built.elf,
                "bin": built.image,
                "map": built.linker_map,
                "flash_bytes": built.flash_bytes,
                "ram_bytes": built.ram_bytes,
                "seconds": round(built.seconds, 3),
                "bootloader": update and update.bootloader.elf,
                "bootloader_flash_bytes": update and update.bootloader.flash_bytes,
                "bootloader_ram_bytes": update and update.bootloader.ram_bytes,
                "images": [] if update is None else list(update.images),
            }
        )
        return
    print_facts(
        [
            ("board", board if is_tried else f"{board} ({UNTRIED})"),
            ("flash", f"{built.flash_bytes / 1024:.1f} KiB"),
            ("ram", f"{built.ram_bytes / 1024:.1f} KiB"),
            ("wrote", f"{built.elf}, firmware.bin, firmware.map ({built.seconds:.1f} s)"),
            *_update_facts(update, signing),
        ]
    )


def _update_facts(update: SignedBuild | None, keys: SigningKeys | None) -> list[tuple[str, str]]:
    if update is None or keys is None:
        return []
    boot = update.bootloader
    images = ", ".join(path.name for path in update.images) or "NAME.slotN.unsigned.bin; sign them with tinyfleet firmware sign"
    return [
        ("boot", f"{boot.elf}, {boot.flash_bytes / 1024:.1f} KiB flash, {boot.ram_bytes / 1024:.1f} KiB RAM"),
        ("images", images),
        ("keys", f"{keys.firmware.parent}{' (development)' if keys.is_development else ''}"),
    ]


def signing_keys(folder: Path | None, is_release: bool) -> SigningKeys:
    """The keys that a command was given, else the development keys.

    Raises:
        UsageError: development keys, where they must not be.
    """
    from tinyfleet.signing_keys import development_keys, find_keys  # noqa: PLC0415

    found = development_keys() if folder is None and not is_release else find_keys(folder) if folder is not None else None
    if found is None or (is_release and found.is_development):
        raise UsageError(
            "a release is not signed with development keys", hint="tinyfleet keys new --release -o DIR, keep it safe, then --keys DIR"
        )
    return found
