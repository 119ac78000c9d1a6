"""The conformance suite on real servers: one Redis, one behind Sentinels, a cluster of three masters.

The suite lives at times of its own choosing. They are moved into the future of the machine's clock, so that Redis
expires nothing while a test runs; and the store is given the suite's clock for Redis's, which
`test_redis_clock.py` tests with servers whose clock really moves.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bonafide.stores.addresses import parse_address
from bonafide.stores.redis import RedisReplayStore
from bonafide.testing.replay_store import BIRTH, ReplayStoreSuite
from tests.stores.redis_servers import ClusterGroup, RedisServer, SentinelGroup
from tests.stores.redis_uses import caller_clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bonafide.ports import FirstUse, Scope
    from tests.conftest import RequireProgram

AN_HOUR = 3600


class Moved:
    """A store whose times all lie an hour ahead of the present; what is no time stays what it is."""

    def __init__(self, store: RedisReplayStore) -> None:
        self._store = store
        self._shift = int(time.time()) + AN_HOUR - BIRTH

    @property
    def scope(self) -> Scope:
        return self._store.scope

    def remember(self, key: bytes, *, created: int, now: float) -> FirstUse:
        shift = self._shift if now >= 0 else 0
        return self._store.remember(key, created=created + shift, now=now + shift)

    def require_ready(self) -> None:
        self._store.require_ready(now=float(BIRTH + self._shift))


def _moved(url: str) -> Iterator[Moved]:
    address = parse_address(url)
    opened = RedisReplayStore(address, timeout=timedelta(seconds=5), apart=timedelta(0), clock=caller_clock)
    yield Moved(opened)
    opened.close()


@pytest.fixture(scope="module")
def server(require_program: RequireProgram, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    require_program("redis-server", apt="redis-server")
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def group(require_program: RequireProgram, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelGroup]:
    require_program("redis-sentinel", apt="redis-sentinel")
    with SentinelGroup(tmp_path_factory.mktemp("sentinels"), replicas=1) as group:
        yield group


@pytest.fixture(scope="module")
def cluster(require_program: RequireProgram, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterGroup]:
    require_program("redis-server", apt="redis-server")
    with ClusterGroup(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


class TestRedisReplayStore(ReplayStoreSuite):
    @pytest.fixture
    def store(self, server: RedisServer) -> Iterator[Moved]:
        server.command("FLUSHALL")
        yield from _moved(server.url)


class TestRedisReplayStoreBySocket(ReplayStoreSuite):
    @pytest.fixture
    def store(self, server: RedisServer) -> Iterator[Moved]:
        server.command("FLUSHALL")
        yield from _moved(server.socket_url)


class TestRedisReplayStoreBehindSentinels(ReplayStoreSuite):
    @pytest.fixture
    def store(self, group: SentinelGroup) -> Iterator[Moved]:
        group.master.command("FLUSHALL")
        yield from _moved(group.url)


class TestRedisReplayStoreInACluster(ReplayStoreSuite):
    @pytest.fixture
    def store(self, cluster: ClusterGroup) -> Iterator[Moved]:
        for server in cluster.servers:
            server.command("FLUSHALL")
        for moved in _moved(cluster.url):
            moved.require_ready()  # as at start-up: all masters are born together
            yield moved
