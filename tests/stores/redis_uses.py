"""How the tests of the Redis store use one: at times of their own, an hour and more ahead of the machine's clock.

The store takes the caller's time for Redis's, so that a test decides how long ago a birth was; Redis
itself, by whose clock keys expire, is an hour behind and forgets nothing meanwhile.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from bonafide.stores.addresses import parse_address
from bonafide.stores.redis import RedisReplayStore
from bonafide.testing.replay_store import replay_key

if TYPE_CHECKING:
    from bonafide.ports import FirstUse

START = int(time.time()) + 3600
"""When the tests' stores are born."""

READY = START + 1000
"""A time at which no fence is near."""


def caller_clock(there: float, now: float) -> float:
    """Take the caller's time for Redis's."""
    del there
    return now


def open_store(url: str, *, timeout_ms: int = 5000) -> RedisReplayStore:
    """Return a store whose Redis has the caller's clock; nothing is connected to yet."""
    return RedisReplayStore(parse_address(url), timeout=timedelta(milliseconds=timeout_ms), clock=caller_clock)


def use(store: RedisReplayStore, name: str, at: float = READY, *, created: int | None = None) -> FirstUse:
    """Use the proof of this name at this time; it was created then unless said otherwise."""
    return store.remember(replay_key(name), created=int(at) if created is None else created, now=at)
