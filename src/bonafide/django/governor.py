"""How fast unauthenticated callers may come: enrolments per app, requests per client network.

One row per bucket holds when its next request is due (GCRA); one conditional UPDATE both asks and takes, so any
number of processes share one rate. Above it the answer is how long to back off, and a process that was
told so answers by itself until then.

Networks are kept as keyed digests in a fixed number of buckets: no address is stored, no flood makes the
table larger, and nobody can pick an address that shares a bucket with another's.
"""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum, unique
from typing import TYPE_CHECKING, Final

from django.db import router
from django.db.models import BigIntegerField, Case, F, Q, Value, When
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from bonafide.django.models import GovernorBucket
from bonafide.routes.ramp import network_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from bonafide.django.conf import Settings

ENROLMENT_SPREAD: Final = timedelta(minutes=1)
NETWORK_SPREAD: Final = timedelta(seconds=10)
"""Over how long those who were told to back off come back: together they would only be refused together."""

CLOCKS_APART: Final = timedelta(minutes=1)
"""A bucket further ahead than this was taken by a host whose clock was wrong, and is taken over."""

NETWORK_BUCKETS: Final = 2**20

_SECOND: Final = 1_000_000  # a bucket counts microseconds
_MINUTE: Final = 60 * _SECOND
_BURST: Final = 10 * _SECOND
_MAX_REMEMBERED: Final = 10_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)


@unique
class Endpoint(StrEnum):
    """What callers may do before anybody knows who they are, as NETWORK_LIMITS names it."""

    CHALLENGE = "challenge"
    INSTANCES = "instances"
    RENEWALS = "renewals"
    GATE = "gate"
    CONSOLE = "console"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rate:
    """One request every `interval`, `burst` of them saved up; both in microseconds."""

    interval: int
    burst: int
    spread: timedelta


class Governor:
    """The limits of one environment. Each question returns None for go ahead, or how long to back off."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], datetime] = timezone.now,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """Take the limits; `random` spreads those who back off, over whole seconds."""
        self._environment = settings.environment
        self._clock = clock
        self._random = random
        # A second's worth may come at once: how requests of one second are spaced is chance.
        self._enrolments = _Rate(
            interval=_SECOND // settings.enrolments_per_second, burst=_SECOND, spread=ENROLMENT_SPREAD
        )
        self._networks = {
            endpoint: None if limit is None else _Rate(interval=_MINUTE // limit, burst=_BURST, spread=NETWORK_SPREAD)
            for endpoint in Endpoint
            for limit in [getattr(settings.network_limits, endpoint)]
        }
        self._closed: dict[str, int] = {}

    def enrolment(self, app: str) -> timedelta | None:
        """Ask before issuing an enrolment challenge, which is before the device spends its `attestKey`.

        `app` is the name of an app that exists: each name has a row.
        """
        return self._ask(f"{self._environment}/enrolments/{app}", self._enrolments)

    def network(self, endpoint: Endpoint, address: str) -> timedelta | None:
        """Ask before anything else is done for a caller at `address` (the client's, see TRUSTED_PROXIES)."""
        rate = self._networks[endpoint]
        if rate is None:
            return None
        return self._ask(f"{self._environment}/{endpoint}/{_bucket(address):05x}", rate)

    def _ask(self, name: str, rate: _Rate) -> timedelta | None:
        now = (self._clock() - _EPOCH) // _TICK
        open_from = self._closed.get(name, 0)
        # A bucket opens later and never earlier, but for a clock that was set: so not for longer than a second.
        if not now < open_from <= now + _SECOND:
            due = _take(name, rate, now)
            if due is None:
                self._closed.pop(name, None)
                return None
            open_from = due - rate.burst
            if len(self._closed) >= _MAX_REMEMBERED:
                self._closed.clear()
            self._closed[name] = open_from
        return self._back_off(open_from - now, rate)

    def _back_off(self, wait: int, rate: _Rate) -> timedelta:
        """Return whole seconds, as Retry-After has them, beginning when the bucket opens."""
        seconds = max(1, math.ceil(wait / _SECOND))
        spread = int(rate.spread.total_seconds())
        return timedelta(seconds=seconds + int.from_bytes(self._random(4), "big") % spread)


def _bucket(address: str) -> int:
    digest = salted_hmac("bonafide.governor", network_of(address), algorithm="sha256").digest()
    return int.from_bytes(digest[:4], "big") % NETWORK_BUCKETS


def _take(name: str, rate: _Rate, now: int) -> int | None:
    """Take a place in the bucket; without one, return when the bucket's next request is due."""
    using = router.db_for_write(GovernorBucket)
    rows = GovernorBucket.objects.using(using).filter(name=name)
    wrong = now + rate.burst + rate.interval + CLOCKS_APART // _TICK
    at = Value(now, output_field=BigIntegerField())
    begins = Case(When(due__gt=wrong, then=at), default=Greatest(F("due"), at))
    free = rows.filter(Q(due__lte=now + rate.burst) | Q(due__gt=wrong))
    for _ in range(2):
        if free.update(due=begins + rate.interval):
            return None
        due = rows.values_list("due", flat=True).first()
        if due is not None:
            return due
        GovernorBucket.objects.using(using).bulk_create([GovernorBucket(name=name, due=now)], ignore_conflicts=True)
    return now + rate.burst + rate.interval
