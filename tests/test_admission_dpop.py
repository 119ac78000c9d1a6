"""Where a DPoP proof is admitted, where it is not, and what stands beside it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from bonafide.admission import Admitted, Denied, Gate, PendingAdmission, Unproven, admit
from bonafide.client_attestation import issue_for_authorization_server
from bonafide.errors import ConfigurationError
from bonafide.ports import FirstUse
from bonafide.proof.http_signature import FIELDS_READ
from bonafide.reasons import Reason, configuration
from bonafide.reasons import client_attestation as attestation_reasons
from bonafide.reasons import dpop as reasons
from bonafide.reasons import proof as proof_reasons
from bonafide.reasons import request as request_reasons
from bonafide.reasons import route as route_reasons
from bonafide.routes import parse_rules
from bonafide.stores.memory import MemoryReplayStore
from bonafide.terms import ProofKind, Tier
from tests import gate_world
from tests.dpop_world import KEY_ID, RULE, nonce, proof, public, request
from tests.gate_world import GATE_SECRET, HARDWARE, ISSUER_KEY, JKT, NOW, Banned, HeldKeys, claims, gate, token

if TYPE_CHECKING:
    from bonafide.http import HttpRequest

OPEN = {"match": "/api/**", "client": "open", "because": "a load balancer asks"}


def denied(asked: HttpRequest, reason: Reason, *rules: dict[str, Any], now: Any = NOW, **at: Any) -> Denied:
    decision = admit(asked, gate=gate(*(rules or (RULE,)), **at), now=now)
    assert isinstance(decision, Denied)
    assert decision.reason is reason
    return decision


def admitted(asked: HttpRequest, *rules: dict[str, Any], at: Gate | None = None) -> Admitted:
    decision = admit(asked, gate=at or gate(*(rules or (RULE,))), now=NOW)
    assert isinstance(decision, PendingAdmission), decision
    settled = decision.settle(FirstUse.FIRST)
    assert isinstance(settled, Admitted)
    return settled


def test_dpop_route_admits_a_dpop_proof_and_claims_no_body() -> None:
    found = admitted(request())
    assert (found.proof, found.digest, found.jkt) == (ProofKind.DPOP, None, JKT)
    assert found.attestation == claims()


def test_dpop_route_admits_our_own_proofs_with_all_that_they_cover() -> None:
    for signer, kind in ((None, ProofKind.SESSION), (HARDWARE, ProofKind.HARDWARE)):
        found = admitted(gate_world.request(signer=signer))
        assert found.proof is kind
        assert found.digest is not None


@pytest.mark.parametrize("rule", [{"match": "/api/**"}, {"match": "/api/**", "proof": "hardware"}], ids=str)
def test_routes_that_need_more_refuse_a_dpop_proof(rule: dict[str, Any]) -> None:
    denied(request(), route_reasons.PROOF_KIND_TOO_WEAK, rule)


def test_route_that_seals_takes_no_dpop() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        parse_rules([{**RULE, "seal": True}])
    assert refusal.value.reason is configuration.ROUTE_MALFORMED


@pytest.mark.parametrize("name", ["signature", "signature-input", "oauth-client-attestation-pop"])
def test_two_proofs_are_one_too_many_where_either_would_do(name: str) -> None:
    """Else whoever edits the request takes the stronger away, and edits what only that one covered."""
    denied(request(headers={name: "x"}), reasons.BESIDE_ANOTHER_PROOF)
    ours = gate_world.request()
    both = ours._replace(headers={**ours.headers, "dpop": proof()})
    denied(both, reasons.BESIDE_ANOTHER_PROOF)


@pytest.mark.parametrize("rule", [{"match": "/api/**"}, {"match": "/api/**", "proof": "hardware"}], ids=str)
def test_dpop_beside_our_own_proof_is_the_applications_business_elsewhere(rule: dict[str, Any]) -> None:
    ours = gate_world.request(signer=HARDWARE)
    both = ours._replace(headers={**ours.headers, "dpop": "anything"})
    assert admitted(both, rule).proof is ProofKind.HARDWARE


def test_taking_our_own_proof_away_leaves_nothing_on_a_route_that_needs_it() -> None:
    ours = gate_world.request(signer=HARDWARE)
    kept = {name: value for name, value in ours.headers.items() if not name.startswith("signature")}
    denied(ours._replace(headers={**kept, "dpop": proof()}), route_reasons.PROOF_KIND_TOO_WEAK, {"match": "/api/**"})


def test_request_without_any_proof_is_refused() -> None:
    bare = request(headers={"dpop": None})
    denied(bare, proof_reasons.MISSING)


def test_proof_without_a_client_attestation_is_refused() -> None:
    denied(request(headers={"oauth-client-attestation": None}), attestation_reasons.MISSING)


def test_client_attestation_for_an_authorization_server_is_none_for_a_gate() -> None:
    other = issue_for_authorization_server(claims(), key=ISSUER_KEY)
    denied(request(headers={"oauth-client-attestation": other}), attestation_reasons.NOT_FOR_GATES)


def test_stolen_client_attestation_with_a_proof_by_another_key_is_refused() -> None:
    thief = ec.derive_private_key(666, ec.SECP256R1())
    denied(request(sent=proof(key=thief, jwk=public(thief))), reasons.KEY_MISMATCH)


def test_tier_ban_and_versions_are_looked_at_as_for_every_proof() -> None:
    low = {"oauth-client-attestation": token(tier=Tier.WARNING)}
    denied(request(headers=low), route_reasons.TIER_TOO_LOW)
    denied(request(), attestation_reasons.REVOKED, revocations=Banned({JKT}))
    denied(request(), route_reasons.APP_VERSION_TOO_OLD, {**RULE, "min_version": "9"})


def test_form_of_a_request_is_looked_at_as_for_every_proof() -> None:
    denied(request(headers={"content-encoding": "gzip"}), request_reasons.CONTENT_CODING)
    denied(request(headers={"authorization": "DPoP a,DPoP b"}), request_reasons.FIELD_REPEATED)
    denied(request("/api/./config"), request_reasons.TARGET_NOT_CANONICAL)


def test_max_age_of_the_route_is_that_of_the_proof() -> None:
    later = NOW + timedelta(seconds=200)
    denied(request(nonce=nonce(later)), reasons.ISSUED_TOO_EARLY, now=later)
    decision = admit(request(nonce=nonce(later)), gate=gate({**RULE, "max_age": 300}), now=later)
    assert isinstance(decision, PendingAdmission)


def test_proof_is_used_once_whatever_it_is_sent_to() -> None:
    store = MemoryReplayStore()
    store.remember(bytes(32), created=int(NOW.timestamp()) - 60, now=NOW.timestamp() - 60)  # born a minute ago
    at = gate(RULE)

    def use(asked: HttpRequest) -> Admitted | Denied:
        decision = admit(asked, gate=at, now=NOW)
        assert isinstance(decision, PendingAdmission), decision
        return decision.settle(store.remember(decision.replay_key, created=decision.created, now=NOW.timestamp()))

    same_identifier = request("/api/other", htu="https://api.example.com/api/other")
    assert isinstance(use(request()), Admitted)
    for again in (request(), request(nonce=nonce()), same_identifier):
        second = use(again)
        assert isinstance(second, Denied)
        assert second.reason is proof_reasons.REPLAYED
    assert isinstance(use(request(jti="another-identifier")), Admitted)


def test_proof_of_the_profile_with_the_same_nonce_is_another_use() -> None:
    ours = admit(gate_world.request(nonce="a" * 22, signer=HARDWARE), gate=gate(), now=NOW)
    theirs = admit(request(jti="a" * 22), gate=gate(RULE), now=NOW)
    assert isinstance(ours, PendingAdmission)
    assert isinstance(theirs, PendingAdmission)
    assert ours.replay_key != theirs.replay_key


def test_nonce_of_yesterdays_gate_key_holds_while_that_key_lives() -> None:
    keys = HeldKeys(secrets={KEY_ID: GATE_SECRET, "20261031-z": bytes(range(9, 41))})
    old = nonce(secret=bytes(range(9, 41)), key_id="20261031-z")
    assert admitted(request(nonce=old), at=gate(RULE, keys=keys)).proof is ProofKind.DPOP
    del keys.secrets["20261031-z"]
    denied(request(nonce=old), reasons.NONCE_UNKNOWN, keys=keys)


def test_old_app_version_passes_on_a_dpop_route_too_and_only_without_an_attestation() -> None:
    legacy = {**RULE, "legacy": {"until": "2027-03-01", "max_share": 0.2}}
    bare = request(headers={"oauth-client-attestation": None, "dpop": None})
    assert isinstance(admit(bare, gate=gate(legacy), now=NOW), Unproven)
    denied(request(headers={"dpop": None}), proof_reasons.MISSING, legacy)


def test_adapter_that_builds_what_is_read_builds_the_dpop_fields() -> None:
    assert {"dpop", "oauth-client-attestation-pop"} <= FIELDS_READ
