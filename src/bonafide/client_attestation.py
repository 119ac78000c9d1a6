"""The client attestation: a JWT that says which instance of which app holds which key (PROTOCOL section 3).

Its type, header field and errors are those of draft-ietf-oauth-attestation-based-client-auth
(revision 10); what that draft may still move stands in the constants below.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol

from bonafide.codec import json
from bonafide.codec.jose import parse_jws, sign_es256, verify_es256
from bonafide.codec.jwk import parse_public
from bonafide.errors import MalformedEvidence, VerificationFailed
from bonafide.reasons import client_attestation as reasons
from bonafide.reasons import route as route_reasons
from bonafide.terms import EvidenceEnvironment, Platform, Tier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bonafide.codec.jose import Jws
    from bonafide.keys import PublishedKey, SigningKey

TYPE: Final = "oauth-client-attestation+jwt"
MAX_BYTES: Final = 4096
MAX_AHEAD_S: Final = 5
"""How far ahead of a gate's clock `iat` may lie, and `ast` where a route looks at it."""

_CLAIMS: Final = frozenset(["iss", "sub", "aud", "iat", "exp", "cnf", "bonafide"])
_TEXTS: Final = ("inst", "ident", "plat", "env", "tier", "ver", "os", "sid", "gk")
_SID: Final = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientAttestation:
    """What the service says of one instance, for `issued_at` to `expires_at`.

    `sign_jwk` is the instance's P-256 key (`kty`, `crv`, `x`, `y`), `identity` the team and bundle it was
    enrolled as, `environment` that of its evidence, `asserted_at` when it last gave any (attestation or assertion;
    the epoch where it never did), `warnings` coarse codes, `sid` 16 octets in base64url, `gate_key` the id of the
    gate key from which the session keys derive: both are empty where the instance has no session.
    """

    issuer: str
    app: str
    audience: str
    issued_at: datetime
    expires_at: datetime
    sign_jwk: Mapping[str, str]
    instance: str
    identity: str
    platform: Platform
    environment: EvidenceEnvironment
    tier: Tier
    asserted_at: datetime
    app_version: str
    os_version: str
    warnings: tuple[str, ...]
    sid: str
    gate_key: str


class VerificationKeys(Protocol):
    """Where a gate finds signing keys; it may refresh them for an unknown `kid`, at most once in 10 s."""

    def find(self, kid: str, now: datetime) -> PublishedKey | None:
        """Return the key of this id that is published at `now`, and whose it is, or None."""
        ...


def issue(claims: ClientAttestation, *, key: SigningKey) -> str:
    """Issue the JWT for our own gates: ES256, with the `bonafide` claim."""
    body = _registered(claims)
    body["bonafide"] = {
        "inst": claims.instance,
        "ident": claims.identity,
        "plat": claims.platform,
        "env": claims.environment,
        "tier": claims.tier,
        "ast": int(claims.asserted_at.timestamp()),
        "ver": claims.app_version,
        "os": claims.os_version,
        "warn": list(claims.warnings),
        "sid": claims.sid,
        "gk": claims.gate_key,
    }
    return _sign(body, key)


def issue_for_authorization_server(claims: ClientAttestation, *, key: SigningKey) -> str:
    """Issue the JWT for somebody else's authorization server: as `issue`, without the `bonafide` claim.

    Gates refuse it (`client_attestation.not_for_gates`), and it names no instance to its audience.
    """
    return _sign(_registered(claims), key)


def verify(token: str, *, issuer: str, audience: str, keys: VerificationKeys, now: datetime) -> ClientAttestation:
    """Verify a client attestation for a gate of `issuer` and `audience` (RFC 7515 section 5.2, RFC 8725).

    Proves that the service issued these claims with a key of the app that they name, that they are meant for
    this audience, and that `now` lies before `exp`. Does not prove that the sender holds the key, that the
    instance is not banned, nor that its app and environment are admitted here.

    Raises `MalformedEvidence` and `VerificationFailed` (`client_attestation.*`).
    """
    jws = _parse_jws(token)
    kid = jws.header.get("kid")
    if jws.header != {"alg": "ES256", "typ": TYPE, "kid": kid} or not isinstance(kid, str):
        raise VerificationFailed(reasons.HEADER_REFUSED)
    published = keys.find(kid, now)
    if published is None:
        raise VerificationFailed(reasons.KEY_UNKNOWN)
    try:
        payload = verify_es256(jws, published.key.public_key)
    except VerificationFailed:
        raise VerificationFailed(reasons.SIGNATURE_INVALID) from None
    claims = _parse_claims(payload)
    if claims.app != published.app:
        raise VerificationFailed(reasons.KEY_OF_ANOTHER_APP, claims.app)
    if claims.issuer != issuer:
        raise VerificationFailed(reasons.ISSUER_MISMATCH)
    if claims.audience != audience:
        raise VerificationFailed(reasons.AUDIENCE_MISMATCH)
    if claims.issued_at.timestamp() > now.timestamp() + MAX_AHEAD_S:
        raise VerificationFailed(reasons.ISSUED_IN_FUTURE)
    if claims.expires_at <= now:
        raise VerificationFailed(reasons.EXPIRED)
    return claims


def parse(token: str) -> ClientAttestation:
    """Read the claims of a client attestation whose text somebody trusted has verified and vouches for.

    For an API behind a gate, once the statement's digest of this text has been compared. Proves nothing: neither
    who issued it, nor for whom, nor that it still holds.

    Raises `MalformedEvidence` (`client_attestation.malformed`, `client_attestation.claims_malformed`) and
    `VerificationFailed` (`client_attestation.not_for_gates`).
    """
    return _parse_claims(_parse_jws(token).payload)


def verify_fresh(claims: ClientAttestation, *, within: int, moment: float) -> None:
    """Verify that the instance gave evidence at most `within` seconds before `moment` (seconds since the epoch).

    Proves that the service took an attestation or an assertion of the instance's App Attest key by then, and that
    the service's clock and this one do not contradict each other. Does not prove that an assertion was made just
    before it was taken (its challenge came with the attestation before), that somebody was asked, nor who holds the
    phone: an assertion is made without its owner (N1).

    Raises `VerificationFailed` (`route.not_fresh`).
    """
    age = moment - claims.asserted_at.timestamp()
    if not -MAX_AHEAD_S <= age <= within:
        raise VerificationFailed(route_reasons.NOT_FRESH, f"{age:.0f} s, where {within} are allowed")


def _parse_jws(token: str) -> Jws:
    try:
        return parse_jws(token, max_bytes=MAX_BYTES)
    except MalformedEvidence as error:
        raise MalformedEvidence(reasons.MALFORMED, error.reason.code) from None


def _registered(claims: ClientAttestation) -> dict[str, object]:
    return {
        "iss": claims.issuer,
        "sub": claims.app,
        "aud": claims.audience,
        "iat": int(claims.issued_at.timestamp()),
        "exp": int(claims.expires_at.timestamp()),
        "cnf": {"jwk": dict(claims.sign_jwk)},
    }


def _sign(body: Mapping[str, object], key: SigningKey) -> str:
    return sign_es256({"alg": "ES256", "typ": TYPE, "kid": key.kid}, json.dump(body), key.private_key)


def _parse_claims(payload: bytes) -> ClientAttestation:
    """Read the claims of a JWT whose signature held; anything unforeseen is a service of another version."""
    try:
        body = json.parse_object(payload, max_bytes=MAX_BYTES)
        if "bonafide" not in body:
            raise VerificationFailed(reasons.NOT_FOR_GATES)
        ours, cnf = body["bonafide"], body["cnf"]
        if body.keys() != _CLAIMS or not isinstance(ours, dict) or ours.keys() != {*_TEXTS, "ast", "warn"}:
            raise TypeError
        if not isinstance(cnf, dict) or cnf.keys() != {"jwk"} or not isinstance(cnf["jwk"], dict):
            raise TypeError
        parse_public(cnf["jwk"])
        texts = {name: _text(ours[name]) for name in _TEXTS}
        if not _is_session(texts["sid"], texts["gk"]):
            raise TypeError
        return ClientAttestation(
            issuer=_shared(body["iss"]),
            app=_shared(body["sub"]),
            audience=_shared(body["aud"]),
            issued_at=_time(body["iat"]),
            expires_at=_time(body["exp"]),
            sign_jwk=cnf["jwk"],
            instance=texts["inst"],
            identity=_shared(texts["ident"]),
            platform=Platform(texts["plat"]),
            environment=EvidenceEnvironment(texts["env"]),
            tier=Tier(texts["tier"]),
            asserted_at=_time(ours["ast"]),
            app_version=_shared(texts["ver"]),
            os_version=_shared(texts["os"]),
            warnings=tuple(_text(code) for code in _list(ours["warn"])),
            sid=texts["sid"],
            gate_key=_shared(texts["gk"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError, OSError, MalformedEvidence):
        raise MalformedEvidence(reasons.CLAIMS_MALFORMED) from None


def _is_session(sid: str, gate_key: str) -> bool:
    """Tell a session, or none at all, from half of one."""
    return (sid == gate_key == "") or (gate_key != "" and _SID.fullmatch(sid) is not None)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _shared(value: object) -> str:
    """Return a text of which thousands of attestations hold the same: a gate remembers them all, and this once."""
    return _once(_text(value))


@lru_cache(maxsize=1024)
def _once(text: str) -> str:
    return text


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _time(value: object) -> datetime:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    return datetime.fromtimestamp(value, UTC)
