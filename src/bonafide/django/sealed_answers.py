"""Django's answers, sealed for the app that asked (PROTOCOL section 5, ADR 15).

Rules of this file: whether an answer is sealed is known before the view runs, and what cannot be sealed leaves as an
empty error. Nobody but the middleware seals, and it stands outside of everything that could change the answer.
"""

from __future__ import annotations

import logging
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from asgiref.sync import sync_to_async
from django.http import HttpResponse, StreamingHttpResponse

from bonafide.admission import Admitted, answer_key_of
from bonafide.codec.aes128gcm import SALT_OCTETS
from bonafide.django import adapters, demands, runtime
from bonafide.errors import Misuse
from bonafide.reasons import sealed as reasons
from bonafide.sealed_answer import OUTSIDE, UNFIT, PreparedAnswer, is_withheld, prepare
from bonafide.sealing import Sealer, seal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from bonafide.admission import Keys
    from bonafide.sealing import AnswerKey

    Answer = TypeVar("Answer", bound=HttpResponseBase)

logger: Final = logging.getLogger("bonafide.sealing")

MAX_INLINE_BYTES: Final = 2**20
"""Above this an event loop lets a thread seal."""

_AT_ONCE: Final = 2**18
_KEY: Final = "bonafide_answer_key"


def key_of(request: HttpRequest) -> AnswerKey | None:
    """Return the key under which the answer to this request is sealed; None where it is answered in clear."""
    key: AnswerKey | None = getattr(request, _KEY, None)
    return key


def promise(request: HttpRequest, key: AnswerKey) -> None:
    """Have the answer to this request sealed, and take from the view what asks for answers that cannot be."""
    setattr(request, _KEY, key)
    for name in [name for name in request.META if name.startswith("HTTP_") and is_withheld(name[5:])]:
        del request.META[name]
    request.__dict__.pop("headers", None)  # what Django keeps of them


def require_sealed(request: HttpRequest, *, strict: bool = False) -> None:
    """Have the answer to this request sealed, whatever its route says.

    Raises as `demands.require`, `VerificationFailed` (`route.session_required`) for an instance without a session, and
    `Misuse` (`sealed.key_missing`) behind a gate whose own rule for the route does not say `seal`.
    """
    if key_of(request) is None:
        demands.require(request, lambda admitted: promise(request, _make_key(request, admitted)), strict=strict)


def _make_key(request: HttpRequest, admitted: Admitted) -> AnswerKey:
    keys: Keys | None = getattr(request, "bonafide_gate_keys", None)
    if keys is None:
        raise Misuse(reasons.KEY_MISSING, f"{admitted.route.match} does not say `seal` in the gate's table")
    if adapters.raw_method(request) == "HEAD":
        raise Misuse(reasons.ANSWER_UNFIT, "HEAD")
    sent = adapters.read_request(request, runtime.current().origins)
    return answer_key_of(sent, admitted, keys=keys, now=datetime.now(UTC))


def seal_response(response: HttpResponseBase, key: AnswerKey) -> HttpResponseBase:
    """Return the sealed answer in place of an application's; what that one holds is given back with it."""
    prepared = _prepare(response)
    if not _is_streamed(response, prepared):
        return _whole(response, prepared, key)
    sealer, length = _begin(response, prepared, key)
    return _streamed(response, prepared, _records(response, sealer, length), _size(sealer, length))


async def seal_response_async(response: HttpResponseBase, key: AnswerKey) -> HttpResponseBase:
    """As `seal_response`, for a chain that is asynchronous."""
    prepared = _prepare(response)
    if not _is_streamed(response, prepared):
        if isinstance(response, HttpResponse) and len(response.content) > MAX_INLINE_BYTES:
            return await sync_to_async(_whole, thread_sensitive=False)(response, prepared, key)
        return _whole(response, prepared, key)
    sealer, length = _begin(response, prepared, key)
    if response.is_async:  # type: ignore[attr-defined]  # every streamed response says so
        records = _records_async(response, sealer, length)
    else:
        records = _threaded(_records(response, sealer, length))
    return _streamed(response, prepared, records, _size(sealer, length))


def _prepare(response: HttpResponseBase) -> PreparedAnswer:
    cookies = [("Set-Cookie", cookie.OutputString()) for cookie in response.cookies.values()]
    try:
        return prepare(response.status_code, [*response.items(), *cookies])
    except Misuse as mistake:
        logger.critical("%s: %s", mistake.reason.code, mistake.detail)
        return UNFIT


def _is_streamed(response: HttpResponseBase, prepared: PreparedAnswer) -> bool:
    return prepared.has_body and bool(response.streaming)


def _whole(response: HttpResponseBase, prepared: PreparedAnswer, key: AnswerKey) -> HttpResponse:
    body = response.content if prepared.has_body and isinstance(response, HttpResponse) else b""
    salt = secrets.token_bytes(SALT_OCTETS)
    pieces = seal(body, key, status=prepared.status, fields=prepared.fields, salt=salt)
    sealed = HttpResponse(b"".join(pieces), status=prepared.status)
    sealed["Content-Length"] = str(len(sealed.content))
    return _in_place_of(response, sealed)


def _begin(response: HttpResponseBase, prepared: PreparedAnswer, key: AnswerKey) -> tuple[Sealer, int | None]:
    salt = secrets.token_bytes(SALT_OCTETS)
    sealer = Sealer(key, status=prepared.status, fields=prepared.fields, salt=salt)
    announced = response.get("Content-Length", "")
    return sealer, int(announced) if announced.isascii() and announced.isdecimal() else None


def _size(sealer: Sealer, length: int | None) -> int | None:
    return None if length is None else sealer.size(length)


def _streamed(response: HttpResponseBase, prepared: PreparedAnswer, records: Any, size: int | None) -> HttpResponseBase:
    sealed = StreamingHttpResponse(records, status=prepared.status)
    if size is not None:
        sealed["Content-Length"] = str(size)
    return _in_place_of(response, sealed)


def _in_place_of(response: HttpResponseBase, sealed: Answer) -> Answer:
    """Give the sealed answer its fields, and what is to be given back when it is out."""
    for name, value in OUTSIDE:
        sealed[name] = value
    closers = response._resource_closers  # type: ignore[attr-defined]  # noqa: SLF001 - as Django's own handler does
    sealed._resource_closers.extend(closers)  # type: ignore[attr-defined]  # noqa: SLF001 - likewise
    closers.clear()
    return sealed


class _Measured:
    """A body of an announced length: one that is longer or shorter ends without a last record."""

    def __init__(self, sealer: Sealer, length: int | None) -> None:
        self._sealer = sealer
        self._left = length

    def write(self, octets: bytes) -> list[bytes]:
        if self._left is not None:
            self._left -= len(octets)
            if self._left < 0:
                raise Misuse(reasons.ANSWER_UNFIT, "longer than its Content-Length")
        return self._sealer.write(octets)

    def finish(self) -> bytes:
        if self._left:
            raise Misuse(reasons.ANSWER_UNFIT, "shorter than its Content-Length")
        return self._sealer.finish()


def _records(response: Any, sealer: Sealer, length: int | None) -> Iterator[bytes]:
    measured = _Measured(sealer, length)
    yield sealer.head()
    for chunk in response:  # in octets; Django has an asynchronous one read here, and warns
        yield from measured.write(chunk)
    yield measured.finish()


async def _records_async(response: Any, sealer: Sealer, length: int | None) -> AsyncIterator[bytes]:
    measured = _Measured(sealer, length)
    yield sealer.head()
    async for chunk in response:
        for record in measured.write(chunk):
            yield record
    yield measured.finish()


async def _threaded(records: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Have a thread read and seal, some records at a time: Django would read the whole file into memory first."""
    step = sync_to_async(_some_of)
    while octets := await step(records):
        yield octets


def _some_of(records: Iterator[bytes]) -> bytes:
    taken, octets = [], 0
    while octets < _AT_ONCE and (record := next(records, b"")):
        taken.append(record)
        octets += len(record)
    return b"".join(taken)
