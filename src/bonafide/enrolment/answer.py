"""What an enrolment and a renewal are answered with: a client attestation, a session and the next challenge."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from bonafide import challenge, client_attestation
from bonafide.challenge import Challenge, Purpose
from bonafide.client_attestation import ClientAttestation
from bonafide.codec import base64url, json
from bonafide.codec.jwk import parse_public
from bonafide.enrolment.messages import NO_EVIDENCE
from bonafide.keys import MAX_TOKEN_LIFETIME
from bonafide.proof import dpop_nonce
from bonafide.session import SID_OCTETS, Session, issue_session, session_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from bonafide.appraisal import App, Appraisal
    from bonafide.enrolment.service import Service
    from bonafide.ports import InstanceRecord

_RENEW_AT: Final = (4, 5)
"""The share of its life after which a client attestation is renewed, so that a slow renewal leaves no gap."""

_NEVER: Final = datetime.fromtimestamp(0, UTC)
"""When an instance last gave evidence that has none to give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """The answer to an enrolment (201) or a renewal (200).

    `session` is None where the instance has no `agree` key, and for another audience than the app's own.
    `expires_in` and `renew_after` count from the issue of the client attestation, in seconds.
    """

    instance: str
    client_attestation: str = field(repr=False)
    session: str | None = field(repr=False)
    expires_in: int
    renew_after: int
    next_challenge: str

    def body(self) -> bytes:
        """Return the JSON body of PROTOCOL section 2."""
        return json.dump(
            {
                "instance": self.instance,
                "client_attestation": self.client_attestation,
                "session": self.session,
                "expires_in": self.expires_in,
                "renew_after": self.renew_after,
                "next_challenge": self.next_challenge,
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeIssued:
    """The answer to `POST /challenge` (200, `no-store`): the challenge, and its life in seconds.

    `is_nonce` is for DPoP: the answer says it in `DPoP-Nonce` as well (ABCA section 6.3).
    """

    attestation_challenge: str
    expires_in: int
    is_nonce: bool = False

    def body(self) -> bytes:
        """Return the JSON body of PROTOCOL section 2."""
        return json.dump({"attestation_challenge": self.attestation_challenge, "expires_in": self.expires_in})


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """An instance in the store that was found acceptable, and what it may be given.

    `presented` is the challenge that this answers. `audience` is the app's own, or one of its other ones.
    """

    service: Service
    app: App
    record: InstanceRecord
    appraisal: Appraisal
    app_version: str
    os_version: str
    presented: Challenge
    audience: str

    def issue(self, *, now: datetime, random: Callable[[int], bytes]) -> Enrolled:
        """Issue what the instance gets: it differs at each call, and all of them hold.

        `random` returns that many octets of a cryptographic source.
        """
        # Whole seconds, because a JWT has no others and the session key derives from its `exp`.
        issued_at = now.astimezone(UTC).replace(microsecond=0)
        expires_at = issued_at + self.service.lifetime
        token, session = self._tokens(issued_at, expires_at, now, random)
        lifetime = int(self.service.lifetime.total_seconds())
        return Enrolled(
            instance=self.record.instance,
            client_attestation=token,
            session=session,
            expires_in=lifetime,
            renew_after=lifetime * _RENEW_AT[0] // _RENEW_AT[1],
            next_challenge=self._next_challenge(expires_at, random).text,
        )

    def _tokens(
        self, issued_at: datetime, expires_at: datetime, now: datetime, random: Callable[[int], bytes]
    ) -> tuple[str, str | None]:
        ring = self.service.keys.ring(self.app.name, now)
        if self.audience != self.app.audience:
            claims = self._claims(issued_at, expires_at, sid=b"", gate_key="")
            return client_attestation.issue_for_authorization_server(claims, key=ring.signing_key(now)), None
        if self.record.agree_jwk is None:  # nothing that a session could be sealed to
            claims = self._claims(issued_at, expires_at, sid=b"", gate_key="")
            return client_attestation.issue(claims, key=ring.signing_key(now)), None
        gate_key, sid = ring.gate_key(self.audience, now), random(SID_OCTETS)
        claims = self._claims(issued_at, expires_at, sid=sid, gate_key=gate_key.kid)
        token = client_attestation.issue(claims, key=ring.signing_key(now))
        key = session_key(
            gate_key.secret,
            sid=sid,
            app=self.app.name,
            jkt=self.record.jkt,
            expires=int(expires_at.timestamp()),
        )
        session = Session(
            app=self.app.name,
            instance=self.record.instance,
            jkt=self.record.jkt,
            challenge=self.presented.text,
            sid=sid,
            key=key,
            issued_at=issued_at,
            expires_at=expires_at,
        )
        recipient = parse_public(self.record.agree_jwk)
        service_key = self.service.keys.service_key(now)
        return token, issue_session(session, service_key=service_key, recipient=recipient, random=random)

    def _claims(self, issued_at: datetime, expires_at: datetime, *, sid: bytes, gate_key: str) -> ClientAttestation:
        return ClientAttestation(
            issuer=self.service.issuer,
            app=self.app.name,
            audience=self.audience,
            issued_at=issued_at,
            expires_at=expires_at,
            sign_jwk=self.record.sign_jwk,
            instance=self.record.instance,
            identity=self.record.identity,
            platform=self.record.platform,
            environment=self.record.evidence_environment,
            tier=self.appraisal.tier,
            asserted_at=_NEVER if self.record.format == NO_EVIDENCE else self.record.asserted_at,
            app_version=self.app_version,
            os_version=self.os_version,
            warnings=warning_words(self.appraisal),
            sid=base64url.encode(sid),
            gate_key=gate_key,
        )

    def _next_challenge(self, expires_at: datetime, random: Callable[[int], bytes]) -> Challenge:
        """Issue the next renewal's challenge; it is later than the one presented, whatever that one's life was."""
        ends = expires_at + challenge.RENEWAL_GRACE
        if self.presented.purpose is Purpose.RENEW:
            ends = max(ends, self.presented.expires_at + timedelta(microseconds=1))
        return challenge.issue(
            self.service.challenge_key,
            scope=self.service.scope(self.app, Purpose.RENEW),
            expires_at=ends,
            random=random,
        )


def issue_challenge(
    service: Service, app: App, purpose: Purpose, *, now: datetime, random: Callable[[int], bytes]
) -> ChallengeIssued:
    """Issue a challenge to somebody who holds none.

    A renewal's lives until 10 minutes after the client attestation that it follows. Which one that is, is
    not known here, so it is the longest that there could be, whatever the service's own lifetime is:
    challenges are ordered by their expiry, and a lifetime made shorter must not put new ones before old ones.

    One for `pop` is a nonce for DPoP proofs, under the key that the app's gates hold today; it is not single use.
    """
    if purpose is Purpose.POP:
        key = service.keys.ring(app.name, now).gate_key(app.audience, now)
        nonce = dpop_nonce.issue(key.secret, key_id=key.kid, now=now, random=random)
        return ChallengeIssued(
            attestation_challenge=nonce, expires_in=int(dpop_nonce.LIFETIME.total_seconds()), is_nonce=True
        )
    lifetime = (
        challenge.ENROLMENT_LIFETIME if purpose is Purpose.ENROL else MAX_TOKEN_LIFETIME + challenge.RENEWAL_GRACE
    )
    issued = challenge.issue(
        service.challenge_key, scope=service.scope(app, purpose), expires_at=now + lifetime, random=random
    )
    return ChallengeIssued(attestation_challenge=issued.text, expires_in=int(lifetime.total_seconds()))


def warning_words(appraisal: Appraisal) -> tuple[str, ...]:
    """Return the coarse words for the `warn` claim: the codes without their area."""
    return tuple(reason.code.partition(".")[2] for reason in appraisal.warnings)
