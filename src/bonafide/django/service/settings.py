"""Django's settings of the public listener, made from the home that `BONAFIDE_HOME` names.

Rule of this file: it decides nothing that `service.toml` could say, and is the same for every process of a home, the
operator's listener excepted (`console_settings`).
"""

from __future__ import annotations

import os
from typing import Any, Final

from bonafide.django.databases import POSTGRESQL, POSTGRESQL_OPTIONS, SQLITE_OPTIONS
from bonafide.django.service import home, logs

HOME: Final = home.read(home.locate(None, os.environ))

SECRET_KEY = HOME.secret()
BASE_DIR = HOME.path
DEBUG = False
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
ROOT_URLCONF = "bonafide.django.service.urls"
WSGI_APPLICATION = "bonafide.django.service.wsgi.application"
APPEND_SLASH = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGGING = logs.configuration()

# No view of the protocol asks Django for the host: they compare it with `origins`, octet for octet.
ALLOWED_HOSTS: list[str] = []

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "bonafide.django",
]
MIDDLEWARE = ["bonafide.django.service.watch.WatchMiddleware"]

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]

# This process has no API of its own, so nothing here is admitted, and no route table is missing.
SILENCED_SYSTEM_CHECKS = ["bonafide.E001", "bonafide.W001"]

BONAFIDE = HOME.bonafide()


def _database() -> dict[str, Any]:
    said = HOME.says.database
    if said is None:
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(HOME.database), "OPTIONS": SQLITE_OPTIONS}
    options: dict[str, Any] = POSTGRESQL_OPTIONS | said["OPTIONS"]
    options["pool"] = POSTGRESQL_OPTIONS["pool"] | {"max_size": HOME.says.threads}
    if options["options"]:  # the timeouts first, so that the file may say others; `?options=` says none at all
        options["options"] = " ".join(dict.fromkeys((POSTGRESQL_OPTIONS["options"], options["options"])))
    return {**POSTGRESQL, **said, "OPTIONS": options}


DATABASES = {"default": _database()}
