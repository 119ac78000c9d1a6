"""Whether this process lives, and whether it can do its work.

`/healthz` asks nobody: a process that answers it must not be killed because its database is away. `/readyz` asks the
database and the key files, at most once a second in each process, so that asking is no way to wear them out.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from django.db import DEFAULT_DB_ALIAS, connections
from django.db import Error as DatabaseError
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpResponse
from django.views.decorators.http import require_safe

from bonafide.codec import json
from bonafide.django import conf
from bonafide.django.key_sources import KeySources
from bonafide.django.models import Revision
from bonafide.errors import BonafideError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from django.http import HttpRequest

READY: Final = "ready"
ASKED_EVERY_S: Final = 1.0
SILENT_S: Final = 5.0


@require_safe
def lives(_request: HttpRequest) -> HttpResponse:
    """`GET /healthz`: 200 while this process answers."""
    return _plain("alive", 200)


@require_safe
def ready(_request: HttpRequest) -> HttpResponse:
    """`GET /readyz` for the world: 200 or 503, and no word about why."""
    found = _READINESS.parts()
    return _plain(READY, 200) if _all(found) else _plain("not ready", 503)


@require_safe
def explained(_request: HttpRequest) -> HttpResponse:
    """`GET /readyz` for the operator: which part is not ready. It names kinds of failures, and nothing of theirs."""
    found = _READINESS.parts()
    response = HttpResponse(json.dump(dict(found)), status=200 if _all(found) else 503, content_type="application/json")
    response["Cache-Control"] = "no-store"
    return response


def probe() -> Mapping[str, str]:
    """Ask each part now; `ready`, or the kind of its failure."""
    return {
        "database": _outcome(_database),
        "migrations": _outcome(_MIGRATIONS.require),
        "keys": _outcome(_keys),
    }


def _all(parts: Mapping[str, str]) -> bool:
    return all(outcome == READY for outcome in parts.values())


def _outcome(ask: Callable[[], None]) -> str:
    try:
        ask()
    except (BonafideError, DatabaseError) as failure:
        return failure.reason.code if isinstance(failure, BonafideError) else type(failure).__name__
    return READY


def _database() -> None:
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute("SELECT 1")


def _keys() -> None:
    sources = KeySources(conf.current())  # a new one: those that serve go on with what they read long ago
    sources.service_ring()
    sources.challenge_key()


class _Migrations:
    """Whether the tables are those of this release; once they are, they stay so."""

    def __init__(self) -> None:
        self._done = False

    def require(self) -> None:
        """Raise `DatabaseError` while a migration is missing."""
        if self._done:
            return
        executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            raise NotMigrated
        self._done = Revision.objects.filter(environment="").count() == 0  # the tables answer


class NotMigrated(DatabaseError):
    """The database has not the tables of this release."""


class _Readiness:
    """What was found of late."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._asked = self._answered = -SILENT_S
        self._found: Mapping[str, str] = {"database": "not asked yet"}

    def parts(self) -> Mapping[str, str]:
        """Return what was found, after asking where that is due.

        One thread asks, and the others go on with what they have: a database that is silent keeps one thread of a
        worker, and after `SILENT_S` that is what is found.
        """
        if self._lock.acquire(blocking=False):
            try:
                if self._clock() - self._answered >= ASKED_EVERY_S:
                    self._asked = self._clock()
                    self._found = probe()
                    self._answered = self._clock()
            finally:
                self._lock.release()
        elif self._clock() - self._asked >= SILENT_S:
            return {"database": "silent"}
        return self._found


_MIGRATIONS: Final = _Migrations()
_READINESS: Final = _Readiness()


def _plain(text: str, status: int) -> HttpResponse:
    response = HttpResponse(f"{text}\n", status=status, content_type="text/plain; charset=utf-8")
    response["Cache-Control"] = "no-store"
    return response
