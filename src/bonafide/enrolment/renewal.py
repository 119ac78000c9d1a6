"""The steps of one renewal, a type for each, so that none can be left out or taken too early.

    RenewalMessage -> PendingLookup -> PendingRenewal -> Grant

Rules of this file: no I/O. The stored claims are judged anew under the policy of today; nothing in a renewal
can raise what they say. An unknown instance, a wrong key, a ban and a wrong counter are one answer outside.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import ec

from bonafide import challenge
from bonafide.appraisal import InstanceClaims, appraise
from bonafide.challenge import Purpose
from bonafide.codec.jwk import parse_public
from bonafide.enrolment.answer import Grant, warning_words
from bonafide.enrolment.messages import NO_EVIDENCE, parse_renewal
from bonafide.enrolment.new_instance import require_acceptable
from bonafide.errors import MalformedEvidence, Misuse, VerificationFailed
from bonafide.evidence.app_attest import verify_assertion
from bonafide.evidence.debug import FORMAT as DEBUG
from bonafide.ports import Renewal, RenewalOutcome
from bonafide.proof.http_signature import verify_enrolment_proof
from bonafide.reasons import challenge as challenge_reasons
from bonafide.reasons import debug as debug_reasons
from bonafide.reasons import enrolment as reasons
from bonafide.reasons import proof as proof_reasons

if TYPE_CHECKING:
    from datetime import datetime

    from bonafide.appraisal import App, Appraisal, Identity
    from bonafide.challenge import Challenge
    from bonafide.enrolment.messages import RenewalMessage
    from bonafide.enrolment.service import Service
    from bonafide.evidence.app_attest import AssertionClaims
    from bonafide.http import HttpRequest
    from bonafide.ports import InstanceRecord
    from bonafide.terms import Environment

# The key of nobody: a request for an instance that does not exist is verified like one with a wrong key, so
# that every answer about its proof is the same. What this key signs is refused all the same.
_NOBODY: Final = ec.derive_private_key(1, ec.SECP256R1()).public_key()

_CATEGORY: Final = "validation_category"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """One renewal on its way: what was said, and with which parts of the service it is compared."""

    service: Service
    app: App
    message: RenewalMessage
    challenge: Challenge
    request: HttpRequest = field(repr=False)
    body: bytes = field(repr=False)
    audience: str


def begin_renewal(
    request: HttpRequest, body: bytes, *, instance: str, service: Service, now: datetime
) -> PendingLookup:
    """Parse a renewal of `instance` (as the request's path names it), and verify its challenge.

    Proves that this service issued the challenge for a renewal in this app, and that it has not expired.
    Proves nothing of the sender yet: the key to do that with is in the store.

    Raises `MalformedEvidence` and `VerificationFailed`: as `messages.parse_renewal` and `challenge.verify`;
    `enrolment.instance_mismatch`, `enrolment.app_unknown`, `enrolment.audience_refused`.
    """
    message = parse_renewal(body)
    if message.instance != instance:
        raise MalformedEvidence(reasons.INSTANCE_MISMATCH)
    app = service.app(message.app)
    if app is None:
        raise VerificationFailed(reasons.APP_UNKNOWN, message.app)
    audience = app.audience if message.audience is None else message.audience
    if audience != app.audience and audience not in app.other_audiences:
        raise VerificationFailed(reasons.AUDIENCE_REFUSED, audience)
    presented = challenge.verify(
        message.challenge, service.challenge_key, scope=service.scope(app, Purpose.RENEW), now=now
    )
    case = _Case(
        service=service,
        app=app,
        message=message,
        challenge=presented,
        request=request,
        body=body,
        audience=audience,
    )
    return PendingLookup(instance=instance, app=app.name, environment=service.environment, _case=case)


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingLookup:
    """The challenge holds: ask `EnrolmentStore.instance`, and settle."""

    instance: str
    app: str
    environment: Environment
    _case: _Case = field(repr=False)

    def settle(self, record: InstanceRecord | None, *, now: datetime) -> PendingRenewal:
        """Verify the request's proof by the instance's key and its assertion, and judge the stored claims.

        Proves that the holder of the instance's `sign` key sent this very request and, where an assertion
        came, that the instance's App Attest key signed this client data inside the app. Does not prove that
        the counter has risen, nor that challenge and body are used for the first time: the store decides both.

        Raises `MalformedEvidence` and `VerificationFailed`: `enrolment.*`, `appraisal.*`; as
        `http_signature.verify_enrolment_proof` and `app_attest.verify_assertion`; `Misuse`
        (`enrolment.store_contradicts`) for another instance, or claims that are none.
        """
        case = self._case
        found = self._verify_sender(record, now)
        identity = case.app.identity(found.identity)
        if identity is None:
            raise VerificationFailed(reasons.IDENTITY_UNKNOWN, found.identity)
        if found.format == DEBUG:
            _require_debug_secret(case, found)
        asserted = _verify_assertion(case.message, found, identity, now)
        claims = _claims(case.message, found, asserted)
        appraisal = appraise(claims, policy=identity.policy, now=now)
        require_acceptable(appraisal)
        # An assertion that is sent again is as old as when it was taken first.
        is_new = asserted is not None and asserted.counter > found.counter
        return PendingRenewal(
            renewal=_renewal(case, found, asserted, appraisal, now),
            _record=replace(found, asserted_at=now) if is_new else found,
            _appraisal=appraisal,
            _case=case,
        )

    def _verify_sender(self, record: InstanceRecord | None, now: datetime) -> InstanceRecord:
        message = self._case.message
        if record is not None and (record.instance, record.app, record.environment) != (
            self.instance,
            self.app,
            self.environment,
        ):
            raise Misuse(reasons.STORE_CONTRADICTS, "instance: another one")
        known = record is not None and record.jkt == message.jkt
        try:
            verify_enrolment_proof(
                self._case.request,
                key=parse_public(record.sign_jwk) if record is not None and known else _NOBODY,
                jkt=message.jkt,
                body=self._case.body,
                now=now,
            )
        except VerificationFailed as failure:
            if failure.reason is not proof_reasons.SIGNATURE_INVALID:
                raise
            if known:
                raise VerificationFailed(reasons.KEY_MISMATCH, failure.reason.code) from None
        if record is None:
            raise VerificationFailed(reasons.INSTANCE_UNKNOWN)
        if not known:
            raise VerificationFailed(reasons.KEY_MISMATCH, "jkt")
        if record.banned:
            raise VerificationFailed(reasons.INSTANCE_BANNED)
        return record


def _require_debug_secret(case: _Case, record: InstanceRecord) -> None:
    """Refuse an instance whose debug secret was revoked since it enrolled."""
    if case.service.debug is None:
        raise VerificationFailed(debug_reasons.NOT_ACCEPTED)
    if case.service.debug.find(app=case.app.name, name=str(record.claims.get("name"))) is None:
        raise VerificationFailed(debug_reasons.NAME_UNKNOWN)


def _verify_assertion(
    message: RenewalMessage, record: InstanceRecord, identity: Identity, now: datetime
) -> AssertionClaims | None:
    """Verify the assertion if one came, and refuse its absence if one is due.

    The counter is not compared with the one that was read: the store compares it, in the UPDATE that
    writes it, and lets the same pair pass again.
    """
    if record.attest_key is None:
        if message.assertion is not None:
            raise VerificationFailed(reasons.FORMAT_UNFIT, f"an assertion, and {record.format} holds no key for it")
        return None
    if message.assertion is None:
        if identity.policy.assertion_due(record.asserted_at, now):
            raise VerificationFailed(reasons.ASSERTION_MISSING)
        return None
    return verify_assertion(
        message.assertion,
        client_data_hash=hashlib.sha256(message.client_data).digest(),
        public_key=record.attest_key,
        app_id=identity.name,
        last_counter=0,
    )


def _claims(message: RenewalMessage, record: InstanceRecord, asserted: AssertionClaims | None) -> InstanceClaims:
    """Gather what is judged: the attested claims, but for what the running app's assertion says anew."""
    category = record.claims.get(_CATEGORY)
    if category is not None and (isinstance(category, bool) or not isinstance(category, int)):
        raise Misuse(reasons.STORE_CONTRADICTS, _CATEGORY)
    if asserted is not None and asserted.validation_category is not None:
        category = asserted.validation_category
    return InstanceClaims(
        attested=record.format != NO_EVIDENCE,
        environment=record.evidence_environment,
        validation_category=category,
        verified_at=record.verified_at,
        app_version=message.app_version,
        os_version=message.os_version,
        sdk_version=message.sdk_version,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingRenewal:
    """Everything held but order: ask `EnrolmentStore.renew` about `renewal`, and settle."""

    renewal: Renewal
    _record: InstanceRecord
    _appraisal: Appraisal
    _case: _Case = field(repr=False)

    def settle(self, outcome: RenewalOutcome) -> Grant:
        """Take what the conditional UPDATE found. Everything but `DONE` refuses.

        Raises `VerificationFailed` (`enrolment.instance_unknown`, `enrolment.instance_banned`,
        `enrolment.counter_not_increased`, `challenge.overtaken`).
        """
        if outcome is not RenewalOutcome.DONE:
            raise VerificationFailed(_REFUSALS[outcome])
        case = self._case
        return Grant(
            service=case.service,
            app=case.app,
            record=self._record,
            appraisal=self._appraisal,
            app_version=case.message.app_version,
            os_version=case.message.os_version,
            presented=case.challenge,
            audience=case.audience,
        )


_REFUSALS: Final = {
    RenewalOutcome.UNKNOWN: reasons.INSTANCE_UNKNOWN,
    RenewalOutcome.BANNED: reasons.INSTANCE_BANNED,
    RenewalOutcome.COUNTER_NOT_INCREASED: reasons.COUNTER_NOT_INCREASED,
    RenewalOutcome.CHALLENGE_SPENT: challenge_reasons.OVERTAKEN,
}


def _renewal(
    case: _Case, record: InstanceRecord, asserted: AssertionClaims | None, appraisal: Appraisal, now: datetime
) -> Renewal:
    message = case.message
    return Renewal(
        instance=record.instance,
        challenge_digest=case.challenge.digest,
        challenge_order=case.challenge.order,
        body_digest=message.body_digest,
        key_id=None if asserted is None else record.key_id,
        counter=None if asserted is None else asserted.counter,
        tier=appraisal.tier,
        warnings=warning_words(appraisal),
        app_version=message.app_version,
        os_version=message.os_version,
        sdk_version=message.sdk_version,
        renewed_at=now,
    )
