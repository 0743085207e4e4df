"""Printers: a planned graph as C, and the report of what it costs."""
