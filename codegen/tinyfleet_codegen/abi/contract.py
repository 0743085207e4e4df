"""What a kernel may touch, stated in its comment and checked here when a blob is printed, on the device when it is opened.

In the comment of a kernel (``docs/spec/blob.md`` has the grammar)::

    @param weights  [output_c, kernel_h * kernel_w * filter_c], 4-byte aligned
    @param shift    [output_c] in [-31, 30]
    @require input_c % filter_c == 0

The dimensions are expressions over the members of the kernel's parameters; a member's name alone is enough where it is unique.
"""

from __future__ import annotations

import ast
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, reduce
from itertools import accumulate
from typing import TypeAlias

from tinyfleet_codegen.abi.c_headers import Headers, Parameter, Prototype, Struct, read_headers
from tinyfleet_codegen.errors import SetupError

Expression: TypeAlias = "int | str | tuple[str, Expression, Expression]"
"""A number, the path of a field, or (operator, left, right). For fields that may be negative:
("from", field, low) is field - low, ("ahead", field, 0) its positive and ("behind", field, 0) its negative part."""
INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1

_OPERATORS: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.FloorDiv: "/", ast.Mod: "%"}
_COMPARISONS: dict[type[ast.cmpop], tuple[str, bool]] = {
    ast.Eq: ("==", False),
    ast.LtE: ("<=", False),
    ast.Lt: ("<", False),
    ast.GtE: ("<=", True),
    ast.Gt: ("<", True),
}
"""Comparison, and whether its sides are swapped."""


_COMPUTE: dict[str, Callable[[int, int], int]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left // right if right else -1,
    "%": lambda left, right: left % right if right else -1,
    "min": min,
    "max": max,
    "==": lambda left, right: 0 if left == right else -1,
    "<=": lambda left, right: 0 if left <= right else -1,
    "<": lambda left, right: 0 if left < right else -1,
}
"""As the device does: negative when there is no result, or when a comparison does not hold."""


class Violation(Exception):
    """Parameters that a contract forbids."""


@dataclass(frozen=True, slots=True)
class Range:
    """Every element (or a member of every element) lies in ``[low, low + width]``."""

    member: str
    low: int
    width: Expression


@dataclass(frozen=True, slots=True)
class Argument:
    """One pointer of a kernel.

    Attributes:
        bytes: How many bytes the kernel may touch from there.
        count: The same in elements.
        is_written: The kernel writes there.
        is_alone: It must share no byte with another argument. What the planner lets overlap gives other values at worst.
        is_optional: NULL is allowed when the kernel touches nothing there.
        is_scalar: It is an int32, of which a blob holds the address.
        measure: A C function that tells how many bytes the kernel reads there, and what it is given beside them; else None.
    """

    name: str
    c_type: str
    bytes: Expression
    count: Expression
    align: int
    is_written: bool
    is_alone: bool
    is_optional: bool
    is_scalar: bool
    range: Range | None
    measure: tuple[str, Expression, Expression] | None


@dataclass(frozen=True, slots=True)
class Contract:
    """A kernel that a blob can call. The parameters, if it takes any, come first and are not among the arguments."""

    name: str
    params: Struct | None
    arguments: tuple[Argument, ...]
    requirements: tuple[Expression, ...]

    @property
    def id(self) -> int:
        """Names the kernel in a blob: CRC-32 of its name, its argument types and the layout of its parameters.

        A kernel that wants other bytes behind the same types is another kernel and needs another name.
        """
        layout = "" if self.params is None else " ".join(f"{f.code}{f.offset}:{f.path}" for f in self.params.fields)
        types = ",".join(f"{'' if a.is_written else 'const '}{a.c_type}{'' if a.is_scalar else ' *'}" for a in self.arguments)
        return zlib.crc32(f"{self.name}({types}){{{layout}}}".encode())

    def check(self, fields: Mapping[str, int], sizes: list[int | None], places: list[int | None]) -> None:
        """Refuse parameters with which the kernel would leave its arguments.

        Args:
            fields: Values of the parameters by path and of scalars by name; absent ones are 0.
            sizes: Bytes behind each argument; None for NULL.
            places: Offset of each argument in the arena; None for those that are not there.

        Raises:
            Violation: in words.
        """
        for requirement in self.requirements:
            _evaluate(requirement, fields)
        spans = list(zip(self.arguments, places, self.sizes(fields), strict=True))
        for (argument, place, wanted), size in zip(spans, sizes, strict=True):
            if wanted == 0 and argument.is_optional:
                continue
            if size is None:
                raise Violation(f"{self.name}: {argument.name} is NULL")
            if not 1 <= wanted <= size:
                raise Violation(f"{self.name}: {argument.name} has {size} bytes, the kernel touches {wanted}")
            if argument.is_alone and place is not None:
                for other, at, touched in spans:
                    if other is not argument and at is not None and place < at + touched and at < place + wanted:
                        raise Violation(f"{self.name}: {argument.name} overlaps {other.name}")

    def sizes(self, fields: Mapping[str, int]) -> list[int]:
        """Bytes that the kernel touches behind each argument."""
        return [_evaluate(argument.bytes, fields) for argument in self.arguments]


def _evaluate(expression: Expression, fields: Mapping[str, int]) -> int:
    """Value of an expression by the device's rules: whatever it passes through lies in [0, 2^31)."""
    if isinstance(expression, int):
        value = expression
    elif isinstance(expression, tuple) and expression[0] == "from":
        assert isinstance(expression[1], str) and isinstance(expression[2], int)
        value = int(fields.get(expression[1], 0)) - expression[2]
    elif isinstance(expression, tuple) and expression[0] in ("ahead", "behind"):
        assert isinstance(expression[1], str)
        value = max(0, int(fields.get(expression[1], 0)) * (1 if expression[0] == "ahead" else -1))
    elif isinstance(expression, str):
        value = int(fields.get(expression, 0))
    else:
        operator, left, right = expression[0], _evaluate(expression[1], fields), _evaluate(expression[2], fields)
        value = _COMPUTE[operator](left, right)
    if not 0 <= value <= INT32_MAX:
        raise Violation(f"{text_of(expression)} does not hold" if isinstance(expression, tuple) else f"{expression} is {value}")
    return value


def text_of(expression: Expression) -> str:
    """The expression for people."""
    if isinstance(expression, tuple):
        return f"({text_of(expression[1])} {expression[0]} {text_of(expression[2])})"
    return str(expression)


@cache
def read_contracts(cpu_class: str) -> Mapping[str, Contract]:
    """Contracts by kernel name, of the portable kernels and those of a CPU class.

    A kernel that takes anything but pointers, or whose comment leaves out one of them, has none.

    Raises:
        SetupError: a comment does not follow the grammar.
    """
    headers = read_headers(cpu_class)
    contracts = {name: c for name, prototype in headers.kernels.items() if (c := _contract(headers, prototype)) is not None}
    if len({contract.id for contract in contracts.values()}) != len(contracts):
        raise SetupError("two kernels have the same id; rename one")
    return contracts


def _contract(headers: Headers, kernel: Prototype) -> Contract | None:
    has_params = kernel.parameters[0].name == "params"
    params = headers.structs[kernel.parameters[0].type] if has_params else None
    scalars = tuple(p.name for p in kernel.parameters if not p.is_pointer)
    scope = _Scope(headers, kernel.name, params, scalars)
    requirements: list[Expression] = []
    if params is not None:
        for path, struct in (("", params.name), *params.parts):
            for tag, text in _tags(headers.structs[struct].doc):
                if tag == "require":
                    requirements += _Scope(headers, kernel.name, params, (), f"{path}." if path else "").requirements(text)
    described: dict[str, str] = {}
    for tag, text in _tags(kernel.doc):
        if tag == "require":
            requirements += scope.requirements(text)
        elif tag == "param" and " " in text:
            name, rest = text.split(None, 1)
            described[name] = rest
    arguments = []
    for parameter in kernel.parameters[1:] if has_params else kernel.parameters:
        text = described.get(parameter.name, "")
        if not parameter.is_pointer:
            arguments.append(_argument(scope, parameter, "[1]"))
        elif match := _MEASURED.match(text):
            count, length = scope.values(match[2])
            arguments.append(replace(_argument(scope, parameter, "[1]"), measure=(match[1], count, length)))
        elif text.startswith("["):
            arguments.append(_argument(scope, parameter, text))
        else:
            return None
    return Contract(kernel.name, params, tuple(arguments), tuple(requirements))


def _tags(doc: str) -> list[tuple[str, str]]:
    """(tag, text) of every ``@tag text``; a text ends at the next tag or at an empty line."""
    found = re.findall(r"^@(\w+) +((?:(?!^@|^\s*$).)*)", doc, re.MULTILINE | re.DOTALL)
    return [(tag, " ".join(text.split())) for tag, text in found]


_MEASURED = re.compile(r"measured by (\w+)\((.*)\)")
_RANGE = re.compile(r"(?:\b(?P<member>\w+) )?\bin \[(?P<low>-?\d+), (?P<high>[^\]]+)\]")


def _argument(scope: _Scope, parameter: Parameter, text: str) -> Argument:
    depths = accumulate({"[": 1, "]": -1}.get(character, 0) for character in text)
    end = next((at for at, depth in enumerate(depths) if depth == 0), None)
    if end is None:
        raise scope.error(f"cannot read '{text}'")
    dimensions, rest = text[1:end], text[end + 1 :]
    count: Expression = 1
    for value in scope.values(dimensions):
        count = value if count == 1 else _fold("*", count, value)
    size, align = scope.headers.element(parameter.type)
    if aligned := re.search(r"\b(\d+)-byte aligned", rest):
        align = int(aligned[1])
    return Argument(
        name=parameter.name,
        c_type=parameter.type,
        bytes=count if size == 1 else _fold("*", count, size),
        count=count,
        align=align,
        is_written=parameter.is_pointer and not parameter.is_const,
        is_alone="overlaps nothing" in rest or (parameter.name == "scratch" and "may lie over" not in rest),
        is_optional="or NULL" in rest,
        is_scalar=not parameter.is_pointer,
        range=_range(scope, parameter, rest),
        measure=None,
    )


def _fold(operator: str, left: Expression, right: Expression) -> Expression:
    """An operation, computed when both sides are numbers."""
    both_known = isinstance(left, int) and isinstance(right, int)
    return _evaluate((operator, left, right), {}) if both_known else (operator, left, right)


def _range(scope: _Scope, parameter: Parameter, text: str) -> Range | None:
    match = _RANGE.search(text)
    if match is None:
        return None
    low, (high,) = int(match["low"]), scope.values(match["high"])
    width: Expression = high - low if isinstance(high, int) else ("+", high, -low) if low < 0 else ("-", high, low)
    struct = scope.headers.structs.get(parameter.type)
    member = match["member"] or ""
    if struct is not None and member not in {f.path for f in struct.fields}:
        raise SetupError(f"{scope.kernel}: {parameter.type} has no member '{member}' to be in a range")
    return Range(member if struct is not None else "", low, width)


@dataclass(frozen=True, slots=True)
class _Scope:
    """Where the names in a kernel's expressions come from: its parameters and the macros of its headers."""

    headers: Headers
    kernel: str
    params: Struct | None
    scalars: tuple[str, ...] = ()
    prefix: str = ""

    def values(self, text: str) -> list[Expression]:
        """Expressions separated by commas; one that is an array counts as its elements."""
        node = self._parse(f"({text},)")
        assert isinstance(node, ast.Tuple)
        return [value for element in node.elts for value in self._values(element)]

    def requirements(self, text: str) -> list[Expression]:
        """Comparisons, possibly chained, joined by ``&&``."""
        node = self._parse(text)
        parts = node.values if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And) else [node]
        found: list[Expression] = []
        for part in parts:
            if not isinstance(part, ast.Compare):
                raise self.error(f"'{text}' is not a comparison")
            sides = [self._values(side) for side in (part.left, *part.comparators)]
            for operator, left, right in zip(part.ops, sides, sides[1:], strict=False):
                if isinstance(operator, ast.In):
                    low, high = right
                    assert isinstance(low, int) and isinstance(high, int)
                    has_no_low = low == INT32_MIN
                    found += [("<=", ("ahead", f, 0), high) if has_no_low else ("<=", ("from", f, low), high - low) for f in left]
                    continue
                name, is_swapped = _COMPARISONS[type(operator)]
                pairs = zip(left, right, strict=True) if len(left) == len(right) else [(x, y) for x in left for y in right]
                pairs = [(("from", x, y), 0) if isinstance(x, str) and isinstance(y, int) and y < 0 else (x, y) for x, y in pairs]
                found += [(name, y, x) if is_swapped else (name, x, y) for x, y in pairs]
        return found

    def _parse(self, text: str) -> ast.expr:
        try:
            return ast.parse(text.replace("/", "//").replace("&&", " and ").strip(), mode="eval").body
        except SyntaxError:
            raise self.error(f"cannot read '{text}'") from None

    def error(self, what: str) -> SetupError:
        """What to raise."""
        return SetupError(f"contract of {self.kernel}: {what}", hint="docs/spec/blob.md has the grammar")

    def _values(self, node: ast.expr, bound: Mapping[str, list[Expression]] | None = None) -> list[Expression]:
        """One expression, or one per element of an array."""
        bound = bound or {}
        if isinstance(node, ast.Constant | ast.UnaryOp):
            return [int(ast.literal_eval(node))]
        if isinstance(node, ast.List):
            return [value for element in node.elts for value in self._values(element, bound)]
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            left, right = self._values(node.left, bound), self._values(node.right, bound)
            count = max(len(left), len(right))
            left, right = (side * count if len(side) == 1 else side for side in (left, right))
            return [_fold(_OPERATORS[type(node.op)], x, y) for x, y in zip(left, right, strict=True)]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return [self._call(node.func.id, [self._values(argument, bound) for argument in node.args])]
        if isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
            return self._named(ast.unparse(node), bound)
        raise self.error(f"cannot read '{ast.unparse(node)}'")

    def _named(self, text: str, bound: Mapping[str, list[Expression]]) -> list[Expression]:
        """A parameter of the macro that is read, a scalar of the kernel, a macro, or a member."""
        macro = self.headers.macros.get(text)
        if text in bound:
            return bound[text]
        if text in self.scalars:
            return [text]
        return self._values(self._parse(macro.body)) if macro is not None else self._field(text)

    def _call(self, name: str, arguments: list[list[Expression]]) -> Expression:
        """A macro, or one of our functions.

        ``min(a, b)``, ``max(a, b)``; ``zero(a)``: 1 when a is 0, else 0; ``product(array)``; ``span(dims, strides)``: elements
        from the first to the last that loops of these sizes reach; ``ahead(dims, strides)`` and ``behind(dims, strides)``: how
        far they go from where they start, when strides may be negative.
        """
        if name in ("min", "max"):
            ((left,), (right,)) = arguments
            return (name, left, right)
        if name == "zero":
            return ("-", 1, ("min", 1, arguments[0][0]))
        if name == "product":
            return reduce(lambda x, y: _fold("*", x, y), arguments[0])
        if name in ("span", "ahead", "behind"):
            steps: list[Expression] = [stride if name == "span" else (name, stride, 0) for stride in arguments[1]]
            reach: list[Expression] = [("*", ("-", size, 1), step) for size, step in zip(arguments[0], steps, strict=True)]
            return reduce(lambda x, y: ("+", x, y), [1, *reach] if name == "span" else reach)
        if name not in self.headers.macros:
            raise self.error(f"there is no macro '{name}'")
        macro = self.headers.macros[name]
        (value,) = self._values(self._parse(macro.body), dict(zip(macro.parameters, arguments, strict=True)))
        return value

    def _field(self, text: str) -> list[Expression]:
        paths = [f.path for f in self.params.fields] if self.params is not None else []
        ends = re.compile(rf"(?:^|\.){re.escape(text)}(?:\[\d+\])?$")
        found = [p for p in paths if p.startswith(self.prefix) and ends.search(p)]
        exact = [p for p in found if re.fullmatch(rf"{re.escape(self.prefix + text)}(?:\[\d+\])?", p)]
        found = exact or found
        if len({re.sub(r"\[\d+\]$", "", p) for p in found}) != 1:
            raise self.error(f"'{text}' names {len(found)} members of its parameters")
        return list(found)
