"""A request's body, read once: its digest is known before the application sees the first octet.

Under WSGI the body passes through a spool (memory, then disk) that the view reads instead; under ASGI Django
has spooled it before any middleware runs, and that file is read once more and rewound. Either way
`request.POST`, `FILES`, `body` and parsers of other frameworks find an unread stream with the same octets.
"""

from __future__ import annotations

import hashlib
import io
import os
from typing import TYPE_CHECKING, Any, Final

from bonafide import server_interfaces as interfaces
from bonafide.errors import MalformedEvidence, Misuse
from bonafide.proof.content_digest import NO_BODY, format_digest
from bonafide.reasons import misuse
from bonafide.reasons import request as reasons
from bonafide.stores.body_spool import CHUNK_BYTES, BodySpool, read_chunk, require_within

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest

MAX_INLINE_BYTES: Final = 1024 * 1024
"""Below this, hashing a body that is already here blocks an event loop for less than a switch of threads would."""


def is_held(request: HttpRequest) -> bool:
    """Tell whether the whole body is in this process already (ASGI)."""
    stream = _stream(request)
    return hasattr(stream, "seekable") and stream.seekable()


def is_quick(request: HttpRequest) -> bool:
    """Tell whether the body is here and short, so that an event loop need not hand it to a thread."""
    return is_held(request) and _held_bytes(request) <= MAX_INLINE_BYTES


def read_digest(request: HttpRequest, *, max_bytes: int | None, memory_bytes: int) -> str:
    """Return the Content-Digest header value of the body, and leave the view an unread stream of it.

    At most `memory_bytes` of it are in memory at once. On failure the stream still holds every octet, for
    a route that only observes.

    Raises `MalformedEvidence` (`request.body_too_large`, `request.body_incomplete`, `request.body_framing`)
    and `Misuse` (`misuse.body_read_early`) where a middleware before ours has read it.
    """
    if hasattr(request, "_body"):
        body: bytes = request.body
        require_within(len(body), max_bytes)
        return format_digest(hashlib.sha256(body).digest())
    if getattr(request, "_read_started", False):
        raise Misuse(misuse.BODY_READ_EARLY)
    length = _announced_length(request)
    if is_held(request):
        return _digest_of_held(request, length, max_bytes)
    if length == 0:
        return NO_BODY
    if length is not None:
        require_within(length, max_bytes)
    return _digest_of_streamed(request, length, max_bytes, memory_bytes)


def read_short(request: HttpRequest, *, max_bytes: int) -> bytes:
    """Return a body of at most `max_bytes`; a longer one is not read further than that.

    Raises `MalformedEvidence` (`request.body_too_large`, `request.body_incomplete`, `request.body_framing`)
    and `Misuse` (`misuse.body_read_early`).
    """
    if getattr(request, "_read_started", False):
        raise Misuse(misuse.BODY_READ_EARLY)
    length = _announced_length(request)
    require_within(length or 0, max_bytes)
    source: Callable[[int], bytes] = _stream(request).read if is_held(request) else _source(request, length)
    body, wanted = b"", max_bytes + 1 if length is None else length
    while len(body) < wanted and (chunk := read_chunk(source, wanted - len(body))):
        body += chunk
    require_within(len(body), max_bytes)
    if length is not None and len(body) != length:
        raise MalformedEvidence(reasons.BODY_INCOMPLETE, f"{len(body)} of {length} octets")
    return body


def _announced_length(request: HttpRequest) -> int | None:
    meta = request.META
    return interfaces.announced_length(
        meta.get("CONTENT_LENGTH") or "",
        meta.get("HTTP_TRANSFER_ENCODING"),
        decoded=is_held(request) or bool(meta.get("wsgi.input_terminated")),
    )


def _stream(request: HttpRequest) -> Any:
    return request._stream  # noqa: SLF001 - Django has no public name for it


def _held_bytes(request: HttpRequest) -> int:
    stream = _stream(request)
    size: int = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    return size


def _digest_of_held(request: HttpRequest, length: int | None, max_bytes: int | None) -> str:
    size = _held_bytes(request)
    require_within(size, max_bytes)
    if length is not None and length != size:
        raise MalformedEvidence(reasons.BODY_INCOMPLETE, f"{size} of {length} octets")
    if not size:
        return NO_BODY
    stream, sha256 = _stream(request), hashlib.sha256()
    while chunk := stream.read(CHUNK_BYTES):
        sha256.update(chunk)
    stream.seek(0)
    request.META["CONTENT_LENGTH"] = str(size)  # parsers ask it whether there is a body
    return format_digest(sha256.digest())


def _digest_of_streamed(request: HttpRequest, length: int | None, max_bytes: int | None, memory_bytes: int) -> str:
    source, spool = _source(request, length), BodySpool(memory_bytes=memory_bytes, max_bytes=max_bytes)
    try:
        spool.fill(source, length)
    finally:
        spool.rewind()
        view = io.BufferedReader(_Resumed(spool, source)) if spool.rest else spool.file
        _replace_stream(request, view, spool.close)
    request.META["CONTENT_LENGTH"] = str(spool.size)
    return spool.digest()


def _source(request: HttpRequest, length: int | None) -> Callable[[int], bytes]:
    """Read from Django's stream, or, where a body ends by itself, from the server's: Django's would be empty."""
    stream = _stream(request) if length is not None else request.META["wsgi.input"]
    read: Callable[[int], bytes] = stream.read
    return read


def _replace_stream(request: HttpRequest, stream: Any, close: Callable[[], None]) -> None:
    request._stream = stream  # noqa: SLF001 - see `_stream`
    request.META["wsgi.input"] = stream
    request.bonafide_spool_close = close  # type: ignore[attr-defined]  # read by `close` below


def close(request: HttpRequest) -> None:
    """Give back what the spool holds. Safe to call for any request, and twice."""
    closing = getattr(request, "bonafide_spool_close", None)
    if closing is not None:
        closing()


class _Resumed(io.RawIOBase):
    """What was spooled before the limit was found out, then what the server still has: observing loses nothing."""

    def __init__(self, spool: BodySpool, source: Callable[[int], bytes]) -> None:
        self._spool = spool.file
        self._rest = io.BytesIO(spool.rest)
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        wanted = len(buffer)
        data = self._spool.read(wanted) or self._rest.read(wanted) or self._source(wanted)
        buffer[: len(data)] = data
        return len(data)
