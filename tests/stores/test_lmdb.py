"""The LMDB store in one process: the suite, births, copies, clocks, full maps and unsafe places."""

from __future__ import annotations

import os
import shutil
from math import ceil
from typing import TYPE_CHECKING

import lmdb
import pytest

from bonafide.errors import ConfigurationError
from bonafide.ports import FirstUse, Scope
from bonafide.reasons import Reason, configuration
from bonafide.reasons import store as reasons
from bonafide.stores import InlineReplayStore
from bonafide.stores import lmdb as lmdb_store
from bonafide.stores._directory import LOCAL_FILE_SYSTEMS
from bonafide.stores.lmdb import LmdbReplayStore
from bonafide.testing.replay_store import BIRTH, READY, ReplayStoreSuite, replay_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEBIBYTE = 1024 * 1024
SMALL = 8000
"""A store of 1 MiB holds more keys than this, and fewer than twice as many."""


def _boot() -> str:
    return "one boot"


def _another_boot() -> str:
    return "another boot"


def _use(store: LmdbReplayStore, name: str, at: float = READY, *, created: int | None = None) -> FirstUse:
    return store.remember(replay_key(name), created=int(at) if created is None else created, now=at)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "replay"


@pytest.fixture
def store(directory: Path) -> Iterator[LmdbReplayStore]:
    """Return a store that was born long enough ago to vouch for proofs of `READY`."""
    opened = LmdbReplayStore(directory, max_bytes=MEBIBYTE, boot_id=_boot)
    assert _use(opened, "birth", BIRTH) is FirstUse.FENCED
    yield opened
    opened.close()


class TestLmdbReplayStore(ReplayStoreSuite):
    @pytest.fixture
    def store(self, directory: Path) -> Iterator[LmdbReplayStore]:
        opened = LmdbReplayStore(directory, max_bytes=MEBIBYTE)
        yield opened
        opened.close()


class TestLmdbReplayStoreOnAnEventLoop(ReplayStoreSuite):
    @pytest.fixture
    def store(self, directory: Path) -> Iterator[InlineReplayStore]:
        opened = LmdbReplayStore(directory, max_bytes=MEBIBYTE)
        yield InlineReplayStore(opened)
        opened.close()


# What lies on the disk --------------------------------------------------------------------------------


def test_it_sees_one_host(store: LmdbReplayStore) -> None:
    assert store.scope is Scope.HOST


def test_a_store_that_nobody_asked_has_opened_nothing(directory: Path) -> None:
    LmdbReplayStore(directory)
    assert list(directory.iterdir()) == []
    assert directory.stat().st_mode & 0o777 == 0o700


def test_only_its_owner_may_read_or_write_what_it_makes(store: LmdbReplayStore, directory: Path) -> None:
    assert _use(store, "a") is FirstUse.FIRST
    modes = {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}
    assert modes == dict.fromkeys(("replay.mdb", "replay.mdb-lock", "replay.note"), 0o600)


def test_the_whole_file_is_taken_from_the_disk_when_it_is_made(store: LmdbReplayStore, directory: Path) -> None:
    """A map over a hole kills its process when the disk is full."""
    assert _use(store, "a") is FirstUse.FIRST
    status = (directory / "replay.mdb").stat()
    assert status.st_size == MEBIBYTE
    assert status.st_blocks * 512 >= MEBIBYTE


def test_it_is_opened_as_its_documentation_says(store: LmdbReplayStore) -> None:
    opened = store._environment._open
    assert opened is not None
    flags = opened.flags()
    assert {name: flags[name] for name in ("sync", "metasync", "writemap", "lock", "readonly")} == {
        "sync": False,
        "metasync": False,
        "writemap": True,
        "lock": True,
        "readonly": False,
    }
    assert opened.lib_version()[:2] == (0, 9)


def test_a_store_keeps_the_size_it_was_made_with(store: LmdbReplayStore, directory: Path) -> None:
    """Two sizes over one file would cut off pages that another process has mapped."""
    store.close()
    larger = LmdbReplayStore(directory, max_bytes=8 * MEBIBYTE, boot_id=lambda: "one boot")
    assert _use(larger, "a") is FirstUse.FIRST
    assert (directory / "replay.mdb").stat().st_size == MEBIBYTE
    larger.close()


def test_what_was_used_before_a_restart_is_replayed_after_it(store: LmdbReplayStore) -> None:
    assert _use(store, "a") is FirstUse.FIRST
    store.close()
    assert _use(store, "a") is FirstUse.REPLAYED


def test_the_newest_time_survives_a_restart_so_that_a_clock_set_back_revives_nothing(store: LmdbReplayStore) -> None:
    assert _use(store, "a") is FirstUse.FIRST
    assert _use(store, "late", READY + 600) is FirstUse.FIRST
    store.close()
    assert _use(store, "a") is FirstUse.FENCED
    assert _use(store, "b", READY + 299) is FirstUse.FENCED
    assert _use(store, "b", READY + 300) is FirstUse.FIRST


def test_two_stores_over_one_directory_are_one_store(store: LmdbReplayStore, directory: Path) -> None:
    twin = LmdbReplayStore(directory / ".." / directory.name, boot_id=_boot)
    assert _use(store, "a") is FirstUse.FIRST
    assert _use(twin, "a") is FirstUse.REPLAYED
    store.close()
    assert _use(twin, "a") is FirstUse.REPLAYED


# Births -----------------------------------------------------------------------------------------------


def _is_born_again(store: LmdbReplayStore, at: float, *, used: str) -> None:
    """Assert that what was used is refused though forgotten, and that the store vouches again from 6 s on."""
    assert _use(store, used, at, created=READY) is FirstUse.FENCED
    fence = ceil(at) + 6
    assert _use(store, "fresh", fence, created=fence - 1) is FirstUse.FENCED
    assert _use(store, "fresh", fence, created=fence) is FirstUse.FIRST


def test_a_store_of_an_earlier_boot_is_born_again(store: LmdbReplayStore, directory: Path) -> None:
    assert _use(store, "a") is FirstUse.FIRST
    store.close()
    rebooted = LmdbReplayStore(directory, max_bytes=MEBIBYTE, boot_id=_another_boot)
    _is_born_again(rebooted, READY + 10, used="a")
    rebooted.close()


def test_what_a_crash_of_the_system_tore_is_not_even_read(store: LmdbReplayStore, directory: Path) -> None:
    assert _use(store, "a") is FirstUse.FIRST
    store.close()
    (directory / "replay.mdb").write_bytes(b"torn" * 4096)
    (directory / "replay.mdb-lock").write_bytes(b"torn" * 4096)
    rebooted = LmdbReplayStore(directory, max_bytes=MEBIBYTE, boot_id=_another_boot)
    _is_born_again(rebooted, READY + 10, used="a")
    rebooted.close()


def test_a_birth_that_was_interrupted_begins_anew(store: LmdbReplayStore, directory: Path) -> None:
    """The identity is noted last: what was not noted is not a store."""
    assert _use(store, "a") is FirstUse.FIRST
    store.close()
    (directory / "replay.note").write_bytes(b"")
    _is_born_again(store, READY + 10, used="a")


def test_a_birth_takes_neither_file_of_the_one_before(store: LmdbReplayStore, directory: Path) -> None:
    """Who has the old store open still shares the old lock with others of its kind, and with nobody else."""
    store.close()
    with (directory / "replay.mdb").open("rb") as data, (directory / "replay.mdb-lock").open("rb") as lock:
        reborn = LmdbReplayStore(directory, max_bytes=MEBIBYTE, boot_id=_another_boot)
        assert _use(reborn, "birth") is FirstUse.FENCED
        assert [os.fstat(file.fileno()).st_nlink for file in (data, lock)] == [0, 0]
    reborn.close()


def test_a_birth_that_fails_leaves_nothing_noted(
    store: LmdbReplayStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_path: Path, _size: int) -> lmdb.Environment:
        what = "mdb_env_open"
        raise lmdb.DiskError(what, 28)

    reborn = LmdbReplayStore(directory, max_bytes=MEBIBYTE, boot_id=_another_boot)
    with monkeypatch.context() as patch:
        patch.setattr(lmdb_store, "_open", fail)
        assert _use(reborn, "birth") is FirstUse.UNAVAILABLE
    assert (directory / "replay.note").read_bytes() == b""
    assert _use(reborn, "birth", READY + 1) is FirstUse.FENCED
    reborn.close()


def test_a_copy_is_another_store(store: LmdbReplayStore, directory: Path) -> None:
    assert _use(store, "a") is FirstUse.FIRST
    store.close()
    copy = directory.with_name("copy")
    shutil.copytree(directory, copy)
    copied = LmdbReplayStore(copy, max_bytes=MEBIBYTE, boot_id=_boot)
    _is_born_again(copied, READY + 10, used="a")
    copied.close()


def test_a_directory_put_back_from_a_backup_is_born_again(store: LmdbReplayStore, directory: Path) -> None:
    store.close()
    backup = directory.with_name("backup")
    shutil.copytree(directory, backup)
    assert _use(store, "a") is FirstUse.FIRST
    store.close()
    shutil.rmtree(directory)
    shutil.copytree(backup, directory)
    _is_born_again(store, READY + 10, used="a")


def test_without_its_lock_file_a_store_is_born_again(store: LmdbReplayStore, directory: Path) -> None:
    """A new lock file is a second lock, under which a second writer would write at the same time."""
    assert _use(store, "a") is FirstUse.FIRST
    store.close()
    (directory / "replay.mdb-lock").unlink()
    _is_born_again(store, READY + 10, used="a")


def test_a_directory_removed_under_a_running_store_is_noticed_within_half_a_second(
    store: LmdbReplayStore, directory: Path
) -> None:
    assert _use(store, "a") is FirstUse.FIRST
    shutil.rmtree(directory)
    assert _use(store, "b", READY + 0.25) is FirstUse.FIRST
    _is_born_again(store, READY + 0.5, used="a")


def test_a_clock_that_steps_back_does_not_put_off_that_look(store: LmdbReplayStore, directory: Path) -> None:
    assert _use(store, "a") is FirstUse.FIRST
    shutil.rmtree(directory)
    _is_born_again(store, READY - 100, used="a")


# Places -----------------------------------------------------------------------------------------------


def _refused(caught: pytest.ExceptionInfo[ConfigurationError], reason: Reason) -> None:
    assert caught.value.reason is reason


def test_a_store_does_not_start_on_a_file_system_that_is_not_listed(directory: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        LmdbReplayStore(directory, file_systems=frozenset({"nfs4"}))
    _refused(caught, configuration.STORE_FILESYSTEM)
    assert "nfs4" not in LOCAL_FILE_SYSTEMS


def test_a_store_does_not_start_where_others_may_write(directory: Path) -> None:
    directory.mkdir()
    directory.chmod(0o770)
    with pytest.raises(ConfigurationError) as caught:
        LmdbReplayStore(directory)
    _refused(caught, reasons.DIRECTORY_UNSAFE)


@pytest.mark.parametrize("place", ["/proc/nothing/replay", "file/replay"])
def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError) as caught:
        LmdbReplayStore(tmp_path / place)
    _refused(caught, reasons.DIRECTORY_UNSAFE)


def test_a_store_does_not_start_where_no_boot_is_known(directory: Path) -> None:
    def unknown() -> str:
        raise ConfigurationError(reasons.BOOT_UNKNOWN)

    with pytest.raises(ConfigurationError) as caught:
        LmdbReplayStore(directory, boot_id=unknown)
    _refused(caught, reasons.BOOT_UNKNOWN)


def test_a_store_does_not_start_with_less_than_a_mebibyte(directory: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        LmdbReplayStore(directory, max_bytes=MEBIBYTE - 1)
    _refused(caught, configuration.SETTING_MALFORMED)


def test_a_place_that_became_unsafe_is_not_opened_again_and_nothing_is_raised(
    store: LmdbReplayStore, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert _use(store, "a") is FirstUse.FIRST
    store.close()
    directory.chmod(0o777)
    assert [_use(store, name) for name in "abc"] == [FirstUse.UNAVAILABLE] * 3
    assert caplog.text.count("store.directory_unsafe") == 1  # and not once for every request
    directory.chmod(0o700)
    assert _use(store, "a", READY + 1) is FirstUse.REPLAYED
    assert _use(store, "b", READY + 1) is FirstUse.FIRST


def test_after_a_failure_it_is_not_tried_again_for_a_tenth_of_a_second(store: LmdbReplayStore, directory: Path) -> None:
    store.close()
    directory.chmod(0o777)
    assert _use(store, "a") is FirstUse.UNAVAILABLE
    directory.chmod(0o700)
    assert _use(store, "a", READY + 0.05) is FirstUse.UNAVAILABLE
    assert _use(store, "a", READY + 0.1) is FirstUse.FIRST
    assert _use(store, "b", READY + 0.1) is FirstUse.FIRST


def test_a_clock_that_steps_back_does_not_put_off_the_next_try(store: LmdbReplayStore, directory: Path) -> None:
    store.close()
    directory.chmod(0o777)
    assert _use(store, "a") is FirstUse.UNAVAILABLE
    directory.chmod(0o700)
    assert _use(store, "a", READY - 100) is FirstUse.FIRST
    assert _use(store, "a") is FirstUse.REPLAYED


def test_a_record_that_is_none_is_unavailable(store: LmdbReplayStore, caplog: pytest.LogCaptureFixture) -> None:
    store.close()
    path = str(store._environment._data)
    with (
        lmdb.open(path, subdir=False, map_size=MEBIBYTE, lib_version=0) as environment,
        environment.begin(write=True) as transaction,
    ):
        transaction.put(b"\0", b"no record")
    assert _use(store, "a") is FirstUse.UNAVAILABLE
    assert "proofs are refused" in caplog.text


def test_a_place_that_cannot_be_made_is_unavailable(
    store: LmdbReplayStore, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.close()
    shutil.rmtree(directory)
    directory.write_text("a file stands there")
    assert _use(store, "a") is FirstUse.UNAVAILABLE
    assert "FileExistsError" in caplog.text


def test_a_file_that_lmdb_does_not_take_is_unavailable(
    store: LmdbReplayStore, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Overwritten in place, the file is still the same one: LMDB itself has to refuse it."""
    store.close()
    (directory / "replay.mdb").write_bytes(bytes(MEBIBYTE))
    assert _use(store, "a") is FirstUse.UNAVAILABLE
    assert "lmdb" in caplog.text.lower()
    assert "proofs are refused" in caplog.text


# Size -------------------------------------------------------------------------------------------------


def _fill(store: LmdbReplayStore, *, at: float = READY) -> list[str]:
    """Use names until the store takes no more; return those that it took."""
    taken: list[str] = []
    for n in range(10 * SMALL):
        answer = _use(store, f"fill {n}", at)
        if answer is FirstUse.UNAVAILABLE:
            return taken
        assert answer is FirstUse.FIRST
        taken.append(f"fill {n}")
    message = "the store has no end"
    raise AssertionError(message)


def _nothing_was_forgotten(store: LmdbReplayStore, taken: list[str]) -> None:
    answers = {_use(store, name) for name in taken}
    assert FirstUse.FIRST not in answers
    assert answers <= {FirstUse.REPLAYED, FirstUse.UNAVAILABLE}


def test_a_full_store_admits_nothing_and_forgets_nothing_that_lives(
    store: LmdbReplayStore, caplog: pytest.LogCaptureFixture
) -> None:
    taken = _fill(store)
    assert SMALL < len(taken) < 2 * SMALL
    _nothing_was_forgotten(store, taken)
    assert {_use(store, f"more {n}") for n in range(100)} == {FirstUse.UNAVAILABLE}
    assert caplog.text.count("is full") == 1


def test_a_full_store_takes_keys_again_as_others_expire(store: LmdbReplayStore) -> None:
    _fill(store)
    later = READY + 330
    answers = [_use(store, f"later {n}", later) for n in range(200)]
    assert answers[-1] is FirstUse.FIRST
    assert answers.count(FirstUse.UNAVAILABLE) < 10


def test_a_full_store_says_so_again_after_it_was_well(store: LmdbReplayStore, caplog: pytest.LogCaptureFixture) -> None:
    _fill(store)
    assert FirstUse.FIRST in {_use(store, f"later {n}", READY + 330) for n in range(200)}
    _fill(store, at=READY + 331)
    assert caplog.text.count("is full") == 2


def test_a_full_store_leaves_room_for_what_removing_takes(store: LmdbReplayStore) -> None:
    """At LMDB's own limit nothing could be removed either."""
    _fill(store)
    environment = store._environment._open
    assert environment is not None
    tree = environment.stat()
    pages = tree["branch_pages"] + tree["leaf_pages"]
    assert 0.75 < pages * tree["psize"] / MEBIBYTE < 0.8


def test_a_store_under_load_holds_little_more_than_what_lives(store: LmdbReplayStore) -> None:
    """Ten uses a second for an hour: 3300 live keys at any time."""
    for tenth in range(36_000):
        assert _use(store, str(tenth), READY + tenth / 10) is FirstUse.FIRST
    store.close()
    with lmdb.open(str(store._environment._data), subdir=False, readonly=True, lock=False) as environment:
        assert 3300 <= environment.stat()["entries"] < 1.3 * 3300


def test_workers_that_live_briefly_sweep_everywhere_too(store: LmdbReplayStore) -> None:
    """A process begins its sweep at the key in hand: from the first key on, all would do the same corner."""
    for worker in range(400):
        store.close()
        for n in range(10):
            assert _use(store, f"{worker} {n}", READY + 10 * worker) is FirstUse.FIRST
    store.close()
    with lmdb.open(str(store._environment._data), subdir=False, readonly=True, lock=False) as environment:
        assert 330 <= environment.stat()["entries"] < 1000


def test_an_expired_key_that_was_not_swept_yet_does_not_refuse_a_new_proof(store: LmdbReplayStore) -> None:
    for n in range(500):
        assert _use(store, str(n)) is FirstUse.FIRST
    later = READY + 330
    answers = [_use(store, str(n), later) for n in range(500)]
    assert set(answers) == {FirstUse.FIRST}
    assert {_use(store, str(n), later + 329) for n in range(500)} == {FirstUse.REPLAYED}


def test_a_store_that_is_made_ready_is_born_then_and_not_at_the_first_proof(directory: Path) -> None:
    store = LmdbReplayStore(directory)
    store.require_ready(now=BIRTH)
    assert _use(store, "after its fence", READY) is FirstUse.FIRST


def test_a_store_that_was_born_is_not_born_again_by_being_made_ready(directory: Path) -> None:
    store = LmdbReplayStore(directory)
    store.require_ready(now=BIRTH)
    store.require_ready(now=READY)
    assert _use(store, "after its fence", READY) is FirstUse.FIRST
    assert _use(store, "after its fence", READY) is FirstUse.REPLAYED


def test_a_store_that_cannot_be_made_ready_refuses_proofs_and_not_the_start(directory: Path) -> None:
    store = LmdbReplayStore(directory)
    shutil.rmtree(directory)
    directory.write_text("in its place")
    store.require_ready(now=BIRTH)
    assert _use(store, "x", READY) is FirstUse.UNAVAILABLE
