"""Text of C source: identifiers, strings, arrays."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

LINE_WIDTH = 120


def c_identifier(name: str) -> str:
    """A valid lower-case C identifier made from any name."""
    cleaned = re.sub(r"[^0-9a-z]+", "_", name.lower()).strip("_")
    return cleaned if cleaned and not cleaned[0].isdigit() else f"m_{cleaned}".rstrip("_")


def printable(text: str) -> str:
    """Text in printable ASCII; anything else becomes ``?``."""
    return "".join(ch if " " <= ch <= "~" else "?" for ch in text)


def c_string(text: str) -> str:
    """A C string literal of printable ASCII; anything else becomes ``?``."""
    safe = printable(text)
    return '"' + safe.replace("\\", "\\\\").replace('"', '\\"').replace("??", "?\\?") + '"'


def c_comment(text: str) -> str:
    """Text that cannot end the comment it stands in."""
    return printable(text).replace("*/", "* /")


def c_array(declaration: str, values: npt.ArrayLike) -> str:
    """``declaration[n] = {...};`` with wrapped lines."""
    flat = np.asarray(values).reshape(-1)
    if flat.dtype.kind == "b":
        flat = flat.astype(np.uint8)
    if flat.dtype.kind == "f":
        words = [f"{float(v).hex()}f" for v in flat]
    else:
        # -2147483648 is an expression in C, of a wider type than int.
        words = ["INT32_MIN" if v == -(2**31) else str(v) for v in flat.tolist()]
    lines, line = [], "   "
    for word in words:
        if len(line) + len(word) + 2 > LINE_WIDTH:
            lines.append(line)
            line = "   "
        line += f" {word},"
    lines.append(line)
    return f"{declaration}[{len(flat)}] = {{\n" + "\n".join(lines) + "\n};\n"


def c_struct_array(declaration: str, rows: npt.NDArray[np.int64]) -> str:
    """``declaration[n] = {{...}, ...};``, one line a row."""
    lines = "".join(f"    {{{', '.join('INT32_MIN' if v == -(2**31) else str(v) for v in row)}}},\n" for row in rows.tolist())
    return f"{declaration}[{len(rows)}] = {{\n{lines}}};\n"
