"""The air broken on purpose, one thing at a time: a test of it must see each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import FunctionType
from typing import Any

import pytest

from tests.emulator import test_air, test_bleak_air
from tests.support.ble_peripheral import reference_peripheral
from tests.support.mutate import mutate_text
from tinyfleet.emulator import bleak_air
from tinyfleet.emulator.air import Air
from tinyfleet.emulator.air.controller import AirController
from tinyfleet.emulator.air.medium import Medium

ATTEMPTS = 3
"""A machine that stands still may hide that something came too early."""

Seen = Callable[[Air, Any], Awaitable[None]]
IN_ORDER = test_bleak_air.test_a_thousand_writes_without_response_arrive_in_order
MUTANTS: list[tuple[Any, str, str, Seen]] = [
    (AirController.leave, "self.le_connections.values()", "()", test_air.test_reset_of_the_peripheral_is_the_loss_of_the_link),
    (AirController.hear_advertisement, "advertiser.scan_response_data", "b''", test_bleak_air.test_scan_finds_name_and_service_and_filters),
    (
        AirController.hear_advertisement,
        "self.le_scan_type == hci.HCI_LE_Set_Scan_Parameters_Command.ACTIVE_SCANNING",
        "True",
        test_bleak_air.test_passive_scan_gets_no_scan_response,
    ),
    (AirController._connect, "advertiser.stop()", "pass", test_air.test_only_one_of_two_centrals_gets_the_peripheral),
    (AirController._take_acl, "self._give_back(connection)", "pass", IN_ORDER),
    (AirController._give_back, "faults.withhold_credits", "False", test_bleak_air.test_withheld_credits_come_back),
    (AirController._give_back, "faults.credit_delay_ms > 0", "False", test_air.test_late_credits_slow_the_writer_down),
    (Medium.end, "other.controller.lose(other, reason)", "pass", test_bleak_air.test_disconnect_and_connect_again),
    (Medium._send, "{_NOTIFICATION, _WRITE_COMMAND}", "range(256)", test_air.test_requests_are_never_dropped),
    (Medium._send, "copies = 2", "pass", test_air.test_dropped_duplicated_and_late_writes_are_as_counted),
    (Medium._send, "faults.att_mtu is not None", "False", test_air.test_mtu_23),
    (Medium._queue, "wait_s <= 0 and not direction.under_way", "True", test_air.test_delay_keeps_the_order),
    (Medium.carry, "link.is_silent = True", "pass", test_air.test_silence_ends_with_the_supervision_time_out),
    (bleak_air._Client._wait_for_room, "queue.pending > MAX_PENDING_WRITES", "False", IN_ORDER),
    (bleak_air._Client._guard, "task.cancelling() == 0", "False", test_bleak_air.test_link_loss_ends_a_read_that_waits),
    (bleak_air._Client._guard, "int(error.error_code)", "0", test_bleak_air.test_read_write_and_errors),
]


@pytest.mark.parametrize(("function", "before", "after", "seen_by"), MUTANTS, ids=[f"{m[0].__name__}: {m[2]}" for m in MUTANTS])
async def test_a_broken_air_is_seen(
    function: FunctionType, before: str, after: str, seen_by: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(ATTEMPTS):
        async with await Air.start() as air, reference_peripheral(air.address, name="tf-01234") as peripheral:
            assert mutate_text(monkeypatch, function, before, after)
            try:
                await _within(seen_by(air, peripheral))
            except (Exception, asyncio.CancelledError, pytest.fail.Exception):  # A failed assertion, a lost link, a time-out: red is red.
                return
            finally:
                monkeypatch.undo()
    pytest.fail("not seen")


async def _within(test: Awaitable[None]) -> None:
    async with asyncio.timeout(2.5):
        await test
