"""Never run, only type-checked: the public signatures as users write them. If mypy objects, a promise was broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

from bonafide import (
    Admitted,
    AppAttestClaims,
    AssertionClaims,
    Denied,
    Enrolled,
    Exempt,
    Gate,
    HttpRequest,
    Origins,
    PendingAdmission,
    Service,
    Unproven,
    admit,
    enrol,
    renew,
    verify_assertion,
    verify_attestation,
)
from bonafide.terms import EvidenceEnvironment
from bonafide.trust.apple import APP_ATTESTATION_ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bonafide.ports import EnrolmentStore, ReplayStore, VerificationPool


def one_request(gate: Gate, store: ReplayStore, now: datetime, host: str) -> Admitted | Exempt | Unproven | Denied:
    """Admit as an adapter does. Leaving `settle` out is a type error here."""
    request = HttpRequest(method="GET", origin=Origins(["https://a.example"]).pick(host), target="/", headers={})
    decision = admit(request, gate=gate, now=now)
    if isinstance(decision, PendingAdmission):
        return decision.settle(store.remember(decision.replay_key, created=decision.created, now=now.timestamp()))
    return decision


def one_instance(
    request: HttpRequest,
    body: bytes,
    service: Service,
    store: EnrolmentStore,
    pool: VerificationPool,
    now: datetime,
    random: Callable[[int], bytes],
) -> None:
    """Enrol and renew as a view does."""
    first = enrol(request, body, service=service, store=store, pool=pool, now=now, random=random)
    assert_type(first, Enrolled)
    assert_type(first.body(), bytes)
    again = renew(request, body, instance="i", service=service, store=store, now=now, random=random)
    assert_type(again.expires_in, int)


def evidence_alone(octets: bytes, now: datetime) -> None:
    """Verify evidence without the rest."""
    claims = verify_attestation(
        octets,
        client_data_hash=octets,
        key_id=octets,
        app_id="TEAM.bundle",
        environments={EvidenceEnvironment.PRODUCTION},
        anchors=[APP_ATTESTATION_ROOT],
        now=now,
    )
    assert_type(claims, AppAttestClaims)
    asserted = verify_assertion(
        octets, client_data_hash=octets, public_key=claims.public_key, app_id=claims.app_id, last_counter=0
    )
    assert_type(asserted, AssertionClaims)
