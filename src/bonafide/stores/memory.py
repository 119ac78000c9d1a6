"""A replay store in the memory of one process: for tests, development and servers of one worker.

Nothing survives the process, and no other process sees it. That is why start-up refuses it beside a
second worker (`bonafide.stores.require_scope`), and why a process that was forked off the one that
made the store gets `UNAVAILABLE` from it for ever: a server that forks its workers after loading the
application would otherwise let each of them admit the same proof once.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict
from typing import Final

from bonafide.ports import REPLAY_HORIZON_S, FirstUse, Scope
from bonafide.stores._fence import fence, require_use

MAX_ENTRIES: Final = 100_000
"""About 16 MB, and 300 fresh proofs a second for ever."""

_FORGET_AT_ONCE: Final = 4

_log: Final = logging.getLogger(__name__)


class MemoryReplayStore:
    """Remembers first uses in one process. Threads may share it; its birth is its first use.

    At most `max_entries` live keys are held: a further one is `UNAVAILABLE` until others expire, and
    nothing is forgotten early to make room.
    """

    scope: Final = Scope.PROCESS

    def __init__(self, *, max_entries: int = MAX_ENTRIES) -> None:
        self._max_entries = max_entries
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._until: OrderedDict[bytes, int] = OrderedDict()
        self._birth: float | None = None
        self._newest = 0.0

    def remember(self, key: bytes, *, created: int, now: float) -> FirstUse:
        """Record the first use of `key`: see `bonafide.ports.ReplayStore.remember`.

        Raises `Misuse` (`store.use_malformed`) where an argument has the wrong form.
        """
        require_use(key, created, now)
        if os.getpid() != self._pid:  # before the lock: a fork may have copied it while it was held
            _log.error("a memory replay store was carried into a forked process; use lmdb")
            return FirstUse.UNAVAILABLE
        with self._lock:
            return self._remember(key, created, now)

    def require_ready(self, *, now: float) -> None:
        """Be born now, so that the seconds of the fence pass before the first proof comes."""
        with self._lock:
            if self._birth is None:
                self._birth = self._newest = now

    def close(self) -> None:
        """Do nothing: what is remembered goes with the process."""

    def _remember(self, key: bytes, created: int, now: float) -> FirstUse:
        if self._birth is None:
            self._birth = now
        self._newest = max(self._newest, now)
        if fence(created=created, now=now, birth=self._birth, newest=self._newest):
            return FirstUse.FENCED
        self._forget()
        if self._until.get(key, 0) > self._newest:
            return FirstUse.REPLAYED
        self._until.pop(key, None)
        if len(self._until) >= self._max_entries:
            return FirstUse.UNAVAILABLE
        self._until[key] = created + REPLAY_HORIZON_S
        return FirstUse.FIRST

    def _forget(self) -> None:
        """Drop a few expired keys, oldest use first.

        A key at the front may hold back others that expire earlier, by 305 s at most: that is how far
        apart two keys that are admitted at one time can have been created.
        """
        for _ in range(_FORGET_AT_ONCE):
            if not self._until or next(iter(self._until.values())) > self._newest:
                return
            self._until.popitem(last=False)
