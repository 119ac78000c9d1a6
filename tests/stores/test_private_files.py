"""A file of ours is whole or absent, and nobody else's to read."""

from __future__ import annotations

import errno
import multiprocessing
import os
import stat
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons
from bonafide.stores import private_files

if TYPE_CHECKING:
    from collections.abc import Callable


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _refused(look: Callable[[], object]) -> str:
    with pytest.raises(ConfigurationError) as refusal:
        look()
    assert refusal.value.reason is reasons.KEYS_UNSAFE
    return refusal.value.detail


def test_a_file_is_created_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        private_files.own_directory(tmp_path / "a" / "b")
        assert private_files.create(tmp_path / "a" / "b" / "file", b"data")
    finally:
        os.umask(before)
    assert [_mode(tmp_path / "a"), _mode(tmp_path / "a" / "b")] == [0o700, 0o700]
    assert _mode(tmp_path / "a" / "b" / "file") == 0o600
    assert private_files.read(tmp_path / "a" / "b" / "file") == b"data"


def test_a_file_that_is_there_is_never_created_again(tmp_path: Path) -> None:
    assert private_files.create(tmp_path / "file", b"first")
    assert not private_files.create(tmp_path / "file", b"second")
    assert private_files.read(tmp_path / "file") == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    private_files.create(tmp_path / "file", b"first")
    private_files.replace(tmp_path / "file", b"second")
    assert private_files.read(tmp_path / "file") == b"second"
    assert _mode(tmp_path / "file") == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_absent_file_is_none(tmp_path: Path) -> None:
    assert private_files.read(tmp_path / "file") is None


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o666])
def test_a_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    private_files.create(tmp_path / "file", b"data")
    (tmp_path / "file").chmod(mode)
    assert "open to its group" in _refused(lambda: private_files.read(tmp_path / "file"))


def test_a_file_of_another_owner_is_refused(tmp_path: Path) -> None:
    private_files.create(tmp_path / "file", b"data")
    foreign = _given_away(tmp_path / "file", or_else=Path("/etc/passwd"))
    assert "another user" in _refused(lambda: private_files.read(foreign))


def _given_away(path: Path, *, or_else: Path) -> Path:
    """Return what belongs to somebody else: only root can give `path` away, and to all others root's are foreign."""
    if os.geteuid() != 0:
        return or_else
    os.chown(path, 12345, -1)
    return path


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    private_files.create(tmp_path / "file", b"data")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with pytest.raises(OSError, match="symbolic"):
        private_files.read(tmp_path / "link")


def test_anything_but_a_small_regular_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir(mode=0o700)
    os.mkfifo(tmp_path / "pipe", mode=0o600)
    private_files.create(tmp_path / "large", bytes(private_files.MAX_BYTES + 1))
    for name in ("directory", "pipe", "large"):
        assert "small regular file" in _refused(partial(private_files.read, tmp_path / name))


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o770, 0o701])
def test_a_directory_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a").chmod(mode)
    assert "open to its group" in _refused(lambda: private_files.own_directory(tmp_path / "a"))


def test_a_directory_of_another_owner_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o700)
    foreign = _given_away(tmp_path / "a", or_else=Path("/etc"))
    assert "another user" in _refused(lambda: private_files.own_directory(foreign))


def test_a_file_in_the_place_of_a_directory_is_refused(tmp_path: Path) -> None:
    private_files.create(tmp_path / "a", b"")
    assert "not a directory" in _refused(lambda: private_files.own_directory(tmp_path / "a"))


def test_what_a_writer_that_died_left_behind_is_removed_and_nothing_else(tmp_path: Path) -> None:
    private_files.create(tmp_path / "file", b"data")
    (tmp_path / ".file.4711.unfinished").write_bytes(b"secret")
    private_files.remove_unfinished(tmp_path, of="another")
    assert len(list(tmp_path.iterdir())) == 2
    private_files.remove_unfinished(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("call", ["os.link", "pathlib.Path.replace"])
def test_a_writer_that_dies_before_publishing_changes_nothing(tmp_path: Path, call: str) -> None:
    private_files.create(tmp_path / "file", b"first")
    program = f"""
import os, pathlib
from bonafide.stores import private_files
{call} = lambda *arguments: os._exit(9)
home = pathlib.Path({str(tmp_path)!r})
private_files.{"create" if call == "os.link" else "replace"}(home / "file", b"second")
"""
    assert subprocess.run([sys.executable, "-c", program], env=_environment(), check=False).returncode == 9
    assert private_files.read(tmp_path / "file") == b"first"
    assert len(list(tmp_path.glob(".*.unfinished"))) == 1


@pytest.mark.parametrize("write", [private_files.create, private_files.replace])
def test_a_disk_that_was_full_is_written_to_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, bytes], object]
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "file", b"first")
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []
    write(tmp_path / "file", b"second")
    assert private_files.read(tmp_path / "file") == b"second"


def test_what_a_writer_that_died_left_behind_is_in_nobodys_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container, the process that comes next has the same id."""
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    monkeypatch.setattr(Path, "replace", lambda *_: sys.exit())
    with pytest.raises(SystemExit):
        private_files.replace(tmp_path / "file", b"first")
    monkeypatch.undo()
    assert len(list(tmp_path.glob(".*.unfinished"))) == 1
    private_files.replace(tmp_path / "file", b"second")
    assert private_files.read(tmp_path / "file") == b"second"


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(private_files.__file__).parents[2])}


def test_the_lock_lets_one_process_at_a_time_in_and_outlives_no_holder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    (tmp_path / "count").write_text("0")
    workers = [context.Process(target=_count_slowly, args=(tmp_path, index)) for index in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [7, 0, 0, 0]
    assert (tmp_path / "count").read_text() == "80"


def _count_slowly(home: Path, index: int) -> None:
    """Add 20 by reading and writing, which loses some unless one process at a time does it; the first dies inside."""
    for _ in range(20):
        with private_files.exclusively(home):
            count = int((home / "count").read_text())
            os.sched_yield()
            (home / "count").write_text(str(count + 1))
    if index == 0:
        with private_files.exclusively(home):
            os._exit(7)
