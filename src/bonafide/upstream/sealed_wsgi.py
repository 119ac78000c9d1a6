"""A WSGI application whose answer is sealed (PEP 3333).

The server's `start_response` is called when the first octets that go out are known, and the application's is ours: what
it began with can change until then, and an application that fails until then is answered for by a sealed 500. All of
that is before the server gets anything to iterate over: granian asks no later how the answer begins.
"""

from __future__ import annotations

from http import HTTPStatus
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from bonafide.errors import Misuse
from bonafide.reasons import sealed as reasons
from bonafide.sealed_answer import is_withheld
from bonafide.upstream.sealed_answer import SealedAnswer, SealedFailure, log_failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from bonafide.sealing import AnswerKey
    from bonafide.statement import Statement

    ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]

_FILE_WRAPPER: Final = "wsgi.file_wrapper"
"""By which a server sends a file past everybody who stands between."""


def withhold(environ: WSGIEnvironment) -> None:
    """Take from what the application sees that for which it would give an answer that cannot be sealed."""
    for name in [name for name in environ if name.startswith("HTTP_") and is_withheld(name[len("HTTP_") :])]:
        del environ[name]
    environ.pop(_FILE_WRAPPER, None)


class SealedWsgi:
    """The answer to one request, as the server iterates over it."""

    def __init__(self, statement: Statement, key: AnswerKey, start_response: StartResponse) -> None:
        """Take the verified word of the gate, the key that came with it, and the server's `start_response`."""
        self._statement = statement
        self._key = key
        self._server = start_response
        self._write_out: Callable[[bytes], object] | None = None  # the server's, once it knows how the answer begins
        self._begun: SealedAnswer | None = None
        self._chunks: Iterable[bytes] = ()
        self._octets: Iterator[bytes] = iter(())

    def run(self, app: WSGIApplication, environ: WSGIEnvironment) -> None:
        """Run the application until the server was told how the answer begins.

        Raises what the application raises once something went out: the answer then has no last record.
        """
        octets = self._seal(app, environ)
        try:
            self._octets = chain((next(octets),), octets)
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[bytes]:
        """Return the answer's octets. They raise as `run`."""
        return self._octets

    def close(self) -> None:
        """Close the application's answer, as the server would."""
        close: Any = getattr(self._chunks, "close", None)
        if close is not None:
            close()

    def _seal(self, app: WSGIApplication, environ: WSGIEnvironment) -> Iterator[bytes]:
        try:
            self._chunks = app(environ, self._start)
            for chunk in self._chunks:
                for record in self._answer().write(chunk) if chunk else ():
                    self._open()
                    yield record
            last = self._answer().finish()
            self._open()
        except Exception as error:
            if self._write_out is not None:
                raise
            log_failure(self._statement, error)
            failure = SealedFailure(self._key)
            self._server(_line(failure.status), failure.fields())
            last = failure.body
        yield last

    def _start(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None, /
    ) -> Callable[[bytes], object]:
        begun = self._begun
        if exc_info is not None and exc_info[1] is not None and begun is not None and begun.has_taken:
            raise exc_info[1].with_traceback(exc_info[2])
        if exc_info is None and begun is not None:
            raise Misuse(reasons.ANSWER_UNFIT, "two beginnings")
        self._begun = SealedAnswer(self._key, _code_of(status), headers)
        return self._write

    def _write(self, chunk: bytes) -> None:
        for record in self._answer().write(chunk):
            self._open()(record)

    def _answer(self) -> SealedAnswer:
        if self._begun is None:
            raise Misuse(reasons.ANSWER_UNFIT, "a body before its beginning")
        return self._begun

    def _open(self) -> Callable[[bytes], object]:
        """Tell the server how the answer begins, once."""
        if self._write_out is None:
            answer = self._answer()
            self._write_out = self._server(_line(answer.status), answer.fields())
        return self._write_out


def _code_of(status: str) -> int:
    code = status[:3]
    if not (code.isascii() and code.isdecimal()):
        raise Misuse(reasons.ANSWER_UNFIT, "status")
    return int(code)


def _line(status: int) -> str:
    """Return the status line; the application's own phrase would say something in clear."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Status"
