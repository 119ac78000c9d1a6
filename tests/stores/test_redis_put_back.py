"""A Redis that is put back whole, keys, record and run id, as by a snapshot of its machine: it is born again.

`DEBUG RELOAD NOSAVE` is that in one process: the server takes what it had when it was saved, and stays who it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bonafide.ports import FirstUse
from bonafide.testing.replay_store import replay_key
from tests.stores.redis_servers import ClusterGroup, RedisServer, eventually
from tests.stores.redis_uses import READY, START, open_store, use

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bonafide.stores.redis import RedisReplayStore
    from tests.conftest import RequireProgram


@pytest.fixture(scope="module")
def running(require_program: RequireProgram, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    require_program("redis-server", apt="redis-server")
    with RedisServer(tmp_path_factory.mktemp("redis"), options={"enable-debug-command": "local"}) as server:
        yield server


@pytest.fixture
def server(running: RedisServer) -> RedisServer:
    running.command("FLUSHALL")
    return running


@pytest.fixture
def store(server: RedisServer) -> Iterator[RedisReplayStore]:
    """Return a store that was born long ago and is saved; "a" was used five seconds after that."""
    opened = open_store(server.url)
    assert use(opened, "birth", START) is FirstUse.FENCED
    assert use(opened, "saved") is FirstUse.FIRST
    server.command("SAVE")
    assert use(opened, "a", READY + 5) is FirstUse.FIRST
    yield opened
    opened.close()


def put_back(server: RedisServer) -> None:
    run_id = server.client().info("server")["run_id"]
    server.command("DEBUG", "RELOAD", "NOSAVE")
    assert server.client().info("server")["run_id"] == run_id
    assert not server.command("EXISTS", b"bf:" + replay_key("a"))
    assert server.command("EXISTS", b"bf:" + replay_key("saved"))


@pytest.mark.parametrize("connections", ["kept", "closed by the gate", "closed by the server"])
def test_what_was_used_after_the_snapshot_is_fenced(
    server: RedisServer, store: RedisReplayStore, connections: str
) -> None:
    put_back(server)
    if connections == "closed by the gate":
        store.close()
    if connections == "closed by the server":
        server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert use(store, "a", READY + 6, created=READY + 5) is not FirstUse.FIRST
        store._server(next(iter(store._servers)))._retry_at = 0
    for after in (6, 13, 64):
        assert use(store, "a", READY + after, created=READY + 5) is FirstUse.FENCED
    assert use(store, "b", READY + 64, created=READY + 13) is FirstUse.FENCED
    assert use(store, "b", READY + 64, created=READY + 14) is FirstUse.FIRST
    assert use(store, "b", READY + 64, created=READY + 14) is FirstUse.REPLAYED


def test_a_gate_that_never_saw_the_later_record_is_told_by_the_birth(
    server: RedisServer, store: RedisReplayStore
) -> None:
    put_back(server)
    assert use(store, "b", READY + 6) is FirstUse.FENCED
    other = open_store(server.url)
    assert use(other, "a", READY + 7, created=READY + 5) is FirstUse.FENCED
    assert use(other, "c", READY + 20) is FirstUse.FIRST
    other.close()


def test_gates_that_all_saw_the_later_record_agree_on_one_birth(server: RedisServer, store: RedisReplayStore) -> None:
    others = [open_store(server.url) for _ in range(3)]
    for number, each in enumerate(others):
        assert use(each, f"other {number}", READY + 5) is FirstUse.FIRST
    put_back(server)
    assert use(store, "b", READY + 6) is FirstUse.FENCED
    record = server.command("GET", "bf:epoch")
    for each in others:
        assert use(each, "a", READY + 6, created=READY + 5) is FirstUse.FENCED
        assert server.command("GET", "bf:epoch") == record
        each.close()


def test_the_newest_time_of_before_is_kept(server: RedisServer, store: RedisReplayStore) -> None:
    """All clocks had jumped ahead; what the jump let Redis forget stays fenced for gates that did not see it."""
    assert use(store, "ahead", READY + 1000) is FirstUse.FIRST
    put_back(server)
    assert use(store, "b", READY + 6) is FirstUse.FENCED
    other = open_store(server.url)
    assert use(other, "c", READY + 699) is FirstUse.FENCED
    assert use(other, "c", READY + 700) is FirstUse.FIRST
    other.close()


def test_a_gate_whose_clock_is_apart_keeps_what_it_knows_for_when_it_is_right(
    server: RedisServer, store: RedisReplayStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_back(server)
    only = store._server(next(iter(store._servers)))
    monkeypatch.setattr(only, "_clock", lambda _there, now: now - 3)
    assert use(store, "a", READY + 6, created=READY + 5) is FirstUse.CLOCK_APART
    monkeypatch.setattr(only, "_clock", lambda _there, now: now)
    assert use(store, "a", READY + 7, created=READY + 5) is FirstUse.FENCED
    assert use(store, "a", READY + 60, created=READY + 5) is FirstUse.FENCED


# Clusters ---------------------------------------------------------------------------------------------


@pytest.fixture
def cluster(require_program: RequireProgram, tmp_path: Path) -> Iterator[ClusterGroup]:
    require_program("redis-server", apt="redis-server")
    with ClusterGroup(tmp_path, masters=2) as running:
        yield running


def used_and_put_back(cluster: ClusterGroup, store: RedisReplayStore, one: str, two: str, *, moved: str) -> None:
    """Use both, and at a later time one of them again; then put back the records of both buckets without the keys."""
    master, buckets = cluster.servers[0], store._masters.buckets
    assert [use(store, name) for name in (one, two)] == [FirstUse.FIRST] * 2
    before = {number: master.command("GET", buckets[number].epoch_key) for number in (10, 20)}
    assert use(store, moved, READY + 5) is FirstUse.REPLAYED
    for number, name in ((10, one), (20, two)):
        master.command("SET", buckets[number].epoch_key, before[number])
        master.command("DEL", buckets[number].prefix + replay_key(name))


def test_one_bucket_that_was_put_back_lets_all_of_its_master_be_born(cluster: ClusterGroup) -> None:
    """A gate that used one later notices it by that; a gate that knows neither is told of the other."""
    store, other = open_store(cluster.url), open_store(cluster.url)
    store.require_ready(now=START)
    one, two = _neighbours(store)
    used_and_put_back(cluster, store, one, two, moved=one)
    assert use(store, one, READY + 6, created=READY) is FirstUse.FENCED
    assert use(other, two, READY + 6, created=READY) is FirstUse.FENCED
    assert use(other, two, READY + 30, created=READY + 20) is FirstUse.FIRST
    for each in (store, other):
        each.close()


def test_all_records_of_a_master_are_compared_when_its_connections_ended(cluster: ClusterGroup) -> None:
    """As they do when a machine is put back. The bucket that is used next need not be the one that shows it."""
    store, other = open_store(cluster.url), open_store(cluster.url)
    store.require_ready(now=START)
    one, two = _neighbours(store)
    used_and_put_back(cluster, store, one, two, moved=two)
    cluster.servers[0].command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    eventually(lambda: use(store, one, READY + 6, created=READY) is FirstUse.FENCED, "another connection")
    assert use(other, two, READY + 6, created=READY) is FirstUse.FENCED
    for each in (store, other):
        each.close()


def _neighbours(store: RedisReplayStore) -> tuple[str, str]:
    """Return two proofs whose keys lie on the first master, in its buckets 10 and 20."""
    found: dict[int, str] = {}
    for name in map(str, range(20_000)):
        number = int.from_bytes(replay_key(name)[:2]) % len(store._masters.buckets)
        if number in {10, 20}:
            found.setdefault(number, name)
    return found[10], found[20]
