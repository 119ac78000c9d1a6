"""`GET {prefix}/secrets`, `/configuration`, `/pins`: what an admitted instance is given (PROTOCOL section 5, ADR 15).

Rules of this file: nobody gets an answer whom `own_gate` did not admit; what is for one instance is sealed to the key
that it enrolled with, and counted before it is handed out. Values go into documents and nowhere else.
"""

from __future__ import annotations

import secrets
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from django.db import router
from django.views.decorators.debug import sensitive_variables

from bonafide import documents
from bonafide.codec import json
from bonafide.codec.jwk import parse_public
from bonafide.django import own_gate
from bonafide.django.documents import deliveries, pins, values
from bonafide.django.models import Document, PublishedPins, ValueKind
from bonafide.django.views import endpoint, respond
from bonafide.documents import ConfigurationDocument, SecretsDocument, Validity
from bonafide.errors import VerificationFailed
from bonafide.reasons import document as reasons
from bonafide.terms import ProofKind

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest, HttpResponse

    from bonafide.django.documents.values import Content
    from bonafide.django.own_gate import Asked
    from bonafide.django.runtime import Runtime


@endpoint(None, "GET")
@sensitive_variables()
def app_secrets(request: HttpRequest, serving: Runtime, now: datetime) -> HttpResponse:
    """`GET /secrets`: the secrets of this identity and tier, on a proof by the `sign` key."""
    asked = serving.own_gates.judge(request, serving, proof=ProofKind.HARDWARE, now=now)
    if asked.record.agree_jwk is None:
        raise own_gate.refused(asked, VerificationFailed(reasons.AGREE_KEY_MISSING))
    content = _read(Document.SECRETS, asked, serving, sealed=True)
    texts = {name: str(value) for name, value in content.values[ValueKind.SECRET].items()}
    token = documents.issue_secrets(
        SecretsDocument(validity=_validity(content, now, serving.settings.secrets_lifetime), secrets=texts),
        addressee=asked.addressee,
        service_key=serving.keys.service_key(now),
        recipient=parse_public(asked.record.agree_jwk),
        random=secrets.token_bytes,
    )
    _count(Document.SECRETS, content, asked, serving, now)
    return _answer({"secrets": token}, "app_secrets", asked, serving)


@endpoint(None, "GET")
@sensitive_variables()
def configuration(request: HttpRequest, serving: Runtime, now: datetime) -> HttpResponse:
    """`GET /configuration`: public values, and those that are sealed for this instance, if it can open them."""
    asked = serving.own_gates.judge(request, serving, proof=ProofKind.SESSION, now=now)
    sealable = asked.record.agree_jwk is not None
    content = _read(Document.CONFIGURATION, asked, serving, sealed=sealable)
    validity = _validity(content, now, serving.settings.configuration_lifetime)
    public = documents.issue_public_configuration(
        ConfigurationDocument(validity=validity, values=content.values[ValueKind.PUBLIC]),
        app=asked.app.name,
        service_key=serving.keys.service_key(now),
    )
    sealed = None
    if asked.record.agree_jwk is not None:
        sealed = documents.issue_sealed_configuration(
            ConfigurationDocument(validity=validity, values=content.values[ValueKind.SEALED]),
            addressee=asked.addressee,
            service_key=serving.keys.service_key(now),
            recipient=parse_public(asked.record.agree_jwk),
            random=secrets.token_bytes,
        )
        if content.values[ValueKind.SEALED]:
            _count(Document.CONFIGURATION, content, asked, serving, now)
    return _answer({"public": public, "sealed": sealed}, "configuration", asked, serving)


@endpoint(None, "GET")
def app_pins(request: HttpRequest, serving: Runtime, now: datetime) -> HttpResponse:
    """`GET /pins`: the pins that were published last."""
    asked = serving.own_gates.judge(request, serving, proof=ProofKind.SESSION, now=now)
    using = router.db_for_read(PublishedPins)
    published = pins.newest(serving.settings.environment, asked.app.name, using=using)
    if published is None or published.expires_at <= now:
        raise own_gate.refused(asked, VerificationFailed(reasons.PINS_MISSING))
    token = documents.issue_pins(
        pins.document(published), app=asked.app.name, service_key=serving.keys.service_key(now)
    )
    return _answer({"pins": token}, "app_pins", asked, serving)


def _read(document: Document, asked: Asked, serving: Runtime, *, sealed: bool) -> Content:
    return values.read(
        serving.settings.environment,
        asked.app.name,
        document,
        identity=asked.attestation.identity,
        tier=asked.attestation.tier,
        key=serving.keys.document_key() if sealed else None,
    )


def _validity(content: Content, now: datetime, lifetime: timedelta) -> Validity:
    issued = now.astimezone(UTC).replace(microsecond=0)
    return Validity(version=content.version, issued_at=issued, expires_at=issued + lifetime)


def _count(document: Document, content: Content, asked: Asked, serving: Runtime, now: datetime) -> None:
    deliveries.count(
        serving.settings.environment,
        app=asked.app.name,
        instance=asked.record.instance,
        document=document,
        version=content.version,
        now=now,
    )


def _answer(body: dict[str, str | None], name: str, asked: Asked, serving: Runtime) -> HttpResponse:
    serving.records.admitted(own_gate.seen(name, asked.attestation, proven=True))
    return respond(json.dump(body))
