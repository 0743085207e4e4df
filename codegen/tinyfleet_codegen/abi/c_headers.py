"""Read the C headers of ``lib/nn``: structs of fixed-width members, prototypes of kernels with their comments, macros.

Not a C parser: it knows how our headers are written and refuses anything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from tinyfleet_codegen.errors import SetupError
from tinyfleet_codegen.firmware_tree import kernel_headers

SCALARS = {
    "int8_t": "b",
    "uint8_t": "B",
    "int16_t": "h",
    "uint16_t": "H",
    "int32_t": "i",
    "uint32_t": "I",
    "float": "f",
    "int64_t": "q",
    "void": "B",
}
"""Struct code of each scalar type; void stands for bytes behind a pointer."""
SIZES = {"b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "f": 4, "q": 8}

_COMMENT = r"/\*\*(?:(?!\*/).)*\*/"
_STRUCT = re.compile(rf"(?P<doc>{_COMMENT})?\s*typedef struct \{{(?P<body>.*?)\}} (?P<name>\w+);", re.DOTALL)
_KERNEL = re.compile(rf"(?P<doc>{_COMMENT})?\s*\bvoid (?P<name>tyf_\w+)\((?P<parameters>[^()]*)\);", re.DOTALL)
_MACRO = re.compile(r"^#define (?P<name>TYF_\w+)(?:\((?P<parameters>[\w, ]+)\))? +(?P<body>\S.*)$", re.MULTILINE)
_MEMBER = re.compile(r"^(?P<name>\w+)(?:\[(?P<count>\w+)\])?$")
_PARAMETER = re.compile(r"^(?P<const>const )?(?P<type>\w+) (?P<star>\*?)(?P<name>\w+)$")


@dataclass(frozen=True, slots=True)
class Field:
    """A scalar in a struct; ``path`` as in C, for example ``window.input_h`` or ``kept[0]``."""

    path: str
    offset: int
    code: str


@dataclass(frozen=True, slots=True)
class Struct:
    """A struct as it lies in memory; ``parts`` are the paths and names of the structs in it."""

    name: str
    doc: str
    fields: tuple[Field, ...]
    parts: tuple[tuple[str, str], ...]
    bytes: int
    align: int


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a kernel takes: a pointer, or an int32."""

    name: str
    type: str
    is_const: bool
    is_pointer: bool


@dataclass(frozen=True, slots=True)
class Prototype:
    """A kernel."""

    name: str
    doc: str
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class Macro:
    """A macro with the text of its body."""

    parameters: tuple[str, ...]
    body: str


@dataclass(frozen=True, slots=True, eq=False)
class Headers:
    """What the kernels of one CPU class and the portable ones declare, by name."""

    files: tuple[str, ...]
    structs: Mapping[str, Struct]
    kernels: Mapping[str, Prototype]
    macros: Mapping[str, Macro]

    def element(self, c_type: str) -> tuple[int, int]:
        """Size and alignment of a type."""
        if c_type in self.structs:
            return self.structs[c_type].bytes, self.structs[c_type].align
        size = SIZES[SCALARS[c_type]]
        return size, size


@cache
def read_headers(cpu_class: str) -> Headers:
    """Read ``kernels*.h`` of a CPU class and the portable ones.

    Raises:
        SetupError: a header is not written as ours are.
    """
    paths = kernel_headers(cpu_class)
    headers = Headers(tuple(f"tyf/nn/{path.name}" for path in paths), structs := {}, kernels := {}, macros := {})
    for path in paths:
        text = path.read_text(encoding="utf-8")
        for match in _MACRO.finditer(text.replace("\\\n", " ")):
            parameters = tuple(name.strip() for name in (match["parameters"] or "").split(",") if name.strip())
            macros[match["name"]] = Macro(parameters, re.sub(r"/\*.*?\*/", "", match["body"]).strip())
        for match in _STRUCT.finditer(text):
            structs[match["name"]] = _struct(headers, match["name"], _prose(match["doc"]), match["body"])
        doc, end = "", 0
        for match in _KERNEL.finditer(text):
            # Kernels that follow each other without a line between them share one comment.
            doc = _prose(match["doc"]) if match["doc"] else doc if not text[end : match.start()].strip() else ""
            end = match.end()
            kernels[match["name"]] = Prototype(match["name"], doc, _parameters(match["name"], match["parameters"]))
    return headers


def _prose(comment: str | None) -> str:
    """The text of a comment, without its frame."""
    return re.sub(r"^\s*\* ?", "", (comment or "").removeprefix("/**").removesuffix("*/"), flags=re.MULTILINE).strip()


def _parameters(kernel: str, text: str) -> tuple[Parameter, ...]:
    found = []
    for part in text.split(","):
        match = _PARAMETER.match(" ".join(part.split()))
        if match is None or (not match["star"] and match["type"] != "int32_t"):
            raise SetupError(f"parameter '{part.strip()}' of {kernel} is neither a pointer to data nor an int32_t")
        found.append(Parameter(match["name"], match["type"], bool(match["const"]), bool(match["star"])))
    return tuple(found)


def _struct(headers: Headers, name: str, doc: str, body: str) -> Struct:
    fields: list[Field] = []
    parts: list[tuple[str, str]] = []
    offset, align = 0, 1
    for c_type, member, count in _members(headers, name, body):
        size, member_align = headers.element(c_type)
        align = max(align, member_align)
        offset = -(-offset // member_align) * member_align
        for i in range(count or 1):
            path = member if count is None else f"{member}[{i}]"
            if c_type in headers.structs:
                part = headers.structs[c_type]
                fields += [Field(f"{path}.{f.path}", offset + f.offset, f.code) for f in part.fields]
                parts += [(path, c_type), *((f"{path}.{inner}", name) for inner, name in part.parts)]
            else:
                fields.append(Field(path, offset, SCALARS[c_type]))
            offset += size
    return Struct(name, doc, tuple(fields), tuple(parts), -(-offset // align) * align, align)


def _members(headers: Headers, struct: str, body: str) -> Iterator[tuple[str, str, int | None]]:
    for declaration in re.sub(r"/\*.*?\*/", "", body, flags=re.DOTALL).split(";"):
        words = declaration.split(None, 1)
        if not words:
            continue
        for name in words[1].split(","):
            member = _MEMBER.match(name.strip())
            if member is None:
                raise SetupError(f"cannot lay out member '{declaration.strip()}' of {struct}")
            count = member["count"]
            if count in headers.macros:
                count = headers.macros[count].body
            yield words[0], member["name"], None if count is None else int(count)
