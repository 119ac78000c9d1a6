"""Where the octets of keys lie: a port that knows nothing of keys, and that any number of processes share.

A document has a name below its environment, `service.json` or `shop/gate.json`, and is whole or absent. Writers
say what to make of the document that is there, and may be asked again when somebody else was first; so a plan
is a function without effects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from bonafide.errors import BonafideError


class StorageSilent(Exception):
    """The storage failed for a cause outside the program that may pass: a disk, a database, a token.

    What was not read is unknown, and what was to be written may or may not have been.
    """

    def __init__(self, where: str, cause: str, refusal: BonafideError) -> None:
        """Say which storage it is and what it lacks; `refusal` is for those who cannot go on without it."""
        super().__init__(f"{where}: {cause}")
        self.where = where
        self.cause = cause
        self.refusal = refusal


class KeyStorage(Protocol):
    """Documents of one environment. Conformance suite: `tests/stores/test_key_storage.py`.

    Each method raises `ConfigurationError` (`configuration.keys_unsafe`, `configuration.secret_unsealable`) for a
    document that somebody else could have read or written, and `StorageSilent` for a storage that fails.
    """

    def where(self, name: str) -> str:
        """Return what a document is called in words for the operator."""
        ...

    def read(self, name: str) -> bytes | None:
        """Return the document, or None where there is none."""
        ...

    def change(self, name: str, plan: Callable[[bytes | None], bytes | None]) -> bytes | None:
        """Replace the document by what `plan` makes of it, and return what then lies there.

        A plan that returns its argument changes nothing. No writer's change is lost: where another
        was first, the plan is asked again with what that one left, or its document is returned.
        """
        ...

    def put(self, name: str, data: bytes) -> None:
        """Write a document whatever was there before, also one that does not open. A change under way loses to it."""
        ...
