"""An app that is given a secret, configuration and pins, and what the tests of all three ask."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from bonafide.django import runtime
from bonafide.django.documents import pins, values
from bonafide.django.documents.pins import PinnedHost
from bonafide.django.documents.values import NewValue
from bonafide.django.models import App, AppValue, ValueKind
from bonafide.terms import ProofKind, Tier
from tests import canaries
from tests.django import locked_api
from tests.django.locked_api import reason, signed

if TYPE_CHECKING:
    import httpx

    from bonafide.django.models import PublishedPins
    from bonafide.reasons import Reason
    from bonafide.testing.client import AppClient
    from bonafide.testing.pytest_plugin import Connect

PREFIX = "/bonafide/v1"
SECRETS, CONFIGURATION, PINS = f"{PREFIX}/secrets", f"{PREFIX}/configuration", f"{PREFIX}/pins"
PATHS = (SECRETS, CONFIGURATION, PINS)
SECRET = "a-maps-key-that-nobody-else-may-read"
FLAG = "a-sealed-flag-that-nobody-else-may-read"
OTHER_IDENTITY = "ABCDE12345.com.example.clip"


def give(name: str = "maps", value: object = SECRET, kind: ValueKind = ValueKind.SECRET, **options: Any) -> AppValue:
    key = runtime.current().keys.document_key()
    tier = options.pop("tier", Tier.NONE if kind is ValueKind.PUBLIC else Tier.AFFIRMING)
    new = NewValue(kind=kind, name=name, value=value, tier=tier, **options)
    return values.set_value(App.objects.get(), new, key=key, by="anna", now=timezone.now())


def publish(days: int = 90) -> PublishedPins:
    served, spare = (base64.b64encode(hashlib.sha256(name).digest()).decode() for name in (b"leaf", b"spare"))
    host = PinnedHost(port=443, served=served, subject="CN=api", ends=2_000_000_000, spares=(spare,))
    now, newest = timezone.now(), pins.newest("test", App.objects.get().name)
    return pins.publish(
        App.objects.get(),
        {"api.example.com": host},
        over=0 if newest is None else newest.version,
        by="anna",
        now=now,
        expires_at=now + timedelta(days=days),
    )


@pytest.fixture
def client(bonafide_client: AppClient) -> AppClient:
    canaries.plant("app secret", SECRET)
    canaries.plant("sealed configuration", FLAG)
    bonafide_client.make_ready()
    give()
    give("flag", FLAG, ValueKind.SEALED)
    give("colour", "blue", ValueKind.PUBLIC)
    publish()
    return bonafide_client


@pytest.fixture
def mallory(client: AppClient, bonafide_connect: Connect, _bonafide_world: Any) -> AppClient:
    """Return the genuine app on another phone."""
    other = bonafide_connect(device=_bonafide_world.phone())
    other.make_ready()
    assert other.device.keychain.jkt != client.device.keychain.jkt
    return other


def asked(client: AppClient, path: str = SECRETS, proof: ProofKind = ProofKind.HARDWARE) -> httpx.Request:
    return signed(client, "GET", path, proof=proof)


def refused(request: httpx.Request, expected: Reason) -> httpx.Response:
    answer = locked_api.send(request)
    assert reason(answer) == expected.code
    assert answer.status_code == expected.status
    assert answer.headers["bonafide-action"] == expected.action
    assert not {"secrets", "public", "sealed", "pins"} & answer.json().keys()
    return answer
