"""SimpleJWT's tokens open nothing from another phone, and are refreshed for a hardware proof alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth import get_user_model
from django.urls import include, path
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView

from bonafide.django.contrib.rest_framework import Fresh, HardwareProof, MinimumTier
from bonafide.django.contrib.simplejwt import (
    BoundJWTAuthentication,
    BoundTokenObtainPairSerializer,
    BoundTokenRefreshSerializer,
)
from bonafide.django.models import Instance
from bonafide.errors import Misuse
from bonafide.terms import ProofKind, Tier
from tests.django import locked_api
from tests.django.locked_api import content, reason, send, signed

if TYPE_CHECKING:
    import httpx
    from rest_framework.request import Request

    from bonafide.testing.client import AppClient
    from bonafide.testing.pytest_plugin import Connect

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("bound")]


class Me(APIView):
    authentication_classes = [BoundJWTAuthentication]  # noqa: RUF012 - as REST framework has it

    def get(self, request: Request) -> Response:
        return Response({"user": request.user.get_username()})


class Hard(Me):
    permission_classes = [HardwareProof, MinimumTier.of(Tier.WARNING)]  # noqa: RUF012 - as REST framework has it


class Young(Me):
    permission_classes = [Fresh.of(60)]  # noqa: RUF012 - as REST framework has it


urlpatterns = [
    path("api/obtain", TokenObtainPairView.as_view(serializer_class=BoundTokenObtainPairSerializer)),
    path("api/refresh", TokenRefreshView.as_view(serializer_class=BoundTokenRefreshSerializer)),
    path("api/me", Me.as_view()),
    path("api/hard", Hard.as_view()),
    path("api/young", Young.as_view()),
    path("bonafide/v1/", include("bonafide.django.urls")),
]


@pytest.fixture
def bound(settings: Any) -> None:
    locked_api.lock(settings)
    settings.ROOT_URLCONF = __name__
    settings.SECRET_KEY = "a key of these tests that is long enough for HS256"
    settings.SIMPLE_JWT = {"SIGNING_KEY": settings.SECRET_KEY}


@pytest.fixture
def ada(bound: None, bonafide_connect: Connect) -> AppClient:
    get_user_model().objects.create_user("ada", password="hers")
    return bonafide_connect()


@pytest.fixture
def mallory(ada: AppClient, bonafide_connect: Connect, _bonafide_world: Any) -> AppClient:
    return bonafide_connect(device=_bonafide_world.phone())


def post(client: AppClient, to: str, message: dict[str, str], proof: ProofKind = ProofKind.HARDWARE) -> httpx.Response:
    return send(signed(client, "POST", to, json=message, proof=proof))


def obtain(client: AppClient, proof: ProofKind = ProofKind.HARDWARE) -> httpx.Response:
    return post(client, "/api/obtain", {"username": "ada", "password": "hers"}, proof)


def me(client: AppClient, access: str, to: str = "/api/me") -> httpx.Response:
    return send(signed(client, path=to, headers={"Authorization": f"Bearer {access}"}))


def test_access_token_opens_on_its_own_phone_alone(ada: AppClient, mallory: AppClient) -> None:
    access = content(obtain(ada))["access"]
    assert content(me(ada, access)) == {"user": "ada"}
    assert reason(me(mallory, access)) == "credential.bound_to_another_key"


def test_obtaining_with_a_session_proof_is_refused(ada: AppClient) -> None:
    assert reason(obtain(ada, ProofKind.SESSION)) == "credential.hardware_proof_required"


def test_refresh_is_for_a_hardware_proof_by_its_own_key(ada: AppClient, mallory: AppClient) -> None:
    tokens = {"refresh": content(obtain(ada))["refresh"]}
    session = post(ada, "/api/refresh", tokens, ProofKind.SESSION)
    assert reason(session) == "credential.hardware_proof_required"
    assert reason(post(mallory, "/api/refresh", tokens)) == "credential.bound_to_another_key"
    access = content(post(ada, "/api/refresh", tokens))["access"]
    assert content(me(ada, access)) == {"user": "ada"}


def test_permission_refuses_as_the_middleware_does(ada: AppClient) -> None:
    access = content(obtain(ada))["access"]
    assert reason(me(ada, access, "/api/hard")) == "route.proof_kind_too_weak"


def test_permission_for_fresh_evidence_demands_its_age_and_the_key(
    ada: AppClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {"Authorization": f"Bearer {content(obtain(ada))['access']}"}

    def ask(proof: ProofKind) -> httpx.Response:
        return send(signed(ada, path="/api/young", headers=headers, proof=proof))

    assert content(ask(ProofKind.HARDWARE)) == {"user": "ada"}
    assert reason(ask(ProofKind.SESSION)) == "route.proof_kind_too_weak"
    Instance.objects.update(asserted_at=datetime.now(UTC) - timedelta(seconds=70))
    monkeypatch.setattr(ada.device, "make_assertion", lambda _message: [])
    ada.renew()
    assert reason(ask(ProofKind.HARDWARE)) == "route.not_fresh"


@pytest.mark.parametrize("seconds", [0, 3601, True])
def test_permission_for_an_age_that_means_nothing_is_not_made(seconds: int) -> None:
    with pytest.raises(Misuse, match=r"misuse\.fresh_malformed"):
        Fresh.of(seconds)
