"""Phones that sign requests ahead: what the load consists of, octet by octet.

This runs in the process that sends, never in one whose CPU is counted. Batches are made just before they are
sent: a proof is good for a minute.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import jwt  # noqa: TID251 - a contender
import pydpop
from cryptography.hazmat.primitives.asymmetric import ec

from bench.gate.processes import HOST
from bonafide.client_attestation import ClientAttestation, issue
from bonafide.codec import base64url
from bonafide.codec.jwk import from_public, thumbprint
from bonafide.http import HttpRequest, Origin
from bonafide.proof.content_digest import NO_BODY
from bonafide.proof.http_signature import HardwareSigner, SessionSigner, sign
from bonafide.session import mac_key, session_key
from bonafide.terms import EvidenceEnvironment, Platform, Tier
from tests.gate.service import AUDIENCE, GATE_KEY_ID, ISSUER
from tests.gate_world import GATE_SECRET, ISSUER_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bonafide.keys import SigningKey

ORIGIN: Final = Origin(scheme="https", authority=HOST)
TARGET: Final = "/api/orders?page=1"
REQUESTS_PER_ATTESTATION: Final = 100
"""What a device that sends 20 requests a minute sends under one client attestation of five minutes."""

APP_HEADERS: Final = {
    "User-Agent": "Shop/2.3.1 (iPhone15,2; iOS 18.1) CFNetwork/1568.200.51 Darwin/24.1.0",
    "Accept": "application/json",
    "Accept-Language": "en-GB,en;q=0.9",
    "Accept-Encoding": "gzip, deflate, br",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuing:
    """What the service of a run knows: who it is, and the keys that sign and that sessions derive from."""

    issuer: str
    audience: str
    app: str
    identity: str
    signing_key: SigningKey = field(repr=False)
    gate_key_id: str
    gate_secret: bytes = field(repr=False)


ISSUING: Final = Issuing(
    issuer=ISSUER,
    audience=AUDIENCE,
    app="shop",
    identity="TEAM123456.com.example.shop",
    signing_key=ISSUER_KEY,
    gate_key_id=GATE_KEY_ID,
    gate_secret=GATE_SECRET,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phone:
    """One instance with a fresh client attestation, as a genuine app holds it."""

    instance: str
    bearer: str
    attestation: str
    claims: ClientAttestation
    hardware: HardwareSigner
    session: SessionSigner

    def signed(
        self,
        method: str = "GET",
        target: str = TARGET,
        *,
        created: int,
        hardware: bool = False,
        bearer: bool = True,
        digest: str = NO_BODY,
        headers: Mapping[str, str] | None = None,
    ) -> HttpRequest:
        """Return a request with its proof; `headers`, in lower case, are among what it covers where it covers them."""
        carried = {
            **({"authorization": f"Bearer {self.bearer}"} if bearer else {}),
            "oauth-client-attestation": self.attestation,
            "content-digest": digest,
            **(headers or {}),
        }
        request = HttpRequest(method=method, origin=ORIGIN, target=target, headers=carried)
        signer = self.hardware if hardware else self.session
        proof = sign(request, created=created, nonce=new_nonce(), signer=signer)
        return HttpRequest(method=method, origin=ORIGIN, target=target, headers={**carried, **proof})


def new_nonce() -> str:
    """Return a nonce of 16 random octets."""
    return base64url.encode(os.urandom(16))


def make_phone(at: Issuing, now: datetime, *, lives: timedelta = timedelta(minutes=5)) -> Phone:
    """Return a phone that the service has just given an attestation."""
    key = ec.generate_private_key(ec.SECP256R1())
    jwk = from_public(key.public_key())
    jkt, sid = thumbprint(jwk), os.urandom(16)
    issued = now.replace(microsecond=0)
    claims = ClientAttestation(
        issuer=at.issuer,
        app=at.app,
        audience=at.audience,
        issued_at=issued,
        expires_at=issued + lives,
        sign_jwk=jwk,
        instance=base64url.encode(os.urandom(16)),
        identity=at.identity,
        platform=Platform.IOS,
        environment=EvidenceEnvironment.PRODUCTION,
        tier=Tier.AFFIRMING,
        asserted_at=issued,
        app_version="2.3.1",
        os_version="18.1",
        warnings=(),
        sid=base64url.encode(sid),
        gate_key=at.gate_key_id,
    )
    expires = int(claims.expires_at.timestamp())
    derived = session_key(at.gate_secret, sid=sid, app=at.app, jkt=jkt, expires=expires)
    return Phone(
        instance=claims.instance,
        bearer=secrets.token_urlsafe(32),
        attestation=issue(claims, key=at.signing_key),
        claims=claims,
        hardware=HardwareSigner(key, jkt),
        session=SessionSigner(mac_key(derived), claims.sid),
    )


def octets(request: HttpRequest) -> bytes:
    """Return a request without a body as an app sends it."""
    return lines(request.method, request.target, {"Host": request.origin.authority, **APP_HEADERS, **request.headers})


def lines(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """Return a request's head."""
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{method} {target} HTTP/1.1\r\n{fields}\r\n".encode("latin-1")


def proven_batch(at: Issuing, count: int, *, hardware: bool, per_phone: int = REQUESTS_PER_ATTESTATION) -> list[bytes]:
    """Return requests of as many phones as it takes, each with an attestation that no gate has seen, in turns."""
    now = datetime.now(UTC)
    created = int(now.timestamp())
    phones = [make_phone(at, now) for _ in range(-(-count // per_phone))]
    return [octets(phones[number % len(phones)].signed(created=created, hardware=hardware)) for number in range(count)]


def bearer_batch(key: ec.EllipticCurvePrivateKey, count: int, *, dpop: bool) -> list[bytes]:
    """Return requests with an access token as PyJWT makes them, and a proof as pydpop makes it where `dpop`."""
    now = datetime.now(UTC)
    users = [_User(key, now, dpop=dpop) for _ in range(-(-count // REQUESTS_PER_ATTESTATION))]
    url = f"https://{HOST}{TARGET}"
    requests = []
    for number in range(count):
        user = users[number % len(users)]
        headers = {"Host": HOST, **APP_HEADERS, "Authorization": f"{'DPoP' if dpop else 'Bearer'} {user.token}"}
        if dpop:
            headers["DPoP"] = pydpop.generate_proof(
                private_key=user.key, htm="GET", htu=url, access_token=user.token, iat=int(now.timestamp())
            )
        requests.append(lines("GET", TARGET, headers))
    return requests


class _User:
    """Somebody with an access token; bound to a key of theirs (RFC 9449 section 6) where `dpop`."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, now: datetime, *, dpop: bool) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        seconds = int(now.timestamp())
        claims = {
            "iss": "https://login.example.com",
            "aud": f"https://{HOST}",
            "sub": secrets.token_urlsafe(16),
            "client_id": "shop",
            "scope": "orders:read orders:write",
            "jti": secrets.token_urlsafe(16),
            "iat": seconds,
            "exp": seconds + 300,
        }
        if dpop:
            claims["cnf"] = {"jkt": thumbprint(from_public(self.key.public_key()))}
        self.token = jwt.encode(claims, key, algorithm="ES256", headers={"kid": "access-1", "typ": "at+jwt"})
