"""What blobs take from the kernels' headers: layouts, and contracts that say neither less nor more than kernels touch."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.support.batch import MACHINES, batch_target, compile_cases
from tests.support.op_cases import all_cases
from tinyfleet.toolchain import find_host_cc
from tinyfleet_codegen import firmware_tree
from tinyfleet_codegen.abi.c_headers import read_headers
from tinyfleet_codegen.abi.contract import Contract, Violation, read_contracts
from tinyfleet_codegen.abi.table import print_kernel_table
from tinyfleet_codegen.emit.blob import blob_steps
from tinyfleet_codegen.errors import SetupError
from tinyfleet_codegen.firmware_tree import CPU_CLASSES, HOST_CLASS

CLASSES = (HOST_CLASS, *CPU_CLASSES)
PARTIAL = {"tyf_copy", "tyf_gather"}
"""Kernels that touch a part of a tensor."""


@pytest.mark.parametrize("cpu_class", CLASSES)
def test_struct_layouts_equal_the_compilers(cpu_class: str, tmp_path: Path) -> None:
    headers = read_headers(cpu_class)
    prints = "".join(
        f'printf("{s.name} %zu %zu\\n", sizeof({s.name}), _Alignof({s.name}));'
        + "".join(f'printf("%zu ", offsetof({s.name}, {f.path}));' for f in s.fields)
        + 'printf("\\n");'
        for s in headers.structs.values()
    )
    includes = "".join(f'#include "{name}"\n' for name in ("stddef.h", "stdio.h", *headers.files))
    (tmp_path / "layout.c").write_text(f"{includes}int main(void) {{ {prints} }}\n")
    folder = firmware_tree.firmware_dir() / "lib/nn/include"
    subprocess.run([*find_host_cc(), f"-I{folder}", "layout.c", "-o", "layout"], cwd=tmp_path, check=True, timeout=300)
    printed = subprocess.run([tmp_path / "layout"], capture_output=True, text=True, check=True, timeout=300).stdout.splitlines()
    expected = [
        line for s in headers.structs.values() for line in (f"{s.name} {s.bytes} {s.align}", "".join(f"{f.offset} " for f in s.fields))
    ]
    assert len(expected) > 20
    assert printed == expected


@pytest.mark.parametrize("cpu_class", CLASSES)
def test_ids_are_unique_and_the_table_is_sorted(cpu_class: str) -> None:
    ids = [contract.id for contract in read_contracts(cpu_class).values()]
    assert len(set(ids)) == len(ids) > 20
    positions = [print_kernel_table(cpu_class).index(f"{{{i}u, ") for i in sorted(ids)]
    assert positions == sorted(positions)


@pytest.mark.parametrize("board", [None, *MACHINES])
def test_contracts_say_what_kernels_are_given(board: str | None) -> None:
    # A contract that asked for less than its tensors hold would let a blob read outside; one that asked for more would refuse good ones.
    cpu_class = HOST_CLASS if board is None else batch_target(board).cpu_class
    used: Counter[str] = Counter()
    for model in compile_cases([case for cases in all_cases().values() for case in cases], board):
        for step in blob_steps(model.graph, model.plan, cpu_class).steps:
            if step.contract is None:
                continue
            used[step.contract.name] += 1
            given = step.arguments[step.contract.params is not None :]
            fields = step.fields
            for argument, data, touched in zip(step.contract.arguments, given, step.contract.sizes(fields), strict=True):
                what = (model.name, step.contract.name, argument.name, data.bytes, touched)
                if argument.name == "scratch":
                    assert (data.bytes or 0) == -(-touched // 16) * 16, what
                elif argument.measure is None:
                    assert data.bytes == touched or (step.contract.name in PARTIAL and (data.bytes or 0) > touched), what
    assert set(used) >= {"tyf_copy", "tyf_softmax_s8", "tyf_pad_s8"}


@pytest.mark.parametrize("cpu_class", CLASSES)
def test_every_kernel_has_a_contract(cpu_class: str) -> None:
    missing = set(read_headers(cpu_class).kernels) - set(read_contracts(cpu_class))
    assert not missing, "docs/spec/blob.md says what the comments of these kernels lack"


def contract_of(kernel: str) -> Contract:
    return read_contracts(HOST_CLASS)[kernel]


POOL = {
    "window.input_h": 4,
    "window.input_w": 4,
    "window.output_h": 2,
    "window.output_w": 2,
    "window.kernel_h": 2,
    "window.kernel_w": 2,
    "window.stride_h": 2,
    "window.stride_w": 2,
    "window.dilation_h": 1,
    "window.dilation_w": 1,
    "channels": 3,
}


def test_a_valid_call_is_accepted() -> None:
    contract_of("tyf_max_pool2d_s8").check(POOL, [48, 12], [0, 48])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"channels": 4}, "input has 48 bytes, the kernel touches 64"),
        ({"channels": -3}, "channels"),
        ({"channels": 0}, "input has 48 bytes, the kernel touches 0"),
        ({"window.pad_h": 2}, "pad_h"),
        ({"window.stride_h": 4}, "stride_h"),
        ({"window.output_h": 0}, "output_h"),
        ({"window.dilation_h": 2}, "dilation_h == 1"),
        ({"window.input_h": 65535, "window.input_w": 65535}, "input_h"),
    ],
)
def test_a_call_outside_its_contract_is_refused_in_words(change: dict[str, int], words: str) -> None:
    with pytest.raises(Violation, match=words):
        contract_of("tyf_max_pool2d_s8").check(POOL | change, [48, 12], [0, 48])


def test_missing_arguments_and_overlaps_are_refused() -> None:
    with pytest.raises(Violation, match="output is NULL"):
        contract_of("tyf_max_pool2d_s8").check(POOL, [48, None], [0, None])
    copy = {"run_bytes": 8, **{f"dims[{i}]": 1 for i in range(5)}}
    contract_of("tyf_copy").check(copy, [8, 8], [0, 8])
    with pytest.raises(Violation, match="output overlaps input"):
        contract_of("tyf_copy").check(copy, [8, 8], [0, 4])


@pytest.mark.parametrize(
    ("contract", "words"),
    [
        ("@param x [cnt]", "'cnt' names 0 members"),
        ("@param x [count", "cannot read"),
        ("@param x [count ** 2]", "cannot read"),
        ("@param x [f(count)]", "no macro 'f'"),
        ("@param x [count]\n * @require count", "not a comparison"),
    ],
)
def test_a_contract_that_cannot_be_read_is_named(contract: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = tmp_path / "kernels.h"
    params = "typedef struct {\n    int32_t count;\n} tyf_p_params;\n"
    header.write_text(f"{params}\n/**\n * {contract}\n */\nvoid tyf_p(const tyf_p_params *params, int8_t *x);\n")
    monkeypatch.setattr("tinyfleet_codegen.abi.c_headers.kernel_headers", lambda _: [header])
    with pytest.raises(SetupError, match="contract of tyf_p") as error:
        read_contracts(str(tmp_path))
    assert words in str(error.value)
