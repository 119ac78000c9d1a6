"""`ports.EnrolmentStore` over Django's database (PROTOCOL section 2).

Rules of this file:
- Each method is one transaction of its own, committed when it returns. Inside somebody else's transaction
  (ATOMIC_REQUESTS) it refuses to run, because its answer would be given before it holds.
- Who is first is decided by a unique row (INSERT … ON CONFLICT DO NOTHING) or by one conditional UPDATE, and
  never by a read that came before.
- Rows are claimed in one order: challenge, `sign` key, App Attest key, instance. So no two
  transactions wait for each other.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, TypeVar

from asgiref.sync import sync_to_async
from django.db import OperationalError, router, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from bonafide.django import signals
from bonafide.django.models import (
    AttestKey,
    AuditEvent,
    AuditKind,
    Ban,
    BanScope,
    EvidenceRecord,
    Instance,
    SignKey,
)
from bonafide.django.models import SpentChallenge as SpentChallengeRow
from bonafide.ports import (
    InstanceRecord,
    Registration,
    RegistrationRefusal,
    Renewal,
    RenewalOutcome,
    SpentChallenge,
)
from bonafide.terms import Environment, EvidenceEnvironment, Platform, Tier

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

SERVICE: Final = "bonafide"
"""The actor of audit events that no person caused."""

_ATTEMPTS: Final = 5
_REPEAT: Final = frozenset(["40001", "40P01"])  # SQLSTATE: serialization failure, deadlock detected

_Answer = TypeVar("_Answer")


class _Refused(Exception):
    """Rolls a registration back, rows that it claimed included."""

    def __init__(self, refusal: RegistrationRefusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal


class DjangoEnrolmentStore:
    """`ports.EnrolmentStore` on the database alias `using`, by default the one that routers name for writing."""

    def __init__(self, *, using: str | None = None, clock: Callable[[], datetime] = timezone.now) -> None:
        """Take the database alias; `clock` says whether a ban has run out when nothing else does."""
        self._using = using
        self._clock = clock

    def spend_challenge(self, challenge_digest: bytes, *, body_digest: bytes, expires_at: datetime) -> SpentChallenge:
        """See `ports.EnrolmentStore.spend_challenge`."""

        def spend(using: str) -> SpentChallenge:
            row = SpentChallengeRow(challenge_digest=challenge_digest, body_digest=body_digest, expires_at=expires_at)
            rows = SpentChallengeRow.objects.using(using)
            rows.bulk_create([row], ignore_conflicts=True)
            stored = rows.get(challenge_digest=challenge_digest)
            return SpentChallenge(
                body_digest=bytes(stored.body_digest), failure=stored.failure, instance=stored.instance
            )

        return self._commit(spend)

    def fail_challenge(self, challenge_digest: bytes, *, reason: str) -> None:
        """See `ports.EnrolmentStore.fail_challenge`. The first reason stays; what enrolled does not fail later."""

        def fail(using: str) -> None:
            begun = SpentChallengeRow.objects.using(using).filter(failure=None, instance=None)
            begun.filter(challenge_digest=challenge_digest).update(failure=reason)

        self._commit(fail)

    def register(self, registration: Registration) -> InstanceRecord | RegistrationRefusal:
        """See `ports.EnrolmentStore.register`."""
        try:
            return self._commit(lambda using: _Registering(registration, using).run())
        except _Refused as refused:
            return refused.refusal

    def instance(self, instance: str, *, app: str, environment: Environment) -> InstanceRecord | None:
        """See `ports.EnrolmentStore.instance`."""
        rows = Instance.objects.using(self._alias()).annotate(banned=_banned(self._clock()))
        row = rows.filter(pk=instance, app=app, environment=environment).first()
        return None if row is None else _record(row, banned=row.banned)

    def renew(self, renewal: Renewal) -> RenewalOutcome:
        """See `ports.EnrolmentStore.renew`. Only where the UPDATE found nothing is the row read, to say why."""
        return self._commit(lambda using: _renew(renewal, using))

    def _alias(self) -> str:
        return self._using or router.db_for_write(Instance)

    def _commit(self, work: Callable[[str], _Answer]) -> _Answer:
        """Run `work` as one transaction. A database that isolates more strictly than it must may ask to repeat it."""
        using = self._alias()
        for _ in range(_ATTEMPTS - 1):
            try:
                with transaction.atomic(using=using, durable=True):
                    return work(using)
            except OperationalError as error:
                if getattr(error.__cause__, "sqlstate", None) not in _REPEAT:
                    raise
        with transaction.atomic(using=using, durable=True):
            return work(using)


def _renew(renewal: Renewal, using: str) -> RenewalOutcome:
    written: dict[str, Any] = {
        "challenge_order": renewal.challenge_order,
        "challenge_digest": renewal.challenge_digest,
        "renewal_digest": renewal.body_digest,
        "tier": renewal.tier,
        "warnings": list(renewal.warnings),
        "app_version": renewal.app_version,
        "os_version": renewal.os_version,
        "sdk_version": renewal.sdk_version,
        "renewed_at": renewal.renewed_at,
    }
    row = Instance.objects.using(using).filter(pk=renewal.instance)
    due = row.filter(~_banned(renewal.renewed_at), challenge_order__lt=renewal.challenge_order)
    if renewal.counter is not None:
        written |= {"counter": renewal.counter, "asserted_at": renewal.renewed_at}
        due = due.filter(key_id=renewal.key_id, counter__lt=renewal.counter)
    if due.update(**written):
        signals.tell_renewed(renewal, row, using)
        return RenewalOutcome.DONE
    return _why_not(row.annotate(banned=_banned(renewal.renewed_at)).first(), renewal)


def _why_not(row: Any, renewal: Renewal) -> RenewalOutcome:
    if row is None:
        return RenewalOutcome.UNKNOWN
    if row.banned:
        return RenewalOutcome.BANNED
    if (row.challenge_digest, row.renewal_digest) == (renewal.challenge_digest, renewal.body_digest):
        return RenewalOutcome.DONE
    if row.challenge_order >= renewal.challenge_order or renewal.counter is None:
        return RenewalOutcome.CHALLENGE_SPENT
    return RenewalOutcome.COUNTER_NOT_INCREASED


class _Registering:
    """One registration inside its transaction. Every step raises `_Refused` or leaves what the next one needs."""

    def __init__(self, registration: Registration, using: str) -> None:
        self._new = registration
        self._using = using
        self._scope: dict[str, Any] = {"app": registration.app, "environment": registration.environment}

    def run(self) -> InstanceRecord:
        challenges = SpentChallengeRow.objects.using(self._using).filter(challenge_digest=self._new.challenge_digest)
        challenge = challenges.select_for_update().first()
        if challenge is None or challenge.failure is not None:
            raise _Refused(RegistrationRefusal.SUPERSEDED)
        if challenge.instance is not None:
            return self._repeat(challenge.instance)
        owner = self._claim_sign_key()
        key_owner = self._claim_attest_key(owner)
        known = self._claim_instance(owner)
        self._refuse_banned(owner, key_owner)
        if key_owner != owner:
            raise _Refused(RegistrationRefusal.KEY_ID_TAKEN)
        instance = self._write_instance(known, owner)
        self._write_evidence(instance)
        challenges.update(instance=instance.pk)
        signals.tell_enrolled(self._new, instance.pk, again=known is not None, using=self._using)
        return _record(instance, banned=False)

    def _repeat(self, owner: str) -> InstanceRecord:
        """Answer the pair that enrolled already, unless its key was superseded since."""
        instance = Instance.objects.using(self._using).filter(pk=owner, **self._scope).first()
        self._refuse_banned(owner, owner)
        if instance is None or instance.key_id != self._new.key_id:
            raise _Refused(RegistrationRefusal.SUPERSEDED)
        return _record(instance, banned=False)

    def _claim_sign_key(self) -> str:
        """Return whose `sign` key this is; the first to enrol it makes it the new instance's."""
        keys = SignKey.objects.using(self._using)
        claim = SignKey(jkt=self._new.jkt, instance_id=self._new.instance, **self._scope)
        keys.bulk_create([claim], ignore_conflicts=True)
        owner: str = keys.values_list("instance_id", flat=True).get(jkt=self._new.jkt, **self._scope)
        return owner

    def _claim_attest_key(self, owner: str) -> str:
        """Return whose App Attest key this is; none is everybody's. A superseded key does not come back."""
        if self._new.key_id is None:
            return owner
        keys = AttestKey.objects.using(self._using)
        claim = AttestKey(
            key_id=self._new.key_id,
            instance_id=owner,
            public_key=self._new.attest_key,
            enrolled_at=self._new.verified_at,
            **self._scope,
        )
        keys.bulk_create([claim], ignore_conflicts=True)
        key = keys.get(key_id=self._new.key_id, **self._scope)
        if key.instance_id == owner and key.superseded_at is not None:
            raise _Refused(RegistrationRefusal.SUPERSEDED)
        return str(key.instance_id)

    def _refuse_banned(self, *owners: str) -> None:
        held = (
            Q(scope=BanScope.INSTANCE, subject__in=owners)
            | Q(scope=BanScope.JKT, subject=self._new.jkt)
            | Q(scope=BanScope.KEY_ID, subject=self._new.key_id)  # no subject is NULL
        )
        bans = Ban.objects.using(self._using).filter(held, Ban.stands(self._new.verified_at), **self._scope)
        if bans.exists():
            raise _Refused(RegistrationRefusal.BANNED)

    def _claim_instance(self, owner: str) -> Instance | None:
        """Return the instance of this `sign` key if it enrolled before; a ban under way is then waited for."""
        # A row of that id with another key is no re-enrolment; inserting it will fail as it should.
        rows = Instance.objects.using(self._using).select_for_update()
        return rows.filter(pk=owner, jkt=self._new.jkt, **self._scope).first()

    def _write_instance(self, known: Instance | None, owner: str) -> Instance:
        new = self._new
        instance = known or Instance(pk=owner, jkt=new.jkt, enrolled_at=new.verified_at, **self._scope)
        if known is not None and known.key_id != new.key_id:
            self._supersede(known)
            instance.counter = 0
        for name in _COPIED:
            setattr(instance, name, getattr(new, name))
        instance.sign_jwk = dict(new.sign_jwk)
        instance.agree_jwk = None if new.agree_jwk is None else dict(new.agree_jwk)
        instance.claims = dict(new.claims)
        instance.warnings = list(new.warnings)
        instance.asserted_at = new.verified_at
        instance.save(using=self._using, force_insert=known is None, force_update=known is not None)
        return instance

    def _supersede(self, instance: Instance) -> None:
        """Retire the App Attest key that the instance held, if it held one (a reinstall: the Keychain survives)."""
        if instance.key_id is None:
            return
        AttestKey.objects.using(self._using).filter(key_id=instance.key_id, **self._scope).update(
            superseded_at=self._new.verified_at
        )
        AuditEvent.objects.using(self._using).create(
            at=self._new.verified_at,
            kind=AuditKind.KEY_SUPERSEDED,
            subject=instance.pk,
            actor=SERVICE,
            detail={"key_id": instance.key_id, "by": self._new.key_id, "format": self._new.format},
            **self._scope,
        )
        signals.send_after_commit(signals.attest_key_superseded, using=self._using, instance=instance.pk, **self._scope)

    def _write_evidence(self, instance: Instance) -> None:
        new = self._new
        EvidenceRecord.objects.using(self._using).create(
            instance=instance,
            identity=new.identity,
            format=new.format,
            evidence_environment=new.evidence_environment,
            key_id=new.key_id,
            challenge_digest=new.challenge_digest,
            evidence=new.evidence,
            evidence_digest=new.evidence_digest,
            client_data=None if new.evidence is None else new.client_data,
            client_data_digest=hashlib.sha256(new.client_data).digest(),
            claims=dict(new.claims),
            tier=new.tier,
            warnings=list(new.warnings),
            verified_at=new.verified_at,
            retain_until=new.retain_until,
            **self._scope,
        )


_COPIED = (
    "identity",
    "platform",
    "format",
    "key_id",
    "attest_key",
    "evidence_environment",
    "tier",
    "app_version",
    "os_version",
    "sdk_version",
    "verified_at",
)


def _banned(now: datetime) -> Exists:
    """Select, for a row of `Instance`, whether it, its `sign` key or its App Attest key is banned."""
    held = (
        Q(scope=BanScope.INSTANCE, subject=OuterRef("pk"))
        | Q(scope=BanScope.JKT, subject=OuterRef("jkt"))
        | Q(scope=BanScope.KEY_ID, subject=OuterRef("key_id"))
    )
    scope = {"app": OuterRef("app"), "environment": OuterRef("environment")}
    return Exists(Ban.objects.filter(held, Ban.stands(now), **scope))


def _record(row: Instance, *, banned: bool) -> InstanceRecord:
    return InstanceRecord(
        instance=row.pk,
        app=row.app,
        environment=Environment(row.environment),
        identity=row.identity,
        platform=Platform(row.platform),
        jkt=row.jkt,
        sign_jwk=row.sign_jwk,
        agree_jwk=row.agree_jwk,
        format=row.format,
        key_id=row.key_id,
        attest_key=None if row.attest_key is None else bytes(row.attest_key),
        counter=row.counter,
        evidence_environment=EvidenceEnvironment(row.evidence_environment),
        claims=row.claims,
        tier=Tier(row.tier),
        warnings=tuple(row.warnings),
        app_version=row.app_version,
        os_version=row.os_version,
        sdk_version=row.sdk_version,
        verified_at=row.verified_at,
        asserted_at=row.asserted_at,
        banned=banned,
    )


class AsyncDjangoEnrolmentStore:
    """`ports.AsyncEnrolmentStore`: the same transactions, on the thread that Django keeps for the request."""

    def __init__(self, store: DjangoEnrolmentStore) -> None:
        """Take the store whose transactions to run."""
        self._store = store

    async def spend_challenge(
        self, challenge_digest: bytes, *, body_digest: bytes, expires_at: datetime
    ) -> SpentChallenge:
        """See `ports.EnrolmentStore.spend_challenge`."""
        spend = sync_to_async(self._store.spend_challenge)
        return await spend(challenge_digest, body_digest=body_digest, expires_at=expires_at)

    async def fail_challenge(self, challenge_digest: bytes, *, reason: str) -> None:
        """See `ports.EnrolmentStore.fail_challenge`."""
        await sync_to_async(self._store.fail_challenge)(challenge_digest, reason=reason)

    async def register(self, registration: Registration) -> InstanceRecord | RegistrationRefusal:
        """See `ports.EnrolmentStore.register`."""
        return await sync_to_async(self._store.register)(registration)

    async def instance(self, instance: str, *, app: str, environment: Environment) -> InstanceRecord | None:
        """See `ports.EnrolmentStore.instance`."""
        return await sync_to_async(self._store.instance)(instance, app=app, environment=environment)

    async def renew(self, renewal: Renewal) -> RenewalOutcome:
        """See `ports.EnrolmentStore.renew`."""
        return await sync_to_async(self._store.renew)(renewal)
