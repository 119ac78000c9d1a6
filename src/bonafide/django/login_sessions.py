"""Django's login sessions held to the phone that logged in.

    MIDDLEWARE = [
        "bonafide.django.middleware.BonafideMiddleware",
        ...
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "bonafide.django.login_sessions.BoundSessionMiddleware",
    ]

    require_login_proof(request)
    login(request, user)
    bind_session(request)      # after login() or update_session_auth_hash(): both change the session's key

A browser's login on a `browser` route is bound to nothing, and stays good there; it opens no app route.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.contrib.auth import SESSION_KEY

from bonafide.admission import Exempt
from bonafide.django import binding, refusals
from bonafide.django.service_routes import SERVICE
from bonafide.errors import ConfigurationError, Misuse, VerificationFailed
from bonafide.reasons import configuration as configuration_reasons
from bonafide.reasons import credential as credential_reasons
from bonafide.reasons import misuse as misuse_reasons

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from bonafide.django.binding import Outcome

KIND: Final = "django.session"

_COOKIES: Final = "django.contrib.sessions.backends.signed_cookies"


class BoundSessionMiddleware:
    """Refuses a login session that is bound to another key, or to none. Give it a place behind authentication's."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        """Raise `ConfigurationError` for sessions that lie in the cookie: they have no key to bind."""
        if settings.SESSION_ENGINE == _COOKIES:
            detail = f"SESSION_ENGINE {_COOKIES} keeps no key that a login session could be bound by"
            raise ConfigurationError(configuration_reasons.SETTING_MALFORMED, detail)
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Refuse, or hand on. A refused client is told to drop its cookie, so that the next login can begin."""
        try:
            _require(request)
        except VerificationFailed as refusal:
            response = refusals.answer(request, refusal)
            response.delete_cookie(
                settings.SESSION_COOKIE_NAME,
                path=settings.SESSION_COOKIE_PATH,
                domain=settings.SESSION_COOKIE_DOMAIN,
                samesite=settings.SESSION_COOKIE_SAMESITE,
            )
            return response
        return self._get_response(request)


def bind_session(request: HttpRequest) -> Outcome:
    """Bind the login session that `login()` or `update_session_auth_hash()` has just given a new key.

    Raises as `binding.bind_credential`; `Misuse` (`misuse.not_admitted`) where nobody is logged in.
    """
    if SESSION_KEY not in request.session or request.session.session_key is None:
        raise Misuse(misuse_reasons.NOT_ADMITTED, "there is no login session: call bind_session after login()")
    return binding.bind_credential(
        request,
        request.session.session_key,
        kind=KIND,
        user=request.session[SESSION_KEY],
        expires_at=_ends(request),
    )


def require_bound_session(request: HttpRequest) -> Outcome:
    """Demand a hardware proof by the key of this login session, as a change of password must."""
    key = request.session.session_key if SESSION_KEY in request.session else None
    if key is None:
        raise VerificationFailed(credential_reasons.NOT_BOUND, "nobody is logged in")
    return binding.require_bound(request, key, kind=KIND, hardware=True)


def _require(request: HttpRequest) -> None:
    if settings.SESSION_COOKIE_NAME not in request.COOKIES or SESSION_KEY not in request.session:
        return
    key = request.session.session_key or ""
    if getattr(request, "bonafide", None) is SERVICE:  # its views look at no cookie and no user
        return
    if isinstance(refusals.verdict_of(request), Exempt):
        binding.refuse_bound(request, key, kind=KIND, user=request.session[SESSION_KEY])
        return
    binding.require_bound(request, key, kind=KIND, user=request.session[SESSION_KEY], expires_at=_ends(request))


def _ends(request: HttpRequest) -> datetime:
    """Return when the binding may end: a session that rolls on is prolonged once it would end a day too early."""
    return request.session.get_expiry_date() + binding.PROLONG_AFTER
