"""Estimates of cycles: each rule of a model by hand, and every board with a model or a reason."""

from __future__ import annotations

from collections import Counter

import pytest

from tinyfleet.profile.cycle_model import MODELS, NO_MODEL, Cycles, Executed, always, why_no_model
from tinyfleet.profile.executed import _estimate, _instruction
from tinyfleet_codegen.target import board_names, load_target

BY_HAND: dict[str, dict[tuple[str, str], Cycles]] = {
    # Arm DDI 0439, table 3.1
    "cortex-m4": {
        ("ldr", "r0, [r1, #4]"): always(2),
        ("ldmia.w", "r0!, {r2-r5}"): always(5),
        ("ldrd", "r6, r7, [r1], #8"): always(3),
        ("strb.w", "r0, [r1]"): always(1),
        ("strd", "r0, r1, [sp]"): always(3),
        ("smlad", "r8, r6, r2, r8"): always(1),
        ("smlal", "r0, r1, r2, r3"): always(1),
        ("sdiv", "r0, r1, r2"): always(7),
        ("ldmia.w", "sp!, {r4-r11, pc}"): always(10),
        ("adds", "r0, r1, r2"): always(1),
    },
    # Arm DDI 0337, table 3.1
    "cortex-m3": {
        ("mla", "r0, r1, r2, r3"): always(2),
        ("mul.w", "r0, r1, r2"): always(1),
        ("smull", "r0, r1, r2, r3"): Cycles(3, 4, 5),
        ("smlal", "r0, r1, r2, r3"): Cycles(4, 5, 7),
        ("udiv", "r0, r1, r2"): Cycles(2, 7, 12),
    },
    # Arm DDI 0484, table 3.1, and DDI 0432, table 3.1
    "cortex-m0plus": {
        ("ldrsb", "r0, [r1, r2]"): always(2),
        ("strb", "r0, [r1, #0]"): always(2),
        ("ldmia", "r0!, {r1, r2}"): always(3),
        ("push", "{r4, r5, r6, r7, lr}"): always(6),
        ("pop", "{r4, pc}"): always(4),  # 3 + N when it is taken, as it always is
        ("muls", "r0, r1"): Cycles(1, 1, 32),
        ("bl", "100 <f>"): always(2),
        ("bx", "lr"): always(1),
        ("asrs", "r0, r1, #16"): always(1),
    },
}


@pytest.mark.parametrize("cpu", BY_HAND)
def test_each_rule_is_that_of_the_table(cpu: str) -> None:
    for (mnemonic, operands), expected in BY_HAND[cpu].items():
        assert MODELS[cpu].cost(_instruction(0, 2, mnemonic, operands).executed) == expected, (mnemonic, operands)


def test_an_estimate_adds_up_and_keeps_its_bounds_in_order() -> None:
    mix = {Executed("ldr", "load", 1, False): 10, Executed("muls", "multiply", 0, False): 5, Executed("bne", "branch", 0, False): 4}
    on_m4 = _estimate(MODELS["cortex-m4"], Counter(mix), taken=3, after_load=6)
    assert (on_m4.lowest_cycles, on_m4.cycles, on_m4.highest_cycles) == (20 + 5 + 4 - 6 + 3, 20 + 5 + 4 - 6 + 6, 20 + 5 + 4 - 6 + 9)
    on_m0plus = _estimate(MODELS["cortex-m0plus"], Counter(mix), taken=3, after_load=6)
    assert (on_m0plus.lowest_cycles, on_m0plus.cycles, on_m0plus.highest_cycles) == (32, 32, 32 + 5 * 31)
    assert all(model.error and model.assumptions and model.name for model in MODELS.values())


def test_every_board_has_a_model_or_a_reason() -> None:
    assert not MODELS.keys() & NO_MODEL.keys()
    for board in board_names():
        cpu = load_target(board).cpu
        assert cpu in MODELS or cpu in NO_MODEL, cpu
    assert why_no_model("cortex-x") == "there is no model of cortex-x"
