"""The embedded default cloud endpoint: stores every record once, shows them on a page.

``store`` (the database), ``messages`` and ``intake`` (what is accepted from outside), ``app`` (the HTTP interface, ``docs/spec/rest.md``),
``server`` (one process), ``audit`` (the proof that nothing was lost or doubled). Needs the extra ``cloud``, except ``audit``.
"""
