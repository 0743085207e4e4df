"""``tinyfleet firmware``: signed images for the update slots of a board."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinyfleet.cli import firmware_update
from tinyfleet.cli.output import JsonFlag, print_facts, print_json


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(name="firmware", help="Signed images for the update slots of a board.", no_args_is_help=True)
    group.command(
        "sign",
        epilog="Example: tinyfleet firmware sign build/sensor --board mps2_an386 --keys ~/tinyfleet-keys --image-version 1.2.0 --release",
    )(sign_command)
    firmware_update.add_commands(group)
    app.add_typer(group)


def sign_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that tinyfleet build --signed wrote.")],
    board: Annotated[str, typer.Option(help="Board id, for example mps2_an386.")],
    image_version: Annotated[str, typer.Option(help="MAJOR.MINOR.REVISION[+BUILD].")],
    keys: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder with firmware.pem; default: development keys.")] = None,
    security_counter: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Boards that confirmed a higher one refuse the image.")] = 0,
    next_key: Annotated[
        Path | None, typer.Option(metavar="PEM", help="Public firmware key that boards trust too once they confirm the image.")
    ] = None,
    release: Annotated[bool, typer.Option("--release", help="Refuse development keys.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Sign what was built for both slots: writes NAME.slot0.bin and NAME.slot1.bin."""
    from tinyfleet.cli.build import signing_keys  # noqa: PLC0415 - keeps --help fast
    from tinyfleet.image import ImageFacts, sign_firmware  # noqa: PLC0415
    from tinyfleet.signing_keys import is_development, public_key  # noqa: PLC0415
    from tinyfleet_codegen.errors import UsageError  # noqa: PLC0415

    key = signing_keys(keys, release).firmware
    if release and next_key is not None and is_development(next_key):
        raise UsageError(f"{next_key} is a development key", hint="a release must not hand boards over to it")
    programs = [sorted(folder.glob(f"*.slot{slot}.unsigned.bin")) for slot in (0, 1)]
    if any(len(found) != 1 for found in programs):
        raise UsageError(
            f"{folder} does not hold one NAME.slot0.unsigned.bin and one NAME.slot1.unsigned.bin",
            hint=f"tinyfleet build --board {board} --model M.tflite --signed -o {folder}",
        )
    following = public_key(next_key) if next_key is not None else None
    rows = []
    for slot, (raw,) in enumerate(programs):
        target = raw.with_name(raw.name.replace(".unsigned.bin", ".bin"))
        image = sign_firmware(raw, target, ImageFacts(board, slot, image_version, security_counter, following), key)
        rows.append({"slot": slot, "path": target, "hash": image.digest, "bytes": target.stat().st_size})
    if as_json:
        print_json({"board": board, "version": image_version, "images": rows})
        return
    print_facts([(f"slot {row['slot']}", f"{row['path']}, {row['bytes']} bytes") for row in rows] + [("version", image_version)])
