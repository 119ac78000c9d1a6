"""No answer, problem document, admin page or log tells a token, a bearer or a key, whatever goes wrong."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from django.apps import apps
from django.urls import NoReverseMatch, reverse

from bonafide.codec import base64url
from bonafide.django import records, runtime
from bonafide.session import mac_key
from bonafide.terms import ProofKind
from tests import canaries
from tests.django import locked_api
from tests.django.locked_api import configure, signed, unsigned

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx
    from django.test import Client

    from bonafide.testing.client import AppClient

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("locked")]

BEARER = "a-users-bearer-that-nobody-may-read-anywhere"


@pytest.fixture
def client_that_is_watched(bonafide_client: AppClient, settings: Any) -> AppClient:
    configure(settings)
    bonafide_client.make_ready()
    canaries.plant("bearer", BEARER)
    serving = runtime.current()
    canaries.plant("challenge key", serving.keys.challenge_key().secret)
    enrolled = bonafide_client.device.keychain.enrolled
    assert enrolled is not None
    assert enrolled.session is not None
    canaries.plant("client attestation", enrolled.client_attestation)
    canaries.plant("session key", enrolled.session.key)
    canaries.plant("MAC key", mac_key(enrolled.session.key))
    return bonafide_client


def attacks(client: AppClient) -> Iterator[httpx.Request]:
    """Yield requests that fail late, each with everything that is secret in it."""
    headers = {"authorization": f"Bearer {BEARER}"}
    for proof in (ProofKind.SESSION, ProofKind.HARDWARE):
        good = signed(client, "POST", json={"a": 1}, headers=headers, proof=proof)
        yield good
        yield good  # a replay
        for name in ("signature", "signature-input", "content-digest", "oauth-client-attestation", "authorization"):
            spoilt = signed(client, "POST", json={"a": 1}, headers=headers, proof=proof)
            spoilt.headers[name] = spoilt.headers[name][:-3] + "xx:"
            yield spoilt
        joined = signed(client, "POST", json={"a": 1}, headers=headers, proof=proof)
        token = joined.headers["oauth-client-attestation"]
        joined.headers["oauth-client-attestation"] = f"{token}, {token}"
        yield joined
        other_body = signed(client, "POST", json={"a": 1}, headers=headers, proof=proof)
        yield unsigned("POST", headers=other_body.headers, content=b'{"a":2}')
    yield unsigned("POST", "/api/echo", headers=headers)
    yield unsigned("POST", f"/api/echo/{BEARER[:0]}?", headers=headers)
    yield unsigned("POST", "/bonafide/v1/instances", content=BEARER.encode(), headers=headers)
    yield unsigned("POST", f"/bonafide/v1/instances/{base64url.encode(bytes(16))}/renewals", content=b"{}")


def test_nothing_that_a_refused_or_admitted_client_is_told_holds_a_secret(
    client_that_is_watched: AppClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    refused = 0
    for request in list(attacks(client_that_is_watched)):
        response = locked_api.send(request)
        refused += response.status_code >= 400
        told = "\n".join(f"{name}: {value}" for name, value in response.headers.items()) + response.text
        assert canaries.told(told) == [], response.status_code
    assert refused >= 15
    records.flush()
    assert canaries.told(caplog.text) == []


def test_no_page_of_the_console_holds_a_secret(client_that_is_watched: AppClient, admin_client: Client) -> None:
    for request in list(attacks(client_that_is_watched)):
        locked_api.send(request)
    records.flush()
    seen = 0
    for model in apps.get_app_config("bonafide").get_models():
        name = f"admin:bonafide_{model._meta.model_name}"
        try:
            listing = reverse(f"{name}_changelist")
        except NoReverseMatch:  # a model inside another's page has none of its own
            continue
        pages = [listing]
        pages += [reverse(f"{name}_change", args=[row.pk]) for row in model._default_manager.all()[:5]]
        for page in pages:
            answer = admin_client.get(page, follow=True)
            assert answer.status_code == 200, page
            assert canaries.told(answer.content.decode()) == [], page
            seen += 1
    assert seen >= 10
