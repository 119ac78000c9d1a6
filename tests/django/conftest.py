"""Fixtures of the tests of `bonafide.django`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.django import api_urls, locked_api

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

__all__ = ["locked", "send"]


@pytest.fixture
def locked(settings: Any) -> None:
    """Make the project the locked API. Ask for it before the fixtures of `bonafide.testing`: by `usefixtures`."""
    locked_api.lock(settings)
    api_urls.RUNS.clear()


@pytest.fixture(params=["wsgi", "asgi"])
def send(request: pytest.FixtureRequest) -> Callable[[httpx.Request], httpx.Response]:
    """Return what sends a request as it is, under either interface."""
    return locked_api.send if request.param == "wsgi" else locked_api.send_to_event_loop
