"""Bootloader and signed images for a board that is updated over its link."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tinyfleet.board import load_board
from tinyfleet.image import SLOTS, ImageFacts, sign_firmware
from tinyfleet.platformio_build.build import FirmwareBuild, build_firmware
from tinyfleet.signing_keys import SigningKeys, keys_header

BOOTLOADER = "bootloader"


@dataclass(frozen=True, slots=True)
class SignedBuild:
    """What a board needs to be updatable.

    Attributes:
        bootloader: Goes where the board starts by itself.
        programs: The app, linked for each slot; ``NAME.slot0.unsigned.bin``.
        images: The same signed, ``NAME.slot0.bin`` and ``NAME.slot1.bin``; empty without a private key.
    """

    bootloader: FirmwareBuild
    programs: tuple[FirmwareBuild, ...]
    images: tuple[Path, ...]


def build_signed(
    board: str,
    model_dir: Path,
    output_dir: Path,
    keys: SigningKeys,
    *,
    app: str = "sensor",
    version: str = "1.0.0",
    security_counter: int = 0,
) -> SignedBuild:
    """Build the bootloader, and an app for both slots of a board; sign it when the private firmware key is at hand.

    Args:
        model_dir, output_dir, app: As for :func:`build_firmware`. The bootloader's own files go to ``bootloader/``.
        keys: Pinned in bootloader and app.
        version: Of the images.
        security_counter: Of the images; a board that has confirmed a higher one refuses them.

    Raises:
        UsageError: the board cannot be updated over a link; and what :func:`build_firmware` and :func:`sign_firmware` raise.
    """
    load_board(board).require_updates()
    header = keys_header(keys)
    bootloader = build_firmware(board, None, output_dir / BOOTLOADER, app=BOOTLOADER, keys_header=header, name=BOOTLOADER)
    name = Path(app).name
    programs, images = [], []
    can_sign = b"PRIVATE KEY" in keys.firmware.read_bytes()
    for slot, area in enumerate(SLOTS):
        stem = f"{name}.slot{slot}"
        built = build_firmware(board, model_dir, output_dir, app=app, area=area, keys_header=header, name=f"{stem}.unsigned")
        programs.append(built)
        if can_sign:
            images.append(output_dir / f"{stem}.bin")
            sign_firmware(built.image, images[-1], ImageFacts(board, slot, version, security_counter), keys.firmware)
    return SignedBuild(bootloader, tuple(programs), tuple(images))
