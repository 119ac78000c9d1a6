"""The operator's listener: the console with its own limits and policy, as one WSGI callable and as a program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied

from bonafide.django import adapters, runtime
from bonafide.django.governor import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class ContentPolicyMiddleware:
    """Has browsers run only what this listener serves (CSP level 3)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Add the header."""
        response = self._get_response(request)
        response.headers["Content-Security-Policy"] = POLICY
        return response


class LimitedBackend(ModelBackend):
    """Passwords, guessed at no more than the limit `console` allows a client network."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        """Compare, unless too many were compared of late."""
        if request is not None:
            serving = runtime.current()
            address = adapters.client_address(request.META, serving.settings.trusted_proxies)
            if serving.governor.network(Endpoint.CONSOLE, address) is not None:
                raise PermissionDenied
        return super().authenticate(request, username=username, password=password, **kwargs)
