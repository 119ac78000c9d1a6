"""One gate, one instance and one signer: the small world in which requests are admitted or not."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec

from bonafide.admission import Gate
from bonafide.attestation_memory import AttestationMemory
from bonafide.client_attestation import ClientAttestation, issue
from bonafide.codec import base64url, jwk
from bonafide.http import HttpRequest, Origin
from bonafide.keys import PublishedKey, SigningKey
from bonafide.proof.content_digest import NO_BODY
from bonafide.proof.http_signature import HardwareSigner, SessionSigner, sign
from bonafide.routes import RouteTable, parse_rules
from bonafide.session import mac_key, session_key
from bonafide.terms import EvidenceEnvironment, Platform, Tier
from tests import canaries

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
ORIGIN = Origin(scheme="https", authority="api.example.com")
SIGN = ec.derive_private_key(0x51_6E, ec.SECP256R1())
SIGN_JWK = jwk.from_public(SIGN.public_key())
JKT = jwk.thumbprint(SIGN_JWK)
ISSUER_KEY = SigningKey.of(ec.derive_private_key(0x155E, ec.SECP256R1()))
GATE_SECRET = bytes(range(32))
BEARER = "bearer-of-a-user-that-no-log-may-tell"
canaries.plant("gate key", GATE_SECRET)
canaries.plant("bearer", BEARER)
SID = bytes(range(16))


def published(app: str) -> dict[str, PublishedKey]:
    """Return the issuer's key, published as that of `app`."""
    return {ISSUER_KEY.kid: PublishedKey(app=app, key=ISSUER_KEY.public)}


@dataclass
class HeldKeys:
    """The keys of one app and environment, as a gate holds them."""

    published: dict[str, PublishedKey] = field(default_factory=lambda: published("shop"))
    secrets: dict[str, bytes] = field(default_factory=lambda: {"20261101-a": GATE_SECRET})

    def find(self, kid: str, now: datetime) -> PublishedKey | None:
        """Return the published key."""
        del now
        return self.published.get(kid)

    def secret(self, kid: str, now: datetime) -> bytes | None:
        """Return the gate key."""
        del now
        return self.secrets.get(kid)


@dataclass
class Banned:
    """Who is banned."""

    names: set[str] = field(default_factory=set)

    def is_revoked(self, instance: str, jkt: str) -> bool:
        """Tell whether either is banned."""
        return instance in self.names or jkt in self.names


def claims(**changes: Any) -> ClientAttestation:
    """Return the claims of the world's instance, issued a minute ago for five minutes."""
    return replace(
        ClientAttestation(
            issuer="https://api.example.com/bonafide/v1",
            app="shop",
            audience="https://api.example.com",
            issued_at=NOW - timedelta(minutes=1),
            expires_at=NOW + timedelta(minutes=4),
            sign_jwk=SIGN_JWK,
            instance="aW5zdGFuY2UtMDAwMDAwMQ",
            identity="TEAM123456.com.example.shop",
            platform=Platform.IOS,
            environment=EvidenceEnvironment.PRODUCTION,
            tier=Tier.AFFIRMING,
            asserted_at=NOW - timedelta(minutes=1),
            app_version="2.3.1",
            os_version="18.1",
            warnings=(),
            sid=base64url.encode(SID),
            gate_key="20261101-a",
        ),
        **changes,
    )


def token(**changes: Any) -> str:
    """Return the world's client attestation."""
    text = issue(claims(**changes), key=ISSUER_KEY)
    canaries.plant("client attestation", text)
    return text


def gate(*rules: Mapping[str, object], **changes: Any) -> Gate:
    """Return a gate with these rules (default: everything under /api), and nothing remembered."""
    table: RouteTable = parse_rules(rules or ({"match": "/api/**"},))
    return replace(
        Gate(
            issuer="https://api.example.com/bonafide/v1",
            audience="https://api.example.com",
            apps=frozenset(["shop"]),
            environments=frozenset([EvidenceEnvironment.PRODUCTION]),
            routes=table,
            keys=HeldKeys(),
            revocations=Banned(),
            memory=AttestationMemory(),
        ),
        **changes,
    )


HARDWARE = HardwareSigner(SIGN, JKT)


def session_key_of(held: ClientAttestation) -> bytes:
    """Return the session key that the device holds beside this attestation."""
    return session_key(
        GATE_SECRET,
        sid=base64url.decode(held.sid),
        app=held.app,
        jkt=jwk.thumbprint(held.sign_jwk),
        expires=int(held.expires_at.timestamp()),
    )


def session_signer(attestation: ClientAttestation | None = None) -> SessionSigner:
    """Return the signer that the session of this attestation gives the device."""
    held = attestation or claims()
    key = session_key_of(held)
    canaries.plant("MAC key", mac_key(key))
    return SessionSigner(mac_key(key), held.sid)


def request(
    target: str = "/api/config",
    *,
    method: str = "GET",
    signer: HardwareSigner | SessionSigner | None = None,
    attestation: str | None = None,
    created: int | None = None,
    nonce: str = "bm9uY2Vub25jZW5vbmNlbg",
    headers: Mapping[str, str | None] | None = None,
) -> HttpRequest:
    """Return a request of the world's instance, signed by its session unless said otherwise; None is no header."""
    sent = {
        "oauth-client-attestation": attestation or token(),
        "content-digest": NO_BODY,
        "authorization": f"Bearer {BEARER}",
        **(headers or {}),
    }
    present = {name: value for name, value in sent.items() if value is not None}
    bare = HttpRequest(method=method, origin=ORIGIN, target=target, headers=present)
    proof = sign(
        bare,
        created=int(NOW.timestamp()) if created is None else created,
        nonce=nonce,
        signer=signer or session_signer(),
    )
    return with_headers(bare, **proof)


def with_headers(original: HttpRequest, **headers: str | None) -> HttpRequest:
    """Return the request with these headers set, or absent where None; `_` stands for `-`."""
    merged = {**original.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return original._replace(headers={name: value for name, value in merged.items() if value is not None})
