"""ECDSA signatures over P-256 with SHA-256: the two encodings, signing and verifying.

No decision may be keyed on a signature: for every (r, s) the pair (r, n - s) verifies as well.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from bonafide.errors import MalformedEvidence, Misuse
from bonafide.reasons import jose as reasons

__all__ = ["RAW_OCTETS", "der_from_raw", "raw_from_der", "sign_raw", "verify_raw"]

RAW_OCTETS: Final = 64
"""r and s, 32 octets each, big-endian (RFC 7518 section 3.4, RFC 9421 section 3.3.4)."""

_HALF: Final = RAW_OCTETS // 2
_VERIFY: Final = ec.ECDSA(hashes.SHA256())
_SIGN: Final = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)


def raw_from_der(der: bytes) -> bytes:
    """Return a DER signature (RFC 3279 section 2.2.3) as r and s in 64 octets.

    Proves the form only. Raises `MalformedEvidence` (`jose.signature_malformed`) for anything but
    strict DER with two non-negative integers of at most 32 octets.
    """
    try:
        r, s = utils.decode_dss_signature(der)
        return r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big")
    except (ValueError, OverflowError):
        raise MalformedEvidence(reasons.SIGNATURE_MALFORMED) from None


def der_from_raw(raw: bytes) -> bytes:
    """Return r and s in 64 octets as a DER signature.

    Proves the length only. Raises `MalformedEvidence` (`jose.signature_malformed`) for another length.
    """
    if len(raw) != RAW_OCTETS:
        raise MalformedEvidence(reasons.SIGNATURE_MALFORMED, "not 64 octets")
    return utils.encode_dss_signature(int.from_bytes(raw[:_HALF], "big"), int.from_bytes(raw[_HALF:], "big"))


def sign_raw(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """Return the signature by `key` over SHA-256 of `data`, deterministic (RFC 6979), in 64 octets.

    Raises `Misuse` (`jose.key_unfit`) for a key of another curve.
    """
    if not isinstance(key.curve, ec.SECP256R1):
        raise Misuse(reasons.KEY_UNFIT, "the key is not on P-256")
    return raw_from_der(key.sign(data, _SIGN))


def verify_raw(key: ec.EllipticCurvePublicKey, signature: bytes, data: bytes) -> None:
    """Prove that the holder of `key` signed `data`; `signature` is exactly 64 octets.

    `key` is on P-256, as every parser of ours demands. Does not prove freshness. Raises
    `cryptography.exceptions.InvalidSignature`, also for another length; callers map it to their own reason.
    """
    if len(signature) != RAW_OCTETS:
        raise InvalidSignature
    key.verify(der_from_raw(signature), data, _VERIFY)
