"""`settings_locked` for the shop's own tests; the fixtures of Bonafide's pytest plugin add what they need."""

from __future__ import annotations

from settings_locked import *  # noqa: F403 - everything else stays as it was
from settings_locked import BONAFIDE

BONAFIDE = BONAFIDE | {"ENVIRONMENT": "test"}
