"""All attacks: importing the modules enters them into the list."""

from __future__ import annotations

from demonstration import edits, enrolling, proxy, sealed, theft, tokens
from demonstration.trial import ATTACKS, Row, read_rows

__all__ = ["ATTACKS", "MODULES", "Row", "read_rows"]

MODULES = (theft, edits, tokens, enrolling, proxy, sealed)
