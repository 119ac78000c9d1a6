"""One renewal on SQLite, with ten thousand instances and with a million: signature, appraisal, one UPDATE, two tokens."""

from __future__ import annotations

import tempfile
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django
from django.conf import settings

from bench._rounds import ROUNDS, compare, interleave, report
from bonafide import enrolment

if TYPE_CHECKING:
    from collections.abc import Callable

    from bonafide.http import HttpRequest

CALLS = 100
SIZES = {"a renewal, 10 k instances": 10_000, "a renewal, 1 M instances": 1_000_000}

# Every clone has the first instance's keys, so that one phone can renew them all; ids are random, as real ones are.
_CLONE = """
INSERT INTO bonafide_instance ({columns})
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < %s)
SELECT substr(lower(hex(randomblob(11))), 2) || 'A', {others} FROM numbers, (SELECT * FROM bonafide_instance LIMIT 1)
"""


def run() -> bool:
    """Measure, print, and tell whether every promise holds."""
    with tempfile.TemporaryDirectory(prefix="bonafide-bench-") as directory:
        _configure(Path(directory))
        costs = interleave({name: _renewing(f"of_{size}", size) for name, size in SIZES.items()}, calls=CALLS)
        small, large = SIZES
        rows = [compare(costs, small, versus=small), compare(costs, large, versus=small, at_most=1.3)]
        return report("renewal", rows)


def _configure(directory: Path) -> None:
    from bonafide.django.databases import SQLITE_OPTIONS

    databases: dict[str, Any] = {
        name: {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(directory / f"{name}.sqlite3"),
            "OPTIONS": SQLITE_OPTIONS,
        }
        for name in ("default", *(f"of_{size}" for size in SIZES.values()))
    }
    settings.configure(
        INSTALLED_APPS=["django.contrib.contenttypes", "bonafide.django"], DATABASES=databases, USE_TZ=True
    )
    django.setup()


def _renewing(alias: str, size: int) -> Callable[[], object]:
    """Return what renews another instance of a database of this size with each call."""
    from django.core.management import call_command

    from bonafide.django.enrolment_store import DjangoEnrolmentStore
    from tests.enrolment.world import World

    call_command("migrate", database=alias, verbosity=0)
    world = World(store=DjangoEnrolmentStore(using=alias))
    first = world.enrol(world.enrolment())
    ids = _cloned(alias, size, first.instance)
    prepared: list[tuple[HttpRequest, bytes, str]] = []
    for instance in ids:
        message = world.renewal(_another(first, instance, world), asserted=False)
        body = message.body()
        prepared.append((world.request(f"/instances/{instance}/renewals", body), body, instance))
    turns = cycle(prepared)

    def renew() -> object:
        request, body, instance = next(turns)
        return enrolment.renew(
            request,
            body,
            instance=instance,
            service=world.service,
            store=world.store,
            now=world.now,
            random=world.random,
        )

    return renew


def _cloned(alias: str, size: int, first: str) -> list[str]:
    from django.db import connections

    from bonafide.django.models import Instance

    columns = [field.column for field in Instance._meta.concrete_fields]  # noqa: SLF001 - Django's documented API
    others = ", ".join(columns[1:])
    with connections[alias].cursor() as cursor:
        cursor.execute(_CLONE.format(columns=", ".join(columns), others=others), [size - 1])
        cursor.execute(
            "SELECT id FROM bonafide_instance WHERE id <> %s ORDER BY random() LIMIT %s", [first, (ROUNDS + 1) * CALLS]
        )
        return [row[0] for row in cursor.fetchall()]


def _another(enrolled: enrolment.Enrolled, instance: str, world: Any) -> enrolment.Enrolled:
    from dataclasses import replace

    from bonafide.challenge import Purpose

    return replace(enrolled, instance=instance, next_challenge=world.challenge(Purpose.RENEW))
