"""``python -m tinyfleet``."""

from tinyfleet.cli.app import main

raise SystemExit(main())
