"""The memory store passes the suite, is bounded, and refuses to be one store in two processes."""

from __future__ import annotations

import logging
import os
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, BrokenBarrierError

import pytest

from bonafide.ports import FirstUse, Scope
from bonafide.stores import InlineReplayStore
from bonafide.stores.memory import MemoryReplayStore
from bonafide.testing.replay_store import BIRTH, READY, ReplayStoreSuite, replay_key


class TestMemoryReplayStore(ReplayStoreSuite):
    @pytest.fixture
    def store(self) -> MemoryReplayStore:
        return MemoryReplayStore()


class TestMemoryReplayStoreOnAnEventLoop(ReplayStoreSuite):
    @pytest.fixture
    def store(self) -> InlineReplayStore:
        return InlineReplayStore(MemoryReplayStore())


def _born(max_entries: int = 100) -> MemoryReplayStore:
    store = MemoryReplayStore(max_entries=max_entries)
    store.remember(replay_key("birth"), created=BIRTH, now=BIRTH)
    return store


def test_it_sees_one_process() -> None:
    assert MemoryReplayStore().scope is Scope.PROCESS


def test_a_forked_process_gets_no_answer_from_it_and_the_parent_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    store = _born()
    assert store.remember(replay_key("a"), created=READY, now=READY) is FirstUse.FIRST
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with caplog.at_level(logging.CRITICAL):
            answers = [store.remember(replay_key(name), created=READY, now=READY) for name in "ab"]
        os.write(write, ",".join(answers).encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read) as answers_of_child:
        assert answers_of_child.read() == "unavailable,unavailable"
    assert store.remember(replay_key("b"), created=READY, now=READY) is FirstUse.FIRST


def test_a_fork_is_logged_with_what_to_do(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    store = _born()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert store.remember(replay_key("a"), created=READY, now=READY) is FirstUse.UNAVAILABLE
    assert "use lmdb" in caplog.text


def test_a_full_store_admits_nothing_and_forgets_nothing_that_lives() -> None:
    store = _born(max_entries=3)
    for name in "abc":
        assert store.remember(replay_key(name), created=READY, now=READY) is FirstUse.FIRST
    assert store.remember(replay_key("d"), created=READY, now=READY) is FirstUse.UNAVAILABLE
    for name in "abc":
        assert store.remember(replay_key(name), created=READY, now=READY) is FirstUse.REPLAYED


def test_a_full_store_takes_keys_again_when_others_have_expired() -> None:
    store = _born(max_entries=3)
    for name in "abc":
        store.remember(replay_key(name), created=READY, now=READY)
    later = READY + 330
    for name in "def":
        assert store.remember(replay_key(name), created=later, now=later) is FirstUse.FIRST


def test_it_holds_no_more_than_a_horizon_of_keys() -> None:
    store = _born(max_entries=100_000)
    for n in range(5000):
        assert store.remember(replay_key(str(n)), created=READY + n, now=READY + n) is FirstUse.FIRST
    assert len(store._until) == 330


def test_a_key_may_be_used_again_after_its_horizon_also_where_it_was_not_removed() -> None:
    store = _born()
    store.remember(replay_key("front"), created=READY + 5, now=READY)  # holds back what expires before it
    store.remember(replay_key("a"), created=READY - 300, now=READY)
    later = READY + 30
    assert store.remember(replay_key("a"), created=later, now=later) is FirstUse.FIRST
    assert store.remember(replay_key("a"), created=later, now=later) is FirstUse.REPLAYED


def test_a_key_that_is_used_again_goes_behind_the_others() -> None:
    """In its old place it would hold back, for a second horizon, what expires before it."""
    store = _born()
    store.remember(replay_key("front"), created=READY + 5, now=READY)
    store.remember(replay_key("again"), created=READY - 300, now=READY)
    store.remember(replay_key("behind"), created=READY - 200, now=READY + 1)
    assert store.remember(replay_key("again"), created=READY + 36, now=READY + 31) is FirstUse.FIRST
    store.remember(replay_key("last"), created=READY + 340, now=READY + 340)
    assert set(store._until) == {replay_key("again"), replay_key("last")}


class _Rendezvous(OrderedDict[bytes, int]):
    """Lets all racers look before the first of them writes, if they can be there together."""

    together = Barrier(4)

    def get(self, key: bytes, default: int = 0) -> int:  # type: ignore[override]  # narrower: one default
        found = super().get(key, default)
        with suppress(BrokenBarrierError):
            self.together.wait(timeout=0.2)
        return found


def test_threads_do_not_look_before_another_has_written() -> None:
    store = _born()
    store._until = _Rendezvous()
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: store.remember(replay_key("a"), created=READY, now=READY), range(4)))
    assert sorted(answers) == [FirstUse.FIRST, *[FirstUse.REPLAYED] * 3]


def test_a_store_that_is_made_ready_is_born_then_and_only_once() -> None:
    store = MemoryReplayStore()
    store.require_ready(now=BIRTH)
    store.require_ready(now=READY)
    assert store.remember(replay_key("first"), created=int(READY), now=READY) is FirstUse.FIRST
