"""Public P-256 keys as JWKs of exactly four members, and their thumbprints (RFC 7517, 7518, 7638)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bonafide.codec import base64url, json
from bonafide.errors import MalformedEvidence, Misuse
from bonafide.reasons import jose as reasons

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["from_public", "parse_public", "thumbprint"]

_MEMBERS: Final = frozenset(("kty", "crv", "x", "y"))
_COORDINATE_OCTETS: Final = 32


def parse_public(jwk: Mapping[str, object]) -> ec.EllipticCurvePublicKey:
    """Return the public key that `jwk` spells.

    Proves: the members are exactly `kty` (`EC`), `crv` (`P-256`), `x` and `y`, each coordinate 32
    octets in base64url, reduced, and the point lies on the curve (RFC 7518 section 6.2.1). It does
    not prove that anybody holds the private key.

    Raises `MalformedEvidence` (`jose.jwk_malformed`).
    """
    if jwk.keys() != _MEMBERS or jwk["kty"] != "EC" or jwk["crv"] != "P-256":
        raise MalformedEvidence(reasons.JWK_MALFORMED, "not exactly kty EC, crv P-256, x and y")
    point = b"\x04" + _coordinate(jwk["x"]) + _coordinate(jwk["y"])
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        raise MalformedEvidence(reasons.JWK_MALFORMED, "not a point on P-256") from None


def from_public(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    """Return the JWK of `key`, exactly `kty`, `crv`, `x` and `y`.

    Raises `Misuse` (`jose.key_unfit`) for a key of another curve.
    """
    if not isinstance(key.curve, ec.SECP256R1):
        raise Misuse(reasons.KEY_UNFIT, "the key is not on P-256")
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    x, y = point[1 : 1 + _COORDINATE_OCTETS], point[1 + _COORDINATE_OCTETS :]
    return {"kty": "EC", "crv": "P-256", "x": base64url.encode(x), "y": base64url.encode(y)}


def thumbprint(jwk: Mapping[str, str]) -> str:
    """Return the SHA-256 thumbprint of an EC `jwk`, 43 base64url characters (RFC 7638 section 3).

    `jwk` is one that `parse_public` took or `from_public` made; nothing about its values is proven
    here, only that it has exactly the four members that are hashed.

    Raises `MalformedEvidence` (`jose.jwk_malformed`) for any other set of members.
    """
    if jwk.keys() != _MEMBERS:
        raise MalformedEvidence(reasons.JWK_MALFORMED, "not exactly kty, crv, x and y")
    ordered = {name: jwk[name] for name in sorted(_MEMBERS)}
    return base64url.encode(hashlib.sha256(json.dump(ordered)).digest())


def _coordinate(value: object) -> bytes:
    try:
        octets = base64url.decode(value) if isinstance(value, str) else b""
    except MalformedEvidence:
        octets = b""
    if len(octets) != _COORDINATE_OCTETS:
        raise MalformedEvidence(reasons.JWK_MALFORMED, "a coordinate that is not 32 octets in base64url")
    return octets
