"""A Redis whose clock jumps (libfaketime): what it expires by that clock is fenced once the clock is right again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from bonafide.ports import FirstUse
from bonafide.stores.addresses import open_replay_store
from bonafide.testing.replay_store import replay_key
from tests.stores.redis_servers import ClockedServer, eventually
from tests.stores.redis_uses import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bonafide.stores.addresses import OpenedReplayStore
    from tests.conftest import RequireProgram


@pytest.fixture(scope="module")
def module_server(require_program: RequireProgram, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClockedServer]:
    require_program("redis-server", apt="redis-server")
    require_program("faketime", apt="faketime")
    with ClockedServer(tmp_path_factory.mktemp("clocked") / "redis") as server:
        yield server


@pytest.fixture
def server(module_server: ClockedServer) -> ClockedServer:
    module_server.set_clock(0)
    module_server.command("FLUSHALL")
    return module_server


def used(store: OpenedReplayStore, name: str, created: int) -> FirstUse:
    return store.remember(replay_key(name), created=created, now=time.time())


def grown(server: ClockedServer, store: OpenedReplayStore) -> OpenedReplayStore:
    """Return this store, which has seen nothing yet, with a record that says it was born an hour ago."""
    first = open_replay_store(server.url)
    first.require_ready(now=time.time())
    first.close()
    record = server.command("GET", "bf:epoch").split(b" ")
    record[3] = b"%d" % (int(record[3]) - 3_600_000_000)
    server.command("SET", "bf:epoch", b" ".join(record))
    return store


def test_keys_that_a_clock_ahead_expired_are_fenced_when_it_is_right_again(server: ClockedServer) -> None:
    store = grown(server, open_replay_store(server.url))
    created = int(time.time())
    assert used(store, "a", created) is FirstUse.FIRST
    assert used(store, "a", created) is FirstUse.REPLAYED
    server.set_clock(600)
    eventually(lambda: server.command("EXISTS", b"bf:" + replay_key("a")) == 0, "its expiry")
    assert used(store, "b", created) is FirstUse.CLOCK_APART
    server.set_clock(0)
    assert used(store, "a", created) is FirstUse.FENCED
    assert used(store, "a", created) is FirstUse.FENCED
    store.close()


def test_after_such_a_jump_traffic_is_good_again_within_ten_seconds(server: ClockedServer) -> None:
    """The record's birth is where the last recorded use was, and not where the clock jumped to."""
    store = grown(server, open_replay_store(server.url))
    assert used(store, "a", int(time.time())) is FirstUse.FIRST
    newest = int(server.command("GET", "bf:epoch").split()[-1]) / 1_000_000
    server.set_clock(600)
    assert used(store, "b", int(time.time())) is FirstUse.CLOCK_APART
    record = server.command("GET", "bf:epoch").split()
    assert (int(record[-2]), int(record[-1])) == (int(newest * 1_000_000),) * 2
    store.close()


def test_a_gate_that_is_behind_by_itself_costs_others_nothing(server: ClockedServer) -> None:
    store = grown(server, open_replay_store(server.url))
    assert used(store, "a", int(time.time())) is FirstUse.FIRST
    before = server.command("GET", "bf:epoch")
    now = time.time() - 600
    assert store.remember(replay_key("b"), created=int(now), now=now) is FirstUse.CLOCK_APART
    assert server.command("GET", "bf:epoch") == before
    store.close()


def test_a_clock_behind_admits_nothing_and_forgets_nothing(server: ClockedServer) -> None:
    store = grown(server, open_replay_store(server.url))
    created = int(time.time())
    assert used(store, "a", created) is FirstUse.FIRST
    server.set_clock(-600)
    assert used(store, "a", created) is FirstUse.CLOCK_APART
    server.set_clock(0)
    assert used(store, "a", created) is FirstUse.REPLAYED
    store.close()


def test_a_jump_of_all_clocks_is_fenced_by_the_newest_time(server: ClockedServer) -> None:
    """Gates and server jump together, so that nobody is apart, and keys expire."""
    store = grown(server, open_store(server.url))
    start = int(time.time())
    assert store.remember(replay_key("a"), created=start, now=start) is FirstUse.FIRST
    server.set_clock(700)
    eventually(lambda: server.command("EXISTS", b"bf:" + replay_key("a")) == 0, "its expiry")
    assert store.remember(replay_key("b"), created=start + 700, now=start + 700) is FirstUse.FIRST
    server.set_clock(0)
    assert store.remember(replay_key("a"), created=start, now=start + 1) is FirstUse.FENCED
    store.close()


def test_keys_expire_by_the_server_s_clock_when_the_fence_has_them(server: ClockedServer) -> None:
    store = grown(server, open_store(server.url))
    start = int(time.time())
    assert store.remember(replay_key("a"), created=start, now=start) is FirstUse.FIRST
    server.set_clock(325)
    assert store.remember(replay_key("a"), created=start + 325, now=start + 325) is FirstUse.REPLAYED
    server.set_clock(335)
    eventually(lambda: server.command("EXISTS", b"bf:" + replay_key("a")) == 0, "its expiry")
    assert store.remember(replay_key("a"), created=start, now=start + 335) is FirstUse.FENCED
    store.close()
