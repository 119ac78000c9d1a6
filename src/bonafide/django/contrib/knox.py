"""The tokens of django-rest-knox, each held to the phone that logged in.

    REST_FRAMEWORK = {
        "DEFAULT_AUTHENTICATION_CLASSES": ["bonafide.django.contrib.knox.BoundTokenAuthentication"],
    }
    path("api/login", BoundLoginView.as_view(authentication_classes=[BasicAuthentication]))    # proof = "hardware"
    path("api/logout", BoundLogoutView.as_view())
    path("api/logoutall", BoundLogoutAllView.as_view())

knox makes a token for each login, so the claim is "exactly the device that logged in". Do not include `knox.urls`: its
logouts believe a token from anywhere.

A token is bound by the digest that knox keeps of it: the token itself is nowhere when another device's is ended. So the
row holds SHA-256 of that digest. Bindings go with their tokens, whoever deletes these: a logout, `logoutall`, knox's
own removal of what has expired, the admin (`bonafide.django.credential_endings`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.apps import apps
from django.db import router, transaction
from django.utils import timezone
from rest_framework.exceptions import NotAuthenticated

from bonafide.django import binding
from bonafide.django.contrib.rest_framework import LoginProofMixin
from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration

if not apps.is_installed("knox"):
    raise ConfigurationError(configuration.SETTING_MALFORMED, "INSTALLED_APPS lacks knox")

from knox.auth import TokenAuthentication
from knox.models import get_token_model
from knox.settings import knox_settings
from knox.views import LoginView, LogoutAllView, LogoutView

if TYPE_CHECKING:
    from datetime import datetime

    from rest_framework.request import Request

    from bonafide.django.binding import Outcome

KIND: Final = "knox.token"


class BoundTokenAuthenticationMixin:
    """Believes a token only from the phone that it is bound to. Put it before knox's or the project's own."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """Authenticate as knox does, refuse a token that is bound elsewhere or to nothing, and only then renew it."""
        found: tuple[Any, Any] | None = super().authenticate(request)  # type: ignore[misc]  # what it is mixed into
        if found is not None:
            token = found[1]
            _require(request, token)
            if knox_settings.AUTO_REFRESH and token.expiry:
                super().renew_token(token)  # type: ignore[misc]  # what it is mixed into
        return found

    def renew_token(self, auth_token: Any) -> None:
        """Leave the token as it is: knox renews before anybody knows from which phone it came."""


class BoundTokenAuthentication(BoundTokenAuthenticationMixin, TokenAuthentication):  # type: ignore[misc]  # knox ships no types
    """For DEFAULT_AUTHENTICATION_CLASSES."""


class BoundLoginMixin(LoginProofMixin):
    """Binds the token that a login makes. Put it before knox's or the project's own login view."""

    def create_token(self) -> tuple[Any, str]:
        """Make a token and bind it, both or neither."""
        with transaction.atomic(using=router.db_for_write(get_token_model())):
            made: tuple[Any, str] = super().create_token()  # type: ignore[misc]  # the view it is mixed into
            bind_token(self.request, made[0])  # type: ignore[attr-defined]  # the view's
        return made


class BoundLoginView(BoundLoginMixin, LoginView):  # type: ignore[misc]  # knox ships no types
    """For the URL of the login. Name the classes that believe a password in `authentication_classes`."""


class BoundLogoutView(LogoutView):  # type: ignore[misc]  # knox ships no types
    """Ends the token of this phone, for a request by this phone."""

    authentication_classes = (BoundTokenAuthentication,)


class BoundLogoutAllView(LogoutAllView):  # type: ignore[misc]  # knox ships no types
    """Ends the user's tokens on all phones, for a request by one that is bound."""

    authentication_classes = (BoundTokenAuthentication,)


def bind_token(request: Request, token: Any) -> Outcome:
    """Bind a token (knox's row) to the phone of this login. Raises as `binding.bind_credential`."""
    return binding.bind_credential(
        _django(request), token.digest, kind=KIND, user=token.user_id, expires_at=_end(token)
    )


def require_bound_token(request: Request) -> Outcome:
    """Demand a hardware proof by the key of this request's token, as a change of password must.

    Raises as `binding.require_bound`, and REST framework's `NotAuthenticated` where `BoundTokenAuthentication` (or
    its mixin) did not authenticate the request.
    """
    believed_by: object = request.successful_authenticator
    if not isinstance(believed_by, BoundTokenAuthenticationMixin):
        raise NotAuthenticated
    return _require(request, request.auth, hardware=True)


def _require(request: Request, token: Any, *, hardware: bool = False) -> Outcome:
    return binding.require_bound(
        _django(request), token.digest, kind=KIND, user=token.user_id, expires_at=_end(token), hardware=hardware
    )


def _end(token: Any) -> datetime | None:
    """Return when the binding of a token ends: never before the token, also where its use renews it.

    A binding is prolonged only when it would end more than PROLONG_AFTER too early, so it ends that much later.
    """
    expiry: datetime | None = token.expiry
    if expiry is None or not knox_settings.AUTO_REFRESH:
        return expiry
    renewed: datetime = timezone.now() + knox_settings.TOKEN_TTL
    return max(expiry, renewed) + binding.PROLONG_AFTER


def _django(request: Request) -> Any:
    return request._request  # noqa: SLF001 - Django's own request
