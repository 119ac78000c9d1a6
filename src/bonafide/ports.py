"""What the core needs from the world, as Protocols and the values that cross them.

Rules of this file: no I/O, no framework, no behaviour beyond arithmetic on times. Each port has a
synchronous and an asynchronous form with the same words; the core never calls either while it
verifies: it returns a pending value, the adapter asks the port, and hands the answer back. Every
"first wins" below is one compare-and-set in the store, never a read and then a write.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum, unique
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime

    from bonafide.terms import Environment, EvidenceEnvironment, Platform, Tier

REPLAY_HORIZON_S: Final = 330
"""A first use is remembered until `created` + this many seconds (PROTOCOL section 4, Freshness)."""

BIRTH_FENCE_S: Final = 6
"""Proofs created before a store's birth + this are refused: an earlier store may have seen them."""

NEWEST_FENCE_S: Final = 300
"""Proofs created more than this before the newest time that the store saw are refused."""


@unique
class Scope(Enum):
    """How far a replay store sees; start-up refuses more workers than the scope covers."""

    PROCESS = 1
    HOST = 2
    CLUSTER = 3


@unique
class FirstUse(StrEnum):
    """A replay store's answer about one key. Everything but `FIRST` refuses the request."""

    FIRST = "first"
    REPLAYED = "replayed"
    FENCED = "fenced"
    UNAVAILABLE = "unavailable"
    CLOCK_APART = "clock_apart"


class ReplayStore(Protocol):
    """Remembers first uses. Conformance suite: `bonafide.testing.replay_store`."""

    @property
    def scope(self) -> Scope:
        """How far this store sees."""
        ...

    def remember(self, key: bytes, *, created: int, now: float) -> FirstUse:
        """Record the first use of `key` (32 octets) until `created` + 330 s, atomically.

        `created` and `now` are seconds since the epoch. Exactly one of any number of concurrent
        callers, in all processes that `scope` covers, gets `FIRST`. A proof that the store cannot
        vouch for (see the fences above) gets `FENCED`, a store that fails `UNAVAILABLE`: it never
        raises for a cause outside the program.
        """
        ...


class AsyncReplayStore(Protocol):
    """`ReplayStore` for an event loop."""

    @property
    def scope(self) -> Scope:
        """How far this store sees."""
        ...

    async def remember(self, key: bytes, *, created: int, now: float) -> FirstUse:
        """As `ReplayStore.remember`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SpentChallenge:
    """What a store knows of a challenge that has been presented.

    `body_digest` is the digest of the pair (client data, evidence) that spent it first. `failure` is
    the reason code with which that pair was refused for good; `instance` the one it enrolled. Both
    None: it was begun, and has not ended.
    """

    body_digest: bytes
    failure: str | None
    instance: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A verified and appraised enrolment, ready to be stored.

    `instance` is the id to use if the `sign` key is new. `app`, `environment` and `jkt` find an existing
    instance. `key_id`, `attest_key` (X9.63, 65 octets) and `counter` are None, None and 0 where the
    evidence has no App Attest key. `claims` is JSON-able. `evidence` is None where only digests are kept.
    """

    instance: str
    challenge_digest: bytes
    app: str
    environment: Environment
    identity: str
    platform: Platform
    jkt: str
    sign_jwk: Mapping[str, str]
    agree_jwk: Mapping[str, str] | None
    format: str
    key_id: str | None
    attest_key: bytes | None
    evidence_environment: EvidenceEnvironment
    claims: Mapping[str, object]
    evidence: bytes | None
    evidence_digest: bytes
    client_data: bytes
    retain_until: datetime | None
    tier: Tier
    warnings: tuple[str, ...]
    app_version: str
    os_version: str
    sdk_version: str
    verified_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRecord:
    """One install of the app as the store holds it.

    `counter` is the App Attest counter last accepted, `asserted_at` when that was (or when the
    attestation was verified). `banned` is looked up with the row.
    """

    instance: str
    app: str
    environment: Environment
    identity: str
    platform: Platform
    jkt: str
    sign_jwk: Mapping[str, str]
    agree_jwk: Mapping[str, str] | None
    format: str
    key_id: str | None
    attest_key: bytes | None
    counter: int
    evidence_environment: EvidenceEnvironment
    claims: Mapping[str, object]
    tier: Tier
    warnings: tuple[str, ...]
    app_version: str
    os_version: str
    sdk_version: str
    verified_at: datetime
    asserted_at: datetime
    banned: bool


@unique
class RegistrationRefusal(StrEnum):
    """Why a store did not register: each is a row that exists already and wins."""

    BANNED = "banned"
    KEY_ID_TAKEN = "key_id_taken"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """A verified and re-appraised renewal, ready to be stored by one conditional UPDATE.

    `challenge_order` is the challenge's expiry in microseconds: of two renewals of one instance only a
    later one, or the same pair again, passes. `counter` and `key_id` are those of a verified
    assertion, or None when none was due.
    """

    instance: str
    challenge_digest: bytes
    challenge_order: int
    body_digest: bytes
    key_id: str | None
    counter: int | None
    tier: Tier
    warnings: tuple[str, ...]
    app_version: str
    os_version: str
    sdk_version: str
    renewed_at: datetime


@unique
class RenewalOutcome(StrEnum):
    """What the conditional UPDATE found. Everything but `DONE` refuses; all refusals look alike outside."""

    DONE = "done"
    UNKNOWN = "unknown"
    BANNED = "banned"
    CHALLENGE_SPENT = "challenge_spent"
    COUNTER_NOT_INCREASED = "counter_not_increased"


class EnrolmentStore(Protocol):
    """Instances and the challenges they spent. Conformance suite: `bonafide.testing.enrolment_store`.

    Every method is one transaction. A process that dies before or after any of them leaves a state
    from which the same request, repeated, succeeds.
    """

    def spend_challenge(self, challenge_digest: bytes, *, body_digest: bytes, expires_at: datetime) -> SpentChallenge:
        """Record who presents this enrolment challenge first, and return what is on record.

        The answer's `body_digest` equals the argument exactly when this pair was the first, now or before.
        """
        ...

    def fail_challenge(self, challenge_digest: bytes, *, reason: str) -> None:
        """Note for good that the pair that spent this challenge did not verify."""
        ...

    def register(self, registration: Registration) -> InstanceRecord | RegistrationRefusal:
        """Store the instance and its evidence, and mark the challenge done, in one transaction.

        A known `jkt` of this app and environment supersedes that instance's App Attest key, its counter
        restarts at 0, and an audit record is kept. A `key_id` never moves between instances. What a
        banned instance held (instance, jkt, any key id) stays banned. A challenge that is done already
        returns its instance unchanged, or `SUPERSEDED` once that instance holds a newer key.
        """
        ...

    def instance(self, instance: str, *, app: str, environment: Environment) -> InstanceRecord | None:
        """Return the instance, or None where this app and environment have none of that id."""
        ...

    def renew(self, renewal: Renewal) -> RenewalOutcome:
        """Store the renewal if its challenge is newer and its counter higher than those on the row.

        The same pair presented again is `DONE` again and changes nothing.
        """
        ...


class AsyncEnrolmentStore(Protocol):
    """`EnrolmentStore` for an event loop."""

    async def spend_challenge(
        self, challenge_digest: bytes, *, body_digest: bytes, expires_at: datetime
    ) -> SpentChallenge:
        """As `EnrolmentStore.spend_challenge`."""
        ...

    async def fail_challenge(self, challenge_digest: bytes, *, reason: str) -> None:
        """As `EnrolmentStore.fail_challenge`."""
        ...

    async def register(self, registration: Registration) -> InstanceRecord | RegistrationRefusal:
        """As `EnrolmentStore.register`."""
        ...

    async def instance(self, instance: str, *, app: str, environment: Environment) -> InstanceRecord | None:
        """As `EnrolmentStore.instance`."""
        ...

    async def renew(self, renewal: Renewal) -> RenewalOutcome:
        """As `EnrolmentStore.renew`."""
        ...


class SealingKey(Protocol):
    """A key that seals secrets at rest. It may live in a file or never leave its token."""

    @property
    def name(self) -> str:
        """Which key this is, in at most 255 characters that tell nothing of it. It is stored with what it sealed."""
        ...

    def seal(self, secret: bytes, *, context: bytes) -> bytes:
        """Encrypt `secret` and bind it to `context`, the place where it will lie. Two sealings differ.

        Raises `ConfigurationError` (`configuration.sealing_key_unusable`), `VerificationFailed`
        (`store.sealing_key_unavailable`) where a token does not answer.
        """
        ...

    def open(self, sealed: bytes, *, context: bytes) -> bytes:
        """Return what `seal` was given with the same `context`.

        Proves: this key sealed these octets for this place. Not proven: that they are the newest.
        Raises as `seal`, and `ConfigurationError` (`configuration.secret_unsealable`) for octets that were
        sealed by another key or for another place, changed, or cut short.
        """
        ...


class VerificationPool(Protocol):
    """Bounds how many certificate chains are verified at once. Renewals do not pass through it."""

    def slot(self) -> AbstractContextManager[bool]:
        """Enter with True where a place was free, which leaving gives back; with False at once where none was."""
        ...
