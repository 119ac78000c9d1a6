"""`ports.EnrolmentStore` in memory, for tests and for users' CI: one process, safe to share between threads.

Each method holds one lock from its first look to its last write, which is what a transaction is here.
Nothing survives the process, so a production service has no use for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING

from bonafide.ports import InstanceRecord, RegistrationRefusal, RenewalOutcome, SpentChallenge

if TYPE_CHECKING:
    from datetime import datetime

    from bonafide.ports import EnrolmentStore, Registration, Renewal
    from bonafide.terms import Environment

__all__ = ["AsyncMemoryEnrolmentStore", "MemoryEnrolmentStore"]


@dataclass(slots=True)
class _Instance:
    """A row: the record, the App Attest keys that it held before, and the last renewal."""

    record: InstanceRecord
    superseded: set[str] = field(default_factory=set)
    order: int = 0
    renewal: tuple[bytes, bytes] | None = None

    def holds(self, jkt: str, key_id: str | None) -> bool:
        """Tell whether the `sign` key or the App Attest key is, or was, this instance's."""
        return self.record.jkt == jkt or (key_id is not None and self.held(key_id))

    def held(self, key_id: str) -> bool:
        """Tell whether the App Attest key is, or was, this instance's."""
        return key_id == self.record.key_id or key_id in self.superseded


class MemoryEnrolmentStore:
    """See `ports.EnrolmentStore`. `ban` and `lift` stand in for the operator."""

    def __init__(self) -> None:
        """Begin empty."""
        self._lock = Lock()
        self._challenges: dict[bytes, SpentChallenge] = {}
        self._instances: dict[str, _Instance] = {}
        self._banned: set[str] = set()

    def __len__(self) -> int:
        return len(self._instances)

    def ban(self, instance: str) -> None:
        """Ban an instance, and so its `sign` key and every App Attest key that it holds, held or will hold."""
        with self._lock:
            self._banned.add(instance)

    def lift(self, instance: str) -> None:
        """End a ban."""
        with self._lock:
            self._banned.discard(instance)

    def spend_challenge(self, challenge_digest: bytes, *, body_digest: bytes, expires_at: datetime) -> SpentChallenge:
        """See `ports.EnrolmentStore.spend_challenge`. Nothing is purged, so `expires_at` is not needed."""
        del expires_at
        with self._lock:
            begun = SpentChallenge(body_digest=body_digest, failure=None, instance=None)
            return self._challenges.setdefault(challenge_digest, begun)

    def fail_challenge(self, challenge_digest: bytes, *, reason: str) -> None:
        """See `ports.EnrolmentStore.fail_challenge`. The first reason stays; what enrolled does not fail later."""
        with self._lock:
            spent = self._challenges.get(challenge_digest)
            if spent is not None and spent.failure is None and spent.instance is None:
                self._challenges[challenge_digest] = replace(spent, failure=reason)

    def register(self, registration: Registration) -> InstanceRecord | RegistrationRefusal:
        """See `ports.EnrolmentStore.register`."""
        with self._lock:
            spent = self._challenges.get(registration.challenge_digest)
            if spent is None or spent.failure is not None:
                return RegistrationRefusal.SUPERSEDED
            if spent.instance is not None:
                return self._repeat(self._instances[spent.instance], registration)
            answer = self._write(registration)
            if isinstance(answer, InstanceRecord):
                self._challenges[registration.challenge_digest] = replace(spent, instance=answer.instance)
            return answer

    def instance(self, instance: str, *, app: str, environment: Environment) -> InstanceRecord | None:
        """See `ports.EnrolmentStore.instance`."""
        with self._lock:
            row = self._instances.get(instance)
            if row is None or (row.record.app, row.record.environment) != (app, environment):
                return None
            return replace(row.record, banned=instance in self._banned)

    def renew(self, renewal: Renewal) -> RenewalOutcome:
        """See `ports.EnrolmentStore.renew`."""
        with self._lock:
            row = self._instances.get(renewal.instance)
            if row is None:
                return RenewalOutcome.UNKNOWN
            if renewal.instance in self._banned:
                return RenewalOutcome.BANNED
            if row.renewal == (renewal.challenge_digest, renewal.body_digest):
                return RenewalOutcome.DONE
            if renewal.challenge_order <= row.order:
                return RenewalOutcome.CHALLENGE_SPENT
            if renewal.counter is not None and (
                renewal.key_id != row.record.key_id or renewal.counter <= row.record.counter
            ):
                return RenewalOutcome.COUNTER_NOT_INCREASED
            _apply(row, renewal)
            return RenewalOutcome.DONE

    def _repeat(self, row: _Instance, registration: Registration) -> InstanceRecord | RegistrationRefusal:
        """Answer the pair that enrolled already, unless its key was superseded since."""
        if row.record.instance in self._banned:
            return RegistrationRefusal.BANNED
        if row.record.key_id != registration.key_id:
            return RegistrationRefusal.SUPERSEDED
        return row.record

    def _write(self, new: Registration) -> InstanceRecord | RegistrationRefusal:
        here = [
            row
            for row in self._instances.values()
            if (row.record.app, row.record.environment) == (new.app, new.environment)
        ]
        holders = [row for row in here if row.holds(new.jkt, new.key_id)]
        if any(row.record.instance in self._banned for row in holders):
            return RegistrationRefusal.BANNED
        if any(row.record.jkt != new.jkt for row in holders):
            return RegistrationRefusal.KEY_ID_TAKEN
        if not holders:
            record = _record(new, instance=new.instance, counter=0)
            self._instances[new.instance] = _Instance(record)
            return record
        row = holders[0]
        if new.key_id in row.superseded:
            return RegistrationRefusal.SUPERSEDED
        same_key = row.record.key_id == new.key_id
        if row.record.key_id is not None and not same_key:
            row.superseded.add(row.record.key_id)
        counter = row.record.counter if same_key else 0
        row.record = _record(new, instance=row.record.instance, counter=counter)
        return row.record


def _record(new: Registration, *, instance: str, counter: int) -> InstanceRecord:
    return InstanceRecord(
        instance=instance,
        app=new.app,
        environment=new.environment,
        identity=new.identity,
        platform=new.platform,
        jkt=new.jkt,
        sign_jwk=new.sign_jwk,
        agree_jwk=new.agree_jwk,
        format=new.format,
        key_id=new.key_id,
        attest_key=new.attest_key,
        counter=counter,
        evidence_environment=new.evidence_environment,
        claims=new.claims,
        tier=new.tier,
        warnings=new.warnings,
        app_version=new.app_version,
        os_version=new.os_version,
        sdk_version=new.sdk_version,
        verified_at=new.verified_at,
        asserted_at=new.verified_at,
        banned=False,
    )


def _apply(row: _Instance, renewal: Renewal) -> None:
    row.order = renewal.challenge_order
    row.renewal = (renewal.challenge_digest, renewal.body_digest)
    row.record = replace(
        row.record,
        tier=renewal.tier,
        warnings=renewal.warnings,
        app_version=renewal.app_version,
        os_version=renewal.os_version,
        sdk_version=renewal.sdk_version,
    )
    if renewal.counter is not None:
        row.record = replace(row.record, counter=renewal.counter, asserted_at=renewal.renewed_at)


class AsyncMemoryEnrolmentStore:
    """`ports.AsyncEnrolmentStore` over a synchronous store that never waits for anybody else."""

    def __init__(self, store: EnrolmentStore) -> None:
        """Take the store that answers."""
        self._store = store

    async def spend_challenge(
        self, challenge_digest: bytes, *, body_digest: bytes, expires_at: datetime
    ) -> SpentChallenge:
        """See `ports.EnrolmentStore.spend_challenge`."""
        return self._store.spend_challenge(challenge_digest, body_digest=body_digest, expires_at=expires_at)

    async def fail_challenge(self, challenge_digest: bytes, *, reason: str) -> None:
        """See `ports.EnrolmentStore.fail_challenge`."""
        self._store.fail_challenge(challenge_digest, reason=reason)

    async def register(self, registration: Registration) -> InstanceRecord | RegistrationRefusal:
        """See `ports.EnrolmentStore.register`."""
        return self._store.register(registration)

    async def instance(self, instance: str, *, app: str, environment: Environment) -> InstanceRecord | None:
        """See `ports.EnrolmentStore.instance`."""
        return self._store.instance(instance, app=app, environment=environment)

    async def renew(self, renewal: Renewal) -> RenewalOutcome:
        """See `ports.EnrolmentStore.renew`."""
        return self._store.renew(renewal)
