"""One renewal on SQLite among ten thousand instances and among a million: signature, appraisal, UPDATE, tokens."""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle
from typing import TYPE_CHECKING

from django.core.management import call_command
from django.db import connections

from bench._rounds import ROUNDS, compare, interleave, report
from bench.django_project import ALIASES
from bonafide import enrolment
from bonafide.challenge import Purpose
from bonafide.django.enrolment_store import DjangoEnrolmentStore
from bonafide.django.models import Instance
from tests.enrolment.world import World

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
    cases = {name: _renewing(alias, size) for alias, (name, size) in zip(ALIASES[1:], SIZES.items(), strict=True)}
    costs = interleave(cases, calls=CALLS)
    small, large = SIZES
    rows = [compare(costs, small, versus=small), compare(costs, large, versus=small, at_most=1.3)]
    return report("renewal", rows)


def _renewing(alias: str, size: int) -> Callable[[], object]:
    """Return what renews another instance of a database of this size with each call."""
    call_command("migrate", database=alias, verbosity=0)
    world = World(store=DjangoEnrolmentStore(using=alias))
    first = world.enrol(world.enrolment())
    ids = _cloned(alias, size, first.instance)
    prepared: list[tuple[HttpRequest, bytes, str]] = []
    for instance in ids:
        due = replace(first, instance=instance, next_challenge=world.challenge(Purpose.RENEW))
        message = world.renewal(due, asserted=False)
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
    columns = [str(field.column) for field in Instance._meta.concrete_fields]  # noqa: SLF001 - Django's documented API
    others = ", ".join(columns[1:])
    with connections[alias].cursor() as cursor:
        cursor.execute(_CLONE.format(columns=", ".join(columns), others=others), [size - 1])
        cursor.execute(
            "SELECT id FROM bonafide_instance WHERE id <> %s ORDER BY random() LIMIT %s", [first, (ROUNDS + 1) * CALLS]
        )
        return [row[0] for row in cursor.fetchall()]
