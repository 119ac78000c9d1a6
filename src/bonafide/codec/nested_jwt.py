"""A JWS by a pinned key in a JWE to one device: what the service tells a device alone (RFC 7519 section 5.2).

The inner header carries the signer as `jwk`, because an app pins thumbprints; the outer one says `cty` `JWT` and
nothing that describes the content. What the claims must say is the caller's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bonafide.codec import jose, jwe, pinned_jws
from bonafide.errors import MalformedEvidence, VerificationFailed
from bonafide.reasons import jose as reasons

if TYPE_CHECKING:
    from collections.abc import Collection

    from cryptography.hazmat.primitives.asymmetric import ec

IV_OCTETS: Final = 12


def seal(
    payload: bytes,
    *,
    typ: str,
    signer: ec.EllipticCurvePrivateKey,
    recipient: ec.EllipticCurvePublicKey,
    ephemeral: ec.EllipticCurvePrivateKey,
    iv: bytes,
) -> str:
    """Return `payload` signed by `signer` (ES256) as a `typ`, and sealed to `recipient`.

    `ephemeral` is a private key on P-256 drawn for this token alone, `iv` 12 octets. Raises `Misuse`
    (`jose.key_unfit`).
    """
    signed = pinned_jws.sign(payload, typ=typ, key=signer)
    return jwe.encrypt(signed.encode("ascii"), recipient=recipient, header={"cty": "JWT"}, ephemeral=ephemeral, iv=iv)


def open_sealed(
    token: str,
    *,
    typ: str,
    agree_key: ec.EllipticCurvePrivateKey,
    pinned: Collection[str],
    max_bytes: int = jose.MAX_BYTES,
) -> bytes:
    """Return the payload, proven to be signed as a `typ` by a key whose thumbprint is in `pinned`.

    Proven too: it was sealed to the holder of `agree_key`. Not proven: when, and for which question.

    Raises `MalformedEvidence` (`jose.*_malformed`) and `VerificationFailed` (`jose.header_refused`,
    `jose.decryption_failed`, `jose.signer_not_pinned`, `jose.signature_invalid`). The detail says whether it was the
    outside or the inside.
    """
    signed = _unseal(token, agree_key, max_bytes)
    try:
        return pinned_jws.verify(signed, typ=typ, pinned=pinned, max_bytes=max_bytes)
    except MalformedEvidence as error:
        raise MalformedEvidence(error.reason, f"inside: {error.reason.code}") from None
    except VerificationFailed as error:
        raise VerificationFailed(error.reason, "inside") from None


def _unseal(token: str, agree_key: ec.EllipticCurvePrivateKey, max_bytes: int) -> str:
    try:
        header, payload = jwe.decrypt(token, key=agree_key, max_bytes=max_bytes)
    except MalformedEvidence as error:
        raise MalformedEvidence(error.reason, f"outside: {error.reason.code}") from None
    except VerificationFailed as error:
        raise VerificationFailed(error.reason, "outside") from None
    if header.keys() != {"alg", "enc", "epk", "cty"} or header["cty"] != "JWT":
        raise VerificationFailed(reasons.HEADER_REFUSED, "outside")
    if not payload.isascii():
        raise MalformedEvidence(reasons.JWS_MALFORMED, "inside: not ASCII")
    return payload.decode("ascii")
