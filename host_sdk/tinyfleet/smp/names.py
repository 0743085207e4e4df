"""Numbers of SMP as people know them: commands and errors."""

from __future__ import annotations

from enum import IntEnum

from smp.error import MGMT_ERR

from tinyfleet_codegen.wire import ids
from tinyfleet_codegen.wire.ids import SmpGroup, Status
from tinyfleet_codegen.wire.messages import MESSAGES
from tinyfleet_codegen.wire.schema import Op

_GROUP_ERRORS: dict[int, type[IntEnum]] = {
    SmpGroup.OS: ids.OsError,
    SmpGroup.IMAGE: ids.ImageError,
    SmpGroup.STAT: ids.StatError,
    SmpGroup.SETTINGS: ids.SettingsError,
    SmpGroup.FS: ids.FsError,
    SmpGroup.ENUM: ids.EnumError,
}


def status_name(group: int, code: int) -> str:
    """C name of an error of a group."""
    if group in _GROUP_ERRORS:
        try:
            return f"TYF_{SmpGroup(group).name}_ERR_{_GROUP_ERRORS[group](code).name}"
        except ValueError:
            return f"TYF_{SmpGroup(group).name}_ERR_{code}"
    if group in (SmpGroup.TINYFLEET, SmpGroup.SESSION):
        try:
            return Status(-code).c_name
        except ValueError:
            return f"TYF_ERR_{code}"
    return f"group {group} error {code}"


def generic_name(code: int) -> str:
    """Name of an error of the protocol itself."""
    try:
        return f"MGMT_ERR_{MGMT_ERR(code).name}"
    except ValueError:
        return f"MGMT_ERR_{code}"


def command_name(group: int, command: int) -> str:
    """A command that changes something, or, where there is none of this number, the one that looks."""
    found = {message.op: message.name for message in MESSAGES if (message.group, message.command) == (group, command)}
    for op in (Op.WRITE, Op.EITHER, Op.READ):
        if op in found:
            return found[op]
    return f"group {group} command {command}"


def result_name(group: int, result: int) -> str:
    """How a request ended: negative errors are the group's own."""
    if result == 0:
        return "ok"
    return status_name(group, -result) if result < 0 else generic_name(result)
