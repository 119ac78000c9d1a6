"""Settings of real servers that serve `token_api`."""

from __future__ import annotations

from tests.django.api_settings import *  # noqa: F403 - Django's own way to vary settings

ROOT_URLCONF = "tests.django.contrib.token_api"
