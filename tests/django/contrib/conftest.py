"""Fixtures of the tests of tokens: their API, and the phones of Ada and Mallory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.django.contrib import token_api

if TYPE_CHECKING:
    from bonafide.testing.client import AppClient
    from bonafide.testing.pytest_plugin import Connect


@pytest.fixture
def tokens(settings: Any) -> None:
    token_api.lock(settings)


@pytest.fixture
def adas(tokens: None, db: None, bonafide_connect: Connect) -> AppClient:
    token_api.add_users()
    return bonafide_connect()


@pytest.fixture
def adas_second(adas: AppClient, bonafide_connect: Connect, _bonafide_world: Any) -> AppClient:
    return bonafide_connect(device=_bonafide_world.phone())


@pytest.fixture
def mallorys(adas: AppClient, bonafide_connect: Connect, _bonafide_world: Any) -> AppClient:
    return bonafide_connect(device=_bonafide_world.phone())
