"""An API whose users log in for a token of `rest_framework.authtoken` and one of knox, each bound to its phone."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.urls import include, path
from rest_framework.authentication import BasicAuthentication
from rest_framework.authtoken.views import ObtainAuthToken
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from bonafide.django.contrib import authtoken, knox
from bonafide.terms import ProofKind
from tests.django import locked_api
from tests.django.locked_api import content, send, signed, unsigned

if TYPE_CHECKING:
    import httpx
    from rest_framework.request import Request

    from bonafide.testing.client import AppClient

PASSWORDS = {"ada": "hers", "mallory": "his own"}


class Me(APIView):
    """Says who is believed."""

    permission_classes = (IsAuthenticated,)

    def get(self, request: Request) -> Response:
        return Response({"user": request.user.get_username()})


class DrfMe(Me):
    authentication_classes = (authtoken.BoundTokenAuthentication,)


class DrfLogout(DrfMe):
    def post(self, request: Request) -> Response:
        authtoken.log_out_device(request)
        return Response({})


class DrfPassword(DrfMe):
    def post(self, request: Request) -> Response:
        return Response({"token": authtoken.replace_token(request).key})


class DrfHard(DrfMe):
    def post(self, request: Request) -> Response:
        return Response({"outcome": authtoken.require_bound_token(request)})


class Careless(APIView):
    """Forgets to authenticate by a bound class."""

    authentication_classes = (BasicAuthentication,)

    def post(self, request: Request, kind: str) -> Response:
        require = {"drf": authtoken.require_bound_token, "knox": knox.require_bound_token}[kind]
        return Response({"outcome": require(request)})


class KnoxMe(Me):
    authentication_classes = (knox.BoundTokenAuthentication,)


class KnoxPassword(KnoxMe):
    def post(self, request: Request) -> Response:
        return Response({"outcome": knox.require_bound_token(request)})


class Healthy(APIView):
    """Says that the server is there."""

    authentication_classes = ()

    def get(self, _request: Request) -> Response:
        return Response({})


urlpatterns = [
    path("api/drf/login", authtoken.BoundObtainAuthToken.as_view()),
    path("api/drf/before", ObtainAuthToken.as_view()),
    path("api/drf/me", DrfMe.as_view()),
    path("api/drf/logout", DrfLogout.as_view()),
    path("api/drf/password", DrfPassword.as_view()),
    path("api/drf/hard", DrfHard.as_view()),
    path("api/knox/login", knox.BoundLoginView.as_view(authentication_classes=[BasicAuthentication])),
    path("api/knox/me", KnoxMe.as_view()),
    path("api/knox/logout", knox.BoundLogoutView.as_view()),
    path("api/knox/logoutall", knox.BoundLogoutAllView.as_view()),
    path("api/knox/password", KnoxPassword.as_view()),
    path("api/<kind>/careless", Careless.as_view()),
    path("open/drf/me", DrfMe.as_view()),
    path("open/knox/me", KnoxMe.as_view()),
    path("open/health", Healthy.as_view()),
    path("bonafide/v1/", include("bonafide.django.urls")),
]


def lock(settings: Any) -> None:
    """Make the project of the tests this API."""
    locked_api.lock(settings)
    settings.ROOT_URLCONF = __name__


def add_users() -> None:
    for name, password in PASSWORDS.items():
        get_user_model().objects.create_user(name, password=password)


def post(
    client: AppClient, to: str, proof: ProofKind = ProofKind.HARDWARE, token: str = "", **options: Any
) -> httpx.Response:
    headers = {"Authorization": f"Token {token}"} if token else {}
    return send(signed(client, "POST", to, proof=proof, **{"headers": headers} | options))


def drf_login(client: AppClient, name: str = "ada", proof: ProofKind = ProofKind.HARDWARE) -> httpx.Response:
    return post(client, "/api/drf/login", proof, json={"username": name, "password": PASSWORDS[name]})


def basic(name: str) -> dict[str, str]:
    octets = f"{name}:{PASSWORDS[name]}".encode()
    return {"Authorization": f"Basic {b64encode(octets).decode()}"}


def knox_login(client: AppClient, name: str = "ada", proof: ProofKind = ProofKind.HARDWARE) -> httpx.Response:
    return post(client, "/api/knox/login", proof, headers=basic(name))


def drf_token(client: AppClient, name: str = "ada") -> str:
    return str(content(drf_login(client, name))["token"])


def knox_token(client: AppClient, name: str = "ada") -> str:
    return str(content(knox_login(client, name))["token"])


def me(client: AppClient, kind: str, token: str) -> httpx.Response:
    return send(signed(client, path=f"/api/{kind}/me", headers={"Authorization": f"Token {token}"}))


def unproven(kind: str, token: str, where: str = "api") -> httpx.Response:
    """Ask as a script does."""
    return send(unsigned(path=f"/{where}/{kind}/me", headers={"Authorization": f"Token {token}"}))
