"""Copies that processes hold of small tables, and the numbers that tell them when to read again.

Nothing on the way of a request asks the database about apps or bans. A process holds a copy, looks at one
number at most every few seconds, and reads again when it rose. The number rises in the same
transaction as the change, so no process sees the number without the change.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from asgiref.sync import sync_to_async
from django.db import Error, router
from django.db.models import F
from django.utils import timezone

from bonafide.django.models import Revision
from bonafide.errors import VerificationFailed
from bonafide.reasons import store as reasons

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from bonafide.terms import Environment

logger: Final = logging.getLogger("bonafide.revisions")

APPS: Final = "apps"
DEBUG_SECRETS: Final = "debug_secrets"
GATES: Final = "gates"
OPENINGS: Final = "openings"
REVOCATIONS: Final = "revocations"

MAX_STALE: Final = timedelta(minutes=1)
"""For how long a copy stands in for a database that does not answer."""

T = TypeVar("T")


def raise_revision(topic: str, *, environment: str, using: str) -> None:
    """Tell all processes that `topic` changed. Call it inside the transaction of the change."""
    rows = Revision.objects.using(using)
    row = rows.filter(environment=environment, topic=topic)
    if not row.update(number=F("number") + 1):
        rows.bulk_create([Revision(environment=environment, topic=topic)], ignore_conflicts=True)
        row.update(number=F("number") + 1)


def read_numbers(environment: str, *, using: str) -> Mapping[str, int]:
    """Return the numbers of all topics, by one query: they tell whether what they stand for must be read again."""
    rows = Revision.objects.using(using).filter(environment=environment)
    return dict(rows.values_list("topic", "number"))


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """What was read, and from when on it must be read again though nobody changed it (None: never)."""

    value: T
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Held(Generic[T]):
    reading: Reading[T]
    number: int
    confirmed: float


class Copy(Generic[T]):
    """One process's copy of what `read` returns, at most `every` old while the database answers.

    `read` takes the time and the database alias. One thread at a time asks; the others go on with
    the copy they have. A child made by fork asks anew.
    """

    def __init__(
        self,
        topic: str,
        *,
        environment: Environment,
        read: Callable[[datetime, str], Reading[T]],
        every: timedelta,
        clock: Callable[[], datetime] = timezone.now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._topic = topic
        self._environment = environment
        self._read = read
        self._every = every.total_seconds()
        self._clock = clock
        self._monotonic = monotonic
        self._renew_lock()

    def current(self) -> T:
        """Return the copy, after asking the database where that is due.

        Raises `VerificationFailed` (`store.copy_stale`) when the database has not answered for longer than
        `MAX_STALE`: who is banned is then unknown, and unknown means no.
        """
        held = self._held
        if held is not None and self._monotonic() < self._due:
            return held.reading.value
        if os.getpid() != self._pid:
            self._renew_lock()
        # Without a copy wait for the thread that fetches one; with a copy go on.
        if self._lock.acquire(blocking=self._held is None):
            try:
                self._refresh()
            finally:
                self._lock.release()
        held = self._held
        if held is None or self._monotonic() - held.confirmed > self._every + MAX_STALE.total_seconds():
            raise VerificationFailed(reasons.COPY_STALE, f"{self._topic} could not be read")
        return held.reading.value

    async def acurrent(self) -> T:
        """As `current`, for an event loop: a thread is used only where the database must be asked."""
        held = self._held
        if held is not None and self._monotonic() < self._due:
            return held.reading.value
        return await sync_to_async(self.current)()

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._held: _Held[T] | None = None
        self._due = 0.0

    def _refresh(self) -> None:
        moment = self._monotonic()
        if moment < self._due:
            return  # another thread was faster
        self._due = moment + self._every  # also after a failure: a database in trouble is not asked by every request
        try:
            using = router.db_for_read(Revision)
            row = Revision.objects.using(using).filter(environment=self._environment, topic=self._topic)
            number = row.values_list("number", flat=True).first() or 0
            now = self._clock()
            reading = None if self._held is None or self._held.number != number else self._held.reading
            if reading is None or (reading.ends_at is not None and reading.ends_at <= now):
                # The number was read first: what changes from here on has a higher one.
                reading = self._read(now, using)
        except Error as error:
            logger.warning("%s could not be read: %s", self._topic, type(error).__name__)
            return
        self._held = _Held(reading, number, moment)
