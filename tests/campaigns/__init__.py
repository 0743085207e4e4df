"""Long runs that look for what nobody thought of. Each takes ``--seed``, ``--minutes``, ``--json``; exit code 1: it found something."""
