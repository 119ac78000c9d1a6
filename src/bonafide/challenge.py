"""Challenges: what makes evidence new, and this service's own (PROTOCOL section 2; RFC 9334 section 10.2).

Rules of this file:
- Issuing stores nothing. A challenge is version || random(16) || expiry || HMAC-SHA-256, 57 octets, and
  therefore 76 characters of base64url with no bits to spare: one spelling, one digest.
- The HMAC also covers service, environment, app and purpose. They do not travel, so a challenge for
  another of them is one that was never issued, and the verifier cannot be made to forget one.
- Expiry is kept in microseconds, because the challenges of two renewals are ordered by it.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum, unique
from typing import TYPE_CHECKING, Final

from bonafide.codec import base64url
from bonafide.errors import ConfigurationError, MalformedEvidence, VerificationFailed
from bonafide.reasons import challenge as reasons
from bonafide.reasons import configuration

if TYPE_CHECKING:
    from collections.abc import Callable

    from bonafide.terms import Environment

KEY_BYTES: Final = 32

ENROLMENT_LIFETIME: Final = timedelta(hours=24)
"""Apple wants a throttled `attestKey` repeated with the same key and the same hash, hence the same challenge."""

RENEWAL_GRACE: Final = timedelta(minutes=10)
"""How long a renewal's challenge outlives the client attestation that it follows."""

_VERSION: Final = 1
_RANDOM_BYTES: Final = 16
_EXPIRY_BYTES: Final = 8
_HEAD_BYTES: Final = 1 + _RANDOM_BYTES + _EXPIRY_BYTES
_LABEL: Final = b"bonafide challenge\x00"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)


@unique
class Purpose(StrEnum):
    """What a challenge may be used for. `pop` is for DPoP alone, and not made here: see `proof.dpop_nonce`."""

    ENROL = "enrol"
    RENEW = "renew"
    POP = "pop"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeKey:
    """The HMAC key of one service: 32 random octets that all of its hosts share, and nobody else.

    Raises `ConfigurationError` (`configuration.keys_unsafe`) for any other length.
    """

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise ConfigurationError(configuration.KEYS_UNSAFE, f"a challenge key has {KEY_BYTES} octets")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeScope:
    """Where a challenge holds: the issuing service (its URL), its environment, one app, one purpose."""

    service: str
    environment: Environment
    app: str
    purpose: Purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """A challenge that this service issued, what for, and when it ends.

    `text` is the wire form, `digest` its SHA-256 (what stores know it by), `order` its expiry in
    microseconds since the epoch: of two renewals of one instance the greater is the later.
    """

    text: str
    purpose: Purpose
    digest: bytes
    order: int
    expires_at: datetime


def issue(
    key: ChallengeKey, *, scope: ChallengeScope, expires_at: datetime, random: Callable[[int], bytes]
) -> Challenge:
    """Issue a challenge for `scope` that ends at `expires_at` (an aware time).

    `random` returns that many octets of a cryptographic source.
    """
    order = order_of(expires_at)
    head = bytes([_VERSION]) + random(_RANDOM_BYTES) + order.to_bytes(_EXPIRY_BYTES, "big")
    raw = head + _mac(key, head, scope)
    return _challenge(base64url.encode(raw), scope.purpose, order)


def verify(text: str, key: ChallengeKey, *, scope: ChallengeScope, now: datetime) -> Challenge:
    """Verify that this service issued the challenge for `scope`, and that it ends after `now`.

    Does not prove that it is used for the first time: enrolments spend it in the store, renewals are
    ordered by it.

    Raises `MalformedEvidence` (`challenge.malformed`, `challenge.version_unknown`) and
    `VerificationFailed` (`challenge.mac_mismatch`, `challenge.expired`).
    """
    try:
        raw = base64url.decode(text)
    except MalformedEvidence:
        raise MalformedEvidence(reasons.MALFORMED) from None
    if len(raw) != _HEAD_BYTES + hashlib.sha256().digest_size:
        raise MalformedEvidence(reasons.MALFORMED)
    if raw[0] != _VERSION:
        raise MalformedEvidence(reasons.VERSION_UNKNOWN)
    head, mac = raw[:_HEAD_BYTES], raw[_HEAD_BYTES:]
    if not hmac.compare_digest(mac, _mac(key, head, scope)):
        raise VerificationFailed(reasons.MAC_MISMATCH)
    # Only behind the MAC is the expiry ours, and so a time that exists.
    challenge = _challenge(text, scope.purpose, int.from_bytes(head[-_EXPIRY_BYTES:], "big"))
    if challenge.expires_at <= now:
        raise VerificationFailed(reasons.EXPIRED)
    return challenge


def order_of(expires_at: datetime) -> int:
    """Return an expiry as exact microseconds since the epoch, the order of renewals."""
    return (expires_at - _EPOCH) // _TICK


def _challenge(text: str, purpose: Purpose, order: int) -> Challenge:
    digest = hashlib.sha256(text.encode("ascii")).digest()
    return Challenge(text=text, purpose=purpose, digest=digest, order=order, expires_at=_EPOCH + order * _TICK)


def _mac(key: ChallengeKey, head: bytes, scope: ChallengeScope) -> bytes:
    parts = (scope.service, scope.environment, scope.app, scope.purpose)
    message = _LABEL + head
    for part in (part.encode() for part in parts):
        message += len(part).to_bytes(4, "big") + part  # so that no two scopes spell the same message
    return hmac.digest(key.secret, message, "sha256")
