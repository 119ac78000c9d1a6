"""The steps of one enrolment, a type for each, so that none can be left out or taken too early.

    EnrolmentMessage -> PendingSpend -> UnverifiedEvidence -> VerifiedEvidence -> PendingRegistration -> Grant

Rules of this file: no I/O. Where a store must be asked, a pending value says what, and only its `settle` leads
on. The order is the protocol's: sizes, challenge, request proof, challenge spent, hashes, chain, policy.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bonafide import challenge
from bonafide.appraisal import InstanceClaims, appraise
from bonafide.challenge import Purpose
from bonafide.codec import base64url
from bonafide.enrolment.answer import Grant, warning_words
from bonafide.enrolment.messages import Attestation, DebugMac, parse_enrolment
from bonafide.errors import Misuse, VerificationFailed
from bonafide.evidence.app_attest import AppAttestClaims, verify_bindings
from bonafide.evidence.debug import verify_debug_evidence
from bonafide.ports import Registration, RegistrationRefusal
from bonafide.proof.http_signature import verify_enrolment_proof
from bonafide.reasons import app_attest, by_code
from bonafide.reasons import challenge as challenge_reasons
from bonafide.reasons import enrolment as reasons
from bonafide.terms import EvidenceEnvironment, Platform, Tier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from bonafide.appraisal import App, Appraisal, Identity
    from bonafide.challenge import Challenge
    from bonafide.enrolment.messages import EnrolmentMessage
    from bonafide.enrolment.service import Service
    from bonafide.errors import BonafideError
    from bonafide.evidence.debug import DebugClaims
    from bonafide.http import HttpRequest
    from bonafide.ports import InstanceRecord, SpentChallenge, VerificationPool

INSTANCE_BYTES: Final = 16

_APPLE: Final = frozenset({Platform.IOS, Platform.MACOS})

_FOR_GOOD: Final = frozenset(
    {
        app_attest.OBJECT_MALFORMED,
        app_attest.FORMAT_MISMATCH,
        app_attest.CHAIN_LENGTH,
        app_attest.AUTH_DATA_MALFORMED,
        app_attest.COSE_KEY_MALFORMED,
        app_attest.NONCE_MISSING,
        app_attest.NONCE_MISMATCH,
        app_attest.KEY_ID_MISMATCH,
        app_attest.APP_ID_MISMATCH,
        app_attest.COUNTER_NOT_ZERO,
        app_attest.AAGUID_UNKNOWN,
        app_attest.CREDENTIAL_ID_MISMATCH,
        app_attest.COSE_KEY_MISMATCH,
        app_attest.ISSUER_MISMATCH,
        app_attest.LEAF_SIGNATURE_INVALID,
    }
)
_FOR_GOOD_AREAS: Final = ("cbor.", "der.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """One enrolment on its way: what was said, and with which parts of the service it is compared."""

    service: Service
    app: App
    identity: Identity
    message: EnrolmentMessage
    challenge: Challenge


def begin_enrolment(request: HttpRequest, body: bytes, *, service: Service, now: datetime) -> PendingSpend:
    """Parse an enrolment, and verify its challenge and its proof.

    Proves that this service issued the challenge for an enrolment in this app, that it has not expired, and
    that the holder of the new `sign` key sent this very request within the window. Proves nothing of the
    evidence yet, nor of first use.

    Raises `MalformedEvidence` and `VerificationFailed`: as `messages.parse_enrolment`, `challenge.verify`
    and `http_signature.verify_enrolment_proof`; `enrolment.app_unknown`, `enrolment.identity_unknown`,
    `enrolment.format_unfit`.
    """
    message = parse_enrolment(body)
    app = service.app(message.app)
    if app is None:
        raise VerificationFailed(reasons.APP_UNKNOWN, message.app)
    presented = challenge.verify(
        message.challenge, service.challenge_key, scope=service.scope(app, Purpose.ENROL), now=now
    )
    identity = app.identity(message.identity)
    if identity is None:
        raise VerificationFailed(reasons.IDENTITY_UNKNOWN, message.identity)
    if isinstance(message.evidence, Attestation) and identity.platform not in _APPLE:
        raise VerificationFailed(reasons.FORMAT_UNFIT, f"{message.format} for {identity.platform}")
    verify_enrolment_proof(request, key=message.sign_key, jkt=message.jkt, body=body, now=now)
    case = _Case(service=service, app=app, identity=identity, message=message, challenge=presented)
    return PendingSpend(
        challenge_digest=presented.digest,
        body_digest=message.body_digest,
        expires_at=presented.expires_at,
        _case=case,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingSpend:
    """Challenge and proof hold: ask `EnrolmentStore.spend_challenge`, and settle."""

    challenge_digest: bytes
    body_digest: bytes
    expires_at: datetime
    _case: _Case = field(repr=False)

    def settle(self, spent: SpentChallenge) -> UnverifiedEvidence:
        """Go on if this pair was the first to present the challenge, now or before, and has not failed.

        Raises `VerificationFailed`: `challenge.spent`; the reason on record of a pair that failed for good.
        """
        if not hmac.compare_digest(spent.body_digest, self.body_digest):
            raise VerificationFailed(challenge_reasons.SPENT)
        if spent.failure is not None:
            reason = by_code().get(spent.failure, reasons.FAILED_BEFORE)
            raise VerificationFailed(reason, f"{spent.failure}, when it was first presented")
        return UnverifiedEvidence(_case=self._case)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedEvidence:
    """The challenge is this pair's. Now the costly part."""

    _case: _Case = field(repr=False)

    def verify(self, *, pool: VerificationPool, now: datetime) -> VerifiedEvidence:
        """Verify the evidence; a certificate chain in a place of the pool, anything else outside.

        Raises as `app_attest.verify_attestation` and `debug.verify_debug_evidence`, and `VerificationFailed`
        (`enrolment.pool_full`). A failure that `fails_for_good` is then recorded by the caller with
        `EnrolmentStore.fail_challenge`.
        """
        return VerifiedEvidence(claims=_verify(self._case, pool, now), _case=self._case)


def _verify(case: _Case, pool: VerificationPool, now: datetime) -> AppAttestClaims | DebugClaims | None:
    match case.message.evidence:
        case None:
            return None
        case DebugMac(members=members):
            return _verify_debug(case, members, now)
        case Attestation() as evidence:
            return _verify_attestation(case, evidence, pool, now)


def _verify_attestation(case: _Case, evidence: Attestation, pool: VerificationPool, now: datetime) -> AppAttestClaims:
    """Hash first; only what fits so far takes a place, so that made-up evidence cannot fill the pool for free."""
    unchained = verify_bindings(
        evidence.attestation,
        client_data_hash=hashlib.sha256(case.message.client_data).digest(),
        key_id=evidence.key_id,
        app_id=case.identity.name,
        environments=case.identity.policy.environments,
    )
    with pool.slot() as free:
        if not free:
            raise VerificationFailed(reasons.POOL_FULL)
        return unchained.verify_chain(
            anchors=case.service.anchors, now=now, known_intermediates=case.service.known_intermediates
        )


def _verify_debug(case: _Case, members: Mapping[str, object], now: datetime) -> DebugClaims:
    return verify_debug_evidence(
        members,
        client_data_hash=hashlib.sha256(case.message.client_data).digest(),
        app=case.app.name,
        policy=case.service.debug,
        now=now,
    )


def fails_for_good(failure: BonafideError) -> bool:
    """Tell whether a failure of `UnverifiedEvidence.verify` is a property of the octets, which nothing mends.

    What depends on this server's clock (dates), trust (anchors), policy (environments), load (the pool) or
    release (forms that Apple may yet add to) is not: the same pair may pass later, and costs no `attestKey`.
    """
    return failure.reason in _FOR_GOOD or failure.reason.code.startswith(_FOR_GOOD_AREAS)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedEvidence:
    """Authentic evidence for the key, or, where `claims` is None, a device that offered none."""

    claims: AppAttestClaims | DebugClaims | None
    _case: _Case = field(repr=False)

    def appraise(self, *, now: datetime, random: Callable[[int], bytes]) -> PendingRegistration:
        """Judge the claims under the policy of the identity.

        Raises `VerificationFailed` with the first finding that refuses (`appraisal.*`); the detail names all.
        """
        case, claims = self._case, self.claims
        message = case.message
        # Without evidence there is no environment to be wary of: the tier `none` says all there is to say.
        environment = EvidenceEnvironment.PRODUCTION if claims is None else claims.environment
        appraisal = appraise(
            InstanceClaims(
                attested=claims is not None,
                environment=environment,
                validation_category=claims.validation_category if isinstance(claims, AppAttestClaims) else None,
                verified_at=now,
                app_version=message.app_version,
                os_version=message.os_version,
                sdk_version=message.sdk_version,
            ),
            policy=case.identity.policy,
            now=now,
        )
        require_acceptable(appraisal)
        return PendingRegistration(
            registration=_registration(case, claims, environment, appraisal, now, random),
            _appraisal=appraisal,
            _case=case,
        )


def require_acceptable(appraisal: Appraisal) -> None:
    """Raise `VerificationFailed` with the first refusal of an appraisal that is contraindicated."""
    if appraisal.tier is Tier.CONTRAINDICATED:
        raise VerificationFailed(appraisal.refusals[0], ", ".join(reason.code for reason in appraisal.reasons))


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingRegistration:
    """Acceptable evidence: ask `EnrolmentStore.register` about `registration`, and settle."""

    registration: Registration
    _appraisal: Appraisal
    _case: _Case = field(repr=False)

    def settle(self, answer: InstanceRecord | RegistrationRefusal) -> Grant:
        """Take the store's answer: the instance that the key now has, or a row that was there first and wins.

        Raises `VerificationFailed` (`enrolment.banned`, `enrolment.key_id_taken`, `enrolment.superseded`);
        `Misuse` (`enrolment.store_contradicts`) for an instance of another key.
        """
        if isinstance(answer, RegistrationRefusal):
            raise VerificationFailed(_REFUSALS[answer])
        if answer.jkt != self.registration.jkt:
            raise Misuse(reasons.STORE_CONTRADICTS, "register: another key's instance")
        case = self._case
        return Grant(
            service=case.service,
            app=case.app,
            record=answer,
            appraisal=self._appraisal,
            app_version=case.message.app_version,
            os_version=case.message.os_version,
            presented=case.challenge,
            audience=case.app.audience,
        )


_REFUSALS: Final = {
    RegistrationRefusal.BANNED: reasons.BANNED,
    RegistrationRefusal.KEY_ID_TAKEN: reasons.KEY_ID_TAKEN,
    RegistrationRefusal.SUPERSEDED: reasons.SUPERSEDED,
}


def _registration(
    case: _Case,
    claims: AppAttestClaims | DebugClaims | None,
    environment: EvidenceEnvironment,
    appraisal: Appraisal,
    now: datetime,
    random: Callable[[int], bytes],
) -> Registration:
    message, retention = case.message, case.service.evidence_retention
    evidence = message.evidence_octets
    return Registration(
        instance=base64url.encode(random(INSTANCE_BYTES)),
        challenge_digest=case.challenge.digest,
        app=case.app.name,
        environment=case.service.environment,
        identity=case.identity.name,
        platform=case.identity.platform,
        jkt=message.jkt,
        sign_jwk=message.sign_jwk,
        agree_jwk=message.agree_jwk,
        format=message.format,
        key_id=message.evidence.key_id_text if isinstance(message.evidence, Attestation) else None,
        attest_key=claims.public_key if isinstance(claims, AppAttestClaims) else None,
        evidence_environment=environment,
        claims={} if claims is None else claims.as_json(),
        evidence=None if retention is None else evidence,
        evidence_digest=hashlib.sha256(evidence).digest(),
        client_data=message.client_data,
        retain_until=None if retention is None else now + retention,
        tier=appraisal.tier,
        warnings=warning_words(appraisal),
        app_version=message.app_version,
        os_version=message.os_version,
        sdk_version=message.sdk_version,
        verified_at=now,
    )
