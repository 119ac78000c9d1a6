"""Banning instances and keys, and what gates know of it.

A ban stops renewal and enrolment at once, in the enrolment store. What was issued before lives at most an
hour; the revocation list names those who could still hold it. So the list stays as short as the last
two hours are, however many bans there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db import router, transaction
from django.db.models import Q
from django.utils import timezone

from bonafide.django import revisions, signals
from bonafide.django.models import AttestKey, AuditEvent, AuditKind, Ban, BanScope, Instance
from bonafide.django.revisions import Copy, Reading
from bonafide.errors import Misuse
from bonafide.reasons import misuse as reasons

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bonafide.terms import Environment

REVOKED_FOR: Final = timedelta(hours=2)
"""How long a ban stays in the revocation list: twice the longest life of a client attestation."""


@dataclass(frozen=True, slots=True)
class Revocations:
    """Who was banned of late. `jkts` are keys banned by themselves, not through an instance."""

    instances: frozenset[str] = frozenset()
    jkts: frozenset[str] = frozenset()

    def is_revoked(self, instance: str, jkt: str) -> bool:
        """Tell whether this instance or this key is banned."""
        return instance in self.instances or jkt in self.jkts


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Who bans, why, when, and until when (None: for good)."""

    reason: str
    by: str
    at: datetime
    until: datetime | None = None

    def __post_init__(self) -> None:
        if not self.reason.strip() or not self.by.strip():
            raise Misuse(reasons.BAN_WITHOUT_REASON)
        if self.until is not None and self.until <= self.at:
            raise Misuse(reasons.BAN_ALREADY_OVER)


def ban_instance(instance: str, act: Act) -> None:
    """Ban an instance, its `sign` key and every App Attest key it held.

    A ban of the same subject that lasts longer stays as it is. The audit keeps each act.

    Raises `Misuse` (`misuse.instance_unknown`).
    """
    using = router.db_for_write(Ban)
    with transaction.atomic(using=using):
        # The lock makes a re-enrolment under way wait, or be waited for: none of its keys is missed.
        row = Instance.objects.using(using).select_for_update().filter(pk=instance).first()
        if row is None:
            raise Misuse(reasons.INSTANCE_UNKNOWN, instance)
        keys = AttestKey.objects.using(using).filter(instance=instance).values_list("key_id", flat=True)
        subjects = [(BanScope.INSTANCE, instance), (BanScope.JKT, row.jkt)]
        subjects += [(BanScope.KEY_ID, key_id) for key_id in keys]
        for scope, subject in subjects:
            _put(
                Ban(app=row.app, environment=row.environment, scope=scope, subject=subject, instance=instance),
                act,
                using,
            )
        _tell(AuditKind.BANNED, row.app, row.environment, BanScope.INSTANCE, instance, act, using)


def ban_key(scope: BanScope, subject: str, *, app: str, environment: Environment, act: Act) -> None:
    """Ban a `sign` key (`jkt`) or an App Attest key (`key_id`), enrolled or not. For instances see `ban_instance`."""
    using = router.db_for_write(Ban)
    with transaction.atomic(using=using):
        _put(Ban(app=app, environment=environment, scope=scope, subject=subject), act, using)
        _tell(AuditKind.BANNED, app, environment, scope, subject, act, using)


def lift(ban: Ban, act: Act) -> None:
    """Lift a ban; of an instance's ban, every row. `act.until` means nothing here.

    What was banned by itself besides stays banned.
    """
    using = router.db_for_write(Ban)
    with transaction.atomic(using=using):
        rows = Ban.objects.using(using).filter(app=ban.app, environment=ban.environment)
        of_ban = Q(instance=ban.instance) if ban.instance else Q(pk=ban.pk)
        if rows.filter(of_ban).delete()[0]:
            scope, subject = (BanScope.INSTANCE, ban.instance) if ban.instance else (ban.scope, ban.subject)
            _tell(AuditKind.UNBANNED, ban.app, ban.environment, scope, subject, act, using)


def watch(
    environment: Environment, *, every: timedelta, clock: Callable[[], datetime] = timezone.now
) -> Copy[Revocations]:
    """Return this process's copy of the revocation list, for a gate of `environment`."""
    return Copy(
        revisions.REVOCATIONS,
        environment=environment,
        read=lambda now, using: read(environment, now, using),
        every=every,
        clock=clock,
    )


def _put(ban: Ban, act: Act, using: str) -> None:
    """Write one row, or overwrite the row of the same subject and instance where this act lasts longer."""
    ban.reason, ban.banned_by, ban.banned_at, ban.until = act.reason, act.by, act.at, act.until
    rows = Ban.objects.using(using)
    rows.bulk_create([ban], ignore_conflicts=True)
    shorter = Q(until__isnull=False) if act.until is None else Q(until__lt=act.until)
    same = {name: getattr(ban, name) for name in ("subject", "scope", "app", "environment", "instance")}
    rows.filter(shorter, **same).update(reason=act.reason, banned_by=act.by, banned_at=act.at, until=act.until)


def _tell(kind: AuditKind, app: str, environment: str, scope: str, subject: str, act: Act, using: str) -> None:
    detail = {"scope": str(scope), "reason": act.reason, "until": None if act.until is None else act.until.isoformat()}
    AuditEvent.objects.using(using).create(
        at=act.at, app=app, environment=environment, kind=kind, subject=subject, actor=act.by, detail=detail
    )
    revisions.raise_revision(revisions.REVOCATIONS, environment=environment, using=using)
    signal = signals.instance_banned if kind is AuditKind.BANNED else signals.instance_unbanned
    signals.send_after_commit(signal, using=using, app=app, environment=environment, scope=str(scope), subject=subject)


def read(environment: str, now: datetime, using: str) -> Reading[Revocations]:
    """Read the revocation list of `environment` as it is at `now`, and until when it stands unless somebody acts."""
    bans = Ban.objects.using(using).filter(Ban.stands(now), environment=environment, banned_at__gt=now - REVOKED_FOR)
    recent = list(bans.values_list("app", "scope", "subject", "instance", "until"))
    instances = {subject for _, scope, subject, _, _ in recent if scope == BanScope.INSTANCE}
    for app, scope, subject, instance, _ in recent:
        if scope == BanScope.KEY_ID and not instance:
            keys = AttestKey.objects.using(using).filter(key_id=subject, app=app, environment=environment)
            instances.update(keys.values_list("instance_id", flat=True))
    jkts = {subject for _, scope, subject, instance, _ in recent if scope == BanScope.JKT and not instance}
    ends = [until for *_, until in recent if until is not None]
    return Reading(Revocations(frozenset(instances), frozenset(jkts)), min(ends, default=None))
