"""Small files with secrets in them: readable by their owner alone, whole or absent, and written by one at a time.

A file appears under its name only when it is complete and on the disk. Not claimed: that the octets of a
replaced file are gone from the medium; journals, snapshots and flash memory keep copies as they please.
"""

from __future__ import annotations

import fcntl
import os
import secrets
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

    Never replaces a file, also where the file system's locks do nothing. Raises `OSError` where it cannot be written,
    and leaves nothing behind.
    """
    with _written_beside(path, data) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
    _flush_directory(path.parent)
    return True


def replace(path: Path, data: bytes) -> None:
    """Put a file in the place of the one of that name, durably; a reader sees the old one or the new one.

    Raises `OSError` where it cannot be written; the old one stands then, and nothing else is left behind.
    """
    with _written_beside(path, data) as temporary:
        temporary.replace(path)
    _flush_directory(path.parent)


def remove_unfinished(directory: Path, *, of: str | None = None) -> None:
    """Remove what writers that died left behind, of the file `of` or of all. Nobody else writes these meanwhile."""
    for leftover in directory.glob(".*.unfinished" if of is None else f".{of}.*.unfinished"):
        leftover.unlink(missing_ok=True)


@contextmanager
def _written_beside(path: Path, data: bytes) -> Iterator[Path]:
    """Write a file under a name of its own, which is gone afterwards.

    The name is drawn: one that could come again would be taken for ever by a writer that died.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.unfinished")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


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
