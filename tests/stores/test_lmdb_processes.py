"""The LMDB store among processes: races, forks, killed writers, vanished readers, a disk that is full.

Every process here is started by the test that ends it, by its id.
"""

from __future__ import annotations

import fcntl
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import lmdb
import pytest

from bonafide.ports import FirstUse
from bonafide.stores.lmdb import LmdbReplayStore
from bonafide.testing.replay_store import BIRTH, READY, replay_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MEBIBYTE = 1024 * 1024
PATIENCE_S = 30
"""How long a child may be silent before it counts as hanging; it is killed then, and the test fails."""


def _use(store: LmdbReplayStore, name: str, at: int = READY) -> FirstUse:
    return store.remember(replay_key(name), created=at, now=at)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LmdbReplayStore]:
    """Return a store that this process has open, and that vouches for proofs of `READY`."""
    opened = LmdbReplayStore(tmp_path / "replay", max_bytes=64 * MEBIBYTE)
    assert _use(opened, "birth", BIRTH) is FirstUse.FENCED
    yield opened
    opened.close()


@dataclass(slots=True)
class _Child:
    """A forked process and the end of the pipe on which it writes what it did."""

    pid: int
    pipe: int
    status: int | None = None

    def at_least(self, octets: int) -> bytes:
        """Return what the child wrote, once it is so much."""
        text = b""
        while len(text) < octets:
            part = self.read()
            assert part, "a forked process ended early"
            text += part
        return text

    def read(self) -> bytes:
        """Return what the child wrote next; nothing at its end."""
        ready, _, _ = select.select([self.pipe], [], [], PATIENCE_S)
        if not ready:
            self.kill()
            pytest.fail("a forked process hangs")
        return os.read(self.pipe, 4096)

    def rest(self) -> bytes:
        """Return all that the child wrote until its end."""
        text = b""
        while part := self.read():
            text += part
        return text

    def words(self) -> list[str]:
        """Return what a child said that came to its end by itself."""
        text = self.rest()
        self.wait()
        assert self.status == 0
        return text.decode().split()

    def kill(self) -> None:
        """End the child where it stands."""
        os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self) -> None:
        if self.status is None:
            _, self.status = os.waitpid(self.pid, 0)


@contextmanager
def _forked(work: Callable[[Callable[[str], None]], None]) -> Iterator[_Child]:
    """Fork a child that runs `work(say)` and ends; whatever happens, it is gone afterwards."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(read)
            work(lambda word: _say(write, word))
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    child = _Child(pid, read)
    try:
        yield child
    finally:
        if child.status is None:
            child.kill()
        os.close(read)


def _say(pipe: int, word: str) -> None:
    os.write(pipe, f"{word} ".encode())


# Races ------------------------------------------------------------------------------------------------


def test_of_spawned_processes_that_race_for_a_key_one_is_first(tmp_path: Path, root: Path) -> None:
    """Four new interpreters, no store yet: even its birth is a race."""
    command = [sys.executable, "-m", "tests.stores.replay_worker", str(tmp_path / "replay")]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"}
    workers = [
        subprocess.Popen(
            command, cwd=root, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        for _ in range(4)
    ]
    names = [f"key{n}" for n in range(200)]
    try:
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        lines = "".join(f"{name} {at}\n" for name, at in [("birth", BIRTH), *((name, READY) for name in names)])
        outputs = _fed(workers, lines)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    assert [output[0] for output in outputs] == ["fenced"] * 4
    for position in range(1, len(names) + 1):
        assert Counter(output[position] for output in outputs) == {"first": 1, "replayed": 3}


def _fed(workers: list[subprocess.Popen[str]], lines: str) -> list[list[str]]:
    """Send the same lines to all at once, and return what each answered."""
    outputs: dict[int, list[str]] = {}

    def feed(worker: subprocess.Popen[str]) -> None:
        output, _ = worker.communicate(lines, timeout=PATIENCE_S)
        outputs[worker.pid] = output.split()

    threads = [threading.Thread(target=feed, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [outputs[worker.pid] for worker in workers]


def test_of_forked_processes_that_race_for_a_key_one_is_first(store: LmdbReplayStore) -> None:
    """Pre-forking servers: the parent has the store open, and races as well."""
    names = [f"key{n}" for n in range(300)]

    def work(say: Callable[[str], None]) -> None:
        for name in names:
            say(_use(store, name))

    with _forked(work) as one, _forked(work) as two, _forked(work) as three:
        mine: list[str] = [_use(store, name) for name in names]
        all_answers = [mine, one.words(), two.words(), three.words()]
    for answers in zip(*all_answers, strict=True):
        assert Counter(answers) == {"first": 1, "replayed": 3}


# Forks ------------------------------------------------------------------------------------------------


def test_parent_child_and_grandchild_see_each_others_uses(store: LmdbReplayStore) -> None:
    def of_grandchild(say: Callable[[str], None]) -> None:
        for name in ("parent", "child", "grandchild"):
            say(_use(store, name))

    def of_child(say: Callable[[str], None]) -> None:
        say(_use(store, "parent"))
        say(_use(store, "child"))
        with _forked(of_grandchild) as grandchild:
            for word in grandchild.words():
                say(word)
        say(_use(store, "grandchild"))

    assert _use(store, "parent") is FirstUse.FIRST
    with _forked(of_child) as child:
        assert child.words() == ["replayed", "first", "replayed", "replayed", "first", "replayed"]
    assert [_use(store, name) for name in ("parent", "child", "grandchild")] == [FirstUse.REPLAYED] * 3
    assert _use(store, "after") is FirstUse.FIRST


def test_a_fork_while_threads_use_the_store_leaves_both_sides_whole(store: LmdbReplayStore) -> None:
    assert _use(store, "known") is FirstUse.FIRST
    ended, numbers = threading.Event(), count()
    answers: set[FirstUse] = set()

    def hammer() -> None:
        while not ended.is_set():
            answers.add(_use(store, f"hammered {next(numbers)}"))

    def work(say: Callable[[str], None]) -> None:
        say(_use(store, "known"))
        say(_use(store, f"of child {os.getpid()}"))

    threads = [threading.Thread(target=hammer) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(15):
            with _forked(work) as child:
                assert child.words() == ["replayed", "first"]
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert answers == {FirstUse.FIRST}


def test_a_child_that_ends_takes_no_lock_of_its_parent_with_it(store: LmdbReplayStore) -> None:
    """POSIX locks go with the first descriptor that is closed: those of the parent must not be the child's."""
    assert _use(store, "a") is FirstUse.FIRST
    with _forked(lambda say: say(_use(store, "b"))) as child:
        assert child.words() == ["first"]

    def work(say: Callable[[str], None]) -> None:
        for n in range(500):
            say(_use(store, f"raced {n}"))

    with _forked(work) as child:
        mine: list[str] = [_use(store, f"raced {n}") for n in range(500)]
        for pair in zip(mine, child.words(), strict=True):
            assert sorted(pair) == ["first", "replayed"]


def test_a_child_holds_locks_of_its_own(store: LmdbReplayStore) -> None:
    """Locks are not inherited: without its own, the next process to come would make new ones beside the child."""
    assert _use(store, "a") is FirstUse.FIRST

    def work(say: Callable[[str], None]) -> None:
        say(_use(store, "a"))
        signal.pause()

    with _forked(work) as child:
        assert child.read() == b"replayed "
        store.close()
        with (store._environment._directory / "replay.mdb-lock").open("r+b") as lock:
            with pytest.raises(BlockingIOError):
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
            child.kill()
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)


# Crashes ----------------------------------------------------------------------------------------------


def test_what_was_admitted_before_a_writer_was_killed_is_refused_afterwards(store: LmdbReplayStore) -> None:
    """Thirty times two writers, killed in the middle of it: nothing they had answered is admitted again."""

    def writer(mark: str) -> Callable[[Callable[[str], None]], None]:
        def work(say: Callable[[str], None]) -> None:
            for n in count():
                if _use(store, f"{mark}{n}") is FirstUse.FIRST:
                    say(f"{mark}{n}")

        return work

    for turn in range(30):
        with _forked(writer(f"one-{turn}-")) as one, _forked(writer(f"two-{turn}-")) as two:
            said_by_one, said_by_two = one.at_least(256 + 37 * turn), two.at_least(256)
            one.kill()
            said_by_two += two.at_least(256)  # the survivor takes over the lock of the dead
            two.kill()
            said_by_one += one.rest()
            said_by_two += two.rest()
        admitted = [*said_by_one.decode().split(), *said_by_two.decode().split()]
        assert len(admitted) > 10
        assert {_use(store, name) for name in admitted} == {FirstUse.REPLAYED}
        assert _use(store, f"after {turn}") is FirstUse.FIRST


def test_a_store_whose_every_process_was_killed_is_whole(store: LmdbReplayStore) -> None:
    """No process has it open when it is opened next: the lock file is made anew, the data is not."""
    store.close()

    def work(say: Callable[[str], None]) -> None:
        for n in count():
            say(f"{n}:{_use(store, str(n))}")

    with _forked(work) as child:
        said = child.at_least(256)
        child.kill()
        said += child.rest()
    words = said.decode().split()
    assert len(words) > 10
    assert {word.split(":")[1] for word in words} == {"first"}
    assert {_use(store, word.split(":")[0]) for word in words} == {FirstUse.REPLAYED}


@contextmanager
def _reading(store: LmdbReplayStore) -> Iterator[_Child]:
    """Let a foreign process hold a snapshot: no page that it sees can be used again."""

    def read_for_ever(say: Callable[[str], None]) -> None:
        store.close()  # what was inherited
        path = str(store._environment._data)
        with lmdb.open(path, subdir=False, map_size=MEBIBYTE, lib_version=0).begin() as snapshot:
            say(str(len(snapshot.get(b"\0") or b"")))
            signal.pause()

    with _forked(read_for_ever) as reader:
        assert reader.read() == b"16 "
        yield reader


@pytest.fixture
def small(tmp_path: Path) -> Iterator[LmdbReplayStore]:
    """Return a store of 1 MiB, open in this process."""
    opened = LmdbReplayStore(tmp_path / "small", max_bytes=MEBIBYTE)
    assert _use(opened, "birth", BIRTH) is FirstUse.FENCED
    yield opened
    opened.close()


def test_a_map_without_a_free_page_admits_nothing_and_recovers(
    small: LmdbReplayStore, caplog: pytest.LogCaptureFixture
) -> None:
    """`MDB_MAP_FULL`: what a commit could not store was not admitted, and is not answered as if it were."""
    with _reading(small) as reader:
        answers = [_use(small, str(n)) for n in range(1000)]
        assert set(answers) == {FirstUse.FIRST, FirstUse.UNAVAILABLE}
        assert answers[-100:] == [FirstUse.UNAVAILABLE] * 100
        assert caplog.text.count("MDB_MAP_FULL") == 1
        admitted = [str(n) for n, answer in enumerate(answers) if answer is FirstUse.FIRST]
        assert FirstUse.FIRST not in {_use(small, name, READY + 1) for name in admitted}
        reader.kill()
    after = Counter(_use(small, f"after {n}", READY + 2) for n in range(1000))
    assert after == {FirstUse.FIRST: 1000}
    assert {_use(small, name, READY + 2) for name in admitted} == {FirstUse.REPLAYED}


def test_a_reader_that_was_killed_does_not_fill_the_store(small: LmdbReplayStore) -> None:
    with _reading(small) as reader:
        reader.kill()
    answers = Counter(_use(small, str(n), READY + n) for n in range(5000))
    assert set(answers) <= {FirstUse.FIRST, FirstUse.UNAVAILABLE}
    assert answers[FirstUse.UNAVAILABLE] <= 1  # and with the next second it is tried again


def test_whoever_opens_the_store_clears_away_the_readers_that_were_killed(small: LmdbReplayStore) -> None:
    with _reading(small) as reader:
        reader.kill()
    opened = small._environment._open
    assert opened is not None
    assert "no active readers" not in opened.readers()
    with _forked(lambda say: say(_use(small, "a"))) as child:
        assert child.words() == ["first"]
    assert "no active readers" in opened.readers()


# The world around -------------------------------------------------------------------------------------


def test_a_process_whose_directory_was_replaced_by_another_process_joins_that_one(store: LmdbReplayStore) -> None:
    """Two stores side by side would each admit a proof once."""
    assert _use(store, "before") is FirstUse.FIRST
    shutil.rmtree(store._environment._directory)

    def work(say: Callable[[str], None]) -> None:
        say(_use(store, "birth", READY + 1))
        say(_use(store, "in the new one", READY + 7))

    with _forked(work) as child:
        assert child.words() == ["fenced", "first"]
    assert _use(store, "in the new one", READY + 7) is FirstUse.REPLAYED
    assert _use(store, "before", READY) is FirstUse.FENCED


def test_a_full_disk_refuses_and_kills_nobody(tmp_path: Path) -> None:
    store = LmdbReplayStore(tmp_path / "replay", max_bytes=MEBIBYTE)

    def work(say: Callable[[str], None]) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (MEBIBYTE // 2, resource.RLIM_INFINITY))
        say(_use(store, "a"))
        say(_use(store, "a"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        say(_use(store, "birth", BIRTH))
        say(_use(store, "a"))

    with _forked(work) as child:
        assert child.words() == ["unavailable", "unavailable", "fenced", "first"]
