"""A Django project in a temporary directory, set up by importing this module: before any model is imported."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

import django
from django.conf import settings

from bonafide.django.databases import SQLITE_OPTIONS

DIRECTORY: Final = Path(tempfile.mkdtemp(prefix="bonafide-bench-"))
atexit.register(shutil.rmtree, DIRECTORY, ignore_errors=True)

ALIASES: Final = ("default", "small", "large")


def _database(name: str) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(DIRECTORY / f"{name}.sqlite3"),
        "OPTIONS": SQLITE_OPTIONS,
    }


settings.configure(
    SECRET_KEY="a key of the benchmarks",  # noqa: S106 - of no other use
    INSTALLED_APPS=["django.contrib.contenttypes", "bonafide.django"],
    DATABASES={name: _database(name) for name in ALIASES},
    USE_TZ=True,
    ROOT_URLCONF="bench.middleware",
    ALLOWED_HOSTS=["api.example.com"],
    BONAFIDE={
        "ENVIRONMENT": "test",
        "ORIGINS": ["https://api.example.com"],
        "KEYS_DIR": str(DIRECTORY / "keys"),
        "ROUTES": [{"match": "/bonafide/**", "client": "open", "because": "the service"}, {"match": "/api/**"}],
        "PROCESSES": 1,
    },
)
django.setup()
