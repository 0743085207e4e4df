"""Firmware updates over any link: push into the slot that does not run, test, then confirm or revert.

::

    async with open_device("tcp://127.0.0.1:5555") as device:
        pushed = await push_firmware(device, Path("build"))          # build/NAME.slot0.bin or .slot1.bin, as the board needs
        await try_firmware(device, pushed.hash)                      # restarts into it
        await confirm_firmware(device)                               # else the next restart goes back
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tinyfleet.device import Device, SlotImage
from tinyfleet.image import read_image
from tinyfleet.smp.upload import Progress, UploadReport
from tinyfleet_codegen.errors import DeviceError, UsageError


@dataclass(frozen=True, slots=True)
class Pushed:
    """An image that a board holds now.

    Attributes:
        path: The file that was sent.
        slot: Where it lies.
        version: As it was signed.
        hash: By which the board names it.
        upload: How it got there.
    """

    path: Path
    slot: int
    version: str
    hash: bytes
    upload: UploadReport


def active_image(url: str, images: list[SlotImage]) -> SlotImage:
    """The image that runs.

    Raises:
        DeviceError: none of the slots' images does.
    """
    for image in images:
        if image.is_active:
            return image
    hint = "it was started without its bootloader; tinyfleet build --signed and tinyfleet emulate --boot make one that can be updated"
    raise DeviceError(f"{url} runs firmware that lies in no update slot", status="TYF_IMAGE_ERR_NO_FREE_SLOT", hint=hint)


def choose_file(source: Path, slot: int) -> Path:
    """The image for a slot: the file itself, or ``NAME.slotN.bin`` of the folder that ``build --signed`` wrote.

    Raises:
        UsageError: there is none, or there are several.
    """
    if not source.is_dir():
        return source
    found = sorted(path for path in source.glob(f"*.slot{slot}.bin"))
    if len(found) != 1:
        raise UsageError(f"{source} holds {len(found)} files NAME.slot{slot}.bin, one is needed", hint="name the file")
    return found[0]


def file_for_other_slot(path: Path) -> Path | None:
    """``NAME.slot1.bin`` for ``NAME.slot0.bin`` and the other way round; None: the name does not say."""
    for ours, other in ((".slot0.", ".slot1."), (".slot1.", ".slot0.")):
        if ours in path.name:
            return path.with_name(path.name.replace(ours, other))
    return None


async def push_firmware(device: Device, source: Path, *, is_upgrade: bool = False, progress: Progress | None = None) -> Pushed:
    """Send an image into the slot that does not run; nothing is started by it.

    Args:
        device: The board.
        source: A folder with an image for each slot, of which the right one is sent, or one image.
        is_upgrade: Refuse what is not newer than what runs.
        progress: Called with bytes held by the board, and their total.

    Raises:
        DeviceError: the board refused it; when it was linked for the other slot, the hint names the right file.
        ImageError: the file is no image.
        UsageError: there is no such file.
    """
    slot = 1 - active_image(device.url, await device.images()).slot
    path = choose_file(source, slot)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    image = read_image(data)
    try:
        report = await device.upload_image(data, is_upgrade=is_upgrade, progress=progress)
    except DeviceError as error:
        if error.status != "TYF_IMAGE_ERR_INVALID_FLASH_ADDRESS":
            raise
        other = file_for_other_slot(path)
        raise DeviceError(
            f"{device.url} takes images for slot {slot} now, {path} was linked for the other one",
            status=error.status,
            hint=f"push {other if other is not None else 'the file of the other slot'}",
        ) from error
    return Pushed(path, slot, image.version, image.digest, report)


async def try_firmware(device: Device, digest: bytes | None = None) -> SlotImage:
    """Restart into the image of the other slot, on trial: it runs until the next restart, unless it is confirmed.

    Args:
        device: The board.
        digest: Hash of the image; None: that of the other slot, whichever it is.

    Returns:
        The image that runs afterwards: the one on trial.

    Raises:
        DeviceError: the board refused it, or went back at once.
        UsageError: there is no image to test.
    """
    images = await device.images()
    running = active_image(device.url, images)
    if digest is None:
        others = [image.hash for image in images if not image.is_active]
        if not others:
            raise UsageError(f"{device.url} holds no other image", hint="tinyfleet firmware push")
        digest = others[0]
    await device.test_image(digest)
    await device.restart()
    now = active_image(device.url, await device.images())
    if now.hash != digest:
        raise DeviceError(
            f"{device.url} runs {now.version} again, the image {digest.hex()[:8]} did not start",
            status="TYF_IMAGE_ERR_IMAGE_CONFIRMATION_DENIED",
            hint=f"slot {running.slot} was kept; tinyfleet device file URL crash may say why",
        )
    return now


async def confirm_firmware(device: Device) -> SlotImage:
    """Keep the image that runs."""
    return active_image(device.url, await device.confirm_image())


async def revert_firmware(device: Device) -> SlotImage:
    """Go back to the confirmed image: end a trial by a restart, or forget an image that waits for one.

    Returns:
        The image that runs afterwards.

    Raises:
        UsageError: what runs is confirmed, and nothing waits.
    """
    images = await device.images()
    running = active_image(device.url, images)
    if not running.is_confirmed:
        await device.restart()
        return active_image(device.url, await device.images())
    if any(image.is_pending for image in images):
        await device.erase_image()
        return running
    raise UsageError(
        f"{device.url} runs {running.version}, which is confirmed, and no update waits",
        hint="to run an older image again, push and test it",
    )
