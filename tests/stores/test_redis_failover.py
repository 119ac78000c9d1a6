"""Fail-overs of real Sentinels and clusters: lost writes are fenced, and an old master admits nothing more."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from bonafide.ports import FirstUse
from bonafide.stores.redis.masters import BELIEVE_S
from bonafide.testing.replay_store import replay_key
from tests.stores.redis_servers import ClusterGroup, SentinelGroup, eventually
from tests.stores.redis_uses import READY, START, open_store, use

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bonafide.stores.redis import RedisReplayStore
    from tests.conftest import RequireProgram
    from tests.stores.redis_servers import RedisServer

TIMEOUT_MS = 400


@pytest.fixture
def group(require_program: RequireProgram, tmp_path: Path) -> Iterator[SentinelGroup]:
    require_program("redis-sentinel", apt="redis-sentinel")
    with SentinelGroup(tmp_path, replicas=2, down_after_ms=500) as running:
        yield running


@pytest.fixture
def cluster(require_program: RequireProgram, tmp_path: Path) -> Iterator[ClusterGroup]:
    require_program("redis-server", apt="redis-server")
    with ClusterGroup(tmp_path, masters=3, replicas=1, node_timeout_ms=600) as running:
        yield running


def born(url: str) -> RedisReplayStore:
    opened = open_store(url, timeout_ms=TIMEOUT_MS)
    opened.require_ready(now=START)
    return opened


def answers(store: RedisReplayStore, name: str, at: float) -> bool:
    """Tell whether the store answers at all; a proof of its own for every question."""
    return use(store, f"{name} {time.monotonic()}", at) is not FirstUse.UNAVAILABLE


# Sentinels --------------------------------------------------------------------------------------------


def test_what_a_failed_master_did_not_pass_on_is_fenced(group: SentinelGroup) -> None:
    store = born(group.url)
    master = group.master
    assert use(store, "kept") is FirstUse.FIRST
    replicas = [server for server in group.servers if server is not master]
    eventually(lambda: all(held(server, "kept") for server in replicas), "replicas that follow")
    master.cut_off_replicas(*replicas)
    lost = [f"lost {number}" for number in range(20)]
    for name in lost:
        assert use(store, name, READY + 1) is FirstUse.FIRST
    master.kill()
    for replica in replicas:
        replica.resume()
    successor = group.wait_for_another_master(master)
    assert not held(successor, lost[0])
    eventually(lambda: answers(store, "x", READY + 3), "the successor's answer")
    for name in ["kept", *lost]:
        assert use(store, name, READY + 3, created=READY + 1) is FirstUse.FENCED
        assert use(store, name, READY + 60, created=READY + 1) is FirstUse.FENCED
    assert use(store, "good", READY + 61, created=READY + 12) is FirstUse.FIRST
    assert use(store, "good", READY + 61, created=READY + 12) is FirstUse.REPLAYED
    store.close()


def held(server: RedisServer, name: str) -> bool:
    return bool(server.command("EXISTS", b"bf:" + replay_key(name)))


def test_a_master_that_slept_through_its_replacement_is_not_asked_again(group: SentinelGroup) -> None:
    """One gate was idle all the while: its connection to the old master is whole, and the old master says yes."""
    idle, busy = born(group.url), born(group.url)
    assert use(idle, "before") is FirstUse.FIRST
    master = group.master
    master.pause()
    group.wait_for_another_master(master)
    eventually(lambda: answers(busy, "x", READY + 3), "the successor's answer")
    assert use(busy, "stolen", READY + 30) is FirstUse.FIRST
    master.resume()
    assert use(idle, "stolen", READY + 31, created=READY + 30) is not FirstUse.FIRST
    eventually(lambda: use(idle, "stolen", READY + 31, created=READY + 30) is FirstUse.REPLAYED, "its replay")
    for each in (idle, busy):
        each.close()


def test_an_answer_that_outlives_the_lease_is_not_believed(group: SentinelGroup) -> None:
    """The question left in time; the answer came from a master that may have been replaced meanwhile."""
    store = open_store(group.url, timeout_ms=10_000)
    store.require_ready(now=START)
    assert use(store, "a") is FirstUse.FIRST
    master = group.master
    said: list[FirstUse] = []
    asking = threading.Thread(target=lambda: said.append(use(store, "late")))
    for sentinel in group.sentinels:
        sentinel.pause()
    master.pause()
    asking.start()
    asking.join(BELIEVE_S + 0.2)
    assert asking.is_alive()
    master.resume()
    asking.join()
    assert said == [FirstUse.UNAVAILABLE]
    store.close()


def test_one_silent_sentinel_of_three_changes_nothing_and_two_admit_nothing(group: SentinelGroup) -> None:
    store = born(group.url)
    group.sentinels[0].pause()
    for number in range(3):
        time.sleep(0.3)
        assert use(store, f"one {number}") is FirstUse.FIRST
    group.sentinels[1].kill()
    time.sleep(BELIEVE_S)
    assert use(store, "two", READY) is FirstUse.UNAVAILABLE
    group.sentinels[0].resume()
    eventually(lambda: use(store, "three") is FirstUse.FIRST, "good traffic")
    store.close()


# Clusters ---------------------------------------------------------------------------------------------


def _of_master(cluster: ClusterGroup, store: RedisReplayStore, master: RedisServer, number: int) -> list[str]:
    """Return names of proofs whose keys lie on this master."""
    buckets = store._masters.buckets
    names = (f"proof {n}" for n in range(100_000))
    slots = {bucket.number for bucket in buckets if bucket.slot < 16384 // 3}
    assert cluster.master_of(0) is master
    found = (name for name in names if int.from_bytes(replay_key(name)[:2]) % len(buckets) in slots)
    return [next(found) for _ in range(number)]


def test_what_a_lost_node_of_a_cluster_did_not_pass_on_is_fenced(cluster: ClusterGroup) -> None:
    store = born(cluster.url)
    master = cluster.master_of(0)
    names = _of_master(cluster, store, master, 20)
    assert use(store, names[0]) is FirstUse.FIRST
    replica = cluster.servers[3]
    master.cut_off_replicas(replica)
    for name in names[1:]:
        assert use(store, name, READY + 1) is FirstUse.FIRST
    master.kill()
    replica.resume()
    eventually(lambda: cluster.master_of(0) is replica, "the replica's promotion")
    eventually(lambda: use(store, names[0], READY + 3) is not FirstUse.UNAVAILABLE, "the successor's answer")
    for name in names:
        assert use(store, name, READY + 3, created=READY + 1) is FirstUse.FENCED
        assert use(store, name, READY + 60, created=READY + 1) is FirstUse.FENCED
    fresh = _of_master_again(store, names)
    assert {use(store, name, READY + 61) for name in fresh} == {FirstUse.FIRST}
    assert {use(store, name, READY + 61) for name in fresh} == {FirstUse.REPLAYED}
    store.close()


def _of_master_again(store: RedisReplayStore, names: list[str]) -> list[str]:
    """Return fresh proofs in the buckets that these names lie in."""
    wanted = {int.from_bytes(replay_key(name)[:2]) % 1024 for name in names}
    fresh = (f"fresh {n}" for n in range(100_000))
    found = (name for name in fresh if int.from_bytes(replay_key(name)[:2]) % 1024 in wanted)
    return [next(found) for _ in range(20)]


def test_a_node_that_slept_through_its_replacement_is_not_asked_again(cluster: ClusterGroup) -> None:
    idle, busy = born(cluster.url), born(cluster.url)
    master = cluster.master_of(0)
    names = _of_master(cluster, idle, master, 30)
    assert use(idle, names[0]) is FirstUse.FIRST
    master.pause()
    replica = cluster.servers[3]
    eventually(lambda: cluster.servers[4].command("PING") and cluster.master_of(0) is replica, "the promotion")
    eventually(lambda: use(busy, names[1], READY + 3) is not FirstUse.UNAVAILABLE, "the successor's answer")
    stolen = names[2:]
    assert {use(busy, name, READY + 30) for name in stolen} == {FirstUse.FIRST}
    said = set()
    master.resume()
    for name in stolen:
        said.add(use(idle, name, READY + 31, created=READY + 30))
    assert FirstUse.FIRST not in said
    for each in (idle, busy):
        each.close()
