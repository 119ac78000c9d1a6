"""The API that the tests of bindings, decorators and permissions lock: logins, and views that believe them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model, login, update_session_auth_hash
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from bonafide.django import binding, login_sessions
from bonafide.django.decorators import require_admitted, require_fresh, require_hardware_proof, require_tier
from bonafide.terms import Tier
from tests.django import locked_api

if TYPE_CHECKING:
    from collections.abc import Callable

LIFE = timedelta(days=3)
HARD = ["/api/login", "/api/refresh", "/api/session/login", "/api/session/password"]


def lock(settings: Any, **changes: Any) -> None:
    """Make the project of the tests this API."""
    locked_api.lock(settings)
    settings.ROOT_URLCONF = "tests.django.bound_api"
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "bonafide.django.login_sessions.BoundSessionMiddleware"]
    settings.BONAFIDE = settings.BONAFIDE | changes


def bearer(request: HttpRequest) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ")


def body(request: HttpRequest) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(request.body or b"{}")
    return said


@csrf_exempt
def log_in(request: HttpRequest) -> HttpResponse:
    """Bind the token that the client asks to have."""
    asked = body(request)
    ends = datetime.now(UTC) + timedelta(seconds=asked["life"]) if "life" in asked else None
    outcome = binding.bind_credential(request, asked["token"], user=asked.get("user"), expires_at=ends)
    return JsonResponse({"outcome": outcome, "before": binding.require_login_proof(request)})


def me(request: HttpRequest) -> HttpResponse:
    """Believe a token."""
    return JsonResponse({"outcome": binding.require_bound(request, bearer(request), user="7")})


async def later(request: HttpRequest) -> HttpResponse:
    """Believe a token, from an event loop."""
    return JsonResponse({"outcome": await binding.arequire_bound(request, bearer(request))})


def other_kind(request: HttpRequest) -> HttpResponse:
    """Believe a token of another kind."""
    return JsonResponse({"outcome": binding.require_bound(request, bearer(request), kind="refresh")})


def long_lived(request: HttpRequest) -> HttpResponse:
    """Believe a token that now ends much later."""
    ends = datetime.now(UTC) + LIFE
    return JsonResponse({"outcome": binding.require_bound(request, bearer(request), expires_at=ends)})


@csrf_exempt
def refresh(request: HttpRequest) -> HttpResponse:
    """Demand a proof by the key itself."""
    return JsonResponse({"outcome": binding.require_bound(request, bearer(request), hardware=True)})


@csrf_exempt
def session_login(request: HttpRequest) -> HttpResponse:
    """Begin a login session, bound unless it is a browser's."""
    login(request, get_user_model().objects.get(username="ada"))
    return JsonResponse(
        {"outcome": "" if request.path.startswith("/console/") else login_sessions.bind_session(request)}
    )


@csrf_exempt
def session_password(request: HttpRequest) -> HttpResponse:
    """Change the key of a login session."""
    login_sessions.require_bound_session(request)
    update_session_auth_hash(request, request.user)  # type: ignore[arg-type]  # a user who is logged in
    return JsonResponse({"outcome": login_sessions.bind_session(request) if body(request).get("bind") else ""})


def whoami(request: HttpRequest) -> HttpResponse:
    """Say who is logged in."""
    return JsonResponse({"user": request.user.get_username()})


def bind_nobody(request: HttpRequest) -> HttpResponse:
    """Forget to log in."""
    return JsonResponse({"outcome": login_sessions.bind_session(request)})


def passed(_request: HttpRequest) -> HttpResponse:
    """Answer whoever gets here."""
    return JsonResponse({"outcome": "passed"})


async def passed_later(_request: HttpRequest) -> HttpResponse:
    """Answer whoever gets here, from an event loop."""
    return JsonResponse({"outcome": "passed"})


VIEWS: dict[str, Callable[..., Any]] = {
    "admitted": require_admitted(passed),
    "admitted-strict": require_admitted(strict=True)(passed),
    "fresh": require_fresh(30)(passed),
    "fresh-later": require_fresh(30)(passed_later),
    "fresh-strict": require_fresh(30, strict=True)(passed),
    "hardware": require_hardware_proof(passed),
    "hardware-strict": require_hardware_proof(strict=True)(passed),
    "hardware-later": require_hardware_proof(passed_later),
    "warning": require_tier(Tier.WARNING)(passed),
    "affirming": require_tier(Tier.AFFIRMING)(passed),
    "affirming-strict": require_tier(Tier.AFFIRMING, strict=True)(passed),
}

urlpatterns = [
    path("api/login", log_in),
    path("api/me", me),
    path("api/later", later),
    path("api/other", other_kind),
    path("api/long", long_lived),
    path("api/refresh", refresh),
    path("api/session/login", session_login),
    path("api/session/password", session_password),
    path("api/session/nobody", bind_nobody),
    path("api/session/whoami", whoami),
    path("open/login", log_in),
    path("open/me", me),
    path("open/refresh", refresh),
    path("console/login", session_login),
    path("console/whoami", whoami),
    *(path(f"api/{name}", view) for name, view in VIEWS.items()),
    *(path(f"open/{name}", view) for name, view in VIEWS.items()),
    path("bonafide/v1/", include("bonafide.django.urls")),
]
