"""The most stack that a program can use, read from its machine code."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tinyfleet.stack_bound import stack_bound
from tinyfleet.toolchain import find_arm_gcc
from tinyfleet_codegen.errors import ImageError

ASSEMBLY = """
.syntax unified
.thumb
.macro function name
.section .text.\\name, "ax"
.global \\name
.type \\name, %function
.thumb_func
\\name:
.endm

function leaf
    push {r4-r7, lr}
    sub sp, #24
    add sp, #24
    pop {r4-r7, pc}
.size leaf, . - leaf

@ The branch leaves before the second push: 8 + 20 bytes below the deep call, 8 below the other.
function forked
    push {r4, lr}
    cbz r0, 1f
    push {r0-r3, r5}
    bl leaf
    add sp, #20
    pop {r4, pc}
1:  bl leaf
    pop {r4, pc}
.size forked, . - forked

@ A tail call gives its own frame back first.
function tail
    push {r4, r5, r6, lr}
    pop {r4, r5, r6, lr}
    b.w leaf
.size tail, . - tail

function wide
    stmdb sp!, {r4, r5, r6, r7, r8, r9, r10, r11, lr}
    vpush {d8-d15}
    strd r0, r1, [sp, #-16]!
    sub.w sp, sp, #1024
    add.w sp, sp, #1040
    vpop {d8-d15}
    ldmia.w sp!, {r4, r5, r6, r7, r8, r9, r10, r11, pc}
.size wide, . - wide

function pointer
    push {r3, lr}
    ldr r3, =chosen
    ldr r3, [r3]
    blx r3
    pop {r3, pc}
    .ltorg
.size pointer, . - pointer

function looping
    push {r3, lr}
    bl pointer
    pop {r3, pc}
.size looping, . - looping

function again
    push {r3, lr}
    bl again
    pop {r3, pc}
.size again, . - again

function dynamic
    push {r7, lr}
    mov r7, sp
    sub sp, sp, r0
    mov sp, r7
    pop {r7, pc}
.size dynamic, . - dynamic

.section .rodata
.align 2
chosen: .word forked
@ Numbers that look like addresses: one leads back to who calls, one is a table of the generated code.
.word looping
.global op3_channels
.type op3_channels, %object
op3_channels: .word wide
.size op3_channels, . - op3_channels
"""


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stack")
    (folder / "program.S").write_text(ASSEMBLY)
    cpu = ["-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"]
    command = [find_arm_gcc(), *cpu, "-nostdlib", "-Wl,-eleaf", "program.S", "-o", "program.elf"]
    subprocess.run(command, cwd=folder, check=True, timeout=300)
    return folder / "program.elf"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [("leaf", 44), ("forked", 8 + 20 + 44), ("tail", 44), ("wide", 36 + 64 + 16 + 1024), ("pointer", 8 + 8 + 20 + 44)],
)
def test_frames_and_calls_add_up_along_the_deepest_path(elf: Path, entry: str, expected: int) -> None:
    assert stack_bound(elf, entry) == expected


def test_what_has_no_bound_is_refused(elf: Path) -> None:
    with pytest.raises(ImageError, match="again, which is running already"):
        stack_bound(elf, "again")
    with pytest.raises(ImageError, match="dynamic: the stack has no bound"):
        stack_bound(elf, "dynamic")
    with pytest.raises(ImageError, match="has no function nothing"):
        stack_bound(elf, "nothing")
