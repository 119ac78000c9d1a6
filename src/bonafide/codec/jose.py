"""Compact JWS with ES256 or HS256, and nothing else of RFC 7515.

A parsed token proves nothing. Whoever verifies one closes its header first
(`refuse_other_members`) and takes key and algorithm from its own configuration, never from the token.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature

from bonafide.codec import base64url, ecdsa, json
from bonafide.errors import MalformedEvidence, Misuse, VerificationFailed
from bonafide.reasons import jose as reasons

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from cryptography.hazmat.primitives.asymmetric import ec

__all__ = [
    "MAX_BYTES",
    "Jws",
    "parse_jws",
    "refuse_other_members",
    "sign_es256",
    "sign_hs256",
    "verify_es256",
    "verify_hs256",
]

MAX_BYTES: Final = 8192
"""The longest token that is looked at unless the caller says otherwise: a header field's limit."""

MIN_MAC_KEY_OCTETS: Final = 32
"""An HS256 key is at least as long as the hash (RFC 7518 section 3.2)."""

_PARTS: Final = 3
# Members that change how the octets are read. None is understood here, and who does not understand them
# must refuse them, also where a caller forgot to close the header: RFC 7515 section 4.1.11, RFC 7797 section 6.
_EXTENSIONS: Final = ("crit", "b64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Jws:
    """A compact JWS as it was parsed; nothing in it is proven.

    `header` is the protected header. `signing_input` is what the signature covers.
    """

    header: Mapping[str, object]
    payload: bytes
    signing_input: bytes
    signature: bytes


def parse_jws(token: str, *, max_bytes: int = MAX_BYTES) -> Jws:
    """Split and decode a compact JWS (RFC 7515 section 3.1).

    Proves the form, and nothing else: exactly three parts in base64url, the first a strict JSON object.

    Raises `MalformedEvidence`: `jose.jws_malformed`, `jose.base64url_malformed`, `jose.json_malformed`.
    """
    if len(token) > max_bytes:
        raise MalformedEvidence(reasons.JWS_MALFORMED, f"longer than {max_bytes} characters")
    parts = token.split(".", _PARTS)
    if len(parts) != _PARTS:
        raise MalformedEvidence(reasons.JWS_MALFORMED, "not three parts")
    header = json.parse_object(base64url.decode(parts[0]), max_bytes=max_bytes)
    payload, signature = base64url.decode(parts[1]), base64url.decode(parts[2])
    signing_input = f"{parts[0]}.{parts[1]}".encode("ascii")
    return Jws(header=header, payload=payload, signing_input=signing_input, signature=signature)


def refuse_other_members(header: Mapping[str, object], *, allowed: Collection[str]) -> None:
    """Refuse a JOSE header that has any member outside `allowed`.

    So `jku`, `jwk`, `x5u`, `x5c`, `x5t`, `crit`, `zip`, `p2c` and whatever comes later fall out
    without being named. Does not prove that the allowed members are there, nor their values.

    Raises `VerificationFailed` (`jose.header_refused`).
    """
    for name in header:
        if name not in allowed:
            raise VerificationFailed(reasons.HEADER_REFUSED, f"member {name[:16]!r}")


def sign_es256(header: Mapping[str, object], payload: bytes, key: ec.EllipticCurvePrivateKey) -> str:
    """Return the compact JWS of `payload` by `key`; `header` says `alg` ES256 (RFC 7518 section 3.4).

    Raises `Misuse`: `jose.header_refused` for another `alg`, `jose.key_unfit` for another curve,
    `jose.value_not_json` for a header without JSON form.
    """
    signing_input = _signing_input(header, payload, alg="ES256")
    return f"{signing_input}.{base64url.encode(ecdsa.sign_raw(key, signing_input.encode('ascii')))}"


def verify_es256(jws: Jws, key: ec.EllipticCurvePublicKey) -> bytes:
    """Return the payload, proven to be signed by the holder of `key` under this very header.

    The signature is r and s in exactly 64 octets (RFC 7518 section 3.4). Not proven: that the header
    has no other members, that `key` may sign such a token, that it is fresh.

    Raises `VerificationFailed`: `jose.header_refused` where `alg` is not ES256, and for `crit` and
    `b64`; `jose.signature_invalid`.
    """
    _require_plain(jws, alg="ES256")
    try:
        ecdsa.verify_raw(key, jws.signature, jws.signing_input)
    except InvalidSignature:
        raise VerificationFailed(reasons.SIGNATURE_INVALID) from None
    return jws.payload


def sign_hs256(header: Mapping[str, object], payload: bytes, key: bytes) -> str:
    """Return the compact JWS of `payload` under the MAC key `key`, 32 octets or more; `alg` is HS256.

    Raises `Misuse`: `jose.header_refused` for another `alg`, `jose.key_unfit` for a shorter key,
    `jose.value_not_json` for a header without JSON form.
    """
    signing_input = _signing_input(header, payload, alg="HS256")
    return f"{signing_input}.{base64url.encode(_mac(key, signing_input.encode('ascii')))}"


def verify_hs256(jws: Jws, key: bytes) -> bytes:
    """Return the payload, proven to come from a holder of `key` (32 octets or more) under this header.

    Every verifier of a MAC can also make one. Not proven: as for `verify_es256`.

    Raises `VerificationFailed`: `jose.header_refused` where `alg` is not HS256, and for `crit` and
    `b64`; `jose.signature_invalid`; `Misuse` (`jose.key_unfit`) for a shorter key.
    """
    _require_plain(jws, alg="HS256")
    if not hmac.compare_digest(_mac(key, jws.signing_input), jws.signature):
        raise VerificationFailed(reasons.SIGNATURE_INVALID)
    return jws.payload


def _signing_input(header: Mapping[str, object], payload: bytes, *, alg: str) -> str:
    if header.get("alg") != alg:
        raise Misuse(reasons.HEADER_REFUSED, f"the header does not say {alg}")
    return f"{base64url.encode(json.dump(dict(header)))}.{base64url.encode(payload)}"


def _require_plain(jws: Jws, *, alg: str) -> None:
    if jws.header.get("alg") != alg:
        raise VerificationFailed(reasons.HEADER_REFUSED, f"alg is not {alg}")
    for name in _EXTENSIONS:
        if name in jws.header:
            raise VerificationFailed(reasons.HEADER_REFUSED, f"{name} is not understood")


def _mac(key: bytes, signing_input: bytes) -> bytes:
    if len(key) < MIN_MAC_KEY_OCTETS:
        raise Misuse(reasons.KEY_UNFIT, "a MAC key below 32 octets")
    return hmac.digest(key, signing_input, "sha256")
