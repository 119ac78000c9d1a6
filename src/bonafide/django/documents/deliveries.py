"""Who was given which version, counted by instance. What was in it is in no row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import router, transaction
from django.db.models import F
from django.db.models.functions import Greatest

from bonafide.django import signals
from bonafide.django.models import Delivery

if TYPE_CHECKING:
    from datetime import datetime

    from bonafide.django.models import Document
    from bonafide.terms import Environment


def count(
    environment: Environment, *, app: str, instance: str, document: Document, version: int, now: datetime
) -> None:
    """Count one delivery, before it is answered: what is not written down is not handed out.

    Raises Django's `DatabaseError`.
    """
    using = router.db_for_write(Delivery)
    rows = Delivery.objects.using(using)
    found = rows.filter(instance=instance, document=document, version=version)
    added = {"count": F("count") + 1, "last_at": Greatest(F("last_at"), now)}
    with transaction.atomic(using=using):
        signals.send_after_commit(
            signals.document_delivered,
            using=using,
            app=app,
            environment=str(environment),
            instance=instance,
            document=str(document),
            version=version,
        )
        if found.update(**added):
            return
        new = Delivery(
            environment=environment,
            app=app,
            instance=instance,
            document=document,
            version=version,
            first_at=now,
            last_at=now,
        )
        rows.bulk_create([new], ignore_conflicts=True)
        found.update(**added)
