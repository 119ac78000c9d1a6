"""Documents of keys in private files: one directory for each environment, one for each app below it.

    <directory>/<environment>/service.json
    <directory>/<environment>/<app>/gate.json

Writers take turns under the lock of the document's directory; readers need none.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons
from bonafide.stores import private_files
from bonafide.stores.key_storage import StorageSilent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bonafide.terms import Environment


class PrivateFileStorage:
    """`KeyStorage` in files that their owner alone may read. The directories are made with the first look."""

    def __init__(self, directory: Path, environment: Environment) -> None:
        """Name the directory; nothing is read or written yet."""
        self._directory = directory
        self._home = directory / environment

    def where(self, name: str) -> str:
        """See `KeyStorage.where`: the path."""
        return str(self._home / name)

    def read(self, name: str) -> bytes | None:
        """See `KeyStorage.read`."""
        with self._place(name) as path:
            return private_files.read(path)

    def change(self, name: str, plan: Callable[[bytes | None], bytes | None]) -> bytes | None:
        """See `KeyStorage.change`. On a file system whose locks do nothing, a first document is never replaced."""
        with self._place(name) as path, private_files.exclusively(path.parent):
            private_files.remove_unfinished(path.parent)
            held = private_files.read(path)
            planned = plan(held)
            if planned is None or planned is held:
                return held
            if held is None:
                private_files.create(path, planned)
            else:
                private_files.replace(path, planned)
            return private_files.read(path)  # another process may have been first

    def put(self, name: str, data: bytes) -> None:
        """See `KeyStorage.put`."""
        with self._place(name) as path, private_files.exclusively(path.parent):
            private_files.remove_unfinished(path.parent)
            private_files.replace(path, data)

    def names(self) -> list[str]:
        """Return the names of all documents of the environment, in order."""
        found = [path for path in self._home.glob("**/*") if path.suffix in {".json", ".key"} and path.is_file()]
        return sorted(str(path.relative_to(self._home)) for path in found if not path.name.startswith("."))

    @contextmanager
    def _place(self, name: str) -> Iterator[Path]:
        """Own the directories down to the document's, and say in our words what the system refuses."""
        path = self._home / name
        try:
            for level in dict.fromkeys((self._directory, self._home, path.parent)):
                private_files.own_directory(level)
            yield path
        except OSError as error:
            cause = error.strerror or type(error).__name__
            refusal = ConfigurationError(reasons.KEYS_UNSAFE, f"{path}: {cause}")
            raise StorageSilent(str(path), cause, refusal) from error
