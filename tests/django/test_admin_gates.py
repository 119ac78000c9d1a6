"""The console shows gates and broken glass, and changes neither."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.utils import timezone

from bonafide.codec import jwk
from bonafide.django import conf, gates, openings
from bonafide.django.key_sources import KeySources

if TYPE_CHECKING:
    from pathlib import Path

    from django.test import Client

    from bonafide.django.models import Opening, RegisteredGate

pytestmark = pytest.mark.django_db

CONSOLE = "/console/bonafide/"


@pytest.fixture
def gate() -> RegisteredGate:
    public = jwk.from_public(ec.generate_private_key(ec.SECP256R1()).public_key())
    settings = conf.current()
    return gates.register(
        "gate-1",
        public,
        audience=settings.audience,
        environment=settings.environment,
        by="anna",
        now=timezone.now(),
    )


@pytest.fixture
def opening(settings: Any, tmp_path: Path) -> Opening:
    settings.BONAFIDE = settings.BONAFIDE | {"KEYS_DIR": str(tmp_path / "keys")}
    now = timezone.now()
    return openings.break_glass(
        "/api/**",
        length=timedelta(minutes=30),
        because="Apple is away",
        by="anna",
        settings=conf.current(),
        service_key=KeySources(conf.current()).service_key(now),
        now=now,
    )


def test_gates_are_shown_with_their_key(admin_client: Client, gate: RegisteredGate) -> None:
    assert "gate-1" in admin_client.get(f"{CONSOLE}registeredgate/").content.decode()
    page = admin_client.get(f"{CONSOLE}registeredgate/{gate.pk}/change/").content.decode()
    assert jwk.thumbprint(gate.jwk) in page


def test_what_stands_open_is_said_on_top(admin_client: Client, opening: Opening) -> None:
    page = admin_client.get(f"{CONSOLE}opening/").content.decode()
    assert "1 standing now" in page
    assert "Apple is away" in page
    openings.close(None, by="anna", environment=conf.current().environment, now=timezone.now())
    assert "Nothing is open" in admin_client.get(f"{CONSOLE}opening/").content.decode()


def test_the_statement_that_opens_gates_is_not_shown(admin_client: Client, opening: Opening) -> None:
    page = admin_client.get(f"{CONSOLE}opening/{opening.pk}/change/").content.decode()
    assert "/api/**" in page
    assert opening.token not in page


def test_neither_is_made_changed_or_deleted_there(admin_client: Client, gate: RegisteredGate, opening: Opening) -> None:
    for name, pk in (("registeredgate", gate.pk), ("opening", opening.pk)):
        assert admin_client.get(f"{CONSOLE}{name}/add/").status_code == 403
        assert admin_client.post(f"{CONSOLE}{name}/{pk}/change/", {}).status_code == 403
        assert admin_client.post(f"{CONSOLE}{name}/{pk}/delete/", {"post": "yes"}).status_code == 403
