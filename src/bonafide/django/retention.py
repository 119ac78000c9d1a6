"""Erasing what is no longer needed: octets of evidence, spent challenges, records, bans and bindings that ran out.

Everything goes in small transactions, so that a purge of a large table never keeps enrolments waiting. A purge
that is interrupted goes on where it stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db import router

from bonafide.django.documents import values
from bonafide.django.models import (
    Ban,
    CredentialBinding,
    Delivery,
    EvidenceRecord,
    GovernorBucket,
    ObservedRoute,
    Refusal,
    SpentChallenge,
)

if TYPE_CHECKING:
    from django.db.models import Model, QuerySet

CHALLENGE_GRACE: Final = timedelta(hours=1)
"""A spent challenge outlives its expiry by this, for hosts whose clocks differ."""

BATCH: Final = 1000

_IDLE: Final = timedelta(hours=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """How many rows were erased, or stripped of their octets."""

    evidence: int
    challenges: int
    refusals: int
    observed_routes: int
    bans: int
    bindings: int
    buckets: int
    deliveries: int
    old_values: int


def purge(now: datetime, *, refusal_retention: timedelta, using: str | None = None) -> Purged:
    """Erase what `now` no longer needs. Bans that ran out go too; the audit keeps them."""
    using = using or router.db_for_write(EvidenceRecord)
    idle = (now - _IDLE - _EPOCH) // timedelta(microseconds=1)
    kept_from = now - refusal_retention

    def old(model: type[Model], **lookups: Any) -> QuerySet[Any]:
        return model._default_manager.using(using).filter(**lookups)  # noqa: SLF001 - Django's documented name

    return Purged(
        evidence=_strip(old(EvidenceRecord, retain_until__lte=now)),
        challenges=_delete(old(SpentChallenge, expires_at__lt=now - CHALLENGE_GRACE)),
        refusals=_delete(old(Refusal, at__lt=kept_from)),
        observed_routes=_delete(old(ObservedRoute, day__lt=kept_from.date())),
        bans=_delete(old(Ban, until__lte=now)),
        bindings=_delete(old(CredentialBinding, expires_at__lte=now)),
        buckets=_delete(old(GovernorBucket, due__lt=idle)),
        deliveries=_delete(old(Delivery, last_at__lt=kept_from)),
        old_values=values.erase_ended(kept_from, using=using),
    )


def _strip(rows: QuerySet[EvidenceRecord]) -> int:
    """Erase octets and keep digests and verdict."""
    total = 0
    while keys := list(rows.values_list("pk", flat=True)[:BATCH]):
        total += rows.filter(pk__in=keys).update(evidence=None, client_data=None, retain_until=None)
    return total


def _delete(rows: QuerySet[Any]) -> int:
    total = 0
    while keys := list(rows.values_list("pk", flat=True)[:BATCH]):
        total += rows.filter(pk__in=keys).delete()[0]
    return total
