"""The shop's API, answering its own app and nobody else: what differs from `settings_open`, whole."""

from __future__ import annotations

import os

from settings_open import *  # noqa: F403 - everything else stays as it was
from settings_open import HERE, INSTALLED_APPS, MIDDLEWARE, STATE

INSTALLED_APPS = [*INSTALLED_APPS, "bonafide.django"]
MIDDLEWARE = ["bonafide.django.middleware.BonafideMiddleware", *MIDDLEWARE]
ROOT_URLCONF = "urls_locked"
BONAFIDE = {
    "ORIGINS": [os.environ.get("SHOP_ORIGIN", "https://127.0.0.1:8000")],
    "KEYS_DIR": STATE / "bonafide" / "keys",
    "ROUTES": HERE / "routes.toml",
}
