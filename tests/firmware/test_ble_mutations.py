"""The rules of the Bluetooth stack that matter most, each broken once: the tests on the bench see it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.firmware import test_ble, test_ble_att, test_ble_management
from tests.firmware.program_process import FirmwareProgram
from tests.support.ble_bench import BleBench
from tests.support.host_board import Mutant, build_host_board

OUT_BYTES = 65536
HCI, L2CAP, ATT = (f"lib/ble/src/{name}.c" for name in ("hci", "l2cap", "att"))
RADIO, GROUP, RAW = "lib/sensor/src/radio.c", "lib/session/src/group.c", "lib/smp/src/raw.c"


class LoadedProgram(FirmwareProgram):
    """The same questions to a board in this process, which a mutant is quickly built for; without sanitizers."""

    def __init__(self, library: Path) -> None:
        self._c = ctypes.CDLL(str(library))
        self._nvm = ctypes.create_string_buffer(1)

    def ask(self, letter: str, data: bytes = b"") -> bytes:
        out = ctypes.create_string_buffer(OUT_BYTES)
        if letter == "P":
            self._nvm = ctypes.create_string_buffer(data, len(data))
            self._c.tyf_host_power_on(self._nvm, len(data))
        elif letter == "A":
            self._c.tyf_host_advance_us(ctypes.c_uint64(int.from_bytes(data, "little")))
        elif letter == "R":
            return int(self._c.tyf_host_resets()).to_bytes(4, "little")
        elif letter == "F":
            taken = b""
            while data:
                data = data[self._c.tyf_host_feed(data, len(data)) :]
                count = self._c.tyf_host_take(out, OUT_BYTES)
                taken += out.raw[:count]
            return taken
        else:
            assert letter == "H"
            self._c.tyf_host_hci_feed(data, len(data))
            taken = b""
            while count := self._c.tyf_host_hci_take(out, OUT_BYTES):
                taken += out.raw[:count]
                self._c.tyf_host_hci_feed(b"", 0)
            return taken
        return b""


def idle(bench: BleBench) -> BleBench:
    return bench


def linked(bench: BleBench) -> BleBench:
    bench.bring_up()
    bench.connect()
    return bench


def ready(bench: BleBench) -> BleBench:
    bench.ready()
    return bench


Prepare = Callable[[BleBench], BleBench]
MUTATIONS: dict[str, tuple[Mutant, Prepare, Callable[[BleBench], None]]] = {
    "nothing": ((HCI, "#define EAGER_RESETS 4u", "#define EAGER_RESETS 4u "), linked, test_ble_att.test_every_error_is_the_specifications),
    "packets without a buffer": (
        (HCI, "hci.credits == 0 ||", ""),
        idle,
        test_ble.test_no_packet_is_sent_into_a_buffer_that_is_not_free,
    ),
    "more credits than buffers": (
        (HCI, "(count < busy ? count : busy)", "count"),
        idle,
        test_ble.test_no_packet_is_sent_into_a_buffer_that_is_not_free,
    ),
    "reset once": (
        (HCI, "hci.now_us - hci.command_us >= patience", "patience == 0"),
        idle,
        test_ble.test_reset_is_repeated_until_somebody_answers,
    ),
    "another controller is taken for ours": (
        (HCI, "restart(true); /* this one", "(void)0; /* this one"),
        linked,
        test_ble.test_a_controller_that_forgot_us_is_brought_up_again,
    ),
    "time that nobody looked counts": (
        (HCI, "span < SPAN_US ? (uint32_t)span : SPAN_US", "(uint32_t)span"),
        idle,
        test_ble.test_time_in_which_nobody_looked_is_not_held_against_the_controller,
    ),
    "strangers stay": ((HCI, "hci.wanted |= DROP;", ""), linked, test_ble.test_a_link_that_stays_a_stranger_is_ended_after_ten_seconds),
    "a stranger stays as long each time": (
        (HCI, "hci.is_wary ? UNTRUSTED_AGAIN_US : UNTRUSTED_US", "UNTRUSTED_US"),
        linked,
        test_ble.test_strangers_that_come_again_and_again_stay_shorter,
    ),
    "switches outlive their link": ((L2CAP, "    tyf_ble_att_reset();\n", ""), linked, test_ble.test_switches_end_with_their_link),
    "notifications before answers": (
        (L2CAP, "in_progress = slot;", "in_progress = slot == SLOT_ATT && l2cap.waiting[SLOT_NOTIFY] != 0 ? SLOT_NOTIFY : slot;"),
        linked,
        test_ble_att.test_no_notification_comes_before_the_answer_that_turns_it_on,
    ),
    "switches are one": (
        (ATT, "att.switches[stream] == 0", "att.switches[0] == 0"),
        ready,
        test_ble_management.test_the_bell_rings_for_who_holds_a_session_once_for_all_that_waits,
    ),
    "the air is a wire": (
        (GROUP, "is_denied = is_in_air ||", "is_denied ="),
        ready,
        test_ble_management.test_strangers_may_ask_who_it_is_and_nothing_else,
    ),
    "one session for all links": (
        (GROUP, "TYF_SMP_TRUST_RADIO ? TYF_SESSION_RADIO :", "TYF_SMP_TRUST_RADIO ? TYF_SESSION_WIRE :"),
        ready,
        test_ble_management.test_sessions_of_air_and_wire_do_not_know_each_other,
    ),
    "sessions outlive their link": (
        (RADIO, "    tyf_session_end(TYF_SESSION_RADIO);\n", ""),
        ready,
        test_ble_management.test_sessions_of_air_and_wire_do_not_know_each_other,
    ),
    "the bell rings for strangers": (
        (RADIO, "!is_trusted() ||", ""),
        ready,
        test_ble_management.test_the_bell_rings_for_who_holds_a_session_once_for_all_that_waits,
    ),
    "what follows a reply comes before it": (
        (RADIO, " && tyf_ble_has_sent()", ""),
        ready,
        test_ble_management.test_a_reset_waits_until_its_reply_was_sent,
    ),
    "replies reach the next link": (
        (RADIO, "    tyf_smp_raw_reset(&radio.server);\n", ""),
        ready,
        test_ble_management.test_nothing_of_a_link_reaches_the_next_one,
    ),
    "no pause ends a message": (
        (RAW, "    server->waiting_bytes = whole;\n", ""),
        ready,
        test_ble_management.test_a_pause_ends_a_message_that_is_not_whole,
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_broken_stack_is_seen(name: str, tmp_path: Path) -> None:
    mutant, prepare, test = MUTATIONS[name]
    bench = prepare(BleBench(LoadedProgram(build_host_board(tmp_path, (mutant,)))))
    if name == "nothing":
        test(bench)
        return
    with pytest.raises((AssertionError, KeyError)):
        test(bench)
