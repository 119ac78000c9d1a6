"""The Django middleware's whole cost for one request with a session proof, beside the bare view."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path

from bench._rounds import ROUNDS, compare, interleave, report
from bench.django_project import ALIASES
from bonafide.client_attestation import issue
from bonafide.codec import base64url
from bonafide.django import runtime
from bonafide.django.models import App, Identity
from bonafide.http import HttpRequest as CoreRequest
from bonafide.proof.content_digest import NO_BODY
from bonafide.proof.http_signature import SessionSigner, sign
from bonafide.session import mac_key, session_key
from tests.gate_world import JKT, ORIGIN, SID, claims

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CALLS = 400


def _view(request: HttpRequest) -> HttpResponse:
    del request
    return HttpResponse(status=204)


urlpatterns = [path("api/me", _view)]


def run() -> bool:
    """Measure and print; nothing is promised of Django's own cost."""
    call_command("migrate", database=ALIASES[0], verbosity=0)
    app = App.objects.create(name="shop", environment="test")
    Identity.objects.create(app=app, name=claims().identity)
    now = datetime.now(UTC).timestamp()
    runtime.current().replay.remember(bytes(32), created=int(now) - 60, now=now - 60)  # older than any proof
    bare, locked = _handler([]), _handler(["bonafide.django.middleware.BonafideMiddleware"])
    environs = _environs()
    first, second = iter(environs), iter(environs)
    costs = interleave(
        {
            "bare view": lambda: _serve(bare, next(first)),
            "view behind the middleware": lambda: _serve(locked, next(second)),
        },
        calls=CALLS,
    )
    rows = [
        compare(costs, "bare view", versus="bare view"),
        compare(costs, "view behind the middleware", versus="bare view"),
    ]
    cost = costs["view behind the middleware"] - costs["bare view"]
    rows.append(replace(rows[1], name="the middleware alone", us_per_op=cost, ratio=cost / costs["bare view"]))
    return report("middleware", rows)


def _handler(middleware: list[str]) -> WSGIHandler:
    with override_settings(MIDDLEWARE=middleware):
        return WSGIHandler()


def _serve(handler: WSGIHandler, environ: dict[str, Any]) -> None:
    statuses: list[str] = []
    start: Callable[..., Any] = lambda status, headers: statuses.append(status)  # noqa: ARG005, E731 - PEP 3333
    response = handler(dict(environ), start)
    list(response)
    response.close()
    if statuses != ["204 No Content"]:
        message = f"the benchmark measures a refusal: {statuses}"
        raise RuntimeError(message)


def _environs() -> list[dict[str, Any]]:
    """Return one request for each call, signed just now by a session of an enrolled instance."""
    now = datetime.now(UTC)
    at = runtime.current()
    at.gate()
    ring = at.keys.ring("shop", now)
    gate_key = ring.gate_key(at.settings.audience, now)
    held = claims(
        issuer=at.settings.issuer,
        audience=at.settings.audience,
        issued_at=now,
        expires_at=now + timedelta(minutes=5),
        gate_key=gate_key.kid,
    )
    expires = int(held.expires_at.timestamp())
    key = session_key(gate_key.secret, sid=SID, app="shop", jkt=JKT, expires=expires)
    signer = SessionSigner(mac_key(key), base64url.encode(SID))
    token = issue(held, key=ring.signing_key(now))
    return list(_signed(token, signer, int(now.timestamp())))


def _signed(token: str, signer: SessionSigner, created: int) -> Iterator[dict[str, Any]]:
    headers = {"oauth-client-attestation": token, "content-digest": NO_BODY, "authorization": "Bearer abc"}
    request = CoreRequest(method="GET", origin=ORIGIN, target="/api/me", headers=headers)
    for number in range((ROUNDS + 1) * CALLS):
        proof = sign(request, created=created, nonce=f"n{number:021d}", signer=signer)
        sent = {**headers, **proof, "host": "api.example.com", "accept": "*/*", "user-agent": "shop/2.3"}
        yield {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": "/api/me",
            "RAW_URI": "/api/me",
            "QUERY_STRING": "",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.url_scheme": "https",
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": sys.stderr,
            **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in sent.items()},
        }
