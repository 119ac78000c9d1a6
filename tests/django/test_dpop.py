"""DPoP in front of Django's views: nonces on the way out, one proof on the way in, and what is not covered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from bonafide.proof import dpop as proofs
from bonafide.terms import ProofKind
from tests.django import locked_api
from tests.django.locked_api import ECHO, content, reason, refusal, rule, signed

if TYPE_CHECKING:
    from collections.abc import Callable

    from bonafide.testing.client import AppClient

    Send = Callable[[httpx.Request], httpx.Response]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("dpop_route")]


@pytest.fixture
def dpop_route(locked: None, bonafide_client: AppClient, settings: Any) -> None:
    bonafide_client.make_ready()
    rule(settings, proof="dpop")


def proven(client: AppClient, method: str = "GET", path: str = ECHO, **options: Any) -> httpx.Request:
    """Return a request with a DPoP proof and a nonce of this API."""
    if client.conversation._nonce.at(client.clock.now()) is None:
        client.conversation.learn_nonce(locked_api.send(bare_proof(client)))
    return bare_proof(client, method, path, **options)


def bare_proof(client: AppClient, method: str = "GET", path: str = ECHO, **options: Any) -> httpx.Request:
    return signed(client, method, path, proof=ProofKind.DPOP, **options)


def test_first_request_is_told_a_nonce_and_the_second_is_admitted(bonafide_client: AppClient, send: Send) -> None:
    first = send(bare_proof(bonafide_client))
    assert reason(first) == "dpop.nonce_missing"
    assert first.status_code == 401
    assert first.headers["www-authenticate"] == 'DPoP algs="ES256", error="use_dpop_nonce"'
    assert first.headers["bonafide-action"] == "sign_again"
    bonafide_client.conversation.learn_nonce(first)
    second = send(bare_proof(bonafide_client))
    said = content(second)
    assert (said["verdict"], said["proof"]) == ("Admitted", "dpop")
    assert second.headers["dpop-nonce"] != first.headers["dpop-nonce"]


def test_client_of_ours_sends_each_request_once(bonafide_client: AppClient) -> None:
    """It asks for the nonce first: a POST that is refused for one may not be repeated."""
    extensions = {"bonafide_proof": ProofKind.DPOP}
    for method in ("POST", "GET", "POST"):
        assert content(bonafide_client.request(method, ECHO, extensions=extensions))["proof"] == "dpop"
    assert locked_api.would_have_refused() == []


def test_challenge_for_dpop_is_a_nonce_in_body_and_header(bonafide_client: AppClient) -> None:
    body = {"purpose": "pop", "app": bonafide_client.device.build.app}
    answer = locked_api.send(locked_api.unsigned("POST", "/bonafide/v1/challenge", json=body))
    said = content(answer)
    assert answer.headers["dpop-nonce"] == said["attestation_challenge"]
    assert answer.headers["cache-control"] == "no-store"
    assert said["expires_in"] == 300
    bonafide_client.conversation.learn_nonce(answer)
    assert content(locked_api.send(bare_proof(bonafide_client)))["proof"] == "dpop"


def test_challenge_for_enrolment_is_no_nonce(bonafide_client: AppClient) -> None:
    body = {"purpose": "renew", "app": bonafide_client.device.build.app}
    answer = locked_api.send(locked_api.unsigned("POST", "/bonafide/v1/challenge", json=body))
    assert "dpop-nonce" not in answer.headers
    bonafide_client.conversation._nonce._text = content(answer)["attestation_challenge"]
    bonafide_client.conversation._nonce._learned_at = bonafide_client.clock.now()
    assert reason(locked_api.send(bare_proof(bonafide_client))) == "dpop.nonce_unknown"


def test_proof_is_used_once(bonafide_client: AppClient, send: Send) -> None:
    request = proven(bonafide_client)
    assert content(send(request))["proof"] == "dpop"
    again = send(request)
    assert reason(again) == "proof.replayed"
    assert again.headers["www-authenticate"] == 'DPoP algs="ES256", error="invalid_dpop_proof"'


def test_body_query_and_cookies_are_not_covered(bonafide_client: AppClient, send: Send) -> None:
    """The non-claim: whoever is between edits them, and the request is admitted."""
    request = proven(bonafide_client, "POST", content=b"as sent")
    edited = httpx.Request(
        "POST", f"{request.url}?added=1", headers={**request.headers, "cookie": "sid=evil"}, content=b"other!!"
    )
    said = content(send(edited))
    assert (said["body"], said["cookies"]) == ("other!!", {"sid": "evil"})


def test_route_that_needs_the_body_refuses(bonafide_client: AppClient, send: Send, settings: Any) -> None:
    request = proven(bonafide_client)
    rule(settings)
    refused = send(request)
    assert reason(refused) == "route.proof_kind_too_weak"
    assert refused.headers["www-authenticate"].startswith("ClientAttestation ")
    assert "dpop-nonce" not in refused.headers


def test_max_body_holds_for_what_no_proof_covers(bonafide_client: AppClient, send: Send, settings: Any) -> None:
    rule(settings, proof="dpop", max_body="1KiB")
    assert content(send(proven(bonafide_client, "POST", content=bytes(1024))))["proof"] == "dpop"
    assert reason(send(proven(bonafide_client, "POST", content=bytes(1025)))) == "request.body_too_large"


def test_two_dpop_fields_are_refused(bonafide_client: AppClient, send: Send) -> None:
    request = proven(bonafide_client)
    request.headers = httpx.Headers([*request.headers.multi_items(), ("dpop", request.headers["dpop"])])
    assert reason(send(request)) == "dpop.malformed"


@pytest.mark.parametrize("name", ["signature", "signature-input", "oauth-client-attestation-pop"])
def test_another_proof_beside_it_is_refused(bonafide_client: AppClient, send: Send, name: str) -> None:
    request = proven(bonafide_client)
    request.headers[name] = "x"
    assert reason(send(request)) == "dpop.beside_another_proof"


def test_our_own_proofs_open_the_route_and_get_no_nonce(bonafide_client: AppClient, send: Send) -> None:
    for kind in (ProofKind.SESSION, ProofKind.HARDWARE):
        answer = send(signed(bonafide_client, proof=kind))
        assert content(answer)["proof"] == kind
        assert "dpop-nonce" not in answer.headers


def test_rehearsal_hands_out_the_nonce_on_the_views_answer(
    bonafide_client: AppClient, send: Send, settings: Any
) -> None:
    rule(settings, proof="dpop", mode="observe")
    answer = send(bare_proof(bonafide_client))
    assert content(answer)["verdict"] == "NoneType"
    assert "www-authenticate" not in answer.headers
    bonafide_client.conversation.learn_nonce(answer)
    assert content(send(bare_proof(bonafide_client)))["proof"] == "dpop"


def test_record_of_a_proof_that_needs_a_nonce_holds_no_secret(bonafide_client: AppClient, send: Send) -> None:
    request = bare_proof(bonafide_client, headers={"authorization": "DPoP of-a-user"})
    row = refusal(send(request))
    for secret in ("of-a-user", request.headers["dpop"]):
        assert secret not in row.detail


def test_nonce_of_another_deployment_is_unknown(bonafide_client: AppClient, send: Send) -> None:
    request = bare_proof(bonafide_client)
    claims = proofs.parse_proof(request.headers["dpop"])
    foreign = f"20261101-x.{'A' * 76}"
    request.headers["dpop"] = proofs.prove(
        claims.method,
        claims.target,
        key=bonafide_client.device.keychain.sign_key,
        issued_at=claims.issued_at,
        identifier=claims.identifier,
        nonce=foreign,
    )
    assert reason(send(request)) == "dpop.nonce_unknown"
