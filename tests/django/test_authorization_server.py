"""An OAuth client that others wrote gets a token with our client attestation, and calls our API with it.

The client is client-attestation-sdk, an independent implementation of draft-ietf-oauth-attestation-based-client-auth:
it makes the key, both kinds of proof and every request, and follows our nonces. The authorization server is put
together here from PyJWT and pydpop by sections 7.1 to 7.3 of the draft; nothing of ours verifies anything in it.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import httpx
import jwt  # noqa: TID251 - an authorization server that is not ours
import pydpop
import pytest
from client_attestation_sdk import (
    DRAFT_REVISION,
    AttesterMetadata,
    AttesterProfile,
    ClientAttestation,
    ClientAttestationCredential,
    MintResult,
    SigningKeyPair,
    StaticSvidSource,
)
from cryptography.hazmat.primitives.asymmetric import ec
from django.contrib.auth import get_user_model
from django.urls import include, path
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.tokens import AccessToken

from bonafide.codec import base64url
from bonafide.django.contrib.simplejwt import ConfirmedJWTAuthentication
from bonafide.django.models import App
from bonafide.terms import ProofKind
from bonafide.testing.authorization_server import prove_possession
from bonafide.testing.client import Refused
from bonafide.testing.in_process import InProcess
from tests.django import locked_api
from tests.django.locked_api import reason, send, signed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from client_attestation_sdk import AttesterTransport, MintRequest
    from rest_framework.request import Request

    from bonafide.testing.client import AppClient
    from bonafide.testing.pytest_plugin import Connect

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("api")]

ISSUER: Final = "https://as.example.com"
API: Final = "https://testserver/api/me"


class Me(APIView):
    authentication_classes = [ConfirmedJWTAuthentication]  # noqa: RUF012 - as REST framework has it

    def get(self, request: Request) -> Response:
        verdict: Any = getattr(request._request, "bonafide", None)
        return Response({"user": request.user.get_username(), "proof": verdict.proof})


urlpatterns = [path("api/me", Me.as_view()), path("bonafide/v1/", include("bonafide.django.urls"))]


@pytest.fixture
def api(settings: Any) -> None:
    """Lock the API, which takes DPoP. SimpleJWT verifies the authorization server's tokens by a key that they share."""
    locked_api.lock(settings)
    settings.ROOT_URLCONF = __name__
    settings.SECRET_KEY = "a key of these tests that is long enough for HS256"  # SimpleJWT keeps the first it sees
    settings.SIMPLE_JWT = {"SIGNING_KEY": settings.SECRET_KEY}
    settings.BONAFIDE = settings.BONAFIDE | {"ROUTES": [{"match": "/api/**", "proof": "dpop"}]}


def issue_for(*audiences: str) -> None:
    """Have the service issue client attestations for these authorization servers."""
    app = App.objects.get()
    app.other_audiences = list(audiences)
    app.save()  # not `update`, which tells nobody


@dataclass
class AuthorizationServer:
    """A token endpoint. `log` keeps what became of each request."""

    jwks: dict[str, Any]
    user: int
    token_key: str
    log: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    def answer(self, url: str, headers: dict[str, str], form: dict[str, list[str]]) -> tuple[int, dict[str, str], Any]:
        """Authenticate the client, and issue a token that names its key."""
        try:
            key, client = self.verify_attestation(headers.get("oauth-client-attestation", ""))
            assert form.get("client_id", [client]) == [client]
            if "oauth-client-attestation-pop" in headers:
                self.verify_possession(headers["oauth-client-attestation-pop"], key)
                jkt = None
            else:
                jkt = self.verify_dpop(headers["dpop"], url, key)
        except pydpop.DPoPError as refusal:
            self.log.append(str(refusal))
            error = "use_dpop_nonce" if "nonce" in str(refusal) else "invalid_dpop_proof"
            return 400, {"DPoP-Nonce": self.nonce}, {"error": error}
        except (jwt.InvalidTokenError, AssertionError, KeyError) as refusal:
            self.log.append(f"{type(refusal).__name__} {refusal}".strip())
            return 401, {}, {"error": "invalid_client_attestation"}
        self.log.append("issued")
        bound = {} if jkt is None else {"cnf": {"jkt": jkt}}
        now = int(time.time())
        claims = {"token_type": "access", "jti": secrets.token_hex(8), "user_id": str(self.user), "exp": now + 60}
        token = jwt.encode({**claims, **bound}, self.token_key, algorithm="HS256")
        kind = "Bearer" if jkt is None else "DPoP"
        return 200, {}, {"access_token": token, "token_type": kind, "expires_in": 60}

    def verify_attestation(self, token: str) -> tuple[dict[str, str], str]:
        """Section 7.1: type, algorithm, a trusted attester's signature, expiry, a public key."""
        header = jwt.get_unverified_header(token)
        assert header["typ"] == "oauth-client-attestation+jwt"
        key = next(jwt.PyJWK(entry) for entry in self.jwks["keys"] if entry["kid"] == header["kid"])
        required: Any = {"require": ["sub", "exp", "iat", "cnf"]}
        claims = jwt.decode(token, key, algorithms=["ES256"], audience=ISSUER, options=required)
        assert "bonafide" not in claims
        assert "d" not in claims["cnf"]["jwk"]
        return claims["cnf"]["jwk"], claims["sub"]

    def verify_possession(self, token: str, key: dict[str, str]) -> None:
        """Section 7.2: type, algorithm, the key of the attestation, audience, one use."""
        assert jwt.get_unverified_header(token)["typ"] == "oauth-client-attestation-pop+jwt"
        required: Any = {"require": ["aud", "jti", "iat"]}
        claims = jwt.decode(token, jwt.PyJWK(key, "ES256"), algorithms=["ES256"], audience=ISSUER, options=required)
        self.use_once(claims["jti"])

    def verify_dpop(self, proof: str, url: str, key: dict[str, str]) -> str:
        """Section 7.3: valid by RFC 9449, our nonce, the key of the attestation."""
        said = pydpop.verify_proof(proof=proof, htm="POST", htu=url, expected_nonce=self.nonce)
        assert said["jwk_thumbprint"] == pydpop.jwk_thumbprint(key)
        self.use_once(said["claims"]["jti"])
        return str(said["jwk_thumbprint"])

    def use_once(self, identifier: str) -> None:
        assert identifier not in self.seen
        self.seen.add(identifier)


@dataclass
class Serving:
    """The authorization server on loopback."""

    server: AuthorizationServer
    token_endpoint: str


@pytest.fixture
def authorization(bonafide_client: AppClient) -> Iterator[Serving]:
    """Run an authorization server that trusts our published keys, and have the service issue for it."""
    bonafide_client.make_ready()
    issue_for(ISSUER)
    ada = get_user_model().objects.create_user("ada", password="hers")
    jwks = json.loads(send(locked_api.unsigned(path="/bonafide/v1/jwks.json")).content)
    trusting = AuthorizationServer(jwks=jwks, user=ada.pk, token_key=str(AccessToken().get_token_backend().signing_key))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, added, said = trusting.answer(f"http://{headers['host']}{self.path}", headers, form)
            body = json.dumps(said).encode()
            self.send_response(status)
            for name, value in {**added, "Content-Type": "application/json", "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield Serving(trusting, f"http://127.0.0.1:{http.server_port}/token")
        http.shutdown()
        thread.join()


@pytest.fixture
def mallory(bonafide_client: AppClient, bonafide_connect: Connect, _bonafide_world: Any) -> AppClient:
    del bonafide_client
    return bonafide_connect(device=_bonafide_world.phone())


def shared_key(client: AppClient) -> SigningKeyPair:
    """Return the phone's `sign` key as the other implementation holds it."""
    keychain = client.device.keychain
    private = keychain.sign_key.private_numbers().private_value.to_bytes(32, "big")

    return SigningKeyPair.from_jwk({**keychain.sign_jwk, "d": base64url.encode(private)}, "ES256")


def post(to: Serving, headers: dict[str, str]) -> httpx.Response:
    return httpx.post(to.token_endpoint, data={"grant_type": "client_credentials"}, headers=headers, trust_env=False)


def test_other_side_implements_a_revision_that_we_read() -> None:
    assert int(str(DRAFT_REVISION).rpartition("-")[2]) >= 10


def test_attestation_for_an_authorization_server_is_believed_there_and_at_no_gate(
    bonafide_client: AppClient, authorization: Serving
) -> None:
    token = bonafide_client.attest_for(ISSUER)
    credential = ClientAttestationCredential(token, shared_key(bonafide_client))
    told = post(authorization, credential.dpop_headers("POST", authorization.token_endpoint))
    assert told.json() == {"error": "use_dpop_nonce"}
    headers = credential.dpop_headers("POST", authorization.token_endpoint, told.headers["dpop-nonce"])
    assert post(authorization, headers).json()["token_type"] == "DPoP"
    assert post(authorization, headers).json() == {"error": "invalid_client_attestation"}  # used before

    request = signed(bonafide_client)
    request.headers["oauth-client-attestation"] = token
    assert reason(send(request)) == "client_attestation.not_for_gates"


def test_drafts_own_proof_by_either_side_is_believed(bonafide_client: AppClient, authorization: Serving) -> None:
    token = bonafide_client.attest_for(ISSUER)
    app = bonafide_client.device.build.app
    theirs = ClientAttestationCredential(token, shared_key(bonafide_client)).pop_headers(app, ISSUER)
    ours = {
        "OAuth-Client-Attestation": token,
        "OAuth-Client-Attestation-PoP": prove_possession(
            bonafide_client.device.keychain.sign_key,
            audience=ISSUER,
            identifier=secrets.token_hex(8),
            issued_at=int(time.time()),
        ),
    }
    for headers in (theirs, ours):
        assert post(authorization, headers).json()["token_type"] == "Bearer"


@pytest.mark.parametrize("audience", ["https://testserver", "https://other.example.com"])
def test_attestation_for_another_audience_is_not_believed(
    bonafide_client: AppClient, authorization: Serving, audience: str
) -> None:
    issue_for(ISSUER, "https://other.example.com")
    token = (
        bonafide_client.attest_for(audience)
        if "other" in audience
        else bonafide_client.device.keychain.enrolled.client_attestation  # type: ignore[union-attr]  # it has enrolled
    )
    headers = ClientAttestationCredential(token, shared_key(bonafide_client)).dpop_headers(
        "POST", authorization.token_endpoint, authorization.server.nonce
    )
    assert post(authorization, headers).json() == {"error": "invalid_client_attestation"}
    assert authorization.server.log == ["InvalidAudienceError Audience doesn't match"]


def test_thief_of_an_attestation_gets_nothing(bonafide_client: AppClient, authorization: Serving) -> None:
    credential = ClientAttestationCredential(bonafide_client.attest_for(ISSUER), SigningKeyPair.generate("ES256"))
    headers = credential.dpop_headers("POST", authorization.token_endpoint, authorization.server.nonce)
    assert post(authorization, headers).json() == {"error": "invalid_client_attestation"}


def test_service_issues_for_no_audience_that_it_does_not_list(bonafide_client: AppClient) -> None:
    with pytest.raises(Refused):
        bonafide_client.attest_for("https://evil.example")
    bonafide_client.renew()  # and the device's own goes on


def test_renewals_for_others_leave_the_devices_own_session_as_it_is(
    bonafide_client: AppClient, authorization: Serving
) -> None:
    del authorization
    before = bonafide_client.device.keychain.enrolled
    assert before is not None
    first, second = bonafide_client.attest_for(ISSUER), bonafide_client.attest_for(ISSUER)
    after = bonafide_client.device.keychain.enrolled
    assert after is not None
    assert (after.client_attestation, after.session) == (before.client_attestation, before.session)
    assert before.client_attestation not in {first, second}
    bonafide_client.renew()
    assert locked_api.would_have_refused() == []


class OurApp(AttesterProfile):
    """How the other implementation gets a client attestation: the phone enrols with the key that it has made."""

    def __init__(self, client: AppClient) -> None:
        self.client = client

    def mint(self, transport: AttesterTransport, metadata: AttesterMetadata, request: MintRequest) -> MintResult:
        del transport, metadata
        key = request.instance_key.private_key
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        keychain = self.client.device.keychain
        keychain.sign_key, keychain.enrolled, keychain.enrolment, keychain.attest_key = key, None, None, None
        return MintResult(self.client.attest_for(ISSUER), 60)


def test_client_of_others_gets_a_token_and_calls_the_api(bonafide_client: AppClient, authorization: Serving) -> None:
    """Every proof, retry and header is theirs; ours is the client attestation that travels beside."""
    theirs = ClientAttestation(
        profile=OurApp(bonafide_client),
        metadata=AttesterMetadata(
            evidence_audience=ISSUER, attestation_endpoint=ISSUER, token_endpoint=authorization.token_endpoint
        ),
        evidence=StaticSvidSource("unused"),
        pop_method="dpop_combined",
    )
    auth: httpx.Auth = theirs.httpx_auth()  # type: ignore[no-untyped-call]  # theirs has no annotations
    with httpx.Client(transport=InProcess(), auth=auth) as http:
        theirs.token()
        attestation = bonafide_client.device.keychain.enrolled.client_attestation  # type: ignore[union-attr]  # it has
        beside = {"OAuth-Client-Attestation": attestation}
        for _ in range(3):
            answer = http.get(API, headers=beside)
            assert answer.json() == {"user": "ada", "proof": "dpop"}
            assert answer.request.headers["authorization"].startswith("DPoP ")
    assert authorization.server.log == ["nonce mismatch", "issued"]
    assert [row.reason for row in locked_api.would_have_refused()] == ["dpop.nonce_missing"]


def test_token_of_one_phone_opens_nothing_for_another_with_a_proof_of_its_own(
    bonafide_client: AppClient, authorization: Serving, mallory: AppClient
) -> None:
    own = ClientAttestationCredential(bonafide_client.attest_for(ISSUER), shared_key(bonafide_client))
    headers = own.dpop_headers("POST", authorization.token_endpoint, authorization.server.nonce)
    token = post(authorization, headers).json()["access_token"]
    refused = mallory.get(
        "/api/me", headers={"authorization": f"DPoP {token}"}, extensions={"bonafide_proof": ProofKind.DPOP}
    )
    assert reason(refused) == "credential.bound_to_another_key"
