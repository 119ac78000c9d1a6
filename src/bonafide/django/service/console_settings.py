"""Django's settings of the operator's listener: those of the public one, and what a console needs."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from bonafide.django.service.settings import *  # noqa: F403 - Django's own way to vary settings
from bonafide.django.service.settings import HOME

ROOT_URLCONF = "bonafide.django.service.console_urls"
WSGI_APPLICATION = "bonafide.django.service.console.application"

# A page of somebody else's, opened by the operator, may reach this port under a name of its own (DNS rebinding).
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]
ALLOWED_HOSTS += [urlsplit(origin).hostname or "" for origin in HOME.says.console_origins]
CSRF_TRUSTED_ORIGINS = list(HOME.says.console_origins)

MIDDLEWARE = [
    "bonafide.django.service.watch.WatchMiddleware",
    "bonafide.django.service.console.ContentPolicyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
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
STATIC_URL = "/static/"
APPEND_SLASH = True

AUTHENTICATION_BACKENDS = ["bonafide.django.service.console.LimitedBackend"]

# A tunnel (ssh -L) has no TLS of its own; where only proxies with TLS are named, cookies go nowhere else.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = bool(HOME.says.console_origins) and all(
    origin.startswith("https://") for origin in HOME.says.console_origins
)
SESSION_COOKIE_NAME = "bonafide_console"
SESSION_COOKIE_AGE = 8 * 60 * 60
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Strict"
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
