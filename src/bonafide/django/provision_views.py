"""`GET {prefix}/gate`: what this service tells a gate (docs/adr/0011).

Rule of this file: a gate proves itself by what it signs; only asks that fail are limited by network, because gates come
every few seconds, from behind the same proxies as everybody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.http import HttpResponse

from bonafide import provision
from bonafide.django import adapters
from bonafide.django.governor import Endpoint
from bonafide.django.views import BackOff, endpoint
from bonafide.errors import MalformedEvidence, VerificationFailed
from bonafide.reasons import provision as reasons
from bonafide.reasons import request as request_reasons

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest

    from bonafide.django.runtime import Runtime
    from bonafide.provision import Ask

SCHEME: Final = "Bonafide-Gate"


@endpoint(None, "GET")
def gate(request: HttpRequest, serving: Runtime, now: datetime) -> HttpResponse:
    """Answer a registered gate."""
    try:
        answer = serving.provisions.answer(_ask(request), now)
    except (MalformedEvidence, VerificationFailed) as refusal:
        if refusal.reason.code.startswith("provision."):
            _require_within_rate(request, serving)
        raise
    response = HttpResponse(answer, content_type="application/jose")
    response["Cache-Control"] = "no-store"
    return response


def _ask(request: HttpRequest) -> Ask:
    scheme, _, token = str(request.META.get("HTTP_AUTHORIZATION", "")).partition(" ")
    if scheme.lower() != SCHEME.lower():
        raise MalformedEvidence(reasons.ASK_MALFORMED, "no Authorization of a gate")
    return provision.parse_ask(token)


def _require_within_rate(request: HttpRequest, serving: Runtime) -> None:
    """Have whoever fails too often back off. It decides what the refused are told, and never who is refused."""
    address = adapters.client_address(request.META, serving.settings.trusted_proxies)
    wait = serving.governor.network(Endpoint.GATE, address)
    if wait is not None:
        raise BackOff(request_reasons.RATE_EXCEEDED, Endpoint.GATE, wait)
