"""Settings that only mypy's Django plugin reads: which models exist. No server or test starts with them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples" / "django_api"))

SECRET_KEY = "read by the type checker only"  # noqa: S105 - nothing is ever signed with it
USE_TZ = True
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "rest_framework.authtoken",
    "knox",
    "bonafide.django",
    "shop",  # the example's own app
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
