"""The example's locked API in its world of tests, with the keys of BONAFIDE that one world of Swift's tests wants."""

from __future__ import annotations

import json
import os
from typing import Any

from settings_test import *  # noqa: F403 - everything else stays as it was
from settings_test import BONAFIDE, DATABASES

BONAFIDE = BONAFIDE | json.loads(os.environ.get("SHOP_BONAFIDE", "{}"))

# A thousand requests at once queue for SQLite's one writer: they wait for their turn instead of failing, and no
# thread opens the database anew for each of them.
_DATABASE: dict[str, Any] = DATABASES["default"]
DATABASES = {"default": _DATABASE | {"OPTIONS": _DATABASE["OPTIONS"] | {"timeout": 60}, "CONN_MAX_AGE": None}}

# Without DEBUG Django would mail a failure's traceback to somebody, and the log would not have it.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
}
