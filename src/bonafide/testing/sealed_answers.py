"""How an app takes an answer: in clear, sealed into memory, or sealed into a file (PROTOCOL section 5).

Rules of this file: who wants a sealed answer gets it whole and opened, or an exception; never a body in clear, and
never one of which the end is missing. Of an answer that is not sealed nothing is taken but its hints.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from tempfile import NamedTemporaryFile, SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Final, Protocol

import httpx

from bonafide.errors import MalformedEvidence, VerificationFailed
from bonafide.reasons import sealed as reasons
from bonafide.sealing import CONTENT_TYPE, Opener
from bonafide.testing.hints import AnswerRefused, action_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from bonafide.sealing import AnswerKey

MAX_HELD_OCTETS: Final = 96 * 2**20
"""The longest sealed answer that is taken into memory; longer ones are for `download`."""

_MEMORY_OCTETS: Final = 2**20
_CHUNK_OCTETS: Final = 2**16
_HINTS: Final = ("bonafide-action", "bonafide-record", "retry-after", "date")
_SPOOL: Final = "bonafide_spool"


class AnswerNotSealed(Exception):
    """The caller wanted a sealed answer, and what came was not one. `action` and `record` are unproven hints.

    `code` is the reason's, `sealed.not_sealed`.
    """

    def __init__(self, response: httpx.Response) -> None:
        """Keep what the answer's fields say; the body, if there is one, is dropped."""
        self.code = reasons.NOT_SEALED.code
        self.status = response.status_code
        self.action = action_of(response)
        self.record = response.headers.get("bonafide-record")
        super().__init__(f"{self.status}, action {self.action}, record {self.record}")


class SealRefused(AnswerRefused):
    """A sealed answer that is not the one to this request, or not whole. `code` is a reason of the area `sealed`."""

    def __init__(self, code: str) -> None:
        """Keep the reason's code."""
        self.code = code
        super().__init__(code)


def is_sealed(response: httpx.Response) -> bool:
    """Tell whether an answer says of itself that it is sealed."""
    return bool(response.headers.get("content-type", "") == CONTENT_TYPE)


def take_in(response: httpx.Response, *, held: bool) -> None:
    """Take a sealed answer's octets from the network, most of them to disk. `held` says it will be in memory later.

    Raises `SealRefused` (`sealed.too_large`).
    """
    spool = _spool(response)
    if response.is_stream_consumed or not response.is_success:
        # In process it is read already; and httpx reads what another request follows, which it cannot do twice.
        _add(spool, response.read(), held=True)
        return
    for chunk in response.iter_raw(_CHUNK_OCTETS):
        _add(spool, chunk, held=held)


async def take_in_async(response: httpx.Response, *, held: bool) -> None:
    """As `take_in`."""
    spool = _spool(response)
    if response.is_stream_consumed or not response.is_success:
        _add(spool, await response.aread(), held=True)
        return
    chunks: AsyncIterator[bytes] = response.aiter_raw(_CHUNK_OCTETS)
    async for chunk in chunks:
        _add(spool, chunk, held=held)


def hints_of(response: httpx.Response) -> httpx.Response:
    """Return the hints of an answer that is not sealed, and nothing else of it."""
    fields = {name: response.headers[name] for name in _HINTS if name in response.headers}
    return httpx.Response(response.status_code, headers=fields, request=response.request)


def open_answer(response: httpx.Response, key: AnswerKey) -> httpx.Response:
    """Return what the API answered, from what `take_in` took. Raises `SealRefused`."""
    body = bytearray()
    opener = Opener(key, status=response.status_code)
    for part in _parts(response, opener):
        body += part
    return _answer(response, opener, bytes(body))


def open_into(response: httpx.Response, key: AnswerKey, path: Path) -> httpx.Response:
    """Write the body to `path`, which appears whole or not at all; return the answer without it.

    Raises `SealRefused`.
    """
    opener = Opener(key, status=response.status_code)
    with ExitStack() as cleaning:
        file = cleaning.enter_context(NamedTemporaryFile(dir=path.parent, delete=False))
        unfinished = cleaning.enter_context(ExitStack())
        unfinished.callback(_remove, file.name)
        for part in _parts(response, opener):
            file.write(part)
        file.flush()
        os.fsync(file.fileno())
        os.replace(file.name, path)  # noqa: PTH105 - the name of a temporary file is a text
        unfinished.pop_all()
    return _answer(response, opener, b"")


class Hearing(Protocol):
    """What one caller wants of the answers to one request."""

    @property
    def needs_key(self) -> bool:
        """Whether answers are to be opened, so that the request needs a session."""
        ...

    def hear(self, response: httpx.Response, key: AnswerKey | None) -> httpx.Response:
        """Return what counts of an answer: its status, fields and body, or hints alone. Raises `SealRefused`."""
        ...

    def conclude(self, response: httpx.Response) -> None:
        """Take what was heard last as the outcome. Raises `AnswerNotSealed`."""
        ...


class _Clear:
    """Answers as they come. One that is sealed is of no use to who did not ask for it."""

    needs_key: Final = False

    def hear(self, response: httpx.Response, key: AnswerKey | None) -> httpx.Response:
        del key
        if is_sealed(response):
            raise SealRefused(reasons.UNEXPECTED.code)
        return response

    def conclude(self, response: httpx.Response) -> None:
        del response


CLEAR: Final[Hearing] = _Clear()


class Sealed:
    """Sealed answers, opened: into memory, or their bodies into the file at `path`."""

    needs_key: Final = True

    def __init__(self, path: Path | None = None) -> None:
        """Nothing is written to `path` but what verified whole."""
        self.path: Final = path
        self.outcome: httpx.Response | None = None
        """What was opened last; None where the last answer was in clear."""

    def hear(self, response: httpx.Response, key: AnswerKey | None) -> httpx.Response:
        """Open a sealed answer; take hints of another one. Raises `SealRefused`."""
        self.outcome = None
        if key is None or not is_sealed(response):
            return hints_of(response)
        if self.path is None or response.is_error:
            self.outcome = open_answer(response, key)
        else:
            self.outcome = open_into(response, key, self.path)
        return self.outcome

    def conclude(self, response: httpx.Response) -> None:
        """Raise `AnswerNotSealed` where the last answer was in clear."""
        if self.outcome is None:
            raise AnswerNotSealed(response)


def _answer(response: httpx.Response, opener: Opener, body: bytes) -> httpx.Response:
    return httpx.Response(
        response.status_code,
        headers=list(opener.fields),
        content=body,
        request=response.request,
        extensions=response.extensions,
    )


def _parts(response: httpx.Response, opener: Opener) -> Iterator[bytes]:
    spool: IO[bytes] = response.extensions.pop(_SPOOL)
    with spool:
        spool.seek(0)
        try:
            while chunk := spool.read(_CHUNK_OCTETS):
                yield from opener.write(chunk)
            yield opener.finish()
        except (MalformedEvidence, VerificationFailed) as error:
            raise SealRefused(error.reason.code) from None


def _spool(response: httpx.Response) -> IO[bytes]:
    spool: IO[bytes] = SpooledTemporaryFile(max_size=_MEMORY_OCTETS)  # noqa: SIM115 - closed by who opens the answer
    response.extensions[_SPOOL] = spool
    return spool


def _add(spool: IO[bytes], chunk: bytes, *, held: bool) -> None:
    spool.write(chunk)
    if held and spool.tell() > MAX_HELD_OCTETS:
        spool.close()
        raise SealRefused(reasons.TOO_LARGE.code)


def _remove(name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name)  # noqa: PTH108 - likewise
