"""Bases of all our messages: typed fields, replies that may hold more than we know.

``smp``'s own models forbid unknown keys, so that a field added to a device's reply would break every older host;
ours ignore them.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, model_validator
from smp import error, message

_TOLERANT = ConfigDict(
    extra="ignore", frozen=True, serialize_by_alias=True, validate_by_name=True, validate_by_alias=True, defer_build=True
)

ReplyT = TypeVar("ReplyT", bound="message.ReadResponse | message.WriteResponse")


def _no_error(data: Any) -> Any:
    """An error is no reply, not even of a command whose reply is empty and which therefore any map would fit."""
    if isinstance(data, dict) and ("err" in data or data.get("rc")):
        raise ValueError("an error")
    return data


class ReadReply(message.ReadResponse):
    """A reply to a read request; unknown keys are ignored."""

    model_config = _TOLERANT
    _refuse_error = model_validator(mode="before")(_no_error)


class WriteReply(message.WriteResponse):
    """A reply to a write request; unknown keys are ignored."""

    model_config = _TOLERANT
    _refuse_error = model_validator(mode="before")(_no_error)


class GenericError(error.ErrorV1):
    """``{rc}``: an error that any command may answer with; ``rc`` may be newer than this host."""

    model_config = _TOLERANT
    rc: int  # type: ignore[assignment]  # wider than smp's enumeration, on purpose


class _GroupStatus(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    group: int
    rc: int


class GroupError(error.ErrorV2):  # type: ignore[type-arg]  # its type variable stands for an enumeration, we take any number
    """``{err: {group, rc}}``: an error of the command's group."""

    model_config = _TOLERANT
    err: _GroupStatus  # type: ignore[assignment]


class Part(BaseModel):
    """A map within a reply; unknown keys are ignored."""

    model_config = _TOLERANT


class Asks(Generic[ReplyT]):
    """What a request class adds to its message: the reply that it expects (``_Response``)."""

    _Response: type[ReplyT]
