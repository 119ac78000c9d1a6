"""Where a replay store on disk may lie, and how it is known that its file is still the same one.

A store that is not synced to disk is whole as long as the system runs, and worth nothing afterwards.
A store that was put back from a backup lacks what was used since. Neither may be asked, nor even be
mapped into memory: a torn B-tree crashes its reader. So the directory holds, beside the store, a note
of what the store's file was when it was born: the boot, the device, the inode and the inode's
generation. A file that differs in any of them is removed unread, and the store is born again; likewise
where LMDB's lock file is another one, which would let a second writer in.

Not noticed: an older copy of the same file written *into* it in the same boot (`cp` over it, `rsync
--inplace`), and a virtual machine set back together with its memory. Remove the directory after either.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import struct
from pathlib import Path
from typing import Final

from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration
from bonafide.reasons import store as reasons

LOCAL_FILE_SYSTEMS: Final = frozenset(
    {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "tmpfs", "xfs", "zfs"}
)
"""Where a shared memory map is one memory for all processes. A list of these, and not of network file
systems: what is not known, FUSE and a hypervisor's shared folders among it, is refused."""

_MOUNTS: Final = Path("/proc/self/mountinfo")
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_BOOT_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOUNT: Final = re.compile(r"\d+ \d+ \d+:\d+ \S+ (?P<point>/\S*) (?:\S+ )*- (?P<kind>\S+) ")
"""mount id, parent, device, root, mount point, options, optional fields, a hyphen, type (proc_pid_mountinfo(5))"""
_OCTAL: Final = re.compile(r"\\([0-7]{3})")
_GENERATION: Final = 0x80087601
"""FS_IOC_GETVERSION: tells an inode from an earlier one of the same number. ext4, xfs and btrfs know it."""

_NOTE_BYTES: Final = 256


def read_boot_id() -> str:
    """Return the id that Linux draws anew at every boot.

    Raises `ConfigurationError` (`store.boot_unknown`) where there is none.
    """
    try:
        text = _BOOT.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(reasons.BOOT_UNKNOWN, f"{_BOOT} cannot be read") from None
    if not _BOOT_ID.fullmatch(text):
        raise ConfigurationError(reasons.BOOT_UNKNOWN, f"{_BOOT} holds no id")
    return text


def require_directory(path: Path, *, file_systems: frozenset[str], mounts: Path = _MOUNTS) -> None:
    """Refuse a directory that another user could write to or replace, or that is not on a local disk.

    The directory must belong to this process's user and be writable by nobody else. What lies above it
    must not be writable by everyone, but for directories with the sticky bit such as /tmp.

    Raises `ConfigurationError` (`store.directory_unsafe`, `configuration.store_filesystem`).
    """
    status = path.stat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise ConfigurationError(reasons.DIRECTORY_UNSAFE, f"{path} is no directory of this process's user")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigurationError(reasons.DIRECTORY_UNSAFE, f"{path} is writable by its group or by others")
    for above in path.parents:
        mode = above.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise ConfigurationError(reasons.DIRECTORY_UNSAFE, f"{above}, above the store, is writable by everyone")
    kind = file_system(path, mounts=mounts)
    if kind not in file_systems:
        raise ConfigurationError(configuration.STORE_FILESYSTEM, f"{path} lies on {kind}")


def file_system(path: Path, *, mounts: Path = _MOUNTS) -> str:
    """Return the type of the file system that `path`, absolute and free of links, lies on; "unknown" if none says.

    `mounts` has the form of /proc/self/mountinfo: the mount with the longest path that leads to `path`
    holds it, the last one where several lie over each other.
    """
    found, depth = "unknown", 0
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return found
    for line in lines:
        match = _MOUNT.match(line)
        if match:
            point = Path(_OCTAL.sub(lambda digits: chr(int(digits[1], 8)), match["point"]))
            if path.is_relative_to(point) and len(point.parts) >= depth:
                found, depth = match["kind"], len(point.parts)
    return found


def lock(path: Path) -> int:
    """Open and exclusively lock the note, making it where it is missing; the caller closes the descriptor.

    Returns only with the file that is under that name: another process may have removed the one that
    this process was waiting for.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if place(path) == _place(os.fstat(descriptor)):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def place(path: Path) -> tuple[int, int] | None:
    """Return device and inode of what is under this name now, None where there is nothing."""
    try:
        return _place(path.lstat())
    except FileNotFoundError:
        return None


def _place(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def identity(path: Path, *, beside: Path, boot: str) -> bytes | None:
    """Spell what tells this file from every other, and that the one `beside` it is still its own.

    None where either is missing. The one beside is only looked at: closing a descriptor of LMDB's lock
    file would drop the locks that this process holds on it.
    """
    companion = place(beside)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        device, inode = _place(os.fstat(descriptor))
        generation = _generation(descriptor)
    finally:
        os.close(descriptor)
    return None if companion is None else f"{boot} {device:x} {inode:x} {generation:x} {companion[1]:x}\n".encode()


def _generation(descriptor: int) -> int:
    try:
        answer = fcntl.ioctl(descriptor, _GENERATION, bytes(8))
    except OSError:
        return 0
    return int(struct.unpack("=Q", answer)[0])


def read_note(descriptor: int) -> bytes:
    """Return what was noted, empty where nothing was."""
    return os.pread(descriptor, _NOTE_BYTES, 0)


def write_note(descriptor: int, note: bytes) -> None:
    """Note this, in place of what was noted."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, note, 0)
