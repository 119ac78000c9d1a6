"""A request's body, read once: its digest is known before the application sees the first octet.

Under WSGI the body passes through a spool (memory, then disk) that the view reads instead; under ASGI Django
has spooled it before any middleware runs, and that file is read once more and rewound. Either way
`request.POST`, `FILES`, `body` and parsers of other frameworks find an unread stream with the same octets.
"""

from __future__ import annotations

import hashlib
import io
import os
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any, Final

from bonafide.errors import MalformedEvidence, Misuse
from bonafide.proof.content_digest import NO_BODY, format_digest
from bonafide.reasons import misuse
from bonafide.reasons import request as reasons

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from django.http import HttpRequest

CHUNK_BYTES: Final = 64 * 1024

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
        _require_within(len(body), max_bytes)
        return format_digest(hashlib.sha256(body).digest())
    if getattr(request, "_read_started", False):
        raise Misuse(misuse.BODY_READ_EARLY)
    length = announced_length(request.META, decoded=is_held(request))
    if is_held(request):
        return _digest_of_held(request, length, max_bytes)
    if length == 0:
        return NO_BODY
    if length is not None:
        _require_within(length, max_bytes)
    return _digest_of_streamed(request, length, max_bytes, memory_bytes)


def read_short(request: HttpRequest, *, max_bytes: int) -> bytes:
    """Return a body of at most `max_bytes`; a longer one is not read further than that.

    Raises `MalformedEvidence` (`request.body_too_large`, `request.body_incomplete`, `request.body_framing`)
    and `Misuse` (`misuse.body_read_early`).
    """
    if getattr(request, "_read_started", False):
        raise Misuse(misuse.BODY_READ_EARLY)
    length = announced_length(request.META, decoded=is_held(request))
    _require_within(length or 0, max_bytes)
    source: Callable[[int], bytes] = _stream(request).read if is_held(request) else _source(request, length)
    body, wanted = b"", max_bytes + 1 if length is None else length
    while len(body) < wanted and (chunk := _read(source, wanted - len(body))):
        body += chunk
    _require_within(len(body), max_bytes)
    if length is not None and len(body) != length:
        raise MalformedEvidence(reasons.BODY_INCOMPLETE, f"{len(body)} of {length} octets")
    return body


def announced_length(meta: Mapping[str, Any], *, decoded: bool = False) -> int | None:
    """Return how long the body will be; None where only its end will tell.

    `decoded` says that the server has taken the body's chunks apart. Raises `MalformedEvidence`
    (`request.body_framing`) where two parties could disagree about where the body ends (RFC 9112 section 6).
    """
    length, coding = meta.get("CONTENT_LENGTH") or "", meta.get("HTTP_TRANSFER_ENCODING")
    ends_by_itself = decoded or bool(meta.get("wsgi.input_terminated"))
    if coding is not None and (length or coding.lower() != "chunked" or not ends_by_itself):
        raise MalformedEvidence(reasons.BODY_FRAMING, "Transfer-Encoding")
    if length and not (length.isascii() and length.isdecimal()):
        raise MalformedEvidence(reasons.BODY_FRAMING, "Content-Length")
    if length:
        return int(length)
    return None if ends_by_itself else 0


def _require_within(size: int, max_bytes: int | None) -> None:
    if max_bytes is not None and size > max_bytes:
        raise MalformedEvidence(reasons.BODY_TOO_LARGE, f"more than {max_bytes} octets")


def _stream(request: HttpRequest) -> Any:
    return request._stream  # noqa: SLF001 - Django has no public name for it


def _held_bytes(request: HttpRequest) -> int:
    stream = _stream(request)
    size: int = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    return size


def _digest_of_held(request: HttpRequest, length: int | None, max_bytes: int | None) -> str:
    size = _held_bytes(request)
    _require_within(size, max_bytes)
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
    source, sha256 = _source(request, length), hashlib.sha256()
    # A limit of one octet means disk at once; zero would mean memory without limit.
    spool: IO[bytes] = SpooledTemporaryFile(max_size=max(1, memory_bytes))  # noqa: SIM115 - the view reads it; see `close`
    size, rest = 0, b""
    try:
        while length is None or size < length:
            chunk = _read(source, CHUNK_BYTES if length is None else min(CHUNK_BYTES, length - size))
            if not chunk:
                break
            size += len(chunk)
            if max_bytes is not None and size > max_bytes:
                rest = chunk
                _require_within(size, max_bytes)
            spool.write(chunk)
            sha256.update(chunk)
    finally:
        spool.seek(0)
        view = io.BufferedReader(_Resumed(spool, rest, source)) if rest else spool
        _replace_stream(request, view, spool.close)
    if length is not None and size != length:
        raise MalformedEvidence(reasons.BODY_INCOMPLETE, f"{size} of {length} octets")
    request.META["CONTENT_LENGTH"] = str(size)
    return format_digest(sha256.digest())


def _source(request: HttpRequest, length: int | None) -> Callable[[int], bytes]:
    """Read from Django's stream, or, where a body ends by itself, from the server's: Django's would be empty."""
    stream = _stream(request) if length is not None else request.META["wsgi.input"]
    read: Callable[[int], bytes] = stream.read
    return read


def _read(source: Callable[[int], bytes], size: int) -> bytes:
    try:
        return source(size)
    except Exception:  # noqa: BLE001 - servers raise classes of their own when a peer goes away or breaks its chunks
        raise MalformedEvidence(reasons.BODY_INCOMPLETE, "the server could not read it") from None


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

    def __init__(self, spool: IO[bytes], rest: bytes, source: Callable[[int], bytes]) -> None:
        self._spool = spool
        self._rest = io.BytesIO(rest)
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        wanted = len(buffer)
        data = self._spool.read(wanted) or self._rest.read(wanted) or self._source(wanted)
        buffer[: len(data)] = data
        return len(data)
