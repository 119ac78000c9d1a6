"""The operator's records: the precise reason of each refusal, and what each route would have refused.

Recording costs a request a few microseconds of memory and no database: a daemon thread writes what has
gathered, in batches. What a flood of refusals adds is bounded: above it records are counted and
dropped, while the counts per route go on. A process that is killed loses the last moment's records.
"""

from __future__ import annotations

import atexit
import logging
import os
import secrets
import threading
import weakref
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from django.db import Error, close_old_connections, router, transaction
from django.db.models import F
from django.db.models.functions import Greatest
from django.utils import timezone

from bonafide.codec import base64url
from bonafide.django import conf, signals
from bonafide.django.models import ObservedRoute
from bonafide.django.models import Refusal as RefusalRow
from bonafide.django.models.fields import MAX_ID, MAX_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date, datetime, timedelta

    from bonafide.django.conf import Settings
    from bonafide.reasons import Reason
    from bonafide.terms import Environment

logger: Final = logging.getLogger("bonafide.refusals")

MAX_WAITING: Final = 5000
"""How many refusals wait to be written; above it they are counted and dropped."""

MAX_COUNTS_WAITING: Final = 5000
"""How many different counts wait to be written; above it app versions are no longer told apart."""

MAX_DETAIL: Final = 200
MAX_VERSION: Final = 64

_METHODS: Final = frozenset(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"])
_OTHER: Final = "OTHER"  # a client makes methods up; a count per invention would be a table per attack
_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One judged request as an adapter reports it. `enforced` is False where the route only observes.

    `route` is the rule's pattern, never the path, and empty where no rule matched. `app`, `app_version` and
    `instance` are what was proven, and empty or None where nothing was. `credential` is the kind of the user's
    credential that was refused, and `user` whose it is: receivers of `credential_refused` are told, and no row.
    """

    method: str
    route: str
    enforced: bool
    app: str = ""
    app_version: str = ""
    instance: str | None = None
    credential: str = ""
    user: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class _Counted:
    """What is counted together; the order in which rows are updated, so that no two processes wait for each other."""

    day: date
    route: str
    method: str
    app: str
    app_version: str
    reason: str
    enforced: bool


@dataclass(slots=True)
class _Tally:
    count: int
    first_seen: datetime
    last_seen: datetime


class Recorder:
    """One process's records of one environment.

    `every` is how often its thread writes; None leaves writing to `flush`. A child made by fork begins with
    nothing: what its parent had gathered, the parent writes.
    """

    def __init__(
        self,
        environment: Environment,
        *,
        every: timedelta | None,
        clock: Callable[[], datetime] = timezone.now,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.environment = environment
        self.every = None if every is None else every.total_seconds()
        self._clock = clock
        self._random = random
        self._pid = 0
        self._lock = threading.Lock()
        self._waiting: list[tuple[RefusalRow, Seen]] = []
        self._counts: dict[_Counted, _Tally] = {}
        self._dropped = self._told = 0
        self._thread: threading.Thread | None = None

    @property
    def dropped(self) -> int:
        """How many refusals found no room since this process began."""
        return self._dropped

    def refused(self, seen: Seen, reason: Reason, detail: str = "") -> str:
        """Keep a refusal, count it, log it, and return the record id that the client is told.

        `detail` must hold no secret, token, signature or header.
        """
        at, record = self._clock(), base64url.encode(self._random(_ID_BYTES))
        seen = _fitting(seen)
        row = RefusalRow(
            id=record,
            at=at,
            environment=self.environment,
            app=seen.app,
            reason=reason.code,
            detail=_line(detail, MAX_DETAIL),
            method=seen.method,
            route=seen.route,
            app_version=seen.app_version,
            instance=seen.instance,
            enforced=seen.enforced,
        )
        self._in_this_process()
        with self._lock:
            if len(self._waiting) < MAX_WAITING:
                self._waiting.append((row, seen))
            else:
                self._dropped += 1
            self._count(seen, reason.code, at)
        _log(row)
        return record

    def admitted(self, seen: Seen) -> None:
        """Count a request that was admitted, so that refusals can be read as a share."""
        self._in_this_process()
        with self._lock:
            self._count(_fitting(seen), "", self._clock())

    def flush(self) -> None:
        """Write what has gathered. What the database does not take now waits for the next time."""
        self._in_this_process()
        with self._lock:
            waiting, self._waiting = self._waiting, []
            counts, self._counts = self._counts, {}
            dropped = self._dropped - self._told
            self._told = self._dropped
        if dropped:
            logger.error("%d refusals found no room and were not recorded", dropped)
        try:
            _write([row for row, _ in waiting], counts, self.environment)
        except Error as error:
            logger.error("records were not written: %s", type(error).__name__)  # noqa: TRY400 - rows are in the trace
            self._put_back(waiting, counts)
        else:
            _tell(waiting)

    def _in_this_process(self) -> None:
        """Begin anew after a fork, whose lock may be held by a thread that does not exist here; start the thread."""
        if os.getpid() != self._pid:
            self._lock = threading.Lock()
            self._waiting, self._counts, self._thread = [], {}, None
            self._dropped = self._told = 0
            self._pid = os.getpid()
        if self.every is not None and (self._thread is None or not self._thread.is_alive()):
            arguments = (weakref.ref(self), self.every)
            self._thread = threading.Thread(target=_write_on, args=arguments, name="bonafide-records", daemon=True)
            self._thread.start()

    def _count(self, seen: Seen, reason: str, at: datetime) -> None:
        counted = _Counted(
            day=at.date(),
            route=seen.route,
            method=seen.method,
            app=seen.app,
            app_version=seen.app_version,
            reason=reason,
            enforced=seen.enforced,
        )
        if counted not in self._counts and len(self._counts) >= MAX_COUNTS_WAITING:
            counted = replace(counted, app_version="")
        tally = self._counts.setdefault(counted, _Tally(0, at, at))
        tally.count += 1
        tally.last_seen = at

    def _put_back(self, waiting: list[tuple[RefusalRow, Seen]], counts: Mapping[_Counted, _Tally]) -> None:
        with self._lock:
            room = MAX_WAITING - len(self._waiting)
            self._waiting = waiting[:room] + self._waiting
            self._dropped += len(waiting[room:])
            for counted, tally in counts.items():
                later = self._counts.setdefault(counted, _Tally(0, tally.first_seen, tally.last_seen))
                later.count += tally.count
                later.first_seen = tally.first_seen


def recorder() -> Recorder:
    """Return this process's recorder, as the settings have it."""
    settings = conf.current()
    found = _RECORDERS.get(settings)
    if found is None:
        found = Recorder(settings.environment, every=settings.records_every)
        found = _RECORDERS.setdefault(settings, found)
    return found


def flush() -> None:
    """Write this process's records now: for tests, and for commands that end."""
    recorder().flush()


_RECORDERS: Final[weakref.WeakKeyDictionary[Settings, Recorder]] = weakref.WeakKeyDictionary()


@atexit.register
def _flush_at_exit() -> None:
    for each in list(_RECORDERS.values()):
        if each.every is not None:
            each.flush()


def _write_on(reference: weakref.ref[Recorder], every: float) -> None:
    """Write every so often, until the recorder is gone (the settings changed)."""
    pause = threading.Event()
    while not pause.wait(every) and (found := reference()) is not None:
        found.flush()
        close_old_connections()  # no request ends on this thread, so nobody else does
        del found


def _write(waiting: list[RefusalRow], counts: Mapping[_Counted, _Tally], environment: Environment) -> None:
    if not waiting and not counts:
        return
    using = router.db_for_write(RefusalRow)
    with transaction.atomic(using=using):
        RefusalRow.objects.using(using).bulk_create(waiting, batch_size=500, ignore_conflicts=True)
        for counted in sorted(counts):
            _add(counted, counts[counted], environment, using)


def _add(counted: _Counted, tally: _Tally, environment: Environment, using: str) -> None:
    rows = ObservedRoute.objects.using(using)
    key = {name: getattr(counted, name) for name in _Counted.__slots__} | {"environment": environment}
    found = rows.filter(**key)
    added = {"count": F("count") + tally.count, "last_seen": Greatest(F("last_seen"), tally.last_seen)}
    if not found.update(**added):
        new = ObservedRoute(first_seen=tally.first_seen, last_seen=tally.last_seen, **key)
        rows.bulk_create([new], ignore_conflicts=True)
        found.update(**added)


def _tell(refused: list[tuple[RefusalRow, Seen]]) -> None:
    """Send what is committed to whoever listens."""
    for row, seen in refused:
        told: dict[str, str | bool | None] = {
            name: getattr(row, name) for name in ("app", "instance", "reason", "method", "route", "enforced")
        }
        told |= {"environment": str(row.environment), "record": row.id}
        signals.send_now(signals.request_refused, **told)
        if seen.credential:
            signals.send_now(signals.credential_refused, kind=seen.credential, user=seen.user, **told)


def _log(row: RefusalRow) -> None:
    logger.warning(
        "%s reason=%s record=%s method=%s route=%s instance=%s detail=%s",
        "refused" if row.enforced else "would refuse",
        row.reason,
        row.id,
        row.method,
        row.route,
        row.instance or "",
        row.detail,
        extra={"bonafide": {"reason": row.reason, "record": row.id, "route": row.route, "enforced": row.enforced}},
    )


def _fitting(seen: Seen) -> Seen:
    """Make every text fit its column: one row that a database refuses would keep all others from being written."""
    return replace(
        seen,
        method=seen.method if seen.method in _METHODS else _OTHER,
        route=_line(seen.route, MAX_NAME),
        app=_line(seen.app, MAX_NAME),
        app_version=_line(seen.app_version, MAX_VERSION),
        instance=None if seen.instance is None else _line(seen.instance, MAX_ID),
    )


def _line(text: str, max_characters: int) -> str:
    """Keep a text on its line: controls and what does not encode would forge or break log lines and rows."""
    return text.encode("ascii", "backslashreplace").decode().translate(_CONTROLS)[:max_characters]


_CONTROLS: Final = {code: f"\\x{code:02x}" for code in (*range(32), 127)}
