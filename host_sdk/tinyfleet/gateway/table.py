"""What all tables of the configuration are: every key known, every value of its own type, nothing changed later."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """A table; each field's ``description`` says what is allowed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
