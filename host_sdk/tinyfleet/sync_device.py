"""The synchronous face of :mod:`tinyfleet.device`: one event loop in a thread of its own does the work."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from tinyfleet.device_models import DeviceModels, Models, ModelSlot, TestPolicy
from tinyfleet.device_reports import Hello, ModelInfo, Results, Sampling, SessionStatus, SlotImage, Stats, Task
from tinyfleet.smp.upload import Progress, UploadReport

if TYPE_CHECKING:
    from tinyfleet.device import Device
    from tinyfleet_codegen.wire.events import Event
from tinyfleet_codegen.wire.crash import CrashRecord

T = TypeVar("T")
RESTART_TIMEOUT_S = 60.0
"""A board may take so long to come back: its bootloader checks signatures."""
_TIDY_UP_S = 3.0
"""How long what was interrupted may take to give back what it holds."""


@contextmanager
def connect(url: str, timeout_s: float = 5.0, *, in_session: bool = True) -> Iterator[SyncDevice]:
    """Open a device without an event loop of one's own; see :func:`tinyfleet.device.open_device`."""
    from tinyfleet.device import open_device  # noqa: PLC0415  that module exports this one

    opened = open_device(url, timeout_s=timeout_s, in_session=in_session)
    device = _run(opened.__aenter__())
    try:
        yield SyncDevice(device)
    finally:
        _run(opened.__aexit__(None, None, None))


class SyncDevice:
    """The methods of :class:`tinyfleet.device.Device`, each waiting for its result; any thread may call them."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self.url = device.url

    @property
    def models(self) -> SyncDeviceModels:
        """Its models as packages: send, prove, swap, revert."""
        return SyncDeviceModels(self._device.models)

    def session_status(self) -> SessionStatus:
        """See :meth:`tinyfleet.device.Device.session_status`."""
        return _run(self._device.session_status())

    def provision(self, key: bytes, *, lock: bool = False) -> None:
        """See :meth:`tinyfleet.device.Device.provision`."""
        _run(self._device.provision(key, lock=lock))

    def hello(self) -> Hello:
        """See :meth:`tinyfleet.device.Device.hello`."""
        return _run(self._device.hello())

    def model_info(self) -> ModelInfo:
        """See :meth:`tinyfleet.device.Device.model_info`."""
        return _run(self._device.model_info())

    def infer(self, data: bytes, *, reset: bool = False) -> bytes:
        """See :meth:`tinyfleet.device.Device.infer`."""
        return _run(self._device.infer(data, reset=reset))

    def self_infer(self, seed: int, first: int, count: int) -> list[bytes]:
        """See :meth:`tinyfleet.device.Device.self_infer`."""
        return _run(self._device.self_infer(seed, first, count))

    def layer_instructions(self, seed: int, case: int) -> list[int]:
        """See :meth:`tinyfleet.device.Device.layer_instructions`."""
        return _run(self._device.layer_instructions(seed, case))

    def self_infer_layers(self, seed: int, case: int) -> list[bytes]:
        """See :meth:`tinyfleet.device.Device.self_infer_layers`."""
        return _run(self._device.self_infer_layers(seed, case))

    def last_output(self) -> bytes:
        """See :meth:`tinyfleet.device.Device.last_output`."""
        return _run(self._device.last_output())

    def results(self, since: int, max_records: int) -> Results:
        """See :meth:`tinyfleet.device.Device.results`."""
        return _run(self._device.results(since, max_records))

    def window(self, boot_id: int, seq: int) -> npt.NDArray[Any]:
        """See :meth:`tinyfleet.device.Device.window`."""
        return _run(self._device.window(boot_id, seq))

    def replay(self, stream: int, samples: npt.NDArray[np.int16], *, start: int = 0) -> None:
        """See :meth:`tinyfleet.device.Device.replay`."""
        _run(self._device.replay(stream, samples, start=start))

    def stats(self) -> Stats:
        """See :meth:`tinyfleet.device.Device.stats`."""
        return _run(self._device.stats())

    def sample(self, period_ms: int, *, seed: int = 0, count: int = 0) -> Sampling:
        """See :meth:`tinyfleet.device.Device.sample`."""
        return _run(self._device.sample(period_ms, seed=seed, count=count))

    def sampling(self) -> Sampling:
        """See :meth:`tinyfleet.device.Device.sampling`."""
        return _run(self._device.sampling())

    def tasks(self) -> list[Task]:
        """See :meth:`tinyfleet.device.Device.tasks`."""
        return _run(self._device.tasks())

    def crash(self) -> CrashRecord | None:
        """See :meth:`tinyfleet.device.Device.crash`."""
        return _run(self._device.crash())

    def events(self) -> list[Event]:
        """See :meth:`tinyfleet.device.Device.events`."""
        return _run(self._device.events())

    def echo(self, text: str) -> str:
        """See :meth:`tinyfleet.device.Device.echo`."""
        return _run(self._device.echo(text))

    def params(self) -> tuple[int, int]:
        """See :meth:`tinyfleet.device.Device.params`."""
        return _run(self._device.params())

    def statistics(self) -> dict[str, dict[str, int]]:
        """See :meth:`tinyfleet.device.Device.statistics`."""
        return _run(self._device.statistics())

    def read_setting(self, name: str) -> bytes:
        """See :meth:`tinyfleet.device.Device.read_setting`."""
        return _run(self._device.read_setting(name))

    def write_setting(self, name: str, value: bytes) -> None:
        """See :meth:`tinyfleet.device.Device.write_setting`."""
        _run(self._device.write_setting(name, value))

    def delete_setting(self, name: str) -> None:
        """See :meth:`tinyfleet.device.Device.delete_setting`."""
        _run(self._device.delete_setting(name))

    def read_file(self, name: str) -> bytes:
        """See :meth:`tinyfleet.device.Device.read_file`."""
        return _run(self._device.read_file(name))

    def images(self) -> list[SlotImage]:
        """See :meth:`tinyfleet.device.Device.images`."""
        return _run(self._device.images())

    def upload_image(self, data: bytes, *, is_upgrade: bool = False, progress: Progress | None = None) -> UploadReport:
        """See :meth:`tinyfleet.device.Device.upload_image`."""
        return _run(self._device.upload_image(data, is_upgrade=is_upgrade, progress=progress))

    def test_image(self, digest: bytes) -> list[SlotImage]:
        """See :meth:`tinyfleet.device.Device.test_image`."""
        return _run(self._device.test_image(digest))

    def confirm_image(self) -> list[SlotImage]:
        """See :meth:`tinyfleet.device.Device.confirm_image`."""
        return _run(self._device.confirm_image())

    def erase_image(self) -> None:
        """See :meth:`tinyfleet.device.Device.erase_image`."""
        _run(self._device.erase_image())

    def reset(self) -> None:
        """See :meth:`tinyfleet.device.Device.reset`."""
        _run(self._device.reset())

    def restart(self, *, timeout_s: float = RESTART_TIMEOUT_S) -> Hello:
        """See :meth:`tinyfleet.device.Device.restart`."""
        return _run(self._device.restart(timeout_s=timeout_s))


class SyncDeviceModels:
    """The methods of :class:`tinyfleet.device_models.DeviceModels`, each waiting for its result; any thread may call them."""

    def __init__(self, models: DeviceModels) -> None:
        self._models = models

    def list(self, *, kernels: bool = False) -> Models:
        """See :meth:`tinyfleet.device_models.DeviceModels.list`."""
        return _run(self._models.list(kernels=kernels))

    def push(self, data: bytes, *, progress: Progress | None = None) -> UploadReport:
        """See :meth:`tinyfleet.device_models.DeviceModels.push`."""
        return _run(self._models.push(data, progress=progress))

    def test(self, policy: TestPolicy | None = None) -> None:
        """See :meth:`tinyfleet.device_models.DeviceModels.test`."""
        _run(self._models.test(policy))

    def wait(self, *, timeout_s: float = 60.0) -> ModelSlot:
        """See :meth:`tinyfleet.device_models.DeviceModels.wait`."""
        return _run(self._models.wait(timeout_s=timeout_s))

    def confirm(self, digest: bytes | None = None) -> int:
        """See :meth:`tinyfleet.device_models.DeviceModels.confirm`."""
        return _run(self._models.confirm(digest))

    def revert(self) -> int:
        """See :meth:`tinyfleet.device_models.DeviceModels.revert`."""
        return _run(self._models.revert())

    def erase(self) -> None:
        """See :meth:`tinyfleet.device_models.DeviceModels.erase`."""
        _run(self._models.erase())


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="tinyfleet-devices", daemon=True).start()
    return loop


def _run(work: Coroutine[Any, Any, T]) -> T:
    is_over = threading.Event()

    async def tracked() -> T:
        try:
            return await work
        finally:
            is_over.set()

    future = asyncio.run_coroutine_threadsafe(tracked(), _loop())
    try:
        return future.result()
    except BaseException:
        # Ctrl-C ends our wait, not the work: without this the request would go on behind our back, and a program that ends
        # at once would leave a device over the air taken.
        future.cancel()
        is_over.wait(_TIDY_UP_S)
        raise
