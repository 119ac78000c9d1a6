"""`settings_locked` in a world of tests: it also believes a fake Apple, and writes its records at once."""

from __future__ import annotations

from datetime import timedelta

from settings_locked import *  # noqa: F403 - everything else stays as it was
from settings_locked import BONAFIDE, STATE

BONAFIDE = BONAFIDE | {
    "ENVIRONMENT": "test",
    "UNSAFE_TEST_ANCHORS": [STATE / "fake-apple.pem"],
    "RECORDS_EVERY": timedelta(milliseconds=100),
}
