"""Where a store may lie, and how a file that is not the same one any more is told from the one that was."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

import pytest

from bonafide.errors import ConfigurationError
from bonafide.reasons import Reason, configuration
from bonafide.reasons import store as reasons
from bonafide.stores import _directory as directories

BOOT = "863bf3fe-e9fa-47f0-8a6c-0f78d0917f94"

MOUNTS = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 27 254:1 / /data rw,relatime shared:2 master:1 - xfs /dev/vdb rw
31 30 0:40 /share /data/far rw,relatime - nfs4 server:/share rw
32 30 0:41 / /data/far/near rw,relatime - tmpfs tmpfs rw
33 30 0:42 / /data/twice rw,relatime - ext4 /dev/vdc rw
34 33 0:43 / /data/twice rw,relatime - fuse.sshfs host: rw
35 30 0:44 / /data/with\040space rw,relatime - 9p share rw
a line that says nothing
36 30 0:45 / not-a-path rw - btrfs /dev/vdd rw
"""


def _refused(caught: pytest.ExceptionInfo[ConfigurationError], reason: Reason, *, naming: object) -> None:
    assert caught.value.reason is reason
    assert str(naming) in caught.value.detail


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text(MOUNTS)
    return path


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/replay", "ext4"),
        ("/data/replay", "xfs"),
        ("/data", "xfs"),
        ("/database", "ext4"),
        ("/data/far/replay", "nfs4"),
        ("/data/far/near/replay", "tmpfs"),
        ("/data/far/nearer", "nfs4"),
        ("/data/twice/replay", "fuse.sshfs"),
        ("/data/with space/replay", "9p"),
    ],
)
def test_the_longest_and_last_mount_says_what_a_path_lies_on(mounts: Path, path: str, kind: str) -> None:
    assert directories.file_system(Path(path), mounts=mounts) == kind


def test_without_a_list_of_mounts_nothing_is_known(tmp_path: Path) -> None:
    assert directories.file_system(tmp_path, mounts=tmp_path / "missing") == "unknown"


def test_this_machine_says_what_its_temporary_directory_lies_on(tmp_path: Path) -> None:
    assert directories.file_system(tmp_path.resolve()) != "unknown"


def _require(path: Path, **given: frozenset[str]) -> None:
    here = frozenset({directories.file_system(path)})
    directories.require_directory(path, file_systems=given.get("file_systems", here))


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "fuse.sshfs", "ceph", "lustre"])
def test_a_network_file_system_is_no_place_for_a_store(tmp_path: Path, kind: str) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"27 1 0:40 / / rw - {kind} server:/share rw\n")
    with pytest.raises(ConfigurationError) as caught:
        directories.require_directory(tmp_path, file_systems=directories.LOCAL_FILE_SYSTEMS, mounts=mounts)
    _refused(caught, configuration.STORE_FILESYSTEM, naming=kind)


def test_a_file_system_that_nothing_is_known_of_is_no_place_either(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        directories.require_directory(
            tmp_path, file_systems=directories.LOCAL_FILE_SYSTEMS, mounts=tmp_path / "missing"
        )
    _refused(caught, configuration.STORE_FILESYSTEM, naming="unknown")


def test_a_private_directory_on_a_local_disk_is_one(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    _require(tmp_path)


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777, 0o1777, 0o2770])
def test_a_directory_that_others_may_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(ConfigurationError) as caught:
        _require(tmp_path)
    _refused(caught, reasons.DIRECTORY_UNSAFE, naming=tmp_path)


def test_a_directory_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(ConfigurationError) as caught:
        _require(tmp_path)
    _refused(caught, reasons.DIRECTORY_UNSAFE, naming=tmp_path)


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(ConfigurationError) as caught:
        _require(path)
    _refused(caught, reasons.DIRECTORY_UNSAFE, naming=path)


def test_a_directory_that_everyone_could_replace_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "above" / "store"
    path.mkdir(parents=True)
    path.parent.chmod(0o777)
    with pytest.raises(ConfigurationError) as caught:
        _require(path)
    _refused(caught, reasons.DIRECTORY_UNSAFE, naming=path.parent)
    path.parent.chmod(0o1777)  # sticky, as /tmp is: only the owner may rename or remove
    _require(path)


def test_linux_says_which_boot_this_is() -> None:
    assert directories.read_boot_id() == directories.read_boot_id()


@pytest.mark.parametrize("text", [None, "", "x", BOOT.upper(), BOOT + "0", "\xff"])
def test_a_boot_without_an_id_is_refused(tmp_path: Path, text: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "boot_id"
    if text is not None:
        path.write_text(text, encoding="latin-1")
    monkeypatch.setattr(directories, "_BOOT", path)
    with pytest.raises(ConfigurationError) as caught:
        directories.read_boot_id()
    _refused(caught, reasons.BOOT_UNKNOWN, naming=path)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Return a store's file and its lock file, as they stand after birth."""
    data, lock = tmp_path / "data", tmp_path / "lock"
    data.write_bytes(b"d")
    lock.write_bytes(b"l")
    return data, lock


def _identity(pair: tuple[Path, Path], boot: str = BOOT) -> bytes | None:
    return directories.identity(pair[0], beside=pair[1], boot=boot)


def test_a_file_keeps_its_identity_when_it_is_written_to(pair: tuple[Path, Path]) -> None:
    before = _identity(pair)
    pair[0].write_bytes(b"much more")
    assert before is not None
    assert _identity(pair) == before


def test_another_boot_gives_another_identity(pair: tuple[Path, Path]) -> None:
    assert _identity(pair) != _identity(pair, BOOT.replace("8", "9"))


@pytest.mark.parametrize("which", [0, 1])
def test_a_file_that_was_put_in_place_of_either_has_another_identity(pair: tuple[Path, Path], which: int) -> None:
    before = _identity(pair)
    copy = pair[which].with_name("copy")
    shutil.copy2(pair[which], copy)
    copy.replace(pair[which])
    assert _identity(pair) != before


@pytest.mark.parametrize("which", [0, 1])
def test_where_either_is_missing_there_is_no_identity(pair: tuple[Path, Path], which: int) -> None:
    pair[which].unlink()
    assert _identity(pair) is None


def test_the_generation_tells_an_inode_from_an_earlier_one_of_its_number(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _identity(pair)
    monkeypatch.setattr(directories, "_generation", lambda _: 0x123456789)
    assert _identity(pair) != before


def test_a_file_system_without_generations_counts_as_one_generation() -> None:
    descriptor = os.open(os.devnull, os.O_RDONLY)
    try:
        assert directories._generation(descriptor) == 0
    finally:
        os.close(descriptor)


def test_a_link_is_not_followed(pair: tuple[Path, Path]) -> None:
    target = pair[0].rename(pair[0].with_name("elsewhere"))
    pair[0].symlink_to(target)
    with pytest.raises(OSError, match="symbolic link"):
        _identity(pair)


def test_a_note_replaces_the_one_before(tmp_path: Path) -> None:
    descriptor = directories.lock(tmp_path / "note")
    try:
        assert directories.read_note(descriptor) == b""
        directories.write_note(descriptor, b"a long note")
        directories.write_note(descriptor, b"short")
        assert directories.read_note(descriptor) == b"short"
    finally:
        os.close(descriptor)
    assert (tmp_path / "note").stat().st_mode & 0o777 == 0o600


def test_a_note_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    descriptor = directories.lock(tmp_path / "note")
    other = os.open(tmp_path / "note", os.O_RDWR)
    try:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(other)
        os.close(descriptor)


def test_whoever_waited_for_a_note_that_was_removed_takes_the_one_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the opening and the lock, somebody removes the directory's contents, twice."""
    path, flock, removals = tmp_path / "note", fcntl.flock, iter([True, True])

    def remove_and_lock(descriptor: int, how: int) -> None:
        if next(removals, False):
            path.unlink()
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", remove_and_lock)
    descriptor = directories.lock(path)
    try:
        assert os.fstat(descriptor).st_ino == path.stat().st_ino
        assert os.fstat(descriptor).st_nlink == 1
    finally:
        os.close(descriptor)


def test_a_lock_that_fails_leaves_no_descriptor_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sorted(Path("/proc/self/fd").iterdir())

    def refuse(_descriptor: int, _how: int) -> None:
        raise InterruptedError

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(InterruptedError):
        directories.lock(tmp_path / "note")
    assert sorted(Path("/proc/self/fd").iterdir()) == before
