"""Nonces for DPoP proofs, which gates issue and recognise without storing anything (RFC 9449 section 9).

    <id of a gate key>.<base64url of version || random(16) || expiry || HMAC-SHA-256>

Rules of this file:
- The MAC key is derived from the gate key that the nonce names. A gate key belongs to one service, environment, app,
  audience and day, so a nonce holds there and nowhere else, and a change of the day's key takes none back that lives.
- A nonce is no secret and not single use: it bounds how long ahead a proof can have been signed. `jti` is spent.
- What holds here opens nothing else: the label keeps these MACs apart from sessions' keys.
"""

from __future__ import annotations

import re
from datetime import timedelta
from hmac import compare_digest
from hmac import digest as hmac_digest
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bonafide.codec import base64url
from bonafide.errors import Misuse, VerificationFailed
from bonafide.reasons import dpop as reasons
from bonafide.reasons import session as session_reasons

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

LIFETIME: Final = timedelta(minutes=5)
"""How long a nonce lives."""

_VERSION: Final = 1
_RANDOM_OCTETS: Final = 16
_EXPIRY_OCTETS: Final = 8
_HEAD_OCTETS: Final = 1 + _RANDOM_OCTETS + _EXPIRY_OCTETS
_KEY_OCTETS: Final = 32
_INFO: Final = b"bonafide dpop nonce"
_FORM: Final = re.compile(r"([A-Za-z0-9_-]{1,64})\.([A-Za-z0-9_-]{76})")


def issue(secret: bytes, *, key_id: str, now: datetime, random: Callable[[int], bytes]) -> str:
    """Issue a nonce under a gate key: `secret` is its 32 octets, `key_id` its id.

    `random` returns that many octets of a cryptographic source. Raises `Misuse` (`session.derivation_misused`) for
    another secret or an id that no nonce can carry.
    """
    expires = int((now + LIFETIME).timestamp())
    head = bytes([_VERSION]) + random(_RANDOM_OCTETS) + expires.to_bytes(_EXPIRY_OCTETS, "big")
    nonce = f"{key_id}.{base64url.encode(head + _mac(secret, head))}"
    if _FORM.fullmatch(nonce) is None:
        raise Misuse(session_reasons.DERIVATION_MISUSED, "the gate key's id")
    return nonce


def verify(nonce: str, *, find: Callable[[str], bytes | None], now: datetime) -> None:
    """Verify that a gate or the service issued this nonce, and that it ends after `now`.

    `find` returns the gate key of an id while tokens may name it. Not proven: for whom it was issued, nor that it is
    used for the first time.

    Raises `VerificationFailed` (`dpop.nonce_unknown`, `dpop.nonce_expired`).
    """
    match = _FORM.fullmatch(nonce)
    secret = None if match is None else find(match[1])
    if match is None or secret is None:
        raise VerificationFailed(reasons.NONCE_UNKNOWN)
    raw = base64url.decode(match[2])  # 76 characters have no bits to spare: one spelling
    head, mac = raw[:_HEAD_OCTETS], raw[_HEAD_OCTETS:]
    if head[0] != _VERSION or not compare_digest(mac, _mac(secret, head)):
        raise VerificationFailed(reasons.NONCE_UNKNOWN)
    if int.from_bytes(head[-_EXPIRY_OCTETS:], "big") <= now.timestamp():
        raise VerificationFailed(reasons.NONCE_EXPIRED)


def _mac(secret: bytes, head: bytes) -> bytes:
    return hmac_digest(_nonce_key(secret), head, "sha256")


def _nonce_key(secret: bytes) -> bytes:
    """Derive the MAC key, each time: what is kept of a gate key would outlive its erasure."""
    if len(secret) != _KEY_OCTETS:
        raise Misuse(session_reasons.DERIVATION_MISUSED, "gate key")
    return HKDF(algorithm=hashes.SHA256(), length=_KEY_OCTETS, salt=None, info=_INFO).derive(secret)
