"""Low-confidence capture: the windows of records that the model was unsure of are fetched from the device and sent after them.

A record never waits for its window. What is wanted is committed with the record; it is fetched piece by piece, one request between two
pulls, so that the device's ring is never left alone for longer than a pull of one frame takes. The newest is fetched first: it is the one
that the device keeps longest.
"""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Callable, Sequence

from tinyfleet.device import Device
from tinyfleet.gateway.backoff import Backoff
from tinyfleet.gateway.edge.edge import confidence
from tinyfleet.gateway.edge.settings import CaptureSettings, PolicySettings
from tinyfleet.gateway.outbox import NewDerived, OutboxFull, PulledRecord, WantedWindow
from tinyfleet.gateway.outbox_captures import DAY_S, MOST_WAITING, Outcome
from tinyfleet.gateway.store_thread import StoreThread
from tinyfleet.window import Window, WindowFetch
from tinyfleet_codegen.errors import DeviceError, LinkTimeout, ProtocolError
from tinyfleet_codegen.wire.ids import DType
from tinyfleet_codegen.wire.record import Record

log = logging.getLogger(__name__)

CAPTURE = "capture"
"""Kind of a derived record: the window that one record was made from. It stands for no record."""
MOST_WINDOW_BYTES = 192_000
"""A larger one does not fit into a derived record, which is at most 256 KiB as JSON."""
MOST_ATTEMPTS = 3
"""Times that the fetching of one window is begun: a device that fails at it must not do so for ever."""
RETRY_FIRST_S = 0.25
RETRY_LIMIT_S = 15.0
_NOT_KEPT = "MGMT_ERR_ENOTSUP"
_ENDED_BY = {"TYF_ERR_GONE": Outcome.GONE, "TYF_ERR_ARG": Outcome.GONE, _NOT_KEPT: Outcome.NOT_KEPT}


def is_on(settings: CaptureSettings | None, policy: PolicySettings) -> bool:
    """Whether windows are fetched at all: whoever has one can compute all that the record says, so it leaves only where all of that may."""
    return settings is not None and policy.lets_windows_out()


def wanted_windows(
    settings: CaptureSettings, pulled: Sequence[PulledRecord], records: Sequence[Record], dtypes: dict[int, DType]
) -> list[WantedWindow]:
    """Those records whose windows are to be fetched.

    Args:
        settings: What the configuration wants.
        pulled: As they would be delivered.
        records: The same, decoded.
        dtypes: Type of the output by model generation, as far as it is known.
    """
    wanted = []
    for envelope, record in zip(pulled, records, strict=True):
        sure = confidence(record, dtypes.get(record.model_generation))
        is_unsure = settings.below_confidence is not None and sure is not None and sure < settings.below_confidence
        if is_unsure or (settings.classes is not None and record.top in settings.classes):
            wanted.append(WantedWindow(record.seq, envelope.time_utc_us, envelope.time_error_us, envelope.model_id))
    return wanted


class WindowFetcher:
    """Fetches windows from one device that is connected.

    Args:
        settings: What the configuration wants; None: nothing, and what an earlier one wanted is given up.
        store: Where wishes are, and where windows go.
        region: Where they may go.
        on_commit: Called when there is one to deliver.
        today: The day, counted from 1970 in UTC.
    """

    def __init__(
        self,
        settings: CaptureSettings | None,
        *,
        store: StoreThread,
        region: str | None,
        on_commit: Callable[[], None],
        today: Callable[[], int] = lambda: int(time.time() // DAY_S),
    ) -> None:
        self._settings = settings
        self._store = store
        self._region = region
        self._on_commit = on_commit
        self._today = today
        self._device_id = b""
        self._boot_id = 0
        self._waiting: list[WantedWindow] = []
        self._fetch: WindowFetch | None = None
        self._attempts: dict[int, int] = {}
        self._without: set[bytes | None] = set()  # models of which this boot keeps no windows
        self._backoff = Backoff(RETRY_FIRST_S, RETRY_LIMIT_S)
        self._due_s = 0.0

    @property
    def is_waiting(self) -> bool:
        """Whether there is something to fetch now."""
        return bool(self._waiting) and time.monotonic() >= self._due_s

    async def begin(self, device_id: bytes, boot_id: int) -> None:
        """A device is connected, or has restarted: go on with what is wanted of this boot."""
        if (device_id, boot_id) != (self._device_id, self._boot_id):
            self._attempts.clear()
            self._without.clear()
        self._device_id, self._boot_id, self._fetch = device_id, boot_id, None
        self._waiting = await self._store.call(lambda outbox: outbox.captures.begin(device_id, boot_id))
        if self._waiting and self._settings is None:
            await self._store.call(lambda outbox: outbox.captures.end(device_id, boot_id, Outcome.GIVEN_UP))
            self._waiting.clear()

    def want(self, wanted: Sequence[WantedWindow]) -> None:
        """These were committed."""
        under_way = [self._waiting.pop()] if self._fetch is not None else []
        self._waiting = [*self._waiting, *wanted, *under_way][-MOST_WAITING:]  # older ones were given up with that commit

    async def step(self, device: Device) -> None:
        """Do one request for the window that comes next, and queue it when it is whole.

        Never in the way of pulling: a device that says nothing is asked again later.

        Raises:
            LinkError: the connection is lost; it is tried again when the device is back.
        """
        assert self._settings is not None
        wanted = self._waiting[-1]
        if self._fetch is None and not await self._starts(wanted, self._settings.budget_bytes_per_day):
            return
        fetch = self._fetch
        assert fetch is not None
        if not fetch.is_complete and not await self._take_piece(device, wanted, fetch):
            return
        assert fetch.total is not None
        if fetch.total > MOST_WINDOW_BYTES:
            log.error("window given up url=%s seq=%d bytes=%d, at most %d", device.url, wanted.seq, fetch.total, MOST_WINDOW_BYTES)
            await self._end(wanted, Outcome.GIVEN_UP)
        elif not await self._has_budget(fetch.total, self._settings.budget_bytes_per_day):
            await self._end(wanted, Outcome.OVER_BUDGET)
        elif fetch.is_complete:
            await self._keep(wanted, fetch.window(), self._settings.budget_bytes_per_day)

    async def _take_piece(self, device: Device, wanted: WantedWindow, fetch: WindowFetch) -> bool:
        """Ask for the next piece; False when there is none, now or for ever."""
        try:
            fetch.take(await device.window_piece(self._boot_id, wanted.seq, fetch.next_off))
        except DeviceError as error:
            if error.status == _NOT_KEPT:
                log.warning("no windows url=%s: its firmware keeps none", device.url)
                self._without.add(wanted.model_id)
            await self._end(wanted, _ENDED_BY.get(error.status, Outcome.GIVEN_UP))
        except LinkTimeout as error:
            log.warning("window not handed out, tried again url=%s seq=%d error=%s", device.url, wanted.seq, error)
            self._fetch = None
            self._due_s = time.monotonic() + self._backoff.next_s()
        except ProtocolError as error:
            log.error("window given up url=%s boot=%d seq=%d error=%s", device.url, self._boot_id, wanted.seq, error)
            await self._end(wanted, Outcome.GIVEN_UP)
        else:
            self._backoff.reset()
            return True
        return False

    async def _starts(self, wanted: WantedWindow, budget_bytes: int) -> bool:
        """Whether this one is fetched: not one too many of today, nor one that fails again and again, nor one that was never kept."""
        if wanted.model_id in self._without:
            await self._end(wanted, Outcome.NOT_KEPT)
            return False
        attempts = self._attempts[wanted.seq] = self._attempts.get(wanted.seq, 0) + 1
        if attempts > MOST_ATTEMPTS:
            log.error("window given up boot=%d seq=%d attempts=%d", self._boot_id, wanted.seq, MOST_ATTEMPTS)
            await self._end(wanted, Outcome.GIVEN_UP)
        elif not await self._has_budget(1, budget_bytes):
            await self._end(wanted, Outcome.OVER_BUDGET)
        else:
            self._fetch = WindowFetch(self._boot_id, wanted.seq)
            return True
        return False

    async def _has_budget(self, more_bytes: int, budget_bytes: int) -> bool:
        device_id, day = self._device_id, self._today()
        return await self._store.call(lambda outbox: outbox.captures.spent_bytes(device_id, day)) + more_bytes <= budget_bytes

    async def _keep(self, wanted: WantedWindow, window: Window, budget_bytes: int) -> None:
        derived = NewDerived(
            CAPTURE,
            capture_body(window),
            first_seq=wanted.seq,
            last_seq=wanted.seq,
            time_utc_us=wanted.time_utc_us,
            time_error_us=wanted.time_error_us,
            model_id=wanted.model_id,
        )
        try:
            await self._store.call(
                lambda outbox: outbox.captures.keep(
                    self._device_id,
                    self._boot_id,
                    derived,
                    window_bytes=len(window.data),
                    day=self._today(),
                    budget_bytes=budget_bytes,
                    region=self._region,
                )
            )
        except OutboxFull:
            self._due_s = time.monotonic() + self._backoff.next_s()  # complete, it waits for room
            return
        self._forget(wanted)
        self._on_commit()

    async def _end(self, wanted: WantedWindow, outcome: Outcome) -> None:
        await self._store.call(lambda outbox: outbox.captures.end(self._device_id, self._boot_id, outcome, wanted.seq))
        self._forget(wanted)

    def _forget(self, wanted: WantedWindow) -> None:
        self._waiting = [w for w in self._waiting if w.seq != wanted.seq]
        self._attempts.pop(wanted.seq, None)
        self._fetch = None


def capture_body(window: Window) -> bytes:
    """What a derived record says of a window: enough to make it an array again."""
    facts = {
        "dtype": window.dtype.name.lower(),
        "channels": window.channels,
        "needs_state": window.needs_state,
        "data": base64.b64encode(window.data).decode("ascii"),
    }
    return json.dumps(facts, separators=(",", ":")).encode()
