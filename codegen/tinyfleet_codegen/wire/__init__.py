"""What the C firmware and the Python host must agree on, declared once.

Ids and status codes (``ids``), the telemetry record (``record``), the identity area in NVM (``nvm``) and the
inputs a device makes from a seed (``seeded``). ``c_header`` prints them as ``tyf/core/wire.h``:
``python -m tinyfleet_codegen.wire.c_header --write`` after a change; a test checks that the header is fresh.
The bytes are described for people in ``docs/spec/wire.md``.
"""
