"""A request's body on its way from the server to the application: memory, then disk, its digest growing with it.

For everybody who compares a body with its digest before the application sees the first octet: Django's
middleware and those of `upstream`. What is held is gone when the file is closed.
"""

from __future__ import annotations

import hashlib
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Final

from bonafide.errors import MalformedEvidence
from bonafide.proof.content_digest import format_digest
from bonafide.reasons import request as reasons

if TYPE_CHECKING:
    from collections.abc import Callable

    Read = Callable[[int], bytes]

CHUNK_BYTES: Final = 64 * 1024


class BodySpool:
    """Octets as they arrive. `file` holds what was accepted, `rest` the chunk that was one too many."""

    def __init__(self, *, memory_bytes: int, max_bytes: int | None) -> None:
        """Hold at most `memory_bytes` in memory, the rest on disk, and accept at most `max_bytes` in all."""
        # A limit of one octet means disk at once; zero would mean memory without limit.
        self.file: Final[IO[bytes]] = SpooledTemporaryFile(max_size=max(1, memory_bytes))  # noqa: SIM115 - see `close`
        self.size = 0
        self.rest = b""
        self._memory_bytes = memory_bytes
        self._max_bytes = max_bytes
        self._sha256 = hashlib.sha256()

    def needs_disk(self, more: int = 0) -> bool:
        """Tell whether reading, or writing `more` octets, may wait for a disk."""
        return self.size + more > self._memory_bytes

    def write(self, chunk: bytes) -> None:
        """Accept a chunk. Raises `MalformedEvidence` (`request.body_too_large`); the chunk is then `rest`."""
        self.size += len(chunk)
        try:
            require_within(self.size, self._max_bytes)
        except MalformedEvidence:
            self.rest = chunk
            raise
        self.file.write(chunk)
        self._sha256.update(chunk)

    def fill(self, read: Read, length: int | None) -> None:
        """Read a body to its announced length, or where that is None to its end, and no further than `max_bytes`.

        Raises `MalformedEvidence` (`request.body_too_large`, `request.body_incomplete`).
        """
        while length is None or self.size < length:
            chunk = read_chunk(read, CHUNK_BYTES if length is None else min(CHUNK_BYTES, length - self.size))
            if not chunk:
                break
            self.write(chunk)
        self.require_whole(length)

    def require_whole(self, length: int | None) -> None:
        """Raise `MalformedEvidence` (`request.body_incomplete`) unless the announced length has arrived."""
        if length is not None and self.size != length:
            raise MalformedEvidence(reasons.BODY_INCOMPLETE, f"{self.size} of {length} octets")

    def rewind(self) -> None:
        """Have the file read from its beginning."""
        self.file.seek(0)

    def digest(self) -> str:
        """Return the Content-Digest header value of what was accepted."""
        return format_digest(self._sha256.digest())

    def close(self) -> None:
        """Give memory and disk back. Safe to call twice."""
        self.file.close()


def read_chunk(read: Read, size: int) -> bytes:
    """Read from a server. Raises `MalformedEvidence` (`request.body_incomplete`) for whatever the server raises."""
    try:
        return read(size)
    except Exception:  # noqa: BLE001 - servers raise classes of their own when a peer goes away or breaks its chunks
        raise MalformedEvidence(reasons.BODY_INCOMPLETE, "the server could not read it") from None


def require_within(size: int, max_bytes: int | None) -> None:
    """Raise `MalformedEvidence` (`request.body_too_large`) for a body of `size` octets that is too long."""
    if max_bytes is not None and size > max_bytes:
        raise MalformedEvidence(reasons.BODY_TOO_LARGE, f"more than {max_bytes} octets")
