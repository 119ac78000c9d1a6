"""The service's keys in private files: the rings of `key_rings` over the storage of `key_storage_files`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from bonafide.stores.key_rings import MAX_APP_CHARACTERS, REREAD_AFTER, AppKeys, ServiceKeys
from bonafide.stores.key_storage_files import PrivateFileStorage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bonafide.terms import Environment

__all__ = ["MAX_APP_CHARACTERS", "REREAD_AFTER", "KeyFiles", "ServiceKeyFile"]


class KeyFiles(AppKeys):
    """`AppKeys` in `<directory>/<environment>/<app>/`. Hosts that mount one directory share its keys."""

    def __init__(self, directory: Path, *, environment: Environment, **options: Any) -> None:
        """Name the files; nothing is read or written yet. `options` and what is raised are those of `AppKeys`."""
        super().__init__(PrivateFileStorage(directory, environment), **options)


class ServiceKeyFile(ServiceKeys):
    """`ServiceKeys` in `<directory>/<environment>/service.json`."""

    def __init__(
        self, directory: Path, *, environment: Environment, random: Callable[[int], bytes] = os.urandom
    ) -> None:
        """Name the file; nothing is read or written yet."""
        super().__init__(PrivateFileStorage(directory, environment), random=random)
