"""Debug evidence, for simulators and CI: a named secret vouches for one piece of client data, for minutes.

It attests nothing about device or app, so everything it leads to is marked `debug`, and a production
configuration that accepts any does not start. Each simulator or job has a secret of its own, so that one
can be revoked: what is not among the policy's secrets is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from bonafide.codec import base64url
from bonafide.errors import ConfigurationError, MalformedEvidence, Misuse, VerificationFailed
from bonafide.reasons import configuration, misuse
from bonafide.reasons import debug as reasons
from bonafide.terms import Environment, EvidenceEnvironment

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT: Final = "debug"
MIN_SECRET_BYTES: Final = 16
MAX_AGE: Final = timedelta(minutes=5)
MAX_AHEAD: Final = timedelta(seconds=5)

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LABEL: Final = b"bonafide debug evidence\x00"
_MAX_SECONDS: Final = 2**33


@dataclass(frozen=True, slots=True, kw_only=True)
class DebugSecret:
    """The secret of one simulator or CI job, for one app; `secret` has at least 128 random bits.

    Raises `ConfigurationError` (`configuration.setting_malformed`).
    """

    app: str
    name: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigurationError(configuration.SETTING_MALFORMED, "the name of a debug secret")
        if len(self.secret) < MIN_SECRET_BYTES:
            raise ConfigurationError(
                configuration.SETTING_MALFORMED, f"debug secret {self.name!r} has fewer than {MIN_SECRET_BYTES} octets"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsafeDebugEvidence:
    """The explicit decision to accept debug evidence in this environment, under these secrets.

    Raises `ConfigurationError`: `configuration.test_trust` in production, `configuration.setting_malformed`
    where two secrets of an app share a name or `max_age` is not positive.
    """

    environment: Environment
    secrets: tuple[DebugSecret, ...]
    max_age: timedelta = MAX_AGE

    def __post_init__(self) -> None:
        if self.environment is Environment.PRODUCTION:
            raise ConfigurationError(configuration.TEST_TRUST, "debug evidence")
        if len({(secret.app, secret.name) for secret in self.secrets}) != len(self.secrets):
            raise ConfigurationError(configuration.SETTING_MALFORMED, "two debug secrets of one app share a name")
        if self.max_age <= timedelta(0):
            raise ConfigurationError(configuration.SETTING_MALFORMED, "the age of debug evidence")

    def find(self, *, app: str, name: str) -> DebugSecret | None:
        """Return the active secret of that app and name, or None."""
        for secret in self.secrets:
            if (secret.app, secret.name) == (app, name):
                return secret
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class DebugEvidence:
    """A piece of debug evidence, parsed; nothing in it is proven."""

    name: str
    issued_at: int
    mac: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DebugClaims:
    """What debug evidence proves: the holder of this secret of this app vouched for the client data hash."""

    app: str
    name: str
    issued_at: datetime
    environment: EvidenceEnvironment = EvidenceEnvironment.DEBUG

    def as_json(self) -> dict[str, object]:
        """Return the claims in JSON types."""
        return {
            "app": self.app,
            "name": self.name,
            "issued_at": self.issued_at.isoformat(),
            "environment": self.environment.value,
        }


def issue_debug_evidence(secret: DebugSecret, *, client_data_hash: bytes, now: datetime) -> dict[str, object]:
    """Return the evidence object for a request's `evidence` list; the client's half."""
    issued_at = int(now.timestamp())
    mac = _mac(secret, issued_at=issued_at, client_data_hash=client_data_hash)
    return {"format": FORMAT, "name": secret.name, "issued_at": issued_at, "mac": base64url.encode(mac)}


def parse_debug_evidence(evidence: Mapping[str, object]) -> DebugEvidence:
    """Parse the evidence object.

    Raises `MalformedEvidence` (`debug.evidence_malformed`, `jose.base64url_malformed`).
    """
    if evidence.keys() != {"format", "name", "issued_at", "mac"} or evidence["format"] != FORMAT:
        raise MalformedEvidence(reasons.EVIDENCE_MALFORMED, "not exactly format, name, issued_at and mac")
    name, issued_at, mac = evidence["name"], evidence["issued_at"], evidence["mac"]
    if not isinstance(name, str) or not isinstance(mac, str):
        raise MalformedEvidence(reasons.EVIDENCE_MALFORMED, "name or mac is not a text")
    if type(issued_at) is not int or not 0 <= issued_at < _MAX_SECONDS:
        raise MalformedEvidence(reasons.EVIDENCE_MALFORMED, "issued_at is not a time in seconds")
    return DebugEvidence(name=name, issued_at=issued_at, mac=base64url.decode(mac))


def verify_debug_evidence(
    evidence: Mapping[str, object],
    *,
    client_data_hash: bytes,
    app: str,
    policy: UnsafeDebugEvidence | None,
    now: datetime,
) -> DebugClaims:
    """Prove that the holder of an active secret of `app` vouched for this client data hash just now.

    It proves nothing about a device, and does not notice a replay within `max_age`: the challenge in the
    client data is what is used once.

    Raises `MalformedEvidence` as `parse_debug_evidence`; `VerificationFailed` (`debug.not_accepted` where
    `policy` is None, `.name_unknown`, `.mac_invalid`, `.expired`, `.issued_in_future`); `Misuse` for a
    naive `now` or an empty `client_data_hash`.
    """
    if now.tzinfo is None:
        raise Misuse(misuse.TIME_NAIVE, "now")
    if not client_data_hash:
        raise Misuse(misuse.CLIENT_DATA_HASH_EMPTY)
    if policy is None:
        raise VerificationFailed(reasons.NOT_ACCEPTED)
    parsed = parse_debug_evidence(evidence)
    secret = policy.find(app=app, name=parsed.name)
    if secret is None:
        raise VerificationFailed(reasons.NAME_UNKNOWN)
    expected = _mac(secret, issued_at=parsed.issued_at, client_data_hash=client_data_hash)
    if not hmac.compare_digest(expected, parsed.mac):
        raise VerificationFailed(reasons.MAC_INVALID)
    issued_at = datetime.fromtimestamp(parsed.issued_at, UTC)
    if now - issued_at > policy.max_age:
        raise VerificationFailed(reasons.EXPIRED)
    if issued_at - now > MAX_AHEAD:
        raise VerificationFailed(reasons.ISSUED_IN_FUTURE)
    return DebugClaims(app=app, name=parsed.name, issued_at=issued_at)


def _mac(secret: DebugSecret, *, issued_at: int, client_data_hash: bytes) -> bytes:
    """HMAC-SHA-256 over fields of fixed length, the only one of free length last."""
    app, name = (hashlib.sha256(text.encode()).digest() for text in (secret.app, secret.name))
    return hmac.digest(secret.secret, _LABEL + app + name + issued_at.to_bytes(8) + client_data_hash, "sha256")
