"""`settings_test` behind a gate: what the gate says of a request is verified, and nothing else is believed."""

from __future__ import annotations

from settings_test import *  # noqa: F403 - everything else stays as it was
from settings_test import BONAFIDE, STATE

BONAFIDE = BONAFIDE | {"BEHIND_GATE": {"key_files": [STATE / "gate" / "shop.admission.key"]}}
