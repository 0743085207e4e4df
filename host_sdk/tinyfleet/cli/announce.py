"""How a command that runs until interrupted says, once, that it is there and where."""

from __future__ import annotations

import json
import sys
from typing import Any

from tinyfleet.cli.output import print_facts


def announce(facts: dict[str, Any], as_json: bool) -> None:
    """Print the facts on stdout at once: one JSON line for programs, else aligned lines; lists become several lines."""
    if as_json:
        sys.stdout.write(json.dumps(facts) + "\n")
    else:
        print_facts((name, str(item)) for name, value in facts.items() for item in (value if isinstance(value, list) else [value]))
    sys.stdout.flush()
