"""The words in which :mod:`tinyfleet_codegen.wire.messages` declares SMP messages.

::

    Message(
        "infer", SmpGroup.TINYFLEET, 2, Op.WRITE,
        request=(uint("off"), data("data"), flag("reset").maybe()),
        reply=(uint("off"), uint("out_bytes").maybe()),
        about="One chunk of an input tensor.",
    )

A request is flat: numbers up to 32 bits, flags, texts and byte strings, so that a board decodes it with one table. A reply
may nest. What is declared here is what C, Python, the CDDL and ``docs/spec/wire.md`` say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

U32_MAX = 2**32 - 1
U64_MAX = 2**64 - 1


class Kind(Enum):
    """Type of a value."""

    UINT = "uint"
    FLAG = "bool"
    TEXT = "tstr"
    BYTES = "bstr"
    RECORD = "record"  # a map with known keys
    LIST = "list"  # an array of equal items
    TABLE = "table"  # a map from any text to equal items
    DIGEST = "uint / bstr"  # a checksum as a number, a hash as bytes


class Op(Enum):
    """What a request does; the number is SMP's, 255 stands for either."""

    READ = 0
    WRITE = 2
    EITHER = 255


class Access(Enum):
    """Who may ask where the policy protects a link: anyone, on a wire anyone and in the air who holds a session, or
    everywhere only who holds a session."""

    OPEN = 0
    WIRE = 1
    SESSION = 2


@dataclass(frozen=True, slots=True)
class Field:
    """One entry of a map.

    Attributes:
        key: Its key on the wire.
        kind: Type of its value.
        low: Smallest value of a number; fewest bytes of a text or byte string.
        high: Largest value; most bytes. Of a byte string in a request U32_MAX means what the frame holds.
        is_optional: It may be absent; C then sees 0, false or an empty string with no data.
        is_max_when_absent: Of an optional number C sees U32_MAX instead.
        items: Entries of a RECORD; the one item of a LIST or TABLE, whose key does not matter.
        python: Name of the attribute in Python, where the key is a word of the language.
    """

    key: str
    kind: Kind
    low: int = 0
    high: int = U32_MAX
    is_optional: bool = False
    is_max_when_absent: bool = False
    items: tuple[Field, ...] = ()
    python: str = ""

    def maybe(self, *, is_max_when_absent: bool = False) -> Field:
        """The same field, optional."""
        return replace(self, is_optional=True, is_max_when_absent=is_max_when_absent)

    def called(self, python: str) -> Field:
        """The same field with another name in Python."""
        return replace(self, python=python)

    @property
    def attribute(self) -> str:
        """Name in Python."""
        return self.python or self.key.replace("-", "_")


def uint(key: str, low: int = 0, high: int = U32_MAX) -> Field:
    """An unsigned number."""
    return Field(key, Kind.UINT, low, high)


def flag(key: str) -> Field:
    """true or false."""
    return Field(key, Kind.FLAG)


def text(key: str, low: int = 0, high: int = U32_MAX) -> Field:
    """UTF-8 text of ``low`` to ``high`` bytes."""
    return Field(key, Kind.TEXT, low, high)


def data(key: str, low: int = 0, high: int = U32_MAX) -> Field:
    """A byte string of ``low`` to ``high`` bytes."""
    return Field(key, Kind.BYTES, low, high)


def exactly(key: str, count: int) -> Field:
    """A byte string of ``count`` bytes."""
    return data(key, count, count)


def record(key: str, *items: Field) -> Field:
    """A map with known keys."""
    return Field(key, Kind.RECORD, items=items)


def listed(key: str, item: Field) -> Field:
    """An array of equal items."""
    return Field(key, Kind.LIST, items=(item,))


def table(key: str, item: Field) -> Field:
    """A map from names to equal items."""
    return Field(key, Kind.TABLE, items=(item,))


def digest(key: str) -> Field:
    """A checksum or a hash."""
    return Field(key, Kind.DIGEST)


@dataclass(frozen=True, slots=True)
class Message:
    """A command with its request and its reply.

    Attributes:
        name: Stem of everything that is generated: ``tyf_<name>_request``, ``<Name>Request``, ``<name>-reply``.
        group: SMP group.
        command: Number of the command within the group.
        op: Read, write, or either (Python then writes).
        request: Its fields; flat.
        reply: The fields of its reply.
        about: One sentence for people, Markdown.
        needs_session: Whether a protected link asks for a session; None: for what writes, and in the air for all.
        is_table: The reply is itself a table of names that the device chooses: ``reply`` is then the one item.
    """

    name: str
    group: int
    command: int
    op: Op
    about: str
    request: tuple[Field, ...] = ()
    reply: tuple[Field, ...] = ()
    needs_session: bool | None = None
    is_table: bool = False

    @property
    def title(self) -> str:
        """The name as a class: ``self_infer`` is ``SelfInfer``."""
        return "".join(word.capitalize() for word in self.name.split("_"))

    @property
    def access(self) -> Access:
        """Who may ask on a protected link."""
        if self.needs_session is None:
            return Access.WIRE if self.op is Op.READ else Access.SESSION
        return Access.SESSION if self.needs_session else Access.OPEN
