"""Each step of the guard is needed: without it the guard's test fails."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.guard_board import GuardBoard, build_guard_program, numbers
from tinyfleet_codegen.firmware_tree import firmware_dir

M4, M33, M0 = "mps2_an386", "mps2_an505", "microbit"
ROUNDS = 20
TIMEOUT_S = 8.0


def fails(board: str, elf: Path, nvm: Path) -> str:
    """What goes wrong with this program; empty when nothing does."""
    try:
        with GuardBoard(board, elf, nvm, timeout_s=TIMEOUT_S) as running:
            for letter, rounds in (("k", None), ("l", ROUNDS), ("g", ROUNDS)):
                found = numbers(running.ask(letter, rounds)[-1])
                if not found:
                    return f"{letter}: it crashed"
                wrong = {
                    name: found[name] for name in ("unexpected", "damaged", "left_over", "late", "wrong", "lost_fp") if found.get(name)
                }
                if wrong or found.get("max_gap_us", 0) > 15_000:
                    return f"{letter}: {wrong or found}"
    except (AssertionError, OSError) as error:
        return str(error)
    return ""


@pytest.fixture
def firmware(tmp_path: Path) -> Iterator[Path]:
    """A firmware folder whose arch/ can be changed."""
    copy = tmp_path / "firmware"
    copy.mkdir()
    for path in firmware_dir().iterdir():
        if path.name != "arch":
            (copy / path.name).symlink_to(path)
    shutil.copytree(firmware_dir() / "arch", copy / "arch")
    yield copy


MUTATIONS = [
    # The most important ones in every run.
    (M4, "guard.c", "TYF_REGISTER(SCB_SHCSR) &= ~SHCSR_FAULTS_PENDING;", ""),
    (M4, "guard.c", "TYF_REGISTER(FPU_FPCCR) &= ~FPCCR_LAZY_ACTIVE;", ""),
    (M4, "guard.c", "if (context == TYF_CONTEXT_THREAD) { /* else", "if (true) { /* else"),
    (M4, "guard.c", "== PENDSV_NUMBER ? TYF_CONTEXT_LIVE : -1;", "== PENDSV_NUMBER ? TYF_CONTEXT_THREAD : -1;"),
    (M33, "mpu.c", "    set_nvm(RO_ANY);\n    set_region(STACK", "    set_region(STACK"),
    (M0, "guard.c", '__asm volatile("cpsie i" ::: "memory");', ""),
]
FULL = [
    (M4, "guard.c", '__asm volatile("msr control, %0\\n isb" ::"r"(control & ~1u));', ""),
    (M4, "guard.c", '__asm volatile("cpsie i" ::: "memory");', ""),
    (M4, "guard.c", "TYF_REGISTER(SCB_CCR) |= CCR_DIV_0_TRAP;", ""),
    (M4, "guard.c", "SYSTICK_PRIORITY << 24 | PENDSV_PRIORITY << 16", "PENDSV_PRIORITY << 24 | SYSTICK_PRIORITY << 16"),
    (M4, "guard.c", "frame[7] = PSR_THUMB |", "frame[7] ="),
    (M4, "guard_entry.S", "    orrs    r4, r1                      /* the frame", "                      /* the frame"),
    (M4, "guard_entry.S", "    cmp     r1, r2\n    bne     1f\n    mrs     r1, control", "    mrs     r1, control"),
    (M4, "guard_entry.S", "    mov     r11, r7\n    pop     {r2, r4-r7, pc}", "    pop     {r2, r4-r7, pc}"),
    (M4, "guard_entry.S", "    vpop    {d8-d15}", "    add     sp, #64"),
    (M4, "mpu.c", "    set_nvm(RO_ANY);\n    set_memory(RAM", "    set_memory(RAM"),
    (M4, "mpu.c", "region, RW_ANY, false, left_out);", "region, RW_ANY, false, left_out & 0);"),
    (M4, "mpu.c", "set_memory(RAM, ORIGIN(RAM), BYTES(RAM), RO_UNPRIVILEGED, false);", ""),
    (
        M33,
        "mpu.c",
        "set_region(HANDLE, handle, sandbox",
        "set_region(HANDLE, 0, 0, RO_ANY, false);\n    if (false) set_region(HANDLE, handle, sandbox",
    ),
    (M0, "live.c", "guard->ticks_left = guard->ticks_left - 1;", ""),
    (M0, "tick.c", "users == TYF_TICK_LIVE ? COARSE_MS : 1u", "COARSE_MS"),
]


def mutate(firmware: Path, file: str, before: str, after: str) -> None:
    """Change one place of the copy."""
    path = firmware / "arch/cortex_m" / file
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{before!r} stands {text.count(before)} times in {file}"
    path.write_text(text.replace(before, after), encoding="utf-8")


def check(mutation: tuple[str, str, str, str], firmware: Path, tmp_path: Path) -> None:
    """Build the mutant; something must go wrong with it."""
    board, file, before, after = mutation
    mutate(firmware, file, before, after)
    assert fails(board, build_guard_program(board, tmp_path, firmware=firmware), tmp_path / "board.nvm"), (
        f"{file}: {before!r} is not missed"
    )


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: f"{mutation[0]}-{mutation[1]}")
def test_without_a_step_the_guard_fails(mutation: tuple[str, str, str, str], firmware: Path, tmp_path: Path) -> None:
    check(mutation, firmware, tmp_path)


@pytest.mark.full
@pytest.mark.parametrize("mutation", FULL, ids=lambda mutation: f"{mutation[0]}-{mutation[1]}")
def test_without_another_step_the_guard_fails(mutation: tuple[str, str, str, str], firmware: Path, tmp_path: Path) -> None:
    check(mutation, firmware, tmp_path)
