"""SimpleJWT's tokens open nothing from another phone, and are refreshed for a hardware proof alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth import get_user_model
from django.urls import include, path
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.tokens import AccessToken
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView

from bonafide.codec import base64url, json
from bonafide.django.contrib.rest_framework import Fresh, HardwareProof, MinimumTier
from bonafide.django.contrib.simplejwt import (
    BoundJWTAuthentication,
    BoundTokenObtainPairSerializer,
    BoundTokenRefreshSerializer,
    ConfirmedJWTAuthentication,
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


class Elsewhere(Me):
    authentication_classes = [ConfirmedJWTAuthentication]  # noqa: RUF012 - as REST framework has it


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
    path("api/elsewhere", Elsewhere.as_view()),
    path("open/elsewhere", Elsewhere.as_view()),
    path("api/dpop/me", Me.as_view()),
    path("api/dpop/elsewhere", Elsewhere.as_view()),
    path("api/dpop/hard", Hard.as_view()),
    path("bonafide/v1/", include("bonafide.django.urls")),
]


@pytest.fixture
def bound(settings: Any) -> None:
    locked_api.lock(settings)
    settings.ROOT_URLCONF = __name__
    settings.SECRET_KEY = "a key of these tests that is long enough for HS256"
    settings.SIMPLE_JWT = {"SIGNING_KEY": settings.SECRET_KEY}
    rules = [{"match": "/api/dpop/**", "proof": "dpop"}, *settings.BONAFIDE["ROUTES"]]
    settings.BONAFIDE = settings.BONAFIDE | {"ROUTES": rules}


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


# Tokens that name their key ------------------------------------------------------------------------


def claims_of(token: str) -> dict[str, Any]:
    return dict(json.parse_object(base64url.decode(token.split(".")[1])))


def made(ada: AppClient, **claims: Any) -> str:
    """Return a token as somebody else's authorization server makes it: bound in no table."""
    token = AccessToken.for_user(get_user_model().objects.get(username="ada"))
    for name, value in claims.items():
        token[name] = value
    return str(token)


def with_dpop(client: AppClient, access: str, to: str = "/api/dpop/me") -> httpx.Response:
    """Send as a client of OAuth does: its own proof, and the nonce that it was told."""
    sent = partial(signed, client, path=to, headers={"Authorization": f"DPoP {access}"}, proof=ProofKind.DPOP)
    first = send(sent())
    client.conversation.learn_nonce(first)
    return send(sent()) if first.status_code == 401 and "dpop-nonce" in first.headers else first


def test_tokens_name_the_key_that_logged_in(ada: AppClient) -> None:
    tokens = content(obtain(ada))
    named = {"jkt": ada.device.keychain.jkt}
    assert claims_of(tokens["access"])["cnf"] == claims_of(tokens["refresh"])["cnf"] == named
    refreshed = content(post(ada, "/api/refresh", {"refresh": tokens["refresh"]}))
    assert claims_of(refreshed["access"])["cnf"] == named


def test_token_names_no_key_where_nothing_is_bound(ada: AppClient, settings: Any) -> None:
    locked_api.rule(settings, mode="observe")
    assert "cnf" not in claims_of(content(obtain(ada))["access"])


def test_bound_token_opens_for_a_dpop_proof_by_its_key(ada: AppClient, mallory: AppClient) -> None:
    access = content(obtain(ada))["access"]
    assert content(with_dpop(ada, access)) == {"user": "ada"}
    refused = with_dpop(mallory, access)
    assert reason(refused) == "credential.bound_to_another_key"
    assert refused.headers["www-authenticate"] == 'DPoP algs="ES256", error="invalid_token"'


def test_dpop_proof_is_no_hardware_proof_for_a_permission_or_a_login(ada: AppClient) -> None:
    access = content(obtain(ada))["access"]
    assert reason(with_dpop(ada, access, "/api/dpop/hard")) == "route.proof_kind_too_weak"


@pytest.mark.parametrize("to", ["/api/elsewhere", "/api/dpop/elsewhere"])
def test_token_of_an_authorization_server_opens_for_the_key_that_it_names(
    ada: AppClient, mallory: AppClient, to: str
) -> None:
    ask = with_dpop if "dpop" in to else me
    access = made(ada, cnf={"jkt": ada.device.keychain.jkt})
    assert content(ask(ada, access, to)) == {"user": "ada"}
    assert reason(ask(mallory, access, to)) == "credential.bound_to_another_key"


@pytest.mark.parametrize(
    "claims", [{}, {"cnf": None}, {"cnf": {}}, {"cnf": {"jkt": 7}}, {"cnf": {"x5t#S256": "x"}}, {"cnf": "x"}], ids=str
)
def test_token_that_names_no_key_is_refused(ada: AppClient, claims: dict[str, Any]) -> None:
    assert reason(me(ada, made(ada, **claims), "/api/elsewhere")) == "credential.confirmation_missing"


def test_token_that_names_a_key_is_no_bearer_token(ada: AppClient) -> None:
    """RFC 9449 section 7.2, on a route that asks for no proof."""
    access = made(ada, cnf={"jkt": ada.device.keychain.jkt})
    bare = locked_api.unsigned(path="/open/elsewhere", headers={"Authorization": f"Bearer {access}"})
    assert reason(send(bare)) == "credential.proof_missing"


def test_bound_token_whose_cnf_was_issued_to_another_key_is_refused_by_its_claim(
    ada: AppClient, mallory: AppClient
) -> None:
    """The table and the claim are looked at both: here the row is ours, and the claim another's."""
    text = content(obtain(ada))["access"]
    token = AccessToken(text)
    token["cnf"] = {"jkt": mallory.device.keychain.jkt}
    assert reason(me(ada, str(token))) == "credential.bound_to_another_key"


def test_rehearsal_refuses_no_token_and_writes_it_down(ada: AppClient, settings: Any) -> None:
    locked_api.rule(settings, mode="observe")
    assert content(me(ada, made(ada), "/api/elsewhere")) == {"user": "ada"}
    assert [row.reason for row in locked_api.would_have_refused()] == ["credential.confirmation_missing"]
