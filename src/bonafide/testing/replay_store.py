"""What every `ports.ReplayStore` and `ports.AsyncReplayStore` must do: subclass `ReplayStoreSuite` and run pytest.

    class TestMyStore(ReplayStoreSuite):
        @pytest.fixture
        def store(self) -> MyStore: ...

The fixture gives a store that is new: never asked, holding nothing. Both forms are driven by the same
words; an asynchronous store lives on one event loop for each test (`self.run` reaches it).

The suite sees one process. That a store keeps its word among those that its `scope` covers, and
through whatever its back end suffers (crashes, reboots, fail-overs, a full disk), is for its own tests.
"""

from __future__ import annotations

import asyncio
import math
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from inspect import isawaitable
from threading import Barrier
from typing import TYPE_CHECKING, Final, TypeVar

from bonafide.errors import Misuse
from bonafide.ports import FirstUse, Scope
from bonafide.reasons import store as reasons

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

    from bonafide.ports import AsyncReplayStore, ReplayStore

    AnyStore = ReplayStore | AsyncReplayStore

__all__ = ["ReplayStoreSuite"]

BIRTH: Final = 1_764_000_000
"""When the suite's stores are asked for the first time."""

READY: Final = BIRTH + 1000
"""A time at which no fence is near."""

RACERS: Final = 8
STEPS: Final = 3000

_Answer = TypeVar("_Answer")


def replay_key(name: str) -> bytes:
    """Return a replay key of this name, spread as real ones are."""
    return sha256(name.encode()).digest()


class ReplayStoreSuite:
    """The promises of both ports, on a new store that the subclass's fixture `store` gives."""

    _runner: asyncio.Runner | None = None

    def teardown_method(self) -> None:
        """Close the test's event loop, where it had one."""
        if self._runner is not None:
            self._runner.close()

    def run(self, awaitable: Awaitable[_Answer]) -> _Answer:
        """Wait for this on the test's event loop."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(_awaited(awaitable))

    def remember(self, store: AnyStore, key: bytes, *, created: int, now: float) -> FirstUse:
        """Ask the store, whichever form it has."""
        answer = store.remember(key, created=created, now=now)
        return self.run(answer) if isawaitable(answer) else answer

    def opened(self, store: AnyStore) -> AnyStore:
        """Let the store be born at `BIRTH`, long enough ago to vouch for proofs of `READY`."""
        assert self.remember(store, replay_key("birth"), created=BIRTH, now=BIRTH) is FirstUse.FENCED
        return store

    def race(self, store: AnyStore, key: bytes) -> list[FirstUse]:
        """Use one key many times at once: in threads, or in tasks of one loop."""
        if asyncio.iscoroutinefunction(store.remember):
            return self.run(_together([store.remember(key, created=READY, now=READY) for _ in range(RACERS)]))
        start = Barrier(RACERS)

        def use(_: int) -> FirstUse:
            start.wait()
            return self.remember(store, key, created=READY, now=READY)

        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)  # so that threads take turns in the middle of things
        try:
            with ThreadPoolExecutor(RACERS) as threads:
                return list(threads.map(use, range(RACERS)))
        finally:
            sys.setswitchinterval(interval)

    # Single use ----------------------------------------------------------------------------------

    def test_it_says_how_far_it_sees(self, store: AnyStore) -> None:
        assert isinstance(store.scope, Scope)

    def test_a_key_is_first_once_and_replayed_ever_after(self, store: AnyStore) -> None:
        self.opened(store)
        answers = [self.remember(store, replay_key("a"), created=READY, now=READY + n) for n in range(3)]
        assert answers == [FirstUse.FIRST, FirstUse.REPLAYED, FirstUse.REPLAYED]

    def test_keys_that_differ_in_one_bit_are_two_keys(self, store: AnyStore) -> None:
        self.opened(store)
        for key in (bytes(32), bytes(31) + b"\1", b"\x80" + bytes(31), b"\xff" * 32):
            assert self.remember(store, key, created=READY, now=READY) is FirstUse.FIRST
            assert self.remember(store, key, created=READY, now=READY) is FirstUse.REPLAYED

    def test_a_key_is_replayed_under_another_created_too(self, store: AnyStore) -> None:
        self.opened(store)
        assert self.remember(store, replay_key("a"), created=READY, now=READY) is FirstUse.FIRST
        for shift in (-299, -60, -1, 1, 5):
            assert self.remember(store, replay_key("a"), created=READY + shift, now=READY) is FirstUse.REPLAYED

    def test_a_key_is_remembered_until_330_seconds_after_created(self, store: AnyStore) -> None:
        self.opened(store)
        assert self.remember(store, replay_key("a"), created=READY, now=READY) is FirstUse.FIRST
        for age in (60, 301, 329, 329.9):
            answer = self.remember(store, replay_key("a"), created=READY + int(age), now=READY + age)
            assert answer is FirstUse.REPLAYED

    def test_the_horizon_counts_from_created_and_not_from_the_use(self, store: AnyStore) -> None:
        self.opened(store)
        assert self.remember(store, replay_key("a"), created=READY + 5, now=READY) is FirstUse.FIRST
        answer = self.remember(store, replay_key("a"), created=READY + 334, now=READY + 334)
        assert answer is FirstUse.REPLAYED

    def test_a_replay_does_not_lengthen_or_shorten_the_memory(self, store: AnyStore) -> None:
        self.opened(store)
        assert self.remember(store, replay_key("a"), created=READY, now=READY) is FirstUse.FIRST
        assert self.remember(store, replay_key("a"), created=READY - 250, now=READY) is FirstUse.REPLAYED
        answer = self.remember(store, replay_key("a"), created=READY + 329, now=READY + 329)
        assert answer is FirstUse.REPLAYED

    def test_of_any_number_that_race_for_a_key_one_is_first(self, store: AnyStore) -> None:
        self.opened(store)
        for turn in range(20):
            answers = self.race(store, replay_key(f"race {turn}"))
            assert sorted(answers) == [FirstUse.FIRST] + [FirstUse.REPLAYED] * (RACERS - 1)

    # Fences --------------------------------------------------------------------------------------

    def test_a_new_store_fences_what_an_earlier_one_may_have_seen(self, store: AnyStore) -> None:
        for shift in (-60, 0, 5):
            answer = self.remember(store, replay_key("a"), created=BIRTH + shift, now=BIRTH)
            assert answer is FirstUse.FENCED

    def test_it_vouches_for_proofs_created_from_six_seconds_after_its_birth(self, store: AnyStore) -> None:
        self.opened(store)
        late = BIRTH + 60
        assert self.remember(store, replay_key("a"), created=BIRTH + 5, now=late) is FirstUse.FENCED
        assert self.remember(store, replay_key("b"), created=BIRTH + 6, now=late) is FirstUse.FIRST

    def test_what_was_fenced_was_not_used(self, store: AnyStore) -> None:
        self.opened(store)
        assert self.remember(store, replay_key("a"), created=BIRTH + 5, now=READY) is FirstUse.FENCED
        assert self.remember(store, replay_key("a"), created=READY, now=READY) is FirstUse.FIRST

    def test_it_fences_what_lies_more_than_300_seconds_before_the_newest_time(self, store: AnyStore) -> None:
        self.opened(store)
        assert self.remember(store, replay_key("a"), created=READY - 301, now=READY) is FirstUse.FENCED
        assert self.remember(store, replay_key("b"), created=READY - 300, now=READY) is FirstUse.FIRST

    def test_it_knows_the_newest_time_to_the_fraction_of_a_second(self, store: AnyStore) -> None:
        self.opened(store)
        assert self.remember(store, replay_key("a"), created=READY, now=READY) is FirstUse.FIRST
        assert self.remember(store, replay_key("b"), created=READY - 300, now=READY + 0.75) is FirstUse.FENCED

    def test_it_fences_what_is_created_more_than_five_seconds_ahead(self, store: AnyStore) -> None:
        self.opened(store)
        assert self.remember(store, replay_key("a"), created=READY + 6, now=READY) is FirstUse.FENCED
        assert self.remember(store, replay_key("b"), created=READY + 5, now=READY) is FirstUse.FIRST

    # Clocks that step ----------------------------------------------------------------------------

    def test_the_newest_time_does_not_step_back_with_the_clock(self, store: AnyStore) -> None:
        self.opened(store)
        assert self.remember(store, replay_key("late"), created=READY + 200, now=READY + 200) is FirstUse.FIRST
        assert self.remember(store, replay_key("a"), created=READY - 101, now=READY) is FirstUse.FENCED
        assert self.remember(store, replay_key("b"), created=READY - 100, now=READY) is FirstUse.FIRST

    def test_a_fenced_or_replayed_use_moves_the_newest_time_too(self, store: AnyStore) -> None:
        self.opened(store)
        assert self.remember(store, replay_key("a"), created=READY, now=READY) is FirstUse.FIRST
        assert self.remember(store, replay_key("a"), created=READY, now=READY + 200) is FirstUse.REPLAYED
        assert self.remember(store, replay_key("b"), created=READY - 101, now=READY) is FirstUse.FENCED
        assert self.remember(store, replay_key("c"), created=READY, now=READY + 400) is FirstUse.FENCED
        assert self.remember(store, replay_key("d"), created=READY + 99, now=READY + 99) is FirstUse.FENCED

    def test_a_clock_that_jumps_ahead_and_back_revives_nothing(self, store: AnyStore) -> None:
        """The jump lets everything expire; what may then be forgotten must be fenced, not admitted."""
        self.opened(store)
        used = [replay_key(f"used {n}") for n in range(200)]
        for key in used:
            assert self.remember(store, key, created=READY, now=READY) is FirstUse.FIRST
        for n in range(1000):
            self.remember(store, replay_key(f"ahead {n}"), created=READY + 600, now=READY + 600)
        for key in used:
            assert self.remember(store, key, created=READY, now=READY + 1) is FirstUse.FENCED

    def test_after_a_jump_it_vouches_again_once_the_clock_has_come_near(self, store: AnyStore) -> None:
        self.opened(store)
        self.remember(store, replay_key("ahead"), created=READY + 600, now=READY + 600)
        assert self.remember(store, replay_key("a"), created=READY + 299, now=READY + 299) is FirstUse.FENCED
        assert self.remember(store, replay_key("a"), created=READY + 300, now=READY + 300) is FirstUse.FIRST

    def test_no_history_of_uses_and_steps_admits_a_key_twice(self, store: AnyStore) -> None:
        """Three thousand uses of forty keys under a clock that wanders, held against the rules as arithmetic."""
        self.opened(store)
        newest, until = float(BIRTH), dict.fromkeys((replay_key(str(n)) for n in range(40)), 0)
        for key, created, now in _history(list(until)):
            newest = max(newest, now)
            fenced = created < BIRTH + 6 or created < newest - 300 or created > now + 5
            answer = self.remember(store, key, created=created, now=now)
            if fenced:
                assert answer is FirstUse.FENCED
            elif until[key] > newest:
                assert answer is FirstUse.REPLAYED
            else:
                assert answer in {FirstUse.FIRST, FirstUse.REPLAYED}  # forgetting is allowed, not owed
            if answer is FirstUse.FIRST:
                until[key] = created + 330
        assert any(until.values())

    # Load and misuse -----------------------------------------------------------------------------

    def test_many_keys_are_each_first_once(self, store: AnyStore) -> None:
        self.opened(store)
        keys = [replay_key(str(n)) for n in range(2000)]
        first = [self.remember(store, key, created=READY, now=READY + n / 100) for n, key in enumerate(keys)]
        again = [self.remember(store, key, created=READY, now=READY + 20) for key in reversed(keys)]
        assert set(first) == {FirstUse.FIRST}
        assert set(again) == {FirstUse.REPLAYED}

    def test_a_key_that_is_not_32_octets_is_a_mistake_of_the_program(self, store: AnyStore) -> None:
        for key in (b"", bytes(31), bytes(33)):
            self._refuses(store, key, created=READY, now=READY)

    def test_a_time_that_is_none_is_a_mistake_of_the_program(self, store: AnyStore) -> None:
        for now in (math.nan, math.inf, -math.inf, -1.0, 1e15):
            self._refuses(store, replay_key("a"), created=READY, now=now)
        self.opened(store)
        assert self.remember(store, replay_key("a"), created=READY, now=READY) is FirstUse.FIRST

    def _refuses(self, store: AnyStore, key: bytes, *, created: int, now: float) -> None:
        try:
            answer = self.remember(store, key, created=created, now=now)
        except Misuse as misuse:
            assert misuse.reason is reasons.USE_MALFORMED
        else:
            message = f"the store answers {answer}"
            raise AssertionError(message)


def _history(keys: list[bytes]) -> Iterator[tuple[bytes, int, float]]:
    """Yield uses at a time that runs in whole seconds and now and then steps, all drawn from a fixed hash."""
    now = READY
    for step in range(STEPS):
        draw = sha256(f"step {step}".encode()).digest()
        now += draw[0] % 3
        if draw[1] < 4:  # once in 64 uses
            now += (-400, -90, 90, 400)[draw[1]]
        yield keys[draw[2] % len(keys)], now - draw[3] % 80 * 5 + 10, float(now)


async def _awaited(awaitable: Awaitable[_Answer]) -> _Answer:
    return await awaitable


async def _together(awaitables: list[Awaitable[_Answer]]) -> list[_Answer]:
    return await asyncio.gather(*awaitables)
