"""Log lines for programs: one JSON object a line, with the ``key=value`` tail of each message as members.

::

    {"time": "2026-01-31T12:00:00.000001Z", "level": "INFO", "logger": "tinyfleet.gateway.puller", "event": "device connected", "boot": 7}
"""

from __future__ import annotations

import json
import logging
import re

from tinyfleet.telemetry import format_utc

_PAIR = re.compile(r"\s*(\w+)=(%[-+ #0-9.]*[a-zA-Z])")
_PLACE = re.compile(r"%[-+ #0-9.]*[a-zA-Z]")


class JsonFormatter(logging.Formatter):
    """See the module."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        members: dict[str, object] = {
            "time": format_utc(round(record.created * 1e6)),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
        }
        template = record.msg if isinstance(record.msg, str) else ""
        first = _PAIR.search(template)
        # All places must be those of pairs; else which argument is whose is not known.
        if first and isinstance(record.args, tuple) and not _PLACE.search(template[: first.start()]):
            names = [match[1] for match in _PAIR.finditer(template)]
            if len(names) == len(record.args) == len(_PLACE.findall(template)):
                members["event"] = template[: first.start()].rstrip()
                members |= {
                    name: value if isinstance(value, int | float | str | bool) or value is None else str(value)
                    for name, value in zip(names, record.args, strict=True)
                    if name not in members
                }
        if record.exc_info:
            members["exception"] = self.formatException(record.exc_info)
        return json.dumps(members)
