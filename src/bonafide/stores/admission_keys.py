"""The keys that one gate and one API share: a file each, 32 octets in base64url on one line.

Two files are given while a key is replaced: the gate signs with the new one, the API still knows the old one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bonafide.codec import base64url
from bonafide.errors import ConfigurationError, MalformedEvidence
from bonafide.reasons import configuration as reasons
from bonafide.statement import KEY_OCTETS
from bonafide.stores import private_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

MAX_KEYS: Final = 4
"""How many an API compares with; each is tried for each request."""


def read_admission_key(path: Path) -> bytes:
    """Return the key in a file that its owner alone may read.

    Raises `ConfigurationError` (`configuration.keys_unsafe`).
    """
    try:
        data = private_files.read(path)
    except OSError as error:
        raise ConfigurationError(reasons.KEYS_UNSAFE, f"{path}: {type(error).__name__}") from None
    if data is None:
        raise ConfigurationError(reasons.KEYS_UNSAFE, f"{path} is missing")
    try:
        key = base64url.decode(data.decode("ascii").removesuffix("\n"))
    except (MalformedEvidence, UnicodeDecodeError):
        key = b""
    if len(key) != KEY_OCTETS:
        raise ConfigurationError(reasons.KEYS_UNSAFE, f"{path} is not {KEY_OCTETS} octets in base64url")
    return key


def read_admission_keys(paths: Iterable[Path]) -> tuple[bytes, ...]:
    """Return the keys of one to `MAX_KEYS` different files, in order. Raises as `read_admission_key`."""
    listed = tuple(paths)
    keys = tuple(read_admission_key(path) for path in listed)
    if not 0 < len(keys) <= MAX_KEYS or len(set(keys)) != len(keys):
        raise ConfigurationError(reasons.KEYS_UNSAFE, f"{len(set(keys))} different keys in {len(listed)} files")
    return keys


def create_admission_key(path: Path, *, random: Callable[[int], bytes]) -> bool:
    """Write a new key where there is none; tell whether it was this call that made it.

    `random` returns that many octets of a cryptographic source. `OSError` where the system refuses.
    """
    return private_files.create(path, base64url.encode(random(KEY_OCTETS)).encode() + b"\n")
