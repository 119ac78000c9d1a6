"""Fixtures with which a Django project's own tests call its locked API. Needs pytest-django.

    def test_profile(bonafide_client):
        assert bonafide_client.get("/api/me").status_code == 200

    def test_profile_over_http(bonafide_connect, live_server):
        assert bonafide_connect(live_server.url).get("/api/me").status_code == 200

- `bonafide_client`: an `AppClient` of a freshly installed app on a software iPhone. It calls the project in
  this process, without a server, and enrols with its first request.
- `bonafide_iphone`: the phone that it runs on.
- `bonafide_connect(api=None, *, device=None, **options)`: further clients; `api` is the URL of a live server,
  `device` another phone, `options` are those of `AppClient`.

For the test at hand, BONAFIDE is given a fake Apple as a test anchor, keys and a replay store of its own; rules,
identities and everything else stay the project's. Where the database names no app, one is made; where it
names several, `@pytest.mark.bonafide(app="…", identity="…")` chooses, and sets `app_version` and `os_version`.
A production configuration (one whose ENVIRONMENT is not set, too) is refused: `configuration.test_trust`.

Rule of this file: it is loaded by every pytest run in whose environment Bonafide is installed, so it imports
nothing that a fixture does not need.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bonafide.testing.client import AppClient
    from bonafide.testing.device import Device
    from bonafide.testing.iphone import IPhone

_DJANGO_HALF = "bonafide.django.under_test"
"""What needs Django lies in the layer above this one, and is found by its name when a fixture is used."""


class Connect(Protocol):
    """The type of the fixture `bonafide_connect`."""

    def __call__(self, api: str | None = None, *, device: Device | None = None, **options: Any) -> AppClient:
        """Return a client of the app on `device`, for the project in this process or at the URL `api`."""
        ...


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker."""
    config.addinivalue_line(
        "markers", "bonafide(app, identity, app_version, os_version): which app bonafide_client is, and of which build"
    )


@pytest.fixture
def _bonafide_world(
    request: pytest.FixtureRequest,
    settings: Any,
    db: None,  # noqa: ARG001 - pytest-django makes the databases that it finds asked for by name
    tmp_path: Path,
) -> Iterator[Any]:
    """Have the project trust a test world until the test ends."""
    marker = request.node.get_closest_marker("bonafide")
    world = import_module(_DJANGO_HALF).ProjectUnderTest(
        settings, tmp_path / "bonafide", **(marker.kwargs if marker else {})
    )
    with world:
        yield world


@pytest.fixture
def bonafide_iphone(_bonafide_world: Any) -> IPhone:
    """Return a software iPhone on which the project's app was just installed."""
    phone: IPhone = _bonafide_world.phone()
    return phone


@pytest.fixture
def bonafide_connect(_bonafide_world: Any, bonafide_iphone: IPhone) -> Connect:
    """Return what makes clients of the app; they are closed when the test ends."""

    def connect(api: str | None = None, *, device: Device | None = None, **options: Any) -> AppClient:
        client: AppClient = _bonafide_world.connect(api, device=device or bonafide_iphone, **options)
        return client

    return connect


@pytest.fixture
def bonafide_client(bonafide_connect: Connect) -> AppClient:
    """Return a client of the app on `bonafide_iphone` that calls the project in this process."""
    return bonafide_connect()
