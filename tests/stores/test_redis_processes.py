"""The Redis store among processes and threads: races, forks, and connections that no child touches."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from bonafide.ports import FirstUse
from tests.stores.redis_servers import ClusterGroup, RedisServer
from tests.stores.redis_uses import READY, START, open_store, use

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import RequireProgram

PATIENCE_S = 60


@pytest.fixture(scope="module")
def server(require_program: RequireProgram, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    require_program("redis-server", apt="redis-server")
    with RedisServer(tmp_path_factory.mktemp("redis")) as running:
        yield running


def raced(addresses: list[str], root: Path, names: list[str]) -> list[list[str]]:
    """Let one new interpreter for each address use the same proofs, and return what each was told."""
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"}
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.stores.redis_worker", address],
            cwd=root,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        for address in addresses
    ]
    try:
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        lines = "".join(f"{name} {at}\n" for name, at in [("birth", START), *((name, READY) for name in names)])
        with ThreadPoolExecutor(len(workers)) as threads:
            outputs = threads.map(lambda worker: worker.communicate(lines, timeout=PATIENCE_S)[0].split(), workers)
            return list(outputs)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def test_of_processes_that_race_for_a_key_one_is_first(server: RedisServer, root: Path) -> None:
    """Three gates, two ways to the server, no record yet: even its birth is a race."""
    server.command("FLUSHALL")
    names = [f"key{number}" for number in range(200)]
    outputs = raced([server.url, server.socket_url, server.url], root, names)
    assert [output[0] for output in outputs] == ["fenced"] * 3
    for position in range(1, len(names) + 1):
        assert Counter(output[position] for output in outputs) == {"first": 1, "replayed": 2}


def test_of_processes_that_race_in_a_cluster_one_is_first(tmp_path: Path, root: Path) -> None:
    names = [f"key{number}" for number in range(200)]
    with ClusterGroup(tmp_path) as cluster:
        opened = open_store(cluster.url)
        opened.require_ready(now=START)
        opened.close()
        outputs = raced([cluster.url] * 2, root, names)
    for position in range(1, len(names) + 1):
        assert Counter(output[position] for output in outputs) == {"first": 1, "replayed": 1}


def test_threads_share_a_store_and_have_a_connection_each(server: RedisServer) -> None:
    server.command("FLUSHALL")
    store = open_store(server.url)
    assert use(store, "birth", START) is FirstUse.FENCED
    names = [f"thread {number}" for number in range(100)]
    start = threading.Barrier(4)

    def work(_: int) -> list[FirstUse]:
        start.wait()
        return [use(store, name) for name in names]

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(work, range(4)))
    for said in zip(*answers, strict=True):
        assert Counter(said) == {FirstUse.FIRST: 1, FirstUse.REPLAYED: 3}
    assert 1 <= len(store._server(next(iter(store._servers)))._idle) <= 4
    store.close()


def test_a_forked_child_makes_connections_of_its_own_and_leaves_its_parent_s_alone(server: RedisServer) -> None:
    server.command("FLUSHALL")
    store = open_store(server.url)
    assert use(store, "birth", START) is FirstUse.FENCED
    assert use(store, "of parent") is FirstUse.FIRST
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            said = [use(store, name) for name in ("of parent", "of child", "of child")]
            store.close()
            os.write(write, " ".join(said).encode())
        finally:
            os._exit(0)
    os.close(write)
    assert use(store, "meanwhile") is FirstUse.FIRST
    _, status = os.waitpid(pid, 0)
    assert (status, os.read(read, 100)) == (0, b"replayed first replayed")
    os.close(read)
    assert [use(store, name) for name in ("of parent", "of child", "after")] == ["replayed", "replayed", "first"]
    store.close()


def test_a_fork_while_threads_use_the_store_leaves_both_sides_whole(server: RedisServer) -> None:
    server.command("FLUSHALL")
    store = open_store(server.url)
    assert use(store, "birth", START) is FirstUse.FENCED
    ended, said = threading.Event(), set()

    def hammer(number: int) -> None:
        turn = 0
        while not ended.is_set():
            said.add(use(store, f"hammer {number} {turn}"))
            turn += 1

    threads = [threading.Thread(target=hammer, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    children = []
    for turn in range(5):
        pid = os.fork()
        if pid == 0:
            os._exit(0 if use(store, f"child {turn}") is FirstUse.FIRST else 1)
        children.append(pid)
    statuses = [os.waitpid(pid, 0)[1] for pid in children]
    ended.set()
    for thread in threads:
        thread.join()
    assert statuses == [0] * 5
    assert said == {FirstUse.FIRST}
    store.close()
