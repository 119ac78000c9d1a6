"""What the tests of the middleware ask and do: a request signed and not sent, its answer, the reason of a refusal."""

from __future__ import annotations

import json
import secrets
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import httpx
from asgiref.sync import async_to_sync
from django.core.asgi import get_asgi_application
from django.core.signals import request_finished, request_started
from django.db import close_old_connections

from bonafide.django import conf, records, runtime
from bonafide.django.models import Refusal
from bonafide.terms import ProofKind
from bonafide.testing.in_process import InProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bonafide.testing.client import AppClient

ECHO = "/api/echo"
LONG_AGO_S = 60.0


def lock(settings: Any) -> None:
    """Make the project of the tests the API of `api_urls`, locked by the middleware."""
    settings.ROOT_URLCONF = "tests.django.api_urls"
    settings.ALLOWED_HOSTS = ["*"]
    settings.MIDDLEWARE = ["bonafide.django.middleware.BonafideMiddleware", *settings.MIDDLEWARE]
    settings.BONAFIDE = settings.BONAFIDE | {
        "REVOCATIONS_EVERY": 0,
        "REPLAY_STORE": "memory:",
        "PROCESSES": 1,
        "ROUTES": [
            {"match": "/api/**"},
            {"match": "/open/**", "client": "open", "because": "a load balancer asks"},
            {"match": "/console/**", "client": "browser"},
        ],
    }


def configure(settings: Any, **changes: Any) -> None:
    """Change keys of BONAFIDE. The new replay store is older than every proof of the test."""
    settings.BONAFIDE = settings.BONAFIDE | changes
    long_ago = time.time() - LONG_AGO_S
    runtime.current().replay.remember(secrets.token_bytes(32), created=int(long_ago), now=long_ago)


def rule(settings: Any, **keys: Any) -> None:
    """Have one rule for `/api/**`, and the others as they are."""
    routes = conf.current().routes
    assert isinstance(routes, tuple)
    others = [each for each in routes if each["match"] != "/api/**"]
    configure(settings, ROUTES=[{"match": "/api/**"} | keys, *others])


def signed(
    client: AppClient, method: str = "GET", path: str = ECHO, *, proof: ProofKind = ProofKind.SESSION, **options: Any
) -> httpx.Request:
    """Return a request that would be admitted."""
    client.make_ready()
    request = client.build_request(method, path, **options)
    request.read()
    client.conversation.sign(request, proof=proof)
    return request


def unsigned(method: str = "GET", path: str = ECHO, **options: Any) -> httpx.Request:
    """Return a request of somebody who is no app."""
    return httpx.Request(method, f"https://testserver{path}", **options)


def send(request: httpx.Request) -> httpx.Response:
    """Send as it is, under WSGI."""
    return InProcess().handle_request(request)


def send_to_event_loop(request: httpx.Request) -> httpx.Response:
    """Send as it is, under ASGI; database work stays on this thread, in the test's transaction."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=cast("Any", get_asgi_application()))
        response = await transport.handle_async_request(request)
        await response.aread()
        return response

    with keeping_connections():
        return async_to_sync(ask)()


@contextmanager
def keeping_connections() -> Iterator[None]:
    """Keep Django from giving connections back between requests: this one holds the test's transaction."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    try:
        yield
    finally:
        for signal in (request_started, request_finished):
            signal.connect(close_old_connections)


def refusal(response: httpx.Response) -> Refusal:
    """Return the operator's record of a refusal, found by what the client was told."""
    records.flush()
    return Refusal.objects.get(pk=response.headers["bonafide-record"])


def reason(response: httpx.Response) -> str:
    """Return the reason of a refusal, or "" where nothing was refused."""
    return refusal(response).reason if "bonafide-record" in response.headers else ""


def would_have_refused() -> list[Refusal]:
    """Return every record of a refusal, oldest first."""
    records.flush()
    return list(Refusal.objects.order_by("at"))


def content(response: httpx.Response) -> dict[str, Any]:
    """Return what the view said."""
    assert response.status_code == 200, response.text
    said: dict[str, Any] = json.loads(response.content)
    return said
