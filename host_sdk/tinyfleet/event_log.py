"""What a board's log of events says, in words. Its bytes are in ``docs/spec/events.md``."""

from __future__ import annotations

from enum import IntEnum

from tinyfleet.smp.names import command_name, result_name
from tinyfleet_codegen.wire.crash import CrashWhy
from tinyfleet_codegen.wire.events import BootWhy, Event, EventKind, Trust
from tinyfleet_codegen.wire.ids import ModelPhase, ModelPlace, Status


def event_text(event: Event) -> str:
    """One line, without its time."""
    match event.kind:
        case EventKind.BOOT:
            text = f"boot after {_name(BootWhy, event.subject)}"
            if event.subject == BootWhy.CRASH:
                text += f" ({_name(CrashWhy, event.detail)})"
            text += f", {event.result} resets since power-on" if event.result else ""
        case EventKind.REQUEST:
            text = (
                f"{command_name(event.subject, event.detail)} over {_name(Trust, event.trust)}: {result_name(event.subject, event.result)}"
            )
        case EventKind.MODEL:
            text = f"model in {_name(ModelPlace, event.subject >> 8)} {_name(ModelPhase, event.subject & 0xFF)}"
            text += f", generation {event.detail}" if event.detail else ""
            text += f": {Status(event.result).name}" if event.result in set(Status) and event.result else ""
        case _:
            text = f"kind {event.kind}: {event.subject} {event.detail} {event.result}"
    return text + (f" ({event.repeats + 1} times)" if event.repeats else "")


def _name(kind: type[IntEnum], value: int) -> str:
    return kind(value).name.lower().replace("_", " ") if value in set(kind) else str(value)
