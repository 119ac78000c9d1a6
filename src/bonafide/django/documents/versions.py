"""The number of a document: it rises with every change of what an app would get, and never falls.

Rule of this file: a change takes its number first, and holds its row until the end of the transaction. So two writers
of one app's document take turns, and each sees what the other left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import F

from bonafide.django.models import DocumentVersion

if TYPE_CHECKING:
    from bonafide.django.models import App, Document
    from bonafide.terms import Environment


def take(app: App, document: Document, *, using: str) -> int:
    """Return the number of the change that this transaction makes."""
    place = {"environment": app.environment, "app": app.name, "document": document}
    rows = DocumentVersion.objects.using(using)
    row = rows.filter(**place)
    if not row.update(number=F("number") + 1):
        rows.bulk_create([DocumentVersion(**place)], ignore_conflicts=True)
        row.update(number=F("number") + 1)
    return int(row.values_list("number", flat=True).get())


def newest(environment: Environment, app: str, document: Document, *, using: str) -> int:
    """Return the number of the newest document, 0 before the first change."""
    rows = DocumentVersion.objects.using(using).filter(environment=environment, app=app, document=document)
    return rows.values_list("number", flat=True).first() or 0
