"""Admit one request or refuse it: the data plane's whole story (PROTOCOL sections 3, 4 and 6).

    decision = admit(request, gate=gate, now=now)
    if isinstance(decision, PendingAdmission):
        decision = decision.settle(store.remember(decision.replay_key, created=decision.created, now=...))

Rules of this file: no I/O, no clock, no framework. A refusal is a value with its reason, never an
exception. There is no `Admitted` for a single-use route without an answer of the replay store, so a
forgotten replay store is a type error. What is remembered between requests are verified signatures,
never verdicts: expiry, bans and route policy are looked at every time.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from bonafide import client_attestation
from bonafide.attestation_memory import AttestationMemory, KnownAttestation
from bonafide.client_attestation import VerificationKeys
from bonafide.codec import base64url
from bonafide.codec.jwk import parse_public, thumbprint
from bonafide.codec.version import at_least
from bonafide.errors import ConfigurationError, MalformedEvidence, VerificationFailed
from bonafide.ports import FirstUse
from bonafide.proof import dpop
from bonafide.proof.http_signature import (
    CLIENT_ATTESTATION,
    ProvenRequest,
    RequestProof,
    parse_proof,
    parse_request_line,
    verify_form,
    verify_hardware,
    verify_session,
)
from bonafide.reasons import client_attestation as attestation_reasons
from bonafide.reasons import configuration
from bonafide.reasons import proof as proof_reasons
from bonafide.reasons import request as request_reasons
from bonafide.reasons import route as route_reasons
from bonafide.reasons import store as store_reasons
from bonafide.routes import Client
from bonafide.sealing import AnswerKey, answer_key
from bonafide.session import mac_key, seal_response_key, session_key
from bonafide.terms import ProofKind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric import ec

    from bonafide.attestation_memory import AttestationMemory
    from bonafide.client_attestation import ClientAttestation
    from bonafide.http import HttpRequest
    from bonafide.reasons import Reason
    from bonafide.routes import Route, RouteTable
    from bonafide.terms import EvidenceEnvironment


class Keys(VerificationKeys, Protocol):
    """Where a gate finds signing keys, and the secrets from which session keys derive."""

    def secret(self, kid: str, now: datetime) -> bytes | None:
        """Return the 32 octets of this gate key while tokens may name it, else None."""
        ...


class Revocations(Protocol):
    """Who is banned, as of the last look; looked at for every request."""

    def is_revoked(self, instance: str, jkt: str) -> bool:
        """Tell whether this instance or this key is banned."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What one gate admits, and where it finds keys, rules and bans.

    `issuer` and `audience` are compared octet for octet; `environments` are those of the evidence
    (`production` unless the operator says otherwise). One `memory` belongs to one gate. Without `apps` it
    admits nobody. Raises `ConfigurationError` (`configuration.gate_malformed`).
    """

    issuer: str
    audience: str
    apps: frozenset[str]
    environments: frozenset[EvidenceEnvironment]
    routes: RouteTable
    keys: Keys
    revocations: Revocations
    memory: AttestationMemory

    def __post_init__(self) -> None:
        """Refuse to start a gate that could only compare with nothing."""
        if not self.issuer or not self.audience or not self.environments:
            raise ConfigurationError(configuration.GATE_MALFORMED, "issuer, audience or environments are empty")


class Admitted(NamedTuple):
    """A request that the named instance signed, here, now, once, on a route that takes it.

    `digest` is the covered Content-Digest header value, or None where the proof covers no body (`dpop`): then query,
    cookies and all other header fields but the access token are unproven as well. `answer_key` seals the answer, where
    the route says `seal`; else it is None. Not proven: that the body has this digest (whoever reads the body compares),
    that the user is who they say, that nothing instruments the app (N1).
    """

    attestation: ClientAttestation
    jkt: str
    route: Route
    proof: ProofKind
    digest: str | None
    judged_at: float
    """When it was judged, in seconds since the epoch: a view may be reached much later."""
    answer_key: AnswerKey | None = None


@dataclass(frozen=True, slots=True)
class Exempt:
    """A request on a `browser` or `open` route: nothing was proven, and nothing is claimed."""

    route: Route


@dataclass(frozen=True, slots=True)
class Unproven:
    """A request without any proof on a route whose `legacy` still lets such requests pass.

    The adapter counts it and refuses it with `route.legacy_share_exceeded` above the share.
    """

    route: Route


@dataclass(frozen=True, slots=True)
class Denied:
    """A refusal. `route` and `attestation` are None where it came before they were known."""

    reason: Reason
    detail: str = ""
    route: Route | None = None
    attestation: ClientAttestation | None = None

    @property
    def proven_instance(self) -> str | None:
        """The instance that signed this request, or None: a stolen attestation names its victim."""
        if self.attestation is None or self.reason not in AFTER_PROOF:
            return None
        return self.attestation.instance


class PendingAdmission:
    """Everything held but first use: ask a replay store about `replay_key`, and settle."""

    __slots__ = ("_admitted", "created", "replay_key")

    def __init__(self, replay_key: bytes, created: int, admitted: Admitted) -> None:
        """Take what must be spent; `admitted` comes out by `settle` only."""
        self.replay_key = replay_key
        self.created = created
        self._admitted = admitted

    def settle(self, first_use: FirstUse) -> Admitted | Denied:
        """Turn the store's answer into the decision. Everything but `FIRST` refuses."""
        if first_use is FirstUse.FIRST:
            return self._admitted
        reason = _NOT_FIRST.get(first_use, store_reasons.UNAVAILABLE)
        return Denied(reason, "", self._admitted.route, self._admitted.attestation)


AFTER_PROOF: Final = frozenset(
    (
        route_reasons.TIER_TOO_LOW,
        route_reasons.PLATFORM_REFUSED,
        route_reasons.APP_VERSION_TOO_OLD,
        route_reasons.OS_VERSION_TOO_OLD,
        route_reasons.SESSION_REQUIRED,
        route_reasons.NOT_FRESH,
        proof_reasons.REPLAYED,
        proof_reasons.FENCED,
        proof_reasons.DIGEST_MISMATCH,
        store_reasons.UNAVAILABLE,
        store_reasons.CLOCK_APART,
        request_reasons.BODY_TOO_LARGE,
        request_reasons.BODY_INCOMPLETE,
        request_reasons.BODY_FRAMING,
        request_reasons.BODY_UNCHECKED,
        request_reasons.RATE_EXCEEDED,
    )
)
"""Refusals of a request whose proof held: only these are written down for, and ramped by, an instance."""

_NOT_FIRST: Final[Mapping[FirstUse, Reason]] = {
    FirstUse.REPLAYED: proof_reasons.REPLAYED,
    FirstUse.FENCED: proof_reasons.FENCED,
    FirstUse.UNAVAILABLE: store_reasons.UNAVAILABLE,
    FirstUse.CLOCK_APART: store_reasons.CLOCK_APART,
}

Decision = PendingAdmission | Admitted | Exempt | Unproven | Denied


def admit(request: HttpRequest, *, gate: Gate, now: datetime) -> Decision:
    """Decide about one request.

    Returns `PendingAdmission` where the proof held and must now be spent; `Admitted` at once only on
    a route with `single_use = false`; `Exempt`, `Unproven` or `Denied` otherwise. Raises nothing for any
    input of a client.
    """
    route = known = None
    try:
        path, query = parse_request_line(request)
        route = gate.routes.match(request.method, path)
        if route is None:
            raise VerificationFailed(route_reasons.NOT_LISTED)
        if route.client is not Client.APP:
            return Exempt(route)
        verify_form(request, upgrade=route.upgrade)
        if route.seal and request.method == "HEAD":
            raise VerificationFailed(route_reasons.HEAD_NOT_SEALED)
        token = request.headers.get(CLIENT_ATTESTATION)
        if token is None:
            return _without_attestation(request, route, now)
        moment = now.timestamp()
        known = _recognise(token, gate, now, moment)
        if gate.revocations.is_revoked(known.claims.instance, known.jkt):
            raise VerificationFailed(attestation_reasons.REVOKED)
        proof = None
        if dpop.is_judged(request.headers, route.proof):
            proven = _verify_dpop(request, path, known, gate, route, now)
        else:
            proof = parse_proof(request, path=path, query=query, attestation=token)
            proven = _verify(proof, known, gate, route, now, moment)
        _require(route, known.claims, moment)
        sealed = _answer_key(proof, known, gate.keys, now) if route.seal else None
    except (MalformedEvidence, VerificationFailed) as refusal:
        return Denied(refusal.reason, refusal.detail, route, None if known is None else known.claims)
    admitted = Admitted(known.claims, known.jkt, route, proven.kind, proven.digest, moment, sealed)
    return PendingAdmission(proven.replay_key, proven.created, admitted) if route.single_use else admitted


def _without_attestation(request: HttpRequest, route: Route, now: datetime) -> Unproven:
    """Old app versions send neither attestation nor proof; half of it is no old version."""
    if route.legacy is None or "signature" in request.headers or "signature-input" in request.headers:
        raise VerificationFailed(attestation_reasons.MISSING)
    if now.date() >= route.legacy.until:
        raise VerificationFailed(route_reasons.LEGACY_ENDED)
    return Unproven(route)


def _recognise(token: str, gate: Gate, now: datetime, moment: float) -> KnownAttestation:
    """Verify a client attestation, or find it among those verified before; expiry is looked at either way."""
    if not token.isascii():
        raise MalformedEvidence(attestation_reasons.MALFORMED)
    digest = sha256(token.encode("ascii")).digest()
    known = gate.memory.find(digest)
    if known is not None:
        if moment < known.expires:
            return known
        gate.memory.forget(digest)  # and have it refused below, as one that was never seen
    claims = client_attestation.verify(token, issuer=gate.issuer, audience=gate.audience, keys=gate.keys, now=now)
    if claims.app not in gate.apps:
        raise VerificationFailed(attestation_reasons.APP_REFUSED, claims.app)
    if claims.environment not in gate.environments:
        raise VerificationFailed(attestation_reasons.ENVIRONMENT_REFUSED, claims.environment)
    known = KnownAttestation(
        claims=claims,
        expires=claims.expires_at.timestamp(),
        jkt=thumbprint(claims.sign_jwk),
    )
    gate.memory.keep(digest, known, moment)
    return known


def _verify_dpop(
    request: HttpRequest, path: str, known: KnownAttestation, gate: Gate, route: Route, now: datetime
) -> ProvenRequest:
    if ProofKind.DPOP not in route.proof.satisfied_by:
        raise VerificationFailed(route_reasons.PROOF_KIND_TOO_WEAK, "a DPoP proof")
    return dpop.verify_proof(
        request,
        path=path,
        key=_hardware_key(known),
        jkt=known.jkt,
        find_gate_key=lambda key_id: gate.keys.secret(key_id, now),
        now=now,
        max_age=route.max_age,
    )


def _hardware_key(known: KnownAttestation) -> ec.EllipticCurvePublicKey:
    if known.key is None:  # two of its five KiB, and most attestations only ever come with session proofs
        known.key = parse_public(known.claims.sign_jwk)
    return known.key


def _verify(
    proof: RequestProof, known: KnownAttestation, gate: Gate, route: Route, now: datetime, moment: float
) -> ProvenRequest:
    if proof.kind is ProofKind.HARDWARE:
        return verify_hardware(proof, key=_hardware_key(known), jkt=known.jkt, now=moment, max_age=route.max_age)
    if proof.kind not in route.proof.satisfied_by:
        raise VerificationFailed(route_reasons.PROOF_KIND_TOO_WEAK)
    if not known.claims.sid:  # no gate key is looked for: whoever has no session has none to prove with
        raise VerificationFailed(proof_reasons.KEY_MISMATCH, "the instance has no session")
    if known.mac_key is None:
        known.mac_key = _mac_key(known, gate.keys, now)
    return verify_session(proof, mac_key=known.mac_key, sid=known.claims.sid, now=moment, max_age=route.max_age)


def answer_key_of(request: HttpRequest, admitted: Admitted, *, keys: Keys, now: datetime) -> AnswerKey:
    """Return the key that seals the answer to a request that was admitted on a route without `seal`.

    For a view that wants more than its route says. Verifies nothing again: of another request than the one admitted
    it makes a key that opens nothing. Raises `VerificationFailed` (`route.session_required`,
    `proof.session_key_unknown`), and what `parse_proof` raises.
    """
    path, query = parse_request_line(request)
    proof = parse_proof(request, path=path, query=query, attestation=request.headers.get(CLIENT_ATTESTATION))
    known = KnownAttestation(claims=admitted.attestation, expires=0, jkt=admitted.jkt)
    return _answer_key(proof, known, keys, now)


def _mac_key(known: KnownAttestation, keys: Keys, now: datetime) -> bytes:
    return mac_key(_session_key(known, keys, now))


def _answer_key(proof: RequestProof | None, known: KnownAttestation, keys: Keys, now: datetime) -> AnswerKey:
    if proof is None:  # by DPoP, which no table lets stand beside `seal`
        raise VerificationFailed(route_reasons.PROOF_KIND_TOO_WEAK)
    if not known.claims.sid:
        raise VerificationFailed(route_reasons.SESSION_REQUIRED)
    if known.seal_response_key is None:
        known.seal_response_key = seal_response_key(_session_key(known, keys, now))
    return answer_key(known.seal_response_key, sid=base64url.decode(known.claims.sid), base=proof.base)


def _session_key(known: KnownAttestation, keys: Keys, now: datetime) -> bytes:
    claims = known.claims
    secret = keys.secret(claims.gate_key, now)
    if secret is None:
        raise VerificationFailed(proof_reasons.SESSION_KEY_UNKNOWN, claims.gate_key)
    expires = int(claims.expires_at.timestamp())
    return session_key(secret, sid=base64url.decode(claims.sid), app=claims.app, jkt=known.jkt, expires=expires)


def _require(route: Route, claims: ClientAttestation, moment: float) -> None:
    """Compare what was proven with what the route demands; each refusal differs in what the app can do."""
    if claims.tier.rank < route.tier.rank:
        raise VerificationFailed(route_reasons.TIER_TOO_LOW, f"{claims.tier} < {route.tier}")
    if route.platforms is not None and claims.platform not in route.platforms:
        raise VerificationFailed(route_reasons.PLATFORM_REFUSED, claims.platform)
    if not at_least(claims.app_version, route.min_version):
        raise VerificationFailed(route_reasons.APP_VERSION_TOO_OLD, claims.app_version)
    if not at_least(claims.os_version, route.min_os):
        raise VerificationFailed(route_reasons.OS_VERSION_TOO_OLD, claims.os_version)
    if route.fresh is not None:
        client_attestation.verify_fresh(claims, within=route.fresh, moment=moment)
