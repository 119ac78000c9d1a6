"""Settings of the locked API, for tests in this process and for the servers that they start.

A server that a test starts is told by environment variables where its state lies, under which origin it is
reached, and what its route table is.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tests.django import settings as base
from tests.django.settings import *  # noqa: F403 - Django's own way to vary settings

STATE = Path(os.environ.get("BONAFIDE_TEST_STATE", str(base._FILES)))
ORIGIN = os.environ.get("BONAFIDE_TEST_ORIGIN", "https://api.example.com")
ROUTES: list[dict[str, Any]] = json.loads(os.environ.get("BONAFIDE_TEST_ROUTES", "[]")) or [
    {"match": "/api/sealed/**", "seal": True},
    {"match": "/api/**"},
    {"match": "/open/**", "client": "open", "because": "a load balancer asks"},
    {"match": "/console/**", "client": "browser"},
]

ROOT_URLCONF = "tests.django.api_urls"
ALLOWED_HOSTS = ["*"]
MIDDLEWARE = ["bonafide.django.middleware.BonafideMiddleware", *base.MIDDLEWARE]
BONAFIDE = {
    "ENVIRONMENT": "test",
    "ORIGINS": [ORIGIN],
    "KEYS_DIR": str(STATE / "keys"),
    "REPLAY_STORE": os.environ.get("BONAFIDE_TEST_REPLAY", f"lmdb:{STATE / 'replay'}"),
    "PROCESSES": 1,
    "UNSAFE_TEST_ANCHORS": [str(STATE / "apple.pem")],
    "ROUTES": ROUTES,
    "REVOCATIONS_EVERY": 0,
}
if "BONAFIDE_TEST_SEALING_KEY" in os.environ:
    BONAFIDE |= {"KEY_STORAGE": "database", "SEALING_KEY": {"file": os.environ["BONAFIDE_TEST_SEALING_KEY"]}}
