"""SimpleJWT's tokens bound to the phone that logged in.

    SIMPLE_JWT = {
        "TOKEN_OBTAIN_SERIALIZER": "bonafide.django.contrib.simplejwt.BoundTokenObtainPairSerializer",
        "TOKEN_REFRESH_SERIALIZER": "bonafide.django.contrib.simplejwt.BoundTokenRefreshSerializer",
    }
    REST_FRAMEWORK = {
        "DEFAULT_AUTHENTICATION_CLASSES": ["bonafide.django.contrib.simplejwt.BoundJWTAuthentication"],
    }

Refresh and access tokens are bound by their `jti`, read from a token that SimpleJWT has verified: the text of a JWT
has several spellings, its id has one. They also name the key (`cnf` with `jkt`, RFC 9449 section 6.1), so that an API
without this database can tell whose they are. On routes with `proof = "dpop"` tokens come as `Authorization: DPoP …`,
which the classes here read beside SimpleJWT's own AUTH_HEADER_TYPES. Give the routes of both views
`proof = "hardware"`. Sliding tokens keep their `jti` when they are refreshed and need no hardware proof for it; they
are not served here.
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
from bonafide.django.confirmation import CLAIM, confirmation, require_confirmed

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
        refresh = self.token_class(data["refresh"])  # type: ignore[attr-defined]  # the serializer's
        data["refresh"] = _bind(request, refresh, REFRESH)
        data["access"] = _bind(request, AccessToken(data["access"]), ACCESS)
        return data


class BoundTokenRefreshSerializerMixin:
    """Refreshes for a hardware proof by the key that the refresh token is bound to, and binds what it makes."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse before anything is rotated. A rotated token's own binding stays until it ends, and opens nothing."""
        request = _django_request(self)
        _require(request, self.token_class(attrs["refresh"]), REFRESH, hardware=True)  # type: ignore[attr-defined]  # the serializer's
        data: dict[str, Any] = super().validate(attrs)  # type: ignore[misc]  # the serializer it is mixed into
        data["access"] = _bind(request, AccessToken(data["access"]), ACCESS)
        if "refresh" in data:
            rotated = self.token_class(data["refresh"], verify=False)  # type: ignore[attr-defined]  # the serializer's
            data["refresh"] = _bind(request, rotated, REFRESH)
        return data


class BoundTokenObtainPairSerializer(BoundTokenObtainSerializerMixin, TokenObtainPairSerializer):
    """For `TOKEN_OBTAIN_SERIALIZER`."""


class BoundTokenRefreshSerializer(BoundTokenRefreshSerializerMixin, TokenRefreshSerializer):
    """For `TOKEN_REFRESH_SERIALIZER`."""


class _ProvenJWTAuthentication(JWTAuthentication):
    """Reads a token of the scheme `DPoP` as well: what is asked of it afterwards is asked of every token."""

    def get_raw_token(self, header: bytes) -> bytes | None:
        """Return the token of an Authorization header; None where it is of another scheme."""
        scheme, _, token = header.partition(b" ")
        if scheme.lower() == b"dpop" and token and b" " not in token:
            return token
        found: bytes | None = super().get_raw_token(header)
        return found


class BoundJWTAuthentication(_ProvenJWTAuthentication):
    """Believes an access token only from the phone that it is bound to."""

    def authenticate(self, request: Request) -> tuple[Any, Token] | None:
        """Authenticate as SimpleJWT does, then refuse a token that is bound elsewhere or to nothing."""
        found: tuple[Any, Token] | None = super().authenticate(request)
        if found is not None:
            _require(request._request, found[1], ACCESS)  # noqa: SLF001 - Django's own request
        return found


class ConfirmedJWTAuthentication(_ProvenJWTAuthentication):
    """Believes an access token only from the phone whose key it names, and asks no database.

    For tokens of an authorization server that binds them by DPoP; SimpleJWT verifies them (`JWK_URL`, `ISSUER`,
    `AUDIENCE`). A token that names no key is refused.
    """

    def authenticate(self, request: Request) -> tuple[Any, Token] | None:
        """Authenticate as SimpleJWT does, then refuse a token that names another key or none."""
        found: tuple[Any, Token] | None = super().authenticate(request)
        if found is not None:
            require_confirmed(request._request, found[1].payload)  # noqa: SLF001 - Django's own request
        return found


def _django_request(serializer: Any) -> HttpRequest:
    request: HttpRequest = serializer.context["request"]._request  # noqa: SLF001 - Django's own request
    return request


def _bind(request: HttpRequest, token: Token, kind: str) -> str:
    """Bind a token that was just made, and return its text: where it was bound, it names the key."""
    bind_credential(request, _id(token), kind=kind, user=_user(token), expires_at=_end(token))
    named = confirmation(request)
    if named is not None:
        before = token.payload.get(CLAIM)
        token[CLAIM] = {**before, **named} if isinstance(before, dict) else named
    return str(token)


def _require(request: HttpRequest, token: Token, kind: str, *, hardware: bool = False) -> None:
    require_confirmed(request, token.payload, optional=True)  # what was issued before tokens named keys is in the table
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
