"""The ``tinyfleet`` command: one file per command, nothing imports this package."""
