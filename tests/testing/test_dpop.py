"""What a client of ours signs with DPoP is what it sends, with the last nonce that it was told."""

from __future__ import annotations

import httpx
import pytest

from bonafide.errors import MalformedEvidence
from bonafide.proof import dpop as proofs
from bonafide.terms import ProofKind
from bonafide.testing import dpop
from bonafide.testing.client import OutcomeUnknown
from tests.gate_world import SIGN
from tests.testing.app_world import World, new_world
from tests.testing.scripted_service import Refusal

IDENTIFIER = "identifier-0000001"


def proven(url: str, nonce: str | None = None, **headers: str) -> httpx.Request:
    request = httpx.Request("GET", url, headers=headers)
    dpop.prove(request, SIGN, attestation="a.b.c", issued_at=7, identifier=IDENTIFIER, nonce=nonce)
    return request


def said(request: httpx.Request) -> proofs.DpopProof:
    return proofs.parse_proof(request.headers["dpop"])


def test_proof_names_what_is_sent_without_its_query() -> None:
    request = proven("https://api.example.com:444/api/b%C3%A9%7e?x=1#y", "a-nonce")
    assert request.url.raw_path == b"/api/b%C3%A9~?x=1"
    found = said(request)
    assert (found.method, found.target) == ("GET", "https://api.example.com:444/api/b%C3%A9~")
    assert (found.issued_at, found.identifier, found.nonce) == (7, IDENTIFIER, "a-nonce")
    assert request.headers["oauth-client-attestation"] == "a.b.c"


def test_proof_names_the_access_token_of_its_scheme_and_no_other() -> None:
    assert said(proven("https://a.example/", authorization="dpop the-token")).token_hash == proofs.token_hash(
        "the-token"
    )
    assert said(proven("https://a.example/", authorization="Bearer the-token")).token_hash is None
    assert said(proven("https://a.example/")).token_hash is None


def test_what_an_earlier_attempt_left_is_replaced() -> None:
    request = proven("https://a.example/", signature="x", **{"signature-input": "x", "content-digest": "x"})
    before = request.headers["dpop"]
    dpop.prove(request, SIGN, attestation=None, issued_at=8, identifier=IDENTIFIER, nonce=None)
    assert request.headers.get_list("dpop") != [before]
    assert not {"signature", "signature-input", "content-digest", "oauth-client-attestation"} & request.headers.keys()


def test_target_that_has_no_admitted_spelling_is_not_signed() -> None:
    with pytest.raises(MalformedEvidence):
        proven("https://a.example/a%2Fb")


def test_nonce_is_used_for_four_minutes() -> None:
    nonce = dpop.Nonce()
    assert nonce.at(0.0) is None
    assert not nonce.learn(httpx.Response(200), 100.0)
    assert nonce.learn(httpx.Response(401, headers={"DPoP-Nonce": "first"}), 100.0)
    assert (nonce.at(100.0), nonce.at(339.0), nonce.at(340.0)) == ("first", "first", None)
    nonce.learn(httpx.Response(200, headers={"DPoP-Nonce": "second"}), 200.0)
    assert nonce.at(339.0) == "second"


# A whole conversation: the scripted service answers, and its API says what it wants ---------------------

EXTENSIONS = {"bonafide_proof": ProofKind.DPOP}


def wants(nonce: str) -> httpx.Response:
    return httpx.Response(401, headers={"bonafide-action": "sign_again", "dpop-nonce": nonce})


def has_nonce(nonce: str) -> httpx.Response:
    return httpx.Response(200, json={"attestation_challenge": nonce, "expires_in": 300}, headers={"dpop-nonce": nonce})


@pytest.fixture
def world() -> World:
    world = new_world()
    world.start().enrol()
    world.service.script("challenge", has_nonce("from-the-service"))
    return world


def nonces(world: World) -> list[str | None]:
    return [proofs.parse_proof(request.headers["dpop"]).nonce for request in world.service.api_requests]


def test_client_asks_for_a_nonce_before_it_sends(world: World) -> None:
    client = world.start()
    for _ in range(2):
        client.post("/api/orders", extensions=EXTENSIONS)
    assert nonces(world) == ["from-the-service"] * 2
    assert world.service.asked.count("challenge") == 2  # one of them to enrol


def test_safe_request_is_repeated_once_with_the_nonce_it_was_told(world: World) -> None:
    client = world.start()
    world.service.script("api", wants("second"), httpx.Response(200, headers={"dpop-nonce": "third"}))
    assert client.get("/api/me", extensions=EXTENSIONS).status_code == 200
    client.get("/api/me", extensions=EXTENSIONS)
    assert nonces(world) == ["from-the-service", "second", "third"]


def test_api_that_is_never_content_with_a_nonce_is_asked_twice(world: World) -> None:
    client = world.start()
    world.service.script("api", wants("second"), wants("third"), wants("fourth"))
    assert client.get("/api/me", extensions=EXTENSIONS).status_code == 401
    assert nonces(world) == ["from-the-service", "second"]


def test_request_that_may_have_had_its_effect_is_not_repeated(world: World) -> None:
    """A proxy can have handed the request on, and ask for it again in the gate's words."""
    client = world.start()
    world.service.script("api", wants("second"))
    with pytest.raises(OutcomeUnknown):
        client.post("/api/orders", extensions=EXTENSIONS)
    assert nonces(world) == ["from-the-service"]


def test_route_that_takes_no_dpop_is_answered_by_hardware(world: World) -> None:
    client = world.start()
    world.service.script("api", Refusal("sign_again"))
    assert client.get("/api/me", extensions=EXTENSIONS).status_code == 200
    assert world.service.kinds[-1] is ProofKind.HARDWARE
