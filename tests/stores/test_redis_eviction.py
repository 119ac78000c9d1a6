"""A Redis that is made a cache while gates run, and set back: what it evicted is never admitted again.

`evicting` changes the policy of a server that gates are connected to, and sends keys of somebody else's until some of
ours are gone; afterwards the policy is what it was.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from bonafide.ports import FirstUse
from bonafide.stores.redis.link import LOOK_EVERY_S
from bonafide.testing.replay_store import replay_key
from tests.stores.redis_servers import RedisServer
from tests.stores.redis_uses import READY, START, open_store, use

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bonafide.stores.redis import RedisReplayStore
    from tests.conftest import RequireProgram

NAMES = [f"proof {number}" for number in range(400)]
_ROUNDS = 200


@pytest.fixture
def server(require_program: RequireProgram, tmp_path: Path) -> Iterator[RedisServer]:
    require_program("redis-server", apt="redis-server")
    with RedisServer(tmp_path / "redis") as running:
        yield running


@pytest.fixture
def store(server: RedisServer) -> Iterator[RedisReplayStore]:
    """Return a store that was born long enough ago, holds a first use of each name, and keeps its connection."""
    opened = open_store(server.url)
    assert use(opened, "birth", START) is FirstUse.FENCED
    assert {use(opened, name) for name in NAMES} == {FirstUse.FIRST}
    yield opened
    opened.close()


@contextmanager
def evicting(server: RedisServer) -> Iterator[list[str]]:
    """Let the server evict, and yield the names that it forgot; then set its policy back."""
    with server.client() as client:
        client.config_set("maxmemory-policy", "volatile-ttl")
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 100_000)
        try:
            for number in range(_ROUNDS):
                client.set(f"somebody else's {number}", "x" * 5000, ex=86_400)
            yield [name for name in NAMES if not client.exists(b"bf:" + replay_key(name))]
        finally:
            client.config_set("maxmemory", 0)
            client.config_set("maxmemory-policy", "noeviction")


def a_second_passes(store: RedisReplayStore) -> None:
    """Let the connections of this store be as they are when they are used after more than a second."""
    for server in store._servers.values():
        for link in server._idle:
            link._looked_at -= LOOK_EVERY_S
            assert link.look_due(time.monotonic())


def again(store: RedisReplayStore, names: list[str], after: float) -> set[FirstUse]:
    return {use(store, name, READY + after, created=READY) for name in names}


def test_a_connection_that_is_kept_admits_nothing_while_the_server_may_evict(
    server: RedisServer, store: RedisReplayStore, caplog: pytest.LogCaptureFixture
) -> None:
    with evicting(server) as forgotten:
        assert forgotten
        a_second_passes(store)
        assert again(store, forgotten, 1) == {FirstUse.UNAVAILABLE}
    assert "store.evicts" in caplog.text


def test_a_connection_that_is_kept_admits_nothing_that_was_evicted_in_between(
    server: RedisServer, store: RedisReplayStore
) -> None:
    """It never saw the other policy: between its two looks it was set and set back."""
    with evicting(server) as forgotten:
        assert forgotten
    a_second_passes(store)
    for after in (1, 9, 59):
        assert again(store, forgotten, after) == {FirstUse.FENCED}
    assert use(store, "fresh", READY + 59) is FirstUse.FIRST
    assert use(store, "fresh", READY + 59) is FirstUse.REPLAYED


def test_a_gate_that_connects_after_the_policy_was_set_back_does_not_trust_the_old_birth(
    server: RedisServer, store: RedisReplayStore
) -> None:
    store.close()
    with evicting(server) as forgotten:
        assert forgotten
    other = open_store(server.url)
    other.require_ready(now=READY + 1)
    for after in (1, 9, 59):
        assert again(other, forgotten, after) == {FirstUse.FENCED}
    assert use(other, "fresh", READY + 59) is FirstUse.FIRST
    other.close()


def test_gates_agree_on_one_birth_after_an_eviction(server: RedisServer, store: RedisReplayStore) -> None:
    """The one that looks first sees to the birth; the other one, whose look is older, reads it and looks too."""
    other = open_store(server.url)
    assert use(other, NAMES[0]) is FirstUse.REPLAYED
    with evicting(server) as forgotten:
        assert forgotten
    a_second_passes(store)
    assert again(store, forgotten, 1) == {FirstUse.FENCED}
    record = server.command("GET", "bf:epoch")
    assert again(other, forgotten, 1) == {FirstUse.FENCED}
    assert server.command("GET", "bf:epoch").split()[1:4] == record.split()[1:4]
    other.close()


def test_a_look_is_asked_with_a_use_and_once_a_second(
    server: RedisServer, store: RedisReplayStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_second_passes(store)
    stopped = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: stopped)
    server.command("CONFIG", "RESETSTAT")
    for number in range(20):
        assert use(store, f"one {number}") is FirstUse.FIRST
    with server.client() as client:
        calls = {name.removeprefix("cmdstat_"): value["calls"] for name, value in client.info("commandstats").items()}
    assert (calls["set"], calls["get"], calls["time"], calls["info"]) == (20, 20, 20, 3)
