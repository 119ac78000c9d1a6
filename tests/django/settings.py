"""Settings of the tests of `bonafide.django`: a file-backed SQLite, set up as `enrolment_store` says."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from bonafide.django.databases import POSTGRESQL, SQLITE_OPTIONS

SECRET_KEY = "a key of the tests"
USE_TZ = True
ROOT_URLCONF = "tests.django.urls"
STATIC_URL = "static/"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "rest_framework.authtoken",
    "knox",
    "bonafide.django",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # the tests log in often

# Files, not :memory:, because processes share them. A child that a test starts is told which file.
_FILES = Path(tempfile.mkdtemp(prefix="bonafide-tests-"))
_OWNER = os.getpid()


@atexit.register
def _remove_files() -> None:
    if os.getpid() == _OWNER:  # and not a fork, which would take them from its parent
        shutil.rmtree(_FILES, ignore_errors=True)


DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("BONAFIDE_TEST_SQLITE", str(_FILES / "default.sqlite3")),
        "OPTIONS": SQLITE_OPTIONS,
        "TEST": {"NAME": str(_FILES / "test.sqlite3")},
    }
}
UNPOOLED = {"ENGINE": "django.db.backends.postgresql"}
if "BONAFIDE_TEST_POSTGRESQL" in os.environ:
    DATABASES["default"] = (POSTGRESQL if "BONAFIDE_TEST_POOLED" in os.environ else UNPOOLED) | {
        "HOST": os.environ["BONAFIDE_TEST_POSTGRESQL"],
        "NAME": os.environ["BONAFIDE_TEST_POSTGRESQL_NAME"],
        "USER": "bonafide",
    }

BONAFIDE: dict[str, Any] = {
    "ENVIRONMENT": "test",
    "ORIGINS": ["https://api.example.com"],
    "KEYS_DIR": str(_FILES / "keys"),
}
