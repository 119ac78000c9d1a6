"""The default replay store: one host, any number of processes, no server to run.

Layout. One LMDB tree maps a key (32 octets) to the second until which it is remembered (five octets,
big-endian), and one record, under a key that sorts before all others, holds the store's birth and the
newest time seen. A first use is one write transaction: read that record, put the key unless it is there.
LMDB admits one writer at a time across all processes, so of any number of racing workers one puts.
Expired keys are found by a sweep: every 32nd first use of a process looks at the 128 keys after those it
looked at last, so that no request pays for another's backlog (some 30 us at most), and the tree holds
about a seventh more than what is live.

Measured beside it, bare transactions in a steady state that forgets as much as it learns, in us of CPU at
1 k and 1 M live keys, with what the million takes on disk:

    one tree and a sweep                          2.6    4.8     87 MB
    buckets of 512 s of `created`, 1 more lookup  3.0    9.0    174 MB
    buckets of 128 s of `created`, 3 more         3.4   12.2     99 MB
    a second tree by expiry                       3.6    7.8    148 MB

(A key is unique whatever its `created`, so it is looked up in every bucket of the last 335 s.) Without
`writemap` each commit is a handful of system calls: three to four times as slow. The newest time is
recorded to the second; recording it on every call would buy nothing, because what is forgotten is judged by
the record, and what is fenced by the later of record and clock.

Flags. `sync=False`: nothing waits for the disk. A killed process loses nothing (the map belongs to the
kernel, and a commit is the last of its writes); a killed system does, so the store is born again with
every boot (`bonafide.stores._directory`). `writemap=True`: pages are written in place; its danger, a
SIGBUS where the disk is full, is met by reserving the whole file when it is made (copy-on-write file
systems do not honour that). A writer that dies leaves a robust mutex, which the next writer takes over.

Processes. The environment is opened at the first use in each process, never in the one that only
loads the application; `os.fork` waits until no thread is inside, and the child closes what it inherited
before it opens its own. Twice a second each process looks whether the file under the store's name is
still the one it has open: where somebody removed the directory, two stores would otherwise live side by
side. The new one's birth fence covers that half second.

Size. `max_bytes` is taken whole from the disk and never grows. A key takes 70 octets on average, and the
store is full when its keys take three quarters of the file: the default of 256 MiB holds 2.9 million, 7,500
fresh proofs a second for ever. Only a proof whose signature held reaches the store, so to fill it takes
genuine keys. A full store forgets nothing that is live: it sweeps on every call and answers `UNAVAILABLE`
until there is room. The last quarter is for LMDB, which takes new pages to remove as well; it can run out
only where a foreign reader (`mdb_dump`) keeps old ones from reuse. Such a call is undone and refused. After
that, as after every other failure, the store is opened anew 0.1 s later, which clears away readers that are
dead. A store keeps the size that it was made
with; remove the directory to change it.

Not claimed: anything against who may write to the directory. A process that is stopped inside the few
microseconds of its transaction makes all others wait: they admit nothing, and answer when it goes on.
"""

from __future__ import annotations

import logging
import math
import os
import struct
import threading
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

import lmdb

from bonafide.errors import ConfigurationError
from bonafide.ports import REPLAY_HORIZON_S, FirstUse, Scope
from bonafide.reasons import configuration as reasons
from bonafide.reasons import store as store_reasons
from bonafide.stores import _directory as directories
from bonafide.stores._fence import fence, require_use

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BYTES: Final = 256 * 1024 * 1024
MIN_BYTES: Final = 1024 * 1024

_DATA: Final = "replay.mdb"
_LOCK: Final = "replay.mdb-lock"
_NOTE: Final = "replay.note"

_TIMES_KEY: Final = b"\0"
_FIRST_KEY: Final = b"\0\0"
_TIMES: Final = struct.Struct(">dd")
_HORIZON_BYTES: Final = 5

_RECORD_EVERY_S: Final = 1.0
_LOOK_EVERY_S: Final = 0.5
_RETRY_AFTER_S: Final = 0.1
_SWEEP_EVERY: Final = 32
_SWEEP_KEYS: Final = 128

_log: Final = logging.getLogger(__name__)


class LmdbReplayStore:
    """Remembers first uses for all processes of one host. Threads may share it.

    Any number of stores over one directory are one store, in one process too.
    """

    scope: Final = Scope.HOST

    def __init__(
        self,
        directory: str | Path,
        *,
        max_bytes: int = MAX_BYTES,
        boot_id: Callable[[], str] = directories.read_boot_id,
        file_systems: frozenset[str] = directories.LOCAL_FILE_SYSTEMS,
    ) -> None:
        """Make the directory where it is missing (mode 0700), and refuse a place that is not safe. Opens nothing.

        Raises `ConfigurationError`: `store.directory_unsafe` (also where it cannot be made), `store.boot_unknown`,
        `configuration.store_filesystem`, `configuration.setting_malformed` (fewer than 1 MiB).
        """
        if max_bytes < MIN_BYTES:
            raise ConfigurationError(reasons.SETTING_MALFORMED, f"a replay store of {max_bytes} octets")
        boot_id()
        self._environment = _environment(Path(directory).absolute(), max_bytes, boot_id, file_systems)

    def remember(self, key: bytes, *, created: int, now: float) -> FirstUse:
        """Record the first use of `key`: see `bonafide.ports.ReplayStore.remember`.

        Raises `Misuse` (`store.use_malformed`) where an argument has the wrong form.
        """
        require_use(key, created, now)
        environment = self._environment
        with environment.lock:
            try:
                return environment.remember(key, created, now)
            except (lmdb.Error, OSError, ConfigurationError, struct.error) as problem:
                environment.give_up(problem, now)
                return FirstUse.UNAVAILABLE

    def require_ready(self, *, now: float) -> None:
        """Be born now where this is a new store, so that the seconds of its fence pass before the first proof comes.

        Raises nothing: a place that is not safe was refused when the store was made, and one that fails refuses proofs.
        """
        environment = self._environment
        with environment.lock:
            try:
                environment.begin(now)
            except (lmdb.Error, OSError, ConfigurationError, struct.error) as problem:
                environment.give_up(problem, now)

    def close(self) -> None:
        """Let go of the files in this process. A later use opens them again."""
        with self._environment.lock:
            self._environment.close()


class _Environment:
    """One directory, as this process has it open. Every method wants `lock` held."""

    def __init__(
        self, directory: Path, max_bytes: int, boot_id: Callable[[], str], file_systems: frozenset[str]
    ) -> None:
        self.lock = threading.Lock()
        self._directory = directory
        self._data = directory / _DATA
        self._max_bytes = max_bytes
        self._boot_id = boot_id
        self._file_systems = file_systems
        self._open: lmdb.Environment | None = None
        self._pid = 0
        self._place: tuple[int, int] | None = None
        self._looked_at = 0.0
        self._room = 0
        self._until_sweep = 0
        self._sweep_from: bytes | None = None
        self._full = False
        self._failing = False
        self._failed_at = -math.inf

    def begin(self, now: float) -> None:
        with self._opened(now).begin(write=True) as transaction:
            _times(transaction, now)

    def remember(self, key: bytes, created: int, now: float) -> FirstUse:
        if self._failed_at <= now < self._failed_at + _RETRY_AFTER_S:
            return FirstUse.UNAVAILABLE
        transaction = self._opened(now).begin(write=True)
        try:
            answer = self._record(transaction, key, created, now)
        except BaseException:
            transaction.abort()
            raise
        transaction.commit()
        if answer is not FirstUse.UNAVAILABLE:
            self._failing = False
        return answer

    def _record(self, transaction: lmdb.Transaction[bytes], key: bytes, created: int, now: float) -> FirstUse:
        birth, newest = _times(transaction, now)
        if fence(created=created, now=now, birth=birth, newest=max(now, newest)):
            return FirstUse.FENCED
        self._until_sweep -= 1
        if self._until_sweep < 0 or self._full:
            self._sweep(transaction, newest, key)
            if self._full:
                self._log_once("is full")
                return FirstUse.UNAVAILABLE
        until = (created + REPLAY_HORIZON_S).to_bytes(_HORIZON_BYTES)
        if transaction.put(key, until, overwrite=False):
            return FirstUse.FIRST
        if transaction.get(key, b"\xff") > _horizon(newest):
            return FirstUse.REPLAYED
        transaction.put(key, until)
        return FirstUse.FIRST

    def _sweep(self, transaction: lmdb.Transaction[bytes], newest: float, key: bytes) -> None:
        """Remove the expired among the next keys, and see whether the store is full.

        A process begins at the key in hand, which is anywhere: workers that live for a thousand requests
        would otherwise all sweep the same corner.
        """
        with transaction.cursor() as cursor:
            cursor.set_range(self._sweep_from or key)
            entries = list(islice(cursor.iternext(), _SWEEP_KEYS))
        self._sweep_from = entries[-1][0] if len(entries) == _SWEEP_KEYS else _FIRST_KEY
        horizon = _horizon(newest)
        for expired in [key for key, until in entries if until <= horizon]:
            transaction.delete(expired)
        self._until_sweep = _SWEEP_EVERY - 1
        tree = transaction.stat()
        self._full = (tree["branch_pages"] + tree["leaf_pages"]) * tree["psize"] > self._room

    def _opened(self, now: float) -> lmdb.Environment:
        """Return the environment of this process over the file that is in place now."""
        if self._open is not None and self._pid == os.getpid():
            if self._looked_at <= now < self._looked_at + _LOOK_EVERY_S:
                return self._open
            if directories.place(self._data) == self._place:
                self._looked_at = now
                return self._open
        self.close()
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directories.require_directory(self._directory, file_systems=self._file_systems)
        note = directories.lock(self._directory / _NOTE)
        try:
            boot = self._boot_id()
            if not (known := self._identity(boot)) or known != directories.read_note(note):
                self._bear(note, boot)
            self._place = directories.place(self._data)  # before it is opened: what replaces it later is noticed
            size = self._data.stat().st_size
            opened = _open(self._data, size)
        finally:
            os.close(note)
        self._open, self._pid, self._looked_at = opened, os.getpid(), now
        self._room, self._failed_at = size * 3 // 4, -math.inf
        self._until_sweep, self._sweep_from, self._full = 0, None, False
        opened.reader_check()  # a process killed while it opened is a reader that would keep pages from reuse
        return opened

    def _bear(self, note: int, boot: str) -> None:
        """Make a new store in place of what is there. It counts only once its identity is noted."""
        directories.write_note(note, b"")
        for name in (_DATA, _LOCK):
            (self._directory / name).unlink(missing_ok=True)
        _open(self._data, self._max_bytes).close()
        descriptor = os.open(self._data, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.posix_fallocate(descriptor, 0, os.fstat(descriptor).st_size)
        finally:
            os.close(descriptor)
        directories.write_note(note, self._identity(boot) or b"")

    def _identity(self, boot: str) -> bytes | None:
        return directories.identity(self._data, beside=self._directory / _LOCK, boot=boot)

    def give_up(self, problem: Exception, now: float) -> None:
        """Say once what is wrong, and begin anew a moment later: an attempt may cost a thousand times a use."""
        self._failed_at = now
        self._log_once(f"does not work ({type(problem).__name__}: {problem})")
        self.close()

    def _log_once(self, what: str) -> None:
        if not self._failing:
            _log.error("the replay store in %s %s; proofs are refused", self._directory, what)
        self._failing = True

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
        self._open = None


def _times(transaction: lmdb.Transaction[bytes], now: float) -> tuple[float, float]:
    """Return birth and newest time as they are on record, after recording this one where it is newer.

    A store without a record is born now.
    """
    recorded = transaction.get(_TIMES_KEY)
    birth, newest = (now, -_RECORD_EVERY_S) if recorded is None else _TIMES.unpack(recorded)
    if now >= newest + _RECORD_EVERY_S:
        newest = now
        transaction.put(_TIMES_KEY, _TIMES.pack(birth, newest))
    return birth, newest


def _horizon(newest: float) -> bytes:
    """Spell the newest time so that every horizon not after it compares as not greater."""
    return int(newest).to_bytes(_HORIZON_BYTES)


def _open(path: Path, size: int) -> lmdb.Environment:
    return lmdb.open(
        str(path),
        map_size=size,
        subdir=False,
        mode=0o600,
        sync=False,
        metasync=False,
        writemap=True,
        readahead=False,
        lib_version=0,  # the 0.9 engine: nothing of 1.0 is used
    )


_ENVIRONMENTS: Final[WeakValueDictionary[tuple[Path, Callable[[], str]], _Environment]] = WeakValueDictionary()
_environments_lock: Final = threading.Lock()
_held: list[threading.Lock] = []


def _environment(
    directory: Path, max_bytes: int, boot_id: Callable[[], str], file_systems: frozenset[str]
) -> _Environment:
    """Return this process's environment for the directory: LMDB must not have a file open twice."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory = directory.resolve()
        directories.require_directory(directory, file_systems=file_systems)
    except OSError as error:
        raise ConfigurationError(store_reasons.DIRECTORY_UNSAFE, f"{directory}: {error.strerror}") from None
    with _environments_lock:
        known = _ENVIRONMENTS.get((directory, boot_id))
        if known is None:
            known = _Environment(directory, max_bytes, boot_id, file_systems)
            _ENVIRONMENTS[directory, boot_id] = known
        return known


def _before_fork() -> None:
    """Wait until no thread is inside an environment: a child could not even close what it finds in motion."""
    _environments_lock.acquire()
    _held.append(_environments_lock)
    for environment in list(_ENVIRONMENTS.values()):
        environment.lock.acquire()
        _held.append(environment.lock)


def _after_fork() -> None:
    while _held:
        _held.pop().release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
