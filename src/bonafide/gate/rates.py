"""How fast an instance, a user and a network may come: counted by the `limits` library, here or in Redis.

Nginx's own `limit_req` acts before a gate is asked, and cannot know an instance. A rate is no proof of anything; where
the counters cannot be reached, requests are refused like where the replay store cannot.

In memory the library would count in a table that a thread of its own walks through a hundred times a second, to
find what has expired. With ten thousand instances that is a fifth of a processor, and each walk stops whatever
request is in hand (`make bench-gate`). `Windows` is a storage of the library's own kind that forgets as it counts.

A network is counted before anything is proven, and who has an IPv6 /32 has four thousand million of them. So there is
a bound to the windows that are open at once: above it, what has no window yet is refused, and nothing that was counted
is forgotten. Networks and what is proven are counted apart, so that the former cannot take the latter's room.
"""

from __future__ import annotations

import logging
import math
import sys
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final, cast

from limits import parse
from limits.errors import StorageError
from limits.storage import Storage, storage_from_string

from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons

if TYPE_CHECKING:
    from collections.abc import Callable

    from bonafide.gate.config import Limits

_log: Final = logging.getLogger("bonafide.gate.rates")


class RatesUnavailable(Exception):
    """The counters do not answer."""


@dataclass(slots=True)
class _Window:
    count: int
    ends: float


class Windows(Storage):
    """Fixed windows in this process: a window begins with its first request. Threads may share it.

    Windows that have ended are dropped when as many are open again as were left the last time, so that counting costs
    the same however many there are. Of the `most` that may be open it is looked once a second which have ended.
    """

    STORAGE_SCHEME = None

    def __init__(self, clock: Callable[[], float] = time.time, *, most: int) -> None:
        """Begin with no window; `clock` is in seconds since the epoch."""
        super().__init__()
        self._clock = clock
        self._most = most
        self._full_until = 0.0
        self._lock = threading.Lock()
        self._open: dict[str, _Window] = {}
        self._room = LEAST_WINDOWS

    def __len__(self) -> int:
        return len(self._open)

    @property
    def base_exceptions(self) -> type[Exception]:
        """Nothing can fail here."""
        return OSError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count `amount` under `key`, in a window of `expiry` seconds; return its count."""
        return self.count(key, expiry, amount)

    def count(self, key: str, expiry: int, amount: int = 1) -> int:
        """Do what `incr` does. The library wraps that one, to map errors that cannot happen here.

        Where there is no room for a further window, it is none and has `NO_ROOM` for a count, above every rate.
        """
        now = self._clock()
        with self._lock:
            window = self._open.get(key)
            if window is not None and now < window.ends:
                window.count += amount
                return window.count
            if len(self._open) >= self._room and not self._make_room(now):
                return NO_ROOM
            self._open[key] = _Window(amount, now + expiry)
            return amount

    def _make_room(self, now: float) -> bool:
        if now < self._full_until <= now + FULL_FOR_S:
            return False
        self._open = {name: window for name, window in self._open.items() if now < window.ends}
        self._room = min(self._most, max(LEAST_WINDOWS, 2 * len(self._open)))
        if len(self._open) < self._most:
            return True
        _log.error("no more than %d windows are open at once; what has none is refused", self._most)
        self._full_until = now + FULL_FOR_S
        return False

    def get(self, key: str) -> int:
        """Return the count of the window that is open, or 0."""
        window = self._open.get(key, _NO_WINDOW)
        return window.count if self._clock() < window.ends else 0

    def get_expiry(self, key: str) -> float:
        """Return when the window ends; now, where none is open."""
        return max(self._clock(), self._open.get(key, _NO_WINDOW).ends)

    def check(self) -> bool:
        """Tell that it works."""
        return True

    def reset(self) -> int:
        """Drop all windows; return how many there were."""
        with self._lock:
            dropped = len(self._open)
            self._open = {}
        return dropped

    def clear(self, key: str) -> None:
        """Drop one window."""
        with self._lock:
            self._open.pop(key, None)


LEAST_WINDOWS: Final = 1024

MOST_NETWORKS: Final = 2**17
"""As many networks are counted at once in one worker; they take some 30 MB."""

MOST_PROVEN: Final = 2**20
"""As many instances and users: it takes genuine phones to fill it."""

FULL_FOR_S: Final = 1.0
"""Looking which windows have ended takes a tenth of a second, and is not for every request to cause."""

NO_ROOM: Final = sys.maxsize
_NO_WINDOW: Final = _Window(0, 0.0)


class Rates:
    """The limits of one gate, in windows that begin with the first request of each."""

    def __init__(self, limits: Limits, *, timeout: timedelta) -> None:
        """Open the counters. Raises `ConfigurationError` (`configuration.setting_malformed`)."""
        seconds = timeout.total_seconds()
        if limits.store == "memory:":
            networks: Storage = Windows(most=MOST_NETWORKS)
            proven: Storage = Windows(most=MOST_PROVEN)
        else:
            networks = proven = _connect(limits.store, seconds)
        self._instance = _rate("instance", limits.instance, proven)
        self._network = _rate("network", limits.network, networks)
        self._user = _rate("user", limits.user, proven)
        self._failing = False

    def network(self, network: str) -> timedelta | None:
        """Count a request of a client network; return how long to wait where that was one too many."""
        return None if self._network is None else self._hit(self._network, network)

    def instance(self, instance: str) -> timedelta | None:
        """Count a proven request of an instance."""
        return None if self._instance is None else self._hit(self._instance, instance)

    def user(self, credential: str) -> timedelta | None:
        """Count a proven request under one `Authorization`, which is kept as a digest."""
        if self._user is None:
            return None
        return self._hit(self._user, sha256(credential.encode("utf-8", "surrogatepass")).hexdigest()[:32])

    def _hit(self, rate: _Rate, who: str) -> timedelta | None:
        key = f"{rate.begins}{who}{rate.ends}"
        try:
            if rate.count(key, rate.seconds) <= rate.amount:
                self._failing = False
                return None
            until = rate.storage.get_expiry(key)
        except StorageError as problem:
            if not self._failing:
                _log.error("the counters of rates do not answer: %s", type(problem).__name__)
            self._failing = True
            raise RatesUnavailable from None
        return timedelta(seconds=max(1, math.ceil(until - time.time())))


@dataclass(frozen=True, slots=True)
class _Rate:
    """One limit: the two ends of its keys around who is counted, the window in seconds, and where it is counted.

    What the library's `FixedWindowRateLimiter` does is one comparison, and a key made anew for each: this is the
    same, with the key's fixed parts made once.
    """

    begins: str
    ends: str
    seconds: int
    amount: int
    storage: Storage
    count: Callable[[str, int], int]


def _connect(uri: str, seconds: float) -> Storage:
    try:
        storage = storage_from_string(uri, wrap_exceptions=True, socket_timeout=seconds, socket_connect_timeout=seconds)
    except Exception as error:  # noqa: BLE001 - each storage has classes of its own
        raise ConfigurationError(reasons.SETTING_MALFORMED, f"[limits] store: {type(error).__name__}") from None
    return cast("Storage", storage)


def _rate(kind: str, rate: str | None, storage: Storage) -> _Rate | None:
    if rate is None:
        return None
    item = parse(rate)
    begins, _, ends = item.key_for(kind, _WHO).partition(_WHO)
    count = storage.count if isinstance(storage, Windows) else storage.incr
    return _Rate(begins, ends, item.get_expiry(), item.amount, storage, count)


_WHO: Final = "\0"
