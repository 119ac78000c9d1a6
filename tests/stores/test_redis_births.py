"""What a Redis forgets shows: emptied, restarted, put back, demoted or replaced, the store is born again.

Each test uses a proof, takes the server's memory away in one way, and sends the same proof again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from bonafide.ports import FirstUse
from bonafide.stores.addresses import parse_address
from bonafide.stores.redis import RedisReplayStore
from bonafide.stores.redis.link import LOOK_EVERY_S
from bonafide.testing.replay_store import replay_key
from tests.stores.redis_servers import HOST, ClusterGroup, RedisServer, eventually
from tests.stores.redis_uses import READY, START, open_store, use

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import RequireProgram

RECORD = re.compile(rb"bonafide-epoch-1 [0-9a-f]{32} [0-9a-f]{40}:[0-9a-f]{40}:[0-9]+ [0-9]{16} [0-9]{16}")


@pytest.fixture(scope="module")
def redis_server(require_program: RequireProgram, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    require_program("redis-server", apt="redis-server")
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def server(redis_server: RedisServer) -> RedisServer:
    redis_server.command("FLUSHALL")
    return redis_server


@pytest.fixture
def store(server: RedisServer) -> Iterator[RedisReplayStore]:
    """Return a store that was born long enough ago to vouch for proofs of `READY`."""
    opened = open_store(server.url)
    assert use(opened, "birth", START) is FirstUse.FENCED
    yield opened
    opened.close()


# What lies in Redis -----------------------------------------------------------------------------------


def test_a_use_is_one_short_key_that_expires_330_seconds_after_created(
    server: RedisServer, store: RedisReplayStore
) -> None:
    assert use(store, "a", READY, created=READY - 7) is FirstUse.FIRST
    with server.client() as client:
        assert sorted(client.keys("*")) == sorted([b"bf:epoch", b"bf:" + replay_key("a")])
        assert client.get(b"bf:" + replay_key("a")) == b"1"
        assert client.pexpiretime(b"bf:" + replay_key("a")) == (READY - 7 + 330) * 1000
        assert client.pexpiretime("bf:epoch") == -1
        assert RECORD.fullmatch(client.get("bf:epoch") or b"")


def test_a_use_is_one_round_trip_of_three_commands(server: RedisServer, store: RedisReplayStore) -> None:
    use(store, "a", READY)
    server.command("CONFIG", "RESETSTAT")
    for number in range(20):
        assert use(store, f"b {number}", READY + number / 100) is FirstUse.FIRST
    with server.client() as client:
        calls = {name.removeprefix("cmdstat_"): value["calls"] for name, value in client.info("commandstats").items()}
    assert (calls["set"], calls["get"], calls["time"]) == (20, 20, 20)
    assert "eval" not in calls


def test_the_newest_time_is_recorded_once_a_second(server: RedisServer, store: RedisReplayStore) -> None:
    use(store, "a", READY)
    server.command("CONFIG", "RESETSTAT")
    for number in range(30):
        use(store, f"b {number}", READY + number / 10)
    with server.client() as client:
        assert client.info("commandstats")["cmdstat_eval"]["calls"] == 2
        assert int((client.get("bf:epoch") or b"").split()[-1]) == (READY + 2) * 1_000_000


def test_a_bucket_without_uses_for_long_is_not_born_again(store: RedisReplayStore) -> None:
    assert use(store, "a", READY) is FirstUse.FIRST
    assert use(store, "b", READY + 86_400) is FirstUse.FIRST


def test_two_gates_are_one_store(server: RedisServer, store: RedisReplayStore) -> None:
    other = open_store(server.socket_url)
    assert use(store, "a") is FirstUse.FIRST
    assert use(other, "a") is FirstUse.REPLAYED
    assert use(other, "b") is FirstUse.FIRST
    assert use(store, "b") is FirstUse.REPLAYED
    other.close()


def test_the_newest_time_that_one_gate_saw_fences_for_all(server: RedisServer, store: RedisReplayStore) -> None:
    other = open_store(server.url)
    assert use(store, "a", READY) is FirstUse.FIRST
    assert use(other, "b", READY + 200) is FirstUse.FIRST
    assert use(store, "c", READY, created=READY - 101) is FirstUse.FENCED
    assert use(store, "d", READY, created=READY - 100) is FirstUse.FIRST
    other.close()


# Births -----------------------------------------------------------------------------------------------


def test_a_birth_is_on_record_before_anything_is_used(server: RedisServer) -> None:
    opened = open_store(server.url)
    opened.require_ready(now=START)
    assert use(opened, "early", START + 60, created=START + 7) is FirstUse.FENCED
    assert use(opened, "a", START + 60, created=START + 8) is FirstUse.FIRST
    opened.close()


def test_a_birth_is_not_before_the_clock_of_the_server(server: RedisServer) -> None:
    """A caller that was stopped between reading the time and writing the record would date it back."""
    opened = open_store(server.url)
    assert use(opened, "a", 1000) is FirstUse.FENCED
    birth = int(server.command("GET", "bf:epoch").split()[-2]) / 1_000_000
    seconds, _ = server.command("TIME")
    assert seconds - 60 < birth <= seconds + 1
    opened.close()


@pytest.mark.parametrize("off", [1.5, -1.5])
def test_a_birth_is_the_later_of_both_clocks(server: RedisServer, off: float) -> None:
    """The proofs of before were no further ahead than the earlier one."""
    opened = RedisReplayStore(parse_address(server.url), clock=lambda _there, now: now + off)
    assert use(opened, "a", START) is FirstUse.FENCED
    assert int(server.command("GET", "bf:epoch").split()[-2]) == int((START + max(0, off)) * 1_000_000)
    opened.close()


def test_what_was_not_recorded_is_no_first_use(server: RedisServer, store: RedisReplayStore) -> None:
    """A gate that was apart when it connected does not know the record yet, and does not send its first use."""
    off = [3.0]
    other = RedisReplayStore(parse_address(server.url), clock=lambda _there, now: now + off[0])
    assert use(other, "a") is FirstUse.CLOCK_APART
    off[0] = 0
    other._server(next(iter(other._servers)))._epochs.clear()
    assert use(other, "b") is FirstUse.FENCED
    assert use(other, "b") is FirstUse.FIRST
    other.close()


def _restart(server: RedisServer) -> None:
    server.restart()


def _flush_all(server: RedisServer) -> None:
    server.command("FLUSHALL")


def _flush_database(server: RedisServer) -> None:
    server.command("FLUSHDB")


def _delete_record(server: RedisServer) -> None:
    server.command("DEL", "bf:epoch")


def _change_run_id(server: RedisServer) -> None:
    """What a server that was restarted on a stale dump looks like: the keys of then, and another run id."""
    record = server.command("GET", "bf:epoch").split(b" ")
    record[2] = b"0" * 40 + record[2][40:]
    server.command("SET", "bf:epoch", b" ".join(record))


def _change_replication_id(server: RedisServer) -> None:
    record = server.command("GET", "bf:epoch").split(b" ")
    record[2] = record[2][:41] + b"0" * 40 + record[2][81:]
    server.command("SET", "bf:epoch", b" ".join(record))


def _forget_the_count(server: RedisServer) -> None:
    """What a version before this one wrote, which did not look whether anything was evicted."""
    record = server.command("GET", "bf:epoch").split(b" ")
    record[2] = record[2][:81]
    server.command("SET", "bf:epoch", b" ".join(record))


@pytest.mark.parametrize(
    "lose",
    [
        _restart,
        _flush_all,
        _flush_database,
        _delete_record,
        _change_run_id,
        _change_replication_id,
        _forget_the_count,
    ],
)
def test_what_may_be_forgotten_is_fenced_until_eight_seconds_after_the_birth(
    server: RedisServer, store: RedisReplayStore, lose: Callable[[RedisServer], Any]
) -> None:
    assert use(store, "a") is FirstUse.FIRST
    assert use(store, "ahead", READY, created=READY + 5) is FirstUse.FIRST
    lose(server)
    server.command("DEL", b"bf:" + replay_key("a"), b"bf:" + replay_key("ahead"))
    lost_at = READY + 1
    answers = [use(store, "a", lost_at, created=READY), use(store, "ahead", lost_at, created=READY + 5)]
    assert set(answers) <= {FirstUse.UNAVAILABLE, FirstUse.FENCED}
    eventually(lambda: use(store, "b", lost_at) is FirstUse.FENCED, "the server's answer")
    for after in (1.5, 8, 30, 59):
        assert use(store, "a", READY + after, created=READY) is FirstUse.FENCED
        assert use(store, "ahead", READY + after, created=READY + 5) is FirstUse.FENCED
    assert use(store, "c", lost_at + 20, created=lost_at + 7) is FirstUse.FENCED
    assert use(store, "d", lost_at + 20, created=lost_at + 8) is FirstUse.FIRST
    assert use(store, "d", lost_at + 20, created=lost_at + 8) is FirstUse.REPLAYED


def test_a_gate_that_was_away_during_the_loss_is_told_by_the_record(
    server: RedisServer, store: RedisReplayStore
) -> None:
    """Another gate sees to the new birth; the record of the old one is still in this gate's memory."""
    assert use(store, "a") is FirstUse.FIRST
    server.command("FLUSHALL")
    other = open_store(server.url)
    assert use(other, "b", READY + 1) is FirstUse.FENCED
    assert use(store, "a", READY + 2, created=READY) is FirstUse.FENCED
    assert use(store, "c", READY + 30) is FirstUse.FIRST
    other.close()


def test_gates_agree_on_one_birth(server: RedisServer) -> None:
    stores = [open_store(server.url) for _ in range(4)]
    for number, each in enumerate(stores):
        assert use(each, "a", START + number) is FirstUse.FENCED
    for each in stores:
        assert use(each, f"late {id(each)}", START + 60, created=START + 8) is FirstUse.FIRST
        each.close()


def test_a_newer_birth_keeps_the_newest_time(server: RedisServer, store: RedisReplayStore) -> None:
    """A clock that jumped ahead before the fail-over still fences after it, on gates that did not see it too."""
    assert use(store, "a", READY + 1000) is FirstUse.FIRST
    _change_run_id(server)
    other = open_store(server.url)
    assert use(other, "b", READY + 1) is FirstUse.FENCED
    assert use(other, "c", READY + 699) is FirstUse.FENCED
    assert use(other, "c", READY + 700) is FirstUse.FIRST
    other.close()


def test_a_newer_birth_is_not_before_an_older_one(server: RedisServer, store: RedisReplayStore) -> None:
    """What was in the future once may have been used then."""
    record = server.command("GET", "bf:epoch").split(b" ")
    record[3] = b"%d" % ((READY + 50) * 1_000_000)
    server.command("SET", "bf:epoch", b" ".join(record))
    _change_run_id(server)
    other = open_store(server.url)
    assert use(other, "a", READY + 10) is FirstUse.FENCED
    assert use(other, "a", READY + 60, created=READY + 57) is FirstUse.FENCED
    assert use(other, "a", READY + 60, created=READY + 58) is FirstUse.FIRST
    other.close()


def test_a_record_that_another_gate_replaces_under_a_use_admits_nothing(
    server: RedisServer, store: RedisReplayStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert use(store, "a") is FirstUse.FIRST
    only = store._server(next(iter(store._servers)))
    replace = only._replace

    def meanwhile(*arguments: Any) -> None:
        _change_run_id(server)
        replace(*arguments)

    monkeypatch.setattr(only, "_replace", meanwhile)
    assert use(store, "b", READY + 5) is FirstUse.FENCED


def test_a_record_from_the_future_can_be_removed(server: RedisServer, store: RedisReplayStore) -> None:
    """All clocks had jumped ahead; whoever cannot wait until it is that late removes the record."""
    assert use(store, "a", READY + 86_400) is FirstUse.FIRST
    assert use(store, "b", READY) is FirstUse.FENCED
    server.command("DEL", "bf:epoch")
    assert use(store, "b", READY) is FirstUse.FENCED
    assert use(store, "b", READY + 20) is FirstUse.FIRST


def test_a_record_of_another_form_is_left_alone_and_admits_nothing(
    server: RedisServer, store: RedisReplayStore, caplog: pytest.LogCaptureFixture
) -> None:
    server.command("SET", "bf:epoch", "bonafide-epoch-2 of a later version")
    assert use(store, "a") is FirstUse.UNAVAILABLE
    assert server.command("GET", "bf:epoch") == b"bonafide-epoch-2 of a later version"
    assert "NotOurs" in caplog.text
    server.command("DEL", "bf:epoch")
    server.command("LPUSH", "bf:epoch", "a list")
    assert use(store, "b") is FirstUse.UNAVAILABLE


# Demotion ---------------------------------------------------------------------------------------------


def test_a_master_that_was_a_replica_in_between_is_another_one(
    server: RedisServer, store: RedisReplayStore, tmp_path: Path
) -> None:
    """Its run id is the same and the connection held; the writes of before are not there any more."""
    assert use(store, "a") is FirstUse.FIRST
    with RedisServer(tmp_path / "other") as other:
        other.command("SET", "bf:epoch", server.command("GET", "bf:epoch"))  # a replica that lags behind
        server.command("REPLICAOF", HOST, other.port)
        eventually(lambda: server.command("GET", b"bf:" + replay_key("a")) is None, "the other's data")
        server.command("REPLICAOF", "NO", "ONE")
    for link in store._server(next(iter(store._servers)))._idle:
        link._looked_at -= LOOK_EVERY_S
    assert use(store, "a", READY + 3, created=READY) is FirstUse.FENCED
    assert use(store, "b", READY + 30) is FirstUse.FIRST


# Clusters ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster(require_program: RequireProgram, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterGroup]:
    require_program("redis-server", apt="redis-server")
    with ClusterGroup(tmp_path_factory.mktemp("cluster")) as group:
        yield group


@pytest.fixture
def cluster_store(cluster: ClusterGroup) -> Iterator[RedisReplayStore]:
    for server in cluster.servers:
        server.command("FLUSHALL")
    opened = open_store(cluster.url)
    opened.require_ready(now=START)
    yield opened
    opened.close()


def test_a_cluster_is_born_as_a_whole_and_spreads_its_keys(
    cluster: ClusterGroup, cluster_store: RedisReplayStore
) -> None:
    for number in range(600):
        assert use(cluster_store, f"a {number}") is FirstUse.FIRST
    for number in range(600):
        assert use(cluster_store, f"a {number}") is FirstUse.REPLAYED
    held = [server.command("DBSIZE") for server in cluster.servers]
    assert sum(held) == 600 + 1024
    assert all(440 < each < 640 for each in held)


def test_a_master_of_a_cluster_that_was_emptied_fences_its_share_and_no_other(
    cluster: ClusterGroup, cluster_store: RedisReplayStore
) -> None:
    names = [f"a {number}" for number in range(60)]
    for name in names:
        assert use(cluster_store, name) is FirstUse.FIRST
    cluster.servers[1].command("FLUSHALL")
    answers = [use(cluster_store, name, READY + 1, created=READY) for name in names]
    assert set(answers) == {FirstUse.FENCED, FirstUse.REPLAYED}
    fresh = [use(cluster_store, f"b {number}", READY + 30) for number in range(60)]
    assert set(fresh) == {FirstUse.FIRST}


def neighbours(store: RedisReplayStore) -> tuple[str, str]:
    """Return two proofs whose keys lie on one master, in two buckets."""
    found: dict[int, str] = {}
    for name in map(str, range(20_000)):
        number = int.from_bytes(replay_key(name)[:2]) % len(store._masters.buckets)
        if number in {10, 20}:
            found.setdefault(number, name)
    return found[10], found[20]


def test_slots_given_to_a_master_that_does_not_hold_their_keys_are_fenced(
    cluster: ClusterGroup, cluster_store: RedisReplayStore
) -> None:
    name = "moved"
    bucket = cluster_store._masters.buckets[int.from_bytes(replay_key(name)[:2]) % 1024]
    assert use(cluster_store, name) is FirstUse.FIRST
    owner = cluster.master_of(bucket.slot)
    taker = next(server for server in cluster.servers if server is not owner)
    owner.command("DEL", bucket.prefix + replay_key(name), bucket.epoch_key)
    node = taker.command("CLUSTER", "MYID").decode()
    for server in (taker, owner, *cluster.servers):
        server.command("CLUSTER", "SETSLOT", bucket.slot, "NODE", node)
    eventually(lambda: use(cluster_store, name, READY + 2, created=READY) is FirstUse.FENCED, "the slot's new master")
    assert use(cluster_store, name, READY + 59, created=READY) is FirstUse.FENCED
    assert use(cluster_store, name, READY + 90, created=READY + 80) is FirstUse.FIRST


def test_a_jump_that_one_bucket_saw_is_on_record_in_all_of_its_master(
    cluster: ClusterGroup, cluster_store: RedisReplayStore
) -> None:
    """All clocks jump ahead together and back: what another bucket's keys lost by it, nobody asked meanwhile."""
    one, two = neighbours(cluster_store)
    assert use(cluster_store, one) is FirstUse.FIRST
    assert use(cluster_store, two, READY + 700) is FirstUse.FIRST
    cluster.master_of(160).command("DEL", cluster_store._masters.buckets[10].prefix + replay_key(one))
    other = open_store(cluster.url)
    assert use(other, one, READY + 1, created=READY) is FirstUse.FENCED
    other.close()


def test_a_clock_ahead_that_one_bucket_saw_is_on_record_in_all_of_its_master(
    cluster: ClusterGroup, cluster_store: RedisReplayStore
) -> None:
    """The server's clock alone jumps: one gate is told that it is apart, and the others fence what may be lost."""
    one, two = neighbours(cluster_store)
    assert use(cluster_store, one) is FirstUse.FIRST
    assert use(cluster_store, two) is FirstUse.FIRST
    ahead = RedisReplayStore(parse_address(cluster.url), clock=lambda _there, now: now + 700)
    assert use(ahead, two, READY + 1) is FirstUse.CLOCK_APART
    cluster.master_of(160).command("DEL", cluster_store._masters.buckets[10].prefix + replay_key(one))
    assert use(cluster_store, one, READY + 2, created=READY) is FirstUse.FENCED
    assert use(cluster_store, f"{one} again", READY + 20) is FirstUse.FIRST
    ahead.close()


def test_a_clock_ahead_changes_nothing_where_nothing_can_be_lost(
    cluster: ClusterGroup, cluster_store: RedisReplayStore
) -> None:
    one, two = neighbours(cluster_store)
    assert use(cluster_store, one) is FirstUse.FIRST
    assert use(cluster_store, two, READY + 19) is FirstUse.FIRST
    master, record = cluster.master_of(160), cluster_store._masters.buckets[20].epoch_key
    before = master.command("GET", record)
    ahead = RedisReplayStore(parse_address(cluster.url), clock=lambda _there, now: now + 40)
    assert use(ahead, one, READY + 1) is FirstUse.CLOCK_APART
    assert master.command("GET", record) == before
    ahead.close()
