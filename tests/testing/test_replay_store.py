"""The suite is worth passing: stores that each break one promise fail it."""

from __future__ import annotations

import inspect
from contextlib import nullcontext, suppress
from threading import Barrier, BrokenBarrierError, Lock
from typing import TYPE_CHECKING

import pytest

from bonafide.errors import Misuse
from bonafide.ports import FirstUse, Scope
from bonafide.reasons import store as reasons
from bonafide.testing.replay_store import RACERS, ReplayStoreSuite

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

PROMISES = sorted(name for name, _ in inspect.getmembers(ReplayStoreSuite) if name.startswith("test_"))


class _Store:
    """A store that keeps every promise; each subclass below breaks one."""

    scope: object = Scope.PROCESS
    birth_fence = 6
    newest_fence = 300
    ahead = 5
    horizon = 330

    def __init__(self) -> None:
        self.lock: AbstractContextManager[object] = Lock()
        self.until: dict[bytes, int] = {}
        self.birth: float | None = None
        self.newest = 0.0

    def remember(self, key: bytes, *, created: int, now: float) -> FirstUse:
        self.require(key, now)
        with self.lock:
            return self.answer(key, created, now)

    def answer(self, key: bytes, created: int, now: float) -> FirstUse:
        self.birth = now if self.birth is None else self.birth
        self.advance(now)
        if (
            created < self.birth + self.birth_fence
            or created < self.newest - self.newest_fence
            or created > now + self.ahead
        ):
            return self.fenced(key, created)
        name = self.name(key, created)
        if self.until.get(name, 0) > self.newest:
            return self.replayed(name, created)
        self.until[name] = self.horizon_of(created, now)
        return FirstUse.FIRST

    def require(self, key: bytes, now: float) -> None:
        if len(key) != 32 or not 0 <= now < 2**39:
            raise Misuse(reasons.USE_MALFORMED)

    def advance(self, now: float) -> None:
        self.newest = max(self.newest, now)

    def fenced(self, key: bytes, created: int) -> FirstUse:
        del key, created
        return FirstUse.FENCED

    def name(self, key: bytes, created: int) -> bytes:
        del created
        return key

    def replayed(self, name: bytes, created: int) -> FirstUse:
        del name, created
        return FirstUse.REPLAYED

    def horizon_of(self, created: int, now: float) -> int:
        del now
        return created + self.horizon


class _NoScope(_Store):
    scope = "host"


class _KeyedWithCreated(_Store):
    def name(self, key: bytes, created: int) -> bytes:
        return key + str(created).encode()


class _KeyCutShort(_Store):
    def name(self, key: bytes, created: int) -> bytes:
        del created
        return key[:16]


class _NoBirthFence(_Store):
    birth_fence = -1000


class _BirthFenceOneSecondShort(_Store):
    birth_fence = 5


class _BirthFenceOneSecondLong(_Store):
    birth_fence = 7


class _NewestFenceTooWide(_Store):
    newest_fence = 301


class _NewestFenceTooNarrow(_Store):
    newest_fence = 299


class _TakesTheFuture(_Store):
    ahead = 6


class _RefusesTheNearFuture(_Store):
    ahead = 4


class _ForgetsEarly(_Store):
    horizon = 329


class _HorizonFromTheUse(_Store):
    def horizon_of(self, created: int, now: float) -> int:
        del created
        return int(now) + self.horizon


class _FollowsTheClockBack(_Store):
    def advance(self, now: float) -> None:
        self.newest = now


class _ForgetsByTheClock(_Store):
    """Keeps the newest time for the fence, and nothing of what a clock once said had expired."""

    newest_fence = 900

    def advance(self, now: float) -> None:
        super().advance(now)
        self.until = {key: until for key, until in self.until.items() if until > now}


class _NewestOnlyFromFirstUses(_Store):
    def advance(self, now: float) -> None:
        self.seen = now

    def horizon_of(self, created: int, now: float) -> int:
        super().advance(now)
        return super().horizon_of(created, now)


class _FencedIsUsed(_Store):
    def fenced(self, key: bytes, created: int) -> FirstUse:
        self.until[key] = created + 2000
        return FirstUse.FENCED


class _ReplayShortens(_Store):
    def replayed(self, name: bytes, created: int) -> FirstUse:
        self.until[name] = created + self.horizon
        return FirstUse.REPLAYED


class _HoldsAThousand(_Store):
    def horizon_of(self, created: int, now: float) -> int:
        while len(self.until) >= 1000:
            self.until.pop(next(iter(self.until)))
        return super().horizon_of(created, now)


class _LooksAndThenWrites(_Store):
    """Not one step: racers all look before the first of them writes."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = nullcontext()
        self.together = Barrier(RACERS)

    def horizon_of(self, created: int, now: float) -> int:
        with suppress(BrokenBarrierError):
            self.together.wait(timeout=0.05)
        return super().horizon_of(created, now)


class _TakesAnyKey(_Store):
    def require(self, key: bytes, now: float) -> None:
        super().require(bytes(32), now)
        assert isinstance(key, bytes)


class _TakesAnyTime(_Store):
    def require(self, key: bytes, now: float) -> None:
        super().require(key, 0)
        assert isinstance(now, float | int)


def _broken_promises(make: Callable[[], _Store]) -> list[str]:
    broken = []
    for promise in PROMISES:
        suite = ReplayStoreSuite()
        try:
            getattr(suite, promise)(make())
        except AssertionError:
            broken.append(promise)
        finally:
            suite.teardown_method()
    return broken


def test_a_store_that_keeps_every_promise_passes() -> None:
    assert _broken_promises(_Store) == []


@pytest.mark.parametrize("broken", _Store.__subclasses__(), ids=lambda broken: broken.__name__)
def test_a_store_that_breaks_one_promise_fails(broken: type[_Store]) -> None:
    assert _broken_promises(broken) != []
