"""An ASGI application whose answer is sealed.

The server learns how the answer begins when the first octets that go out are known; an application that fails until
then is answered for by a sealed 500, and the server is told of the failure all the same.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from bonafide.errors import Misuse
from bonafide.reasons import sealed as reasons
from bonafide.sealed_answer import is_withheld
from bonafide.upstream.sealed_answer import SealedAnswer, SealedFailure, log_failure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bonafide.sealing import AnswerKey
    from bonafide.statement import Statement
    from bonafide.upstream.asgi import AsgiApp, Message, Receive, Scope, Send

_EXTENSIONS_LEFT: Final = frozenset(["tls"])
"""Those that tell and do not send: others have a server send files, trailers or pushes past everybody in between."""


def withheld(scope: Scope) -> Scope:
    """Return the scope without that for which the application would give an answer that cannot be sealed."""
    headers = [each for each in scope["headers"] if not is_withheld(each[0].decode("latin-1"))]
    extensions = {name: value for name, value in (scope.get("extensions") or {}).items() if name in _EXTENSIONS_LEFT}
    return {**scope, "headers": headers, "extensions": extensions}


class SealedAsgi:
    """The answer to one request, as the application sends it. Call it as `send`."""

    def __init__(self, statement: Statement, key: AnswerKey, send: Send) -> None:
        """Take the verified word of the gate, the key that came with it, and the server's `send`."""
        self._statement = statement
        self._key = key
        self._send = send
        self._answer: SealedAnswer | None = None
        self._is_out = False

    async def run(self, app: AsgiApp, scope: Scope, receive: Receive) -> None:
        """Run the application. Raises what it raises: the server writes that down, and ends what has not ended."""
        try:
            await app(scope, receive, self)
            if not self._is_out:
                raise Misuse(reasons.ANSWER_UNFIT, "the application gave no answer, or not all of it")
        except Exception as error:
            if self._is_out:
                raise
            log_failure(self._statement, error)
            failure = SealedFailure(self._key)
            with suppress(OSError):  # the client may have gone
                await self._begin(failure.status, failure.fields())
                await self._put(failure.body, more=False)
            if not isinstance(error, Misuse):
                raise

    async def __call__(self, message: Message) -> None:
        """Take a message of the application.

        Raises `Misuse` (`sealed.answer_unfit`, `sealed.key_misused`) for an answer that cannot be sealed.
        """
        kind = message["type"]
        if kind == "http.response.start" and self._answer is None:
            self._answer = SealedAnswer(self._key, message["status"], _texts(message.get("headers", ())))
        elif kind == "http.response.body" and self._answer is not None:
            await self._take(self._answer, message.get("body", b""), more=bool(message.get("more_body", False)))
        else:
            raise Misuse(reasons.ANSWER_UNFIT, f"an unexpected {kind}")

    async def _take(self, answer: SealedAnswer, chunk: bytes, *, more: bool) -> None:
        for record in answer.write(chunk):
            await self._out(answer, record, more=True)
        if not more:
            await self._out(answer, answer.finish(), more=False)

    async def _out(self, answer: SealedAnswer, record: bytes, *, more: bool) -> None:
        if not self._is_out:
            await self._begin(answer.status, answer.fields())
        await self._put(record, more=more)

    async def _begin(self, status: int, fields: list[tuple[str, str]]) -> None:
        self._is_out = True
        headers = [(name.lower().encode(), value.encode()) for name, value in fields]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def _put(self, octets: bytes, *, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": octets, "more_body": more})


def _texts(fields: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields]
