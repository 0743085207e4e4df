"""The host's side of settings, counters and firmware images, against the firmware itself."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.firmware.program_device import ProgramPipe, program_device
from tests.firmware.program_process import FirmwareProgram, nvm_image
from tests.support.signed_images import SLOT_ADDRESSES, factory_nvm, image_digest, make_image
from tinyfleet.device_keys import ENVIRONMENT, new_key
from tinyfleet.ota import active_image, push_firmware
from tinyfleet.smp.upload import TRIAL_CHUNKS
from tinyfleet_codegen.errors import DeviceError, ProtocolError, UsageError
from tinyfleet_codegen.wire.image import FIRMWARE_HEADER_BYTES

TRANSFER_MARK_BYTES = 16384
"""``TYF_CFG_TRANSFER_MARK_BYTES``."""
A, B = make_image(0), make_image(1, (2, 0, 0, 0), random.Random(5).randbytes(100_001))


@pytest.fixture
def pipe(program: FirmwareProgram) -> Iterator[ProgramPipe]:
    """A board with image A in slot 0."""
    program.power_on(factory_nvm(nvm_image(), A))
    program.run_image(SLOT_ADDRESSES[0] + FIRMWARE_HEADER_BYTES)
    yield ProgramPipe(program)
    program.run_image(0)


async def test_settings_and_counters(pipe: ProgramPipe) -> None:
    async with program_device(pipe) as device:
        await device.write_setting("place", b"hall 3")
        assert await device.read_setting("place") == b"hall 3"
        await device.delete_setting("place")
        with pytest.raises(DeviceError, match="TYF_SETTINGS_ERR_KEY_NOT_FOUND") as refused:
            await device.read_setting("place")
        assert refused.value.hint == "no such setting is set"
        with pytest.raises(DeviceError, match="TYF_SETTINGS_ERR_KEY_TOO_LONG"):
            await device.write_setting("x" * 33, b"")
        with pytest.raises(DeviceError, match="TYF_FS_ERR_FILE_NOT_FOUND"):
            await device.read_file("crash")
        assert await device.crash() is None
        assert (await device.statistics())["sensor"]["inferences"] == 0


async def test_push_sends_the_file_for_the_slot_that_does_not_run(pipe: ProgramPipe, tmp_path: Path) -> None:
    for slot, image in ((0, A), (1, B)):
        (tmp_path / f"sensor.slot{slot}.bin").write_bytes(image)
    async with program_device(pipe) as device:
        pushed = await push_firmware(device, tmp_path)
        assert (pushed.path.name, pushed.slot, pushed.version, pushed.hash) == ("sensor.slot1.bin", 1, "2.0.0", image_digest(B))
        assert pushed.upload.resumed_at == 0 and pushed.upload.kib_per_s > 0 and "KiB/s" in pushed.upload.why
        again = await push_firmware(device, tmp_path)
        assert again.upload.resumed_at == len(B) and again.upload.kib_per_s == 0
        (tested,) = [image for image in await device.test_image(pushed.hash) if image.slot == 1]
        assert tested.is_pending and not tested.is_confirmed
        assert active_image("", await device.images()).slot == 0
        with pytest.raises(DeviceError) as refused:
            await push_firmware(device, tmp_path / "sensor.slot0.bin")
        assert refused.value.status == "TYF_IMAGE_ERR_INVALID_FLASH_ADDRESS"
        assert refused.value.hint == f"push {tmp_path / 'sensor.slot1.bin'}"
        with pytest.raises(UsageError, match="0 files"):
            await push_firmware(device, tmp_path.parent)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_upload_over_a_link_that_loses_chunks_arrives_whole(pipe: ProgramPipe, seed: int) -> None:
    print(f"seed {seed}")
    async with program_device(pipe) as device:
        pipe.loss, pipe._chance = 0.05, random.Random(seed)
        report = await device.upload_image(B)
        assert pipe.lost > 0 and report.lost_chunks > 0
        pipe.loss = 0.0
        assert [image.hash for image in await device.images()] == [image_digest(A), image_digest(B)]
        assert (await device.test_image(image_digest(B)))[1].is_pending


async def test_upload_that_the_host_gave_up_goes_on(pipe: ProgramPipe) -> None:
    class GivenUp(Exception):
        pass

    def give_up(done: int, _total: int) -> None:
        if done > 30_000:
            raise GivenUp

    async with program_device(pipe) as device:
        with pytest.raises(GivenUp):
            await device.upload_image(B, progress=give_up)
    async with program_device(pipe) as device:
        report = await device.upload_image(B)
        assert 30_000 < report.resumed_at < len(B) and report.sent_bytes < len(B) - 25_000
        assert (await device.test_image(image_digest(B)))[1].is_pending


@pytest.mark.parametrize("at", [0, 20_000, 95_000])
async def test_upload_goes_on_over_a_restart_of_the_board(pipe: ProgramPipe, program: FirmwareProgram, at: int) -> None:
    restarts = 0

    def restart(done: int, _total: int) -> None:
        nonlocal restarts
        if done >= at and restarts == 0:
            restarts += 1
            program.power_on(program.nvm())

    async with program_device(pipe) as device:
        report = await device.upload_image(B, progress=restart)
        assert (restarts, report.restarts) == (1, 1)
        assert report.sent_bytes < len(B) + TRANSFER_MARK_BYTES + 2 * TRIAL_CHUNKS * report.chunk_bytes
        assert [image.hash for image in await device.images()] == [image_digest(A), image_digest(B)]
        assert (await device.test_image(image_digest(B)))[1].is_pending


async def test_upload_by_another_host_after_a_power_cut_goes_on(pipe: ProgramPipe, program: FirmwareProgram) -> None:
    class GivenUp(Exception):
        pass

    def give_up(done: int, _total: int) -> None:
        if done > 60_000:
            raise GivenUp

    async with program_device(pipe) as device:
        with pytest.raises(GivenUp):
            await device.upload_image(B, progress=give_up)
    program.power_on(program.nvm())
    async with program_device(pipe) as device:
        report = await device.upload_image(B)
        assert report.resumed_at % TRANSFER_MARK_BYTES == 0 and report.resumed_at > 60_000 - TRANSFER_MARK_BYTES
        assert (await device.test_image(image_digest(B)))[1].is_pending


async def test_board_that_restarts_again_and_again_ends_an_upload(pipe: ProgramPipe, program: FirmwareProgram) -> None:
    async with program_device(pipe) as device:
        with pytest.raises(ProtocolError, match="restarted 4 times"):
            await device.upload_image(B, progress=lambda _done, _total: program.power_on(factory_nvm(nvm_image(), A)))


async def test_upload_in_a_session_has_several_records_under_way_and_outlives_a_restart(
    pipe: ProgramPipe, program: FirmwareProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "keys"))
    restarts = 0

    def restart(done: int, _total: int) -> None:
        nonlocal restarts
        if done > 50_000 and restarts == 0:
            restarts += 1
            program.power_on(program.nvm())

    async with program_device(pipe) as device:
        device_id = (await device.hello()).device_id
        with new_key(device_id) as key:
            await device.provision(key, lock=True)
        await device.open_session(device._client._link, device_id)
        report = await device.upload_image(B)
        assert "1 under way" in report.why and "2 under way" in report.why, report.why
        await device.erase_image()
        pipe.loss, pipe._chance = 0.02, random.Random(3)
        report = await device.upload_image(B, progress=restart)
        assert (restarts, report.restarts) == (1, 1) and pipe.lost > 0
        pipe.loss = 0.0
        assert (await device.test_image(image_digest(B)))[1].is_pending
        assert (await device.session_status()).session
