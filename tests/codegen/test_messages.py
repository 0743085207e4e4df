"""The declared messages and everything that is printed from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.checks import ROOT
from tinyfleet_codegen.wire import print_messages as printer
from tinyfleet_codegen.wire.messages import MESSAGES, message
from tinyfleet_codegen.wire.schema import U32_MAX, Kind, Op

FLAT = (Kind.UINT, Kind.FLAG, Kind.TEXT, Kind.BYTES)


@pytest.mark.parametrize(
    ("path", "printed"),
    [
        (printer.C_HEADER, printer.c_header),
        (printer.C_SOURCE, printer.c_source),
        (printer.PYTHON, printer.python_module),
        (printer.CDDL, printer.cddl),
    ],
    ids=["h", "c", "python", "cddl"],
)
def test_printed_messages_are_fresh(path: Path, printed: Callable[[], str]) -> None:

    hint = "python -m tinyfleet_codegen.wire.print_messages --write ."
    assert (ROOT / path).read_text(encoding="utf-8") == printed(), hint


def test_tables_of_the_wire_document_are_fresh() -> None:
    document = (ROOT / printer.TABLES).read_text(encoding="utf-8")
    assert document.count(printer.TABLES_BEGIN) == document.count(printer.TABLES_END) == 1
    assert printer.with_tables(document) == document, "python -m tinyfleet_codegen.wire.print_messages --write ."


def test_every_message_can_be_told_from_the_others() -> None:
    names = Counter(declared.name for declared in MESSAGES)
    numbers = Counter(
        (declared.group, declared.command, op)
        for declared in MESSAGES
        for op in ((0, 2) if declared.op is Op.EITHER else (declared.op.value,))
    )
    assert max(names.values()) == max(numbers.values()) == 1
    for group, command, op in numbers:
        found = message(group, command, op)
        assert found is not None and (found.group, found.command) == (group, command)
    assert message(64, 200, 0) is None


def test_declarations_fit_what_c_can_decode() -> None:
    for declared in MESSAGES:
        for field in declared.request:
            assert field.kind in FLAT or field.is_optional, f"{declared.name}: C does not read {field.key}"
            assert field.low <= 0xFFFF and field.high <= U32_MAX, f"{declared.name}: range of {field.key}"
