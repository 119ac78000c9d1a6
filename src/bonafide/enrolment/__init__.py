"""Enrol an instance and renew it: the control plane's whole story (PROTOCOL sections 2 and 3).

    challenge = parse_challenge_request(body)  ...  issue_challenge(service, app, purpose, now=now, random=random)
    enrolled = enrol(request, body, service=service, store=store, pool=pool, now=now, random=random)
    enrolled = renew(request, body, instance=path_id, service=service, store=store, now=now, random=random)

Rules of this package: the logic is in the steps (`new_instance`, `renewal`), which ask nobody anything; the
functions here only carry their questions to a store and the answers back. A process may die between any two
lines of theirs: the same request, signed anew, then succeeds, and `attestKey` is not called again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bonafide.enrolment.answer import ChallengeIssued, Enrolled, Grant, issue_challenge
from bonafide.enrolment.messages import (
    MAX_BODY_BYTES,
    ChallengeMessage,
    EnrolmentMessage,
    RenewalMessage,
    parse_challenge_request,
    parse_enrolment,
    parse_renewal,
)
from bonafide.enrolment.new_instance import (
    PendingRegistration,
    PendingSpend,
    UnverifiedEvidence,
    VerifiedEvidence,
    begin_enrolment,
    fails_for_good,
)
from bonafide.enrolment.renewal import PendingLookup, PendingRenewal, begin_renewal
from bonafide.enrolment.service import Service, ServiceKeys
from bonafide.errors import MalformedEvidence, VerificationFailed

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bonafide.http import HttpRequest
    from bonafide.ports import AsyncEnrolmentStore, EnrolmentStore, VerificationPool

__all__ = [
    "MAX_BODY_BYTES",
    "ChallengeIssued",
    "ChallengeMessage",
    "Enrolled",
    "EnrolmentMessage",
    "Grant",
    "PendingLookup",
    "PendingRegistration",
    "PendingRenewal",
    "PendingSpend",
    "RenewalMessage",
    "Service",
    "ServiceKeys",
    "UnverifiedEvidence",
    "VerifiedEvidence",
    "begin_enrolment",
    "begin_renewal",
    "enrol",
    "enrol_async",
    "fails_for_good",
    "issue_challenge",
    "parse_challenge_request",
    "parse_enrolment",
    "parse_renewal",
    "renew",
    "renew_async",
]


def enrol(
    request: HttpRequest,
    body: bytes,
    *,
    service: Service,
    store: EnrolmentStore,
    pool: VerificationPool,
    now: datetime,
    random: Callable[[int], bytes],
) -> Enrolled:
    """Enrol an instance: `POST /instances`, with the `body` as it was received.

    Proves, where the evidence's tier is `affirming`, that Apple attested a key made in one of the app's
    identities for this very client data, under a challenge of this service that nothing else has used; and
    that the holder of the `sign` key in that client data sent this request. The same pair of client data and
    evidence, freshly signed, is answered again, with the same instance.

    Does not prove that `sign` lies in hardware (on iOS that is the genuine app's word), that the app is not
    instrumented while it runs, or that the device is not one of a farm (N1).

    Raises `MalformedEvidence` and `VerificationFailed`; the steps name their reasons.
    """
    pending = begin_enrolment(request, body, service=service, now=now)
    evidence = pending.settle(
        store.spend_challenge(pending.challenge_digest, body_digest=pending.body_digest, expires_at=pending.expires_at)
    )
    try:
        verified = evidence.verify(pool=pool, now=now)
    except (MalformedEvidence, VerificationFailed) as failure:
        if fails_for_good(failure):
            store.fail_challenge(pending.challenge_digest, reason=failure.reason.code)
        raise
    acceptable = verified.appraise(now=now, random=random)
    return acceptable.settle(store.register(acceptable.registration)).issue(now=now, random=random)


def renew(
    request: HttpRequest,
    body: bytes,
    *,
    instance: str,
    service: Service,
    store: EnrolmentStore,
    now: datetime,
    random: Callable[[int], bytes],
) -> Enrolled:
    """Renew an instance: `POST /instances/{instance}/renewals`, with the `body` as it was received.

    Proves that the holder of the instance's `sign` key sent this request under a challenge later than those
    used before, that nothing bans the instance, and that its claims are acceptable today; where an assertion
    came, that the instance's App Attest key signed, with a counter higher than ever. The same pair, freshly
    signed, is answered again.

    Does not prove more than the attestation did: see `enrol`.

    Raises `MalformedEvidence` and `VerificationFailed`; the steps name their reasons.
    """
    lookup = begin_renewal(request, body, instance=instance, service=service, now=now)
    record = store.instance(lookup.instance, app=lookup.app, environment=lookup.environment)
    pending = lookup.settle(record, now=now)
    return pending.settle(store.renew(pending.renewal)).issue(now=now, random=random)


async def enrol_async(
    request: HttpRequest,
    body: bytes,
    *,
    service: Service,
    store: AsyncEnrolmentStore,
    pool: VerificationPool,
    now: datetime,
    random: Callable[[int], bytes],
) -> Enrolled:
    """Do what `enrol` does, over an asynchronous store. The verification itself does not yield."""
    pending = begin_enrolment(request, body, service=service, now=now)
    evidence = pending.settle(
        await store.spend_challenge(
            pending.challenge_digest, body_digest=pending.body_digest, expires_at=pending.expires_at
        )
    )
    try:
        verified = evidence.verify(pool=pool, now=now)
    except (MalformedEvidence, VerificationFailed) as failure:
        if fails_for_good(failure):
            await store.fail_challenge(pending.challenge_digest, reason=failure.reason.code)
        raise
    acceptable = verified.appraise(now=now, random=random)
    return acceptable.settle(await store.register(acceptable.registration)).issue(now=now, random=random)


async def renew_async(
    request: HttpRequest,
    body: bytes,
    *,
    instance: str,
    service: Service,
    store: AsyncEnrolmentStore,
    now: datetime,
    random: Callable[[int], bytes],
) -> Enrolled:
    """Do what `renew` does, over an asynchronous store."""
    lookup = begin_renewal(request, body, instance=instance, service=service, now=now)
    record = await store.instance(lookup.instance, app=lookup.app, environment=lookup.environment)
    pending = lookup.settle(record, now=now)
    return pending.settle(await store.renew(pending.renewal)).issue(now=now, random=random)
