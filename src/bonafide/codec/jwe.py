"""Compact JWE with ECDH-ES in direct key agreement and A256GCM, and nothing else of RFC 7516.

The key is derived from one ephemeral key, made for one token and thrown away; with it the pair of key and
IV is new for each token, which is all that AES-GCM asks of it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash

from bonafide.codec import base64url, jose, json, jwk
from bonafide.errors import MalformedEvidence, Misuse, VerificationFailed
from bonafide.reasons import jose as reasons

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["concat_kdf", "decrypt", "encrypt"]

_ALG: Final = "ECDH-ES"
_ENC: Final = "A256GCM"
_KEY_OCTETS: Final = 32
_IV_OCTETS: Final = 12
_TAG_OCTETS: Final = 16
_PARTS: Final = 5
# `apu` and `apv` are refused: they would let the sender choose part of the key derivation's input.
_DESCRIPTIVE: Final = frozenset(("typ", "cty", "kid"))
_MEMBERS: Final = _DESCRIPTIVE | {"alg", "enc", "epk"}


def encrypt(
    payload: bytes,
    *,
    recipient: ec.EllipticCurvePublicKey,
    header: Mapping[str, str],
    ephemeral: ec.EllipticCurvePrivateKey,
    iv: bytes,
) -> str:
    """Return `payload` sealed to `recipient` as a compact JWE (RFC 7516 section 7.1).

    `header` holds what describes the payload (`typ`, `cty`, `kid`); `alg`, `enc` and `epk` are written
    here. `ephemeral` is a private key on P-256 drawn for this token alone, `iv` 12 octets. Whoever opens
    the token learns nothing about who sealed it: sign the payload where that matters.

    Raises `Misuse`: `jose.header_refused`, `jose.key_unfit`, `jose.value_not_json`.
    """
    if not header.keys() <= _DESCRIPTIVE:
        raise Misuse(reasons.HEADER_REFUSED, "only typ, cty and kid are the caller's")
    if len(iv) != _IV_OCTETS:
        raise Misuse(reasons.KEY_UNFIT, "the IV is not 12 octets")
    epk = jwk.from_public(ephemeral.public_key())
    protected = base64url.encode(json.dump({"alg": _ALG, "enc": _ENC, "epk": epk, **header}))
    content_key = _agree(ephemeral, recipient)
    sealed = AESGCM(content_key).encrypt(iv, payload, protected.encode("ascii"))
    ciphertext, tag = sealed[:-_TAG_OCTETS], sealed[-_TAG_OCTETS:]
    return ".".join((protected, "", *map(base64url.encode, (iv, ciphertext, tag))))


def decrypt(
    token: str, *, key: ec.EllipticCurvePrivateKey, max_bytes: int = jose.MAX_BYTES
) -> tuple[Mapping[str, object], bytes]:
    """Return header and payload of a compact JWE that was sealed to the holder of `key`.

    Proves: the form (five parts in base64url, no encrypted key, IV of 12 octets, tag of 16), a header
    of `alg` ECDH-ES, `enc` A256GCM, `epk` on P-256 and at most `typ`, `cty`, `kid`, and that header and
    payload are what somebody sealed to this key. Not proven: who that was, and when.

    What depends on the private key has one refusal: a wrong key, an altered header, IV, ciphertext or
    tag are not told apart. Raises `MalformedEvidence`: `jose.jwe_malformed`, `jose.base64url_malformed`,
    `jose.json_malformed`, `jose.jwk_malformed`; `VerificationFailed`: `jose.header_refused`,
    `jose.decryption_failed`; `Misuse` (`jose.key_unfit`).
    """
    parsed = _parse(token, max_bytes=max_bytes)
    return parsed.header, _open(_agree(key, parsed.epk), parsed)


def concat_kdf(secret: bytes, *, algorithm: str, octets: int, apu: bytes = b"", apv: bytes = b"") -> bytes:
    """Return a key of `octets` from the ECDH `secret` by the Concat KDF of RFC 7518 section 4.6.2.

    `algorithm` is the AlgorithmID: the `enc` value in direct key agreement. `apu` and `apv` are the
    decoded party infos, empty in all tokens of ours.
    """
    fields = (algorithm.encode("ascii"), apu, apv)
    other_info = b"".join(struct.pack(">I", len(field)) + field for field in fields)
    other_info += struct.pack(">I", octets * 8)
    return ConcatKDFHash(hashes.SHA256(), octets, other_info).derive(secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Jwe:
    header: Mapping[str, object]
    epk: ec.EllipticCurvePublicKey
    iv: bytes
    ciphertext: bytes
    tag: bytes
    additional_data: bytes


def _parse(token: str, *, max_bytes: int) -> _Jwe:
    if len(token) > max_bytes:
        raise MalformedEvidence(reasons.JWE_MALFORMED, f"longer than {max_bytes} characters")
    parts = token.split(".", _PARTS)
    if len(parts) != _PARTS:
        raise MalformedEvidence(reasons.JWE_MALFORMED, "not five parts")
    if parts[1]:
        raise MalformedEvidence(reasons.JWE_MALFORMED, "an encrypted key, where the key is agreed on directly")
    header = json.parse_object(base64url.decode(parts[0]), max_bytes=max_bytes)
    epk = _ephemeral_key(header)
    iv, ciphertext, tag = map(base64url.decode, parts[2:])
    if len(iv) != _IV_OCTETS or len(tag) != _TAG_OCTETS:
        raise MalformedEvidence(reasons.JWE_MALFORMED, "not 12 octets of IV and 16 of tag")
    return _Jwe(header=header, epk=epk, iv=iv, ciphertext=ciphertext, tag=tag, additional_data=parts[0].encode("ascii"))


def _ephemeral_key(header: Mapping[str, object]) -> ec.EllipticCurvePublicKey:
    jose.refuse_other_members(header, allowed=_MEMBERS)
    if header.get("alg") != _ALG or header.get("enc") != _ENC:
        raise VerificationFailed(reasons.HEADER_REFUSED, f"not alg {_ALG} and enc {_ENC}")
    epk = header.get("epk")
    if not isinstance(epk, dict):
        raise VerificationFailed(reasons.HEADER_REFUSED, "no epk")
    return jwk.parse_public(epk)


def _open(content_key: bytes, parsed: _Jwe) -> bytes:
    try:
        return AESGCM(content_key).decrypt(parsed.iv, parsed.ciphertext + parsed.tag, parsed.additional_data)
    except InvalidTag:
        raise VerificationFailed(reasons.DECRYPTION_FAILED) from None


def _agree(private: ec.EllipticCurvePrivateKey, public: ec.EllipticCurvePublicKey) -> bytes:
    if not isinstance(private.curve, ec.SECP256R1) or not isinstance(public.curve, ec.SECP256R1):
        raise Misuse(reasons.KEY_UNFIT, "a key that is not on P-256")
    return concat_kdf(private.exchange(ec.ECDH(), public), algorithm=_ENC, octets=_KEY_OCTETS)
