"""SimpleJWT's tokens bound to the phone that logged in.

    SIMPLE_JWT = {
        "TOKEN_OBTAIN_SERIALIZER": "bonafide.django.contrib.simplejwt.BoundTokenObtainPairSerializer",
        "TOKEN_REFRESH_SERIALIZER": "bonafide.django.contrib.simplejwt.BoundTokenRefreshSerializer",
    }
    REST_FRAMEWORK = {
        "DEFAULT_AUTHENTICATION_CLASSES": ["bonafide.django.contrib.simplejwt.BoundJWTAuthentication"],
    }

Refresh and access tokens are bound by their `jti`, read from a token that SimpleJWT has verified: the text of a JWT
has several spellings, its id has one. Give the routes of both views `proof = "hardware"`. Sliding tokens keep their
`jti` when they are refreshed and need no hardware proof for it; they are not served here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import InvalidToken
from rest_framework_simplejwt.serializers import TokenObtainPairSerializer, TokenRefreshSerializer
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken

from bonafide.django.binding import bind_credential, require_bound, require_login_proof

if TYPE_CHECKING:
    from django.http import HttpRequest
    from rest_framework.request import Request
    from rest_framework_simplejwt.tokens import Token

ACCESS: Final = "jwt.access"
REFRESH: Final = "jwt.refresh"


class BoundTokenObtainSerializerMixin:
    """Binds the pair that a login makes. Put it before SimpleJWT's or the project's own serializer."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a login without a hardware proof before the password is looked at; then make and bind the pair."""
        request = _django_request(self)
        require_login_proof(request)
        data: dict[str, Any] = super().validate(attrs)  # type: ignore[misc]  # the serializer it is mixed into
        _bind(request, self.token_class(data["refresh"]), REFRESH)  # type: ignore[attr-defined]  # the serializer's
        _bind(request, AccessToken(data["access"]), ACCESS)
        return data


class BoundTokenRefreshSerializerMixin:
    """Refreshes for a hardware proof by the key that the refresh token is bound to, and binds what it makes."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse before anything is rotated. A rotated token's own binding stays until it ends, and opens nothing."""
        request = _django_request(self)
        _require(request, self.token_class(attrs["refresh"]), REFRESH, hardware=True)  # type: ignore[attr-defined]  # the serializer's
        data: dict[str, Any] = super().validate(attrs)  # type: ignore[misc]  # the serializer it is mixed into
        _bind(request, AccessToken(data["access"]), ACCESS)
        if "refresh" in data:
            _bind(request, self.token_class(data["refresh"], verify=False), REFRESH)  # type: ignore[attr-defined]  # the serializer's
        return data


class BoundTokenObtainPairSerializer(BoundTokenObtainSerializerMixin, TokenObtainPairSerializer):
    """For `TOKEN_OBTAIN_SERIALIZER`."""


class BoundTokenRefreshSerializer(BoundTokenRefreshSerializerMixin, TokenRefreshSerializer):
    """For `TOKEN_REFRESH_SERIALIZER`."""


class BoundJWTAuthentication(JWTAuthentication):
    """Believes an access token only from the phone that it is bound to."""

    def authenticate(self, request: Request) -> tuple[Any, Token] | None:
        """Authenticate as SimpleJWT does, then refuse a token that is bound elsewhere or to nothing."""
        found: tuple[Any, Token] | None = super().authenticate(request)
        if found is not None:
            _require(request._request, found[1], ACCESS)  # noqa: SLF001 - Django's own request
        return found


def _django_request(serializer: Any) -> HttpRequest:
    request: HttpRequest = serializer.context["request"]._request  # noqa: SLF001 - Django's own request
    return request


def _bind(request: HttpRequest, token: Token, kind: str) -> None:
    bind_credential(request, _id(token), kind=kind, user=_user(token), expires_at=_end(token))


def _require(request: HttpRequest, token: Token, kind: str, *, hardware: bool = False) -> None:
    require_bound(request, _id(token), kind=kind, user=_user(token), expires_at=_end(token), hardware=hardware)


def _id(token: Token) -> str:
    """Return the token's id. Without one nothing could be told apart, so there is no binding and no entry."""
    found = token.get(api_settings.JTI_CLAIM) if api_settings.JTI_CLAIM else None
    if not isinstance(found, str) or not found:
        message = "Token has no id"
        raise InvalidToken(message)
    return found


def _user(token: Token) -> str | None:
    found = token.get(api_settings.USER_ID_CLAIM)
    return None if found is None else str(found)


def _end(token: Token) -> datetime:
    return datetime.fromtimestamp(token["exp"], UTC)
