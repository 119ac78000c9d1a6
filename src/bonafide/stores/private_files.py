"""Small files with secrets in them: readable by their owner alone, whole or absent, and written by one at a time.

A file appears under its name only when it is complete and on the disk. Not claimed: that the octets of a
replaced file are gone from the medium; journals, snapshots and flash memory keep copies as they please.
"""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_BYTES: Final = 1024 * 1024
"""No file of ours comes near it; a larger one is somebody's mistake."""

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_LOCK: Final = ".lock"


def own_directory(path: Path) -> None:
    """Make `path` and its missing parents with mode 0700, and refuse a directory that others may enter.

    Any number of processes may do so at once. Only `path` itself is judged, not what lies above it.

    Raises `ConfigurationError` (`configuration.keys_unsafe`); `OSError` where it cannot be made.
    """
    for missing in reversed([path, *path.parents]):
        if not missing.exists():
            missing.mkdir(mode=0o700, exist_ok=True)
    status = path.stat()
    if not stat.S_ISDIR(status.st_mode):
        raise ConfigurationError(reasons.KEYS_UNSAFE, f"{path} is not a directory")
    _refuse_others(path, status)


def read(path: Path, *, max_bytes: int = MAX_BYTES) -> bytes | None:
    """Return what the file holds, or None where there is none.

    Raises `ConfigurationError` (`configuration.keys_unsafe`) for anything but a regular file, a file of
    another owner, or one that its group or others may touch; `OSError` for a symbolic link, and where
    the system refuses.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > max_bytes:
            raise ConfigurationError(reasons.KEYS_UNSAFE, f"{path} is not a small regular file")
        _refuse_others(path, status)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


@contextmanager
def exclusively(directory: Path) -> Iterator[None]:
    """Hold the directory's lock, which the system releases when its holder dies. Readers need none."""
    descriptor = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def create(path: Path, data: bytes) -> bool:
    """Write a file that is not there yet, durably; tell whether it was this call that made it.

    Never replaces a file, also where the file system's locks do nothing.
    """
    temporary = _write_beside(path, data)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    _flush_directory(path.parent)
    return True


def replace(path: Path, data: bytes) -> None:
    """Put a file in the place of the one of that name, durably; a reader sees the old one or the new one."""
    _write_beside(path, data).replace(path)
    _flush_directory(path.parent)


def remove_unfinished(directory: Path) -> None:
    """Remove what writers that died left behind. The caller holds the directory's lock."""
    for leftover in directory.glob(".*.unfinished"):
        leftover.unlink(missing_ok=True)


def _write_beside(path: Path, data: bytes) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    return temporary


def _flush_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_others(path: Path, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        raise ConfigurationError(reasons.KEYS_UNSAFE, f"{path} belongs to another user")
    if status.st_mode & _OTHERS:
        raise ConfigurationError(reasons.KEYS_UNSAFE, f"{path} is open to its group or to others")
