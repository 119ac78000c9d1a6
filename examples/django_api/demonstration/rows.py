"""All attacks: importing the modules enters them into the list."""

from __future__ import annotations

from demonstration import edits, enrolling, pinning, proxy, sealed, stepping_up, theft, tokens
from demonstration.trial import ATTACKS, Row, read_rows

__all__ = ["ATTACKS", "MODULES", "Row", "read_rows"]

MODULES = (theft, edits, tokens, stepping_up, enrolling, proxy, sealed, pinning)
