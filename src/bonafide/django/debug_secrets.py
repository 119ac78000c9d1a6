"""The secrets of simulators and CI jobs: made once, shown once, kept nowhere (`evidence.debug`).

Debug evidence is an HMAC, so who verifies it must hold the secret, and who holds it can make evidence. The
database therefore has only a random salt; the secret is HMAC-SHA-256 of the row under Django's
SECRET_KEY. A copy of the database makes no evidence, and a new SECRET_KEY ends all of them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db import router, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import salted_hmac

from bonafide.codec import base64url
from bonafide.django import revisions
from bonafide.django.models import AuditEvent, AuditKind
from bonafide.django.models import DebugSecret as DebugSecretRow
from bonafide.django.revisions import Copy, Reading
from bonafide.errors import Misuse
from bonafide.evidence.debug import DebugSecret, UnsafeDebugEvidence
from bonafide.reasons import misuse as reasons
from bonafide.terms import Environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bonafide.django.conf import Settings
    from bonafide.django.models import App

MAX_LIFE: Final = timedelta(days=90)
_SALT_BYTES: Final = 16


def create(app: App, name: str, *, by: str, now: datetime, expires_at: datetime, random: Callable[[int], bytes]) -> str:
    """Create a secret of `app` and return it in base64url: the only time that it is shown.

    `random` returns that many octets of a cryptographic source.
    Raises `Misuse` (`misuse.debug_secret_refused`) in production, and for a life of more than 90 days.
    """
    if app.environment == Environment.PRODUCTION or not now < expires_at <= now + MAX_LIFE:
        raise Misuse(reasons.DEBUG_SECRET_REFUSED)
    using = router.db_for_write(DebugSecretRow)
    row = DebugSecretRow(
        app=app, name=name, salt=random(_SALT_BYTES), created_at=now, created_by=by, expires_at=expires_at
    )
    with transaction.atomic(using=using):
        row.save(using=using, force_insert=True)
        _tell(AuditKind.DEBUG_SECRET_CREATED, row, by=by, now=now, using=using)
    return base64url.encode(_derive(row).secret)


def revoke(row: DebugSecretRow, *, by: str, now: datetime) -> None:
    """End a secret now. Its name stays taken, so that the audit stays unambiguous."""
    using = router.db_for_write(DebugSecretRow)
    with transaction.atomic(using=using):
        if DebugSecretRow.objects.using(using).filter(pk=row.pk, revoked_at=None).update(revoked_at=now):
            _tell(AuditKind.DEBUG_SECRET_REVOKED, row, by=by, now=now, using=using)


def watch(settings: Settings, *, clock: Callable[[], datetime] = timezone.now) -> Copy[UnsafeDebugEvidence | None]:
    """Return this process's copy of the secrets that stand; None where UNSAFE_DEBUG_EVIDENCE is not set."""
    return Copy(
        revisions.DEBUG_SECRETS,
        environment=settings.environment,
        read=lambda now, using: _read(settings, now, using),
        every=settings.revocations_every,
        clock=clock,
    )


def _read(settings: Settings, now: datetime, using: str) -> Reading[UnsafeDebugEvidence | None]:
    if not settings.unsafe_debug_evidence:
        return Reading(None)
    rows = DebugSecretRow.objects.using(using).select_related("app")
    standing = rows.filter(Q(revoked_at=None), app__environment=settings.environment, expires_at__gt=now)
    policy = UnsafeDebugEvidence(environment=settings.environment, secrets=tuple(_derive(row) for row in standing))
    return Reading(policy, min((row.expires_at for row in standing), default=None))


def _derive(row: DebugSecretRow) -> DebugSecret:
    message = "\n".join([bytes(row.salt).hex(), row.app.name, row.app.environment, row.name])
    secret = salted_hmac("bonafide.debug_secret", message, algorithm="sha256").digest()
    return DebugSecret(app=row.app.name, name=row.name, secret=secret)


def _tell(kind: AuditKind, row: DebugSecretRow, *, by: str, now: datetime, using: str) -> None:
    app = row.app
    AuditEvent.objects.using(using).create(
        at=now,
        app=app.name,
        environment=app.environment,
        kind=kind,
        subject=row.name,
        actor=by,
        detail={"expires_at": row.expires_at.isoformat()},
    )
    revisions.raise_revision(revisions.DEBUG_SECRETS, environment=app.environment, using=using)
