"""A JWS that brings its own public key, which counts only where its thumbprint is pinned (RFC 7515, RFC 7638).

So a verifier needs no key but a list of thumbprints, and a token still cannot bring a key of its choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bonafide.codec import jose, jwk
from bonafide.errors import VerificationFailed
from bonafide.reasons import jose as reasons

if TYPE_CHECKING:
    from collections.abc import Collection

    from cryptography.hazmat.primitives.asymmetric import ec


def sign(payload: bytes, *, typ: str, key: ec.EllipticCurvePrivateKey) -> str:
    """Return the compact JWS of `payload` by `key` (ES256), with the header `alg`, `typ`, `jwk`."""
    header = {"alg": "ES256", "typ": typ, "jwk": jwk.from_public(key.public_key())}
    return jose.sign_es256(header, payload, key)


def verify(token: str, *, typ: str, pinned: Collection[str], max_bytes: int = jose.MAX_BYTES) -> bytes:
    """Return the payload, proven to be signed by a key whose thumbprint is in `pinned`, as a token of this `typ`.

    Not proven: when it was signed, and for whom.

    Raises `MalformedEvidence` (`jose.*_malformed`) and `VerificationFailed` (`jose.header_refused`,
    `jose.signer_not_pinned`, `jose.signature_invalid`).
    """
    jws = jose.parse_jws(token, max_bytes=max_bytes)
    signer = jws.header.get("jwk")
    if jws.header != {"alg": "ES256", "typ": typ, "jwk": signer} or not isinstance(signer, dict):
        raise VerificationFailed(reasons.HEADER_REFUSED, "not exactly alg, typ and jwk")
    public_key = jwk.parse_public(signer)
    if jwk.thumbprint(signer) not in pinned:
        raise VerificationFailed(reasons.SIGNER_NOT_PINNED)
    return jose.verify_es256(jws, public_key)
