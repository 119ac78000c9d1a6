"""What the answer carries on a route that takes DPoP, and that nothing is added elsewhere."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bonafide import dpop_answer
from bonafide.admission import Exempt, PendingAdmission, admit
from bonafide.errors import VerificationFailed
from bonafide.ports import FirstUse
from bonafide.proof import dpop, dpop_nonce
from bonafide.reasons import store as store_reasons
from tests import gate_world
from tests.dpop_world import GONE, JTI, RULE, nonce, proof, request
from tests.gate_world import JKT, NOW, HeldKeys, gate, token

if TYPE_CHECKING:
    from bonafide.http import HttpRequest

OPEN = {"match": "/api/**", "client": "open", "because": "a load balancer asks"}


def added(asked: HttpRequest, *rules: dict[str, Any], keys: HeldKeys | None = None) -> dict[str, str]:
    decision = admit(asked, gate=gate(*(rules or (RULE,))), now=NOW)
    if isinstance(decision, PendingAdmission):
        decision = decision.settle(FirstUse.FIRST)
    return dict(dpop_answer.fields(decision, keys=keys or HeldKeys(), now=NOW, random=os.urandom))


@pytest.mark.parametrize("said", [GONE, "made-up", nonce(NOW - timedelta(minutes=6))], ids=["none", "other", "old"])
def test_client_without_a_nonce_is_told_one_that_it_can_come_back_with(said: object) -> None:
    told = added(request(nonce=said))
    assert told["WWW-Authenticate"] == 'DPoP algs="ES256", error="use_dpop_nonce"'
    again = admit(request(nonce=told["DPoP-Nonce"]), gate=gate(RULE), now=NOW)
    assert isinstance(again, PendingAdmission)


def test_client_that_used_a_nonce_is_told_the_next() -> None:
    told = added(request())
    assert told.keys() == {"DPoP-Nonce"}
    dpop_nonce.verify(told["DPoP-Nonce"], find=HeldKeys().secrets.get, now=NOW)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"htm": "POST"}, "invalid_dpop_proof"),
        ({"headers": {"dpop": None}}, "invalid_dpop_proof"),
        ({"headers": {"oauth-client-attestation": token(expires_at=NOW)}}, "use_fresh_attestation"),
        ({"headers": {"oauth-client-attestation": proof()}}, "invalid_client_attestation"),
    ],
    ids=["method", "no proof", "expired", "no client attestation"],
)
def test_other_refusals_on_a_dpop_route_name_their_error_and_bring_no_nonce(change: dict[str, Any], error: str) -> None:
    assert added(request(**change)) == {"WWW-Authenticate": f'DPoP algs="ES256", error="{error}"'}


def test_nothing_is_added_on_other_routes_nor_where_the_status_is_another() -> None:
    assert added(gate_world.request(), {"match": "/api/**"}) == {}
    assert added(request(), {"match": "/api/**"}) == {}
    assert added(request(), OPEN) == {}
    assert isinstance(admit(request(), gate=gate(OPEN), now=NOW), Exempt)
    assert added(gate_world.request()) == {}  # our own proof needs no nonce
    assert added(request(headers={"content-encoding": "gzip"})) == {}


def test_no_nonce_is_issued_under_a_gate_key_that_has_gone() -> None:
    assert added(request(nonce=GONE), keys=HeldKeys(secrets={})) == {
        "WWW-Authenticate": 'DPoP algs="ES256", error="use_dpop_nonce"'
    }


def test_replayed_proof_is_answered_as_a_proof_that_does_not_hold() -> None:
    decision = admit(request(), gate=gate(RULE), now=NOW)
    assert isinstance(decision, PendingAdmission)
    refused = decision.settle(FirstUse.REPLAYED)
    told = dpop_answer.fields(refused, keys=HeldKeys(), now=NOW, random=os.urandom)
    assert told == {"WWW-Authenticate": 'DPoP algs="ES256", error="invalid_dpop_proof"'}
    assert decision.replay_key == dpop.replay_key(JKT, JTI)


def test_copy_that_has_just_become_stale_costs_the_nonce_and_no_more() -> None:
    class Stale(HeldKeys):
        def secret(self, kid: str, now: object) -> bytes | None:
            raise VerificationFailed(store_reasons.COPY_STALE)

    assert "DPoP-Nonce" not in added(request(), keys=Stale())
