"""`settings_locked` as a staging deployment, which simulators and CI reach with debug evidence."""

from __future__ import annotations

from settings_locked import *  # noqa: F403 - everything else stays as it was
from settings_locked import BONAFIDE

BONAFIDE = BONAFIDE | {"ENVIRONMENT": "staging", "UNSAFE_DEBUG_EVIDENCE": True}
