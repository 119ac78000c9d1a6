"""The token of `rest_framework.authtoken`, held to the phones that logged in.

    REST_FRAMEWORK = {
        "DEFAULT_AUTHENTICATION_CLASSES": ["bonafide.django.contrib.authtoken.BoundTokenAuthentication"],
    }
    path("api/login", BoundObtainAuthToken.as_view())     # its route has proof = "hardware"

There is one token per user, so the claim is "one of this user's enrolled devices", and no more: whoever was given the
token by a login with a hardware proof may use it, on that device. Not claimed: that it is the device at which the token
was made, nor that one device's traffic can be told from another's by it. Each device is a row, added by its own
login. A logout ends one device (`log_out_device`), a change of password all of them (`replace_token`).

The token is bound by its `key` as the database has it. It has no end of its own: its bindings go when it is deleted
(`bonafide.django.credential_endings`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.apps import apps
from django.db import router, transaction
from rest_framework.authentication import TokenAuthentication
from rest_framework.authtoken.models import Token
from rest_framework.authtoken.views import ObtainAuthToken
from rest_framework.exceptions import NotAuthenticated

from bonafide.django import binding
from bonafide.django.contrib.rest_framework import LoginProofMixin
from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.response import Response

    from bonafide.django.binding import Outcome

if not apps.is_installed("rest_framework.authtoken"):
    raise ConfigurationError(configuration.SETTING_MALFORMED, "INSTALLED_APPS lacks rest_framework.authtoken")

KIND: Final = "drf.token"


class BoundTokenAuthenticationMixin:
    """Believes a token only from a phone that it is bound to. Put it before the project's own authentication."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """Authenticate as REST framework does, then refuse a token that is bound elsewhere or to nothing."""
        found: tuple[Any, Any] | None = super().authenticate(request)  # type: ignore[misc]  # what it is mixed into
        if found is not None:
            _require(request, found[1])
        return found


class BoundTokenAuthentication(BoundTokenAuthenticationMixin, TokenAuthentication):
    """For DEFAULT_AUTHENTICATION_CLASSES. A subclass may name a `model` and a `keyword` of its own."""


class BoundObtainTokenMixin(LoginProofMixin):
    """Binds the token that a login hands out, be it new or the one of the user's other devices.

    Put it before `ObtainAuthToken` or a view that answers as it does, with the member `token`. A login of another
    form calls `require_login_proof` and `bind_token` itself.
    """

    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Log in, and bind what the answer holds before it is given out."""
        using = router.db_for_write(Token)
        with transaction.atomic(using=using):
            response: Response = super().post(request, *args, **kwargs)  # type: ignore[misc]  # what it is mixed into
            bind_token(request, Token.objects.using(using).get(key=response.data["token"]))
        return response


class BoundObtainAuthToken(BoundObtainTokenMixin, ObtainAuthToken):
    """For the URL of the login."""


def bind_token(request: Request, token: Any) -> Outcome:
    """Bind a token to the phone of this login. Raises as `binding.bind_credential`."""
    return binding.bind_credential(_django(request), token.key, kind=KIND, user=token.user_id)


def require_bound_token(request: Request) -> Outcome:
    """Demand a hardware proof by a key of this request's token, as a change of password must.

    Raises as `binding.require_bound`, and REST framework's `NotAuthenticated` where `BoundTokenAuthentication` (or
    its mixin) did not authenticate the request.
    """
    return _require(request, _token(request), hardware=True)


def replace_token(request: Request) -> Any:
    """End this request's token on all devices, and return a new one that is bound to this phone alone.

    For a change of password. Raises as `require_bound_token`.
    """
    token = _token(request)
    require_bound_token(request)
    model, owner = type(token), token.user
    using = router.db_for_write(model)
    with transaction.atomic(using=using):
        model.objects.using(using).filter(key=token.key).delete()
        made = model.objects.using(using).create(user=owner)
        bind_token(request, made)
    return made


def log_out_device(request: Request) -> None:
    """End this device's use of the token; on the last device that is bound, end the token itself.

    Where nothing is bound (the route observes), the token ends for all: it cannot tell devices apart.
    Raises `NotAuthenticated` as `require_bound_token`.
    """
    token = _token(request)
    model = type(token)
    using = router.db_for_write(model)
    with transaction.atomic(using=using):
        if not binding.release_device(_django(request), token.key):
            model.objects.using(using).filter(key=token.key).delete()


def _token(request: Request) -> Any:
    """Return the token that was believed for this request, and never one that nothing held to a phone."""
    believed_by: object = request.successful_authenticator
    if not isinstance(believed_by, BoundTokenAuthenticationMixin):
        raise NotAuthenticated
    return request.auth


def _require(request: Request, token: Any, *, hardware: bool = False) -> Outcome:
    return binding.require_bound(_django(request), token.key, kind=KIND, user=token.user_id, hardware=hardware)


def _django(request: Request) -> Any:
    return request._request  # noqa: SLF001 - Django's own request
