"""The middleware for ASGI applications behind a gate: FastAPI, Starlette, Litestar, anything that is called so.

On asyncio, which uvicorn, granian and hypercorn run. WebSockets: the handshake's statement is verified, and nothing
is claimed of what is said afterwards (N5).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from bonafide import server_interfaces as interfaces
from bonafide.errors import MalformedEvidence, Misuse, VerificationFailed
from bonafide.http import HttpRequest
from bonafide.problem import CONTENT_TYPE
from bonafide.proof.content_digest import NO_BODY, verify_digest
from bonafide.reasons import misuse as misuse_reasons
from bonafide.reasons import request as request_reasons
from bonafide.statement import HEADER
from bonafide.stores.body_spool import CHUNK_BYTES
from bonafide.upstream.entrance import ADMISSION, Entrance, present, refuse
from bonafide.upstream.sealed_asgi import SealedAsgi, withheld

if TYPE_CHECKING:
    from bonafide.problem import Problem
    from bonafide.statement import Statement
    from bonafide.stores.body_spool import BodySpool

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_DISCONNECTS: Final = frozenset(["http.disconnect", "websocket.disconnect"])
_HANDSHAKE_ANSWER: Final = "websocket.http.response"
"""The extension by which a server lets an application answer a handshake with a document."""


class BonafideAsgi(Entrance[AsgiApp]):
    """Hand on what a gate spoke for, to the octet, and refuse everything else. See `bonafide.upstream`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or a handshake; the lifespan of the application is its own.

        Raises `Misuse` (`misuse.scope_unknown`) for a protocol that nothing here knows how to judge.
        """
        kind = scope["type"]
        if kind == "lifespan":
            await self.app(scope, receive, send)
        elif kind in {"http", "websocket"}:
            await self._judge(scope, receive, send)
        else:
            raise Misuse(misuse_reasons.SCOPE_UNKNOWN)

    async def _judge(self, scope: Scope, receive: Receive, send: Send) -> None:
        statement = None
        try:
            token = present(interfaces.single_field_of_scope(scope["headers"], HEADER))
            request = self._read_request(scope)
            statement = self.verify(token, request)
            spool = await self._read_body(scope, request, statement, receive)
        except (MalformedEvidence, VerificationFailed) as refusal:
            await _answer(refuse(refusal, _method(scope), statement), scope, receive, send)
            return
        headers = interfaces.without_claims(scope["headers"])
        inner = {**scope, "headers": headers, ADMISSION: statement}
        if spool is None:
            await self.app(inner, receive, send)
            return
        try:
            if statement.answer_key is None:
                await self.app(inner, _Again(spool, receive), send)
            else:
                sealed = SealedAsgi(statement, statement.answer_key, send)
                await sealed.run(self.app, withheld(inner), _Again(spool, receive))
        finally:
            spool.close()

    def _read_request(self, scope: Scope) -> HttpRequest:
        headers = interfaces.headers_of_scope(scope["headers"])
        mount = self.mount
        path: str = scope["path"]
        target = interfaces.agreed_target(
            interfaces.raw_target_of_scope(scope),
            # A lone surrogate has no octets, and then differs from what was sent.
            path.removeprefix(mount).encode("utf-8", "replace"),
            query=scope.get("query_string", b"").decode("latin-1"),
            mounted=scope.get("root_path", ""),
            mount=mount,
        )
        origin = self.origins.pick(headers.get("host"))
        return HttpRequest(method=_method(scope), origin=origin, target=target, headers=headers)

    async def _read_body(
        self, scope: Scope, request: HttpRequest, statement: Statement, receive: Receive
    ) -> BodySpool | None:
        """Return the body that was signed, or that came with a proof which covers none; None where there is none."""
        if statement.sender is None:
            return None
        covered = statement.sender.digest
        if scope["type"] == "websocket":
            if statement.answer_key is not None:
                raise VerificationFailed(request_reasons.UPGRADE, "a handshake on a route that seals")
            if covered is not None:
                verify_digest(covered, NO_BODY)
            return None
        length = interfaces.announced_length(
            request.headers.get("content-length", ""), request.headers.get("transfer-encoding"), decoded=True
        )
        spool = self.spool(length)
        try:
            await _fill(spool, receive)
            spool.require_whole(length)
            if covered is not None:
                verify_digest(covered, spool.digest())
        except BaseException:
            spool.close()
            raise
        spool.rewind()
        return spool


def _method(scope: Scope) -> str:
    return str(scope["method"]) if scope["type"] == "http" else "GET"  # RFC 6455 section 4.1


async def _fill(spool: BodySpool, receive: Receive) -> None:
    """Take the body in. Raises `MalformedEvidence` (`request.body_incomplete`) where the client went away."""
    more = True
    while more:
        message = await receive()
        if message["type"] in _DISCONNECTS:
            raise MalformedEvidence(request_reasons.BODY_INCOMPLETE, "the client went away")
        chunk: bytes = message.get("body", b"")
        more = bool(message.get("more_body", False))
        if spool.needs_disk(len(chunk)):
            await asyncio.to_thread(spool.write, chunk)
        else:
            spool.write(chunk)


class _Again:
    """The body once more, as the application would have received it, and then what else the server has to say."""

    def __init__(self, spool: BodySpool, receive: Receive) -> None:
        self._spool = spool
        self._receive = receive
        self._left = spool.size
        self._done = False

    async def __call__(self) -> Message:
        if self._done:
            return await self._receive()
        read = self._spool.file.read
        chunk = await asyncio.to_thread(read, CHUNK_BYTES) if self._spool.needs_disk() else read(CHUNK_BYTES)
        self._left -= len(chunk)
        self._done = self._left <= 0
        return {"type": "http.request", "body": chunk, "more_body": not self._done}


async def _answer(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    kind = "http.response"
    if scope["type"] == "websocket":
        await receive()  # the handshake itself, which a server wants taken before it is answered
        kind = _HANDSHAKE_ANSWER
        if kind not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close"})  # the server answers 403
            return
    body = problem.document()
    fields = {"Content-Type": CONTENT_TYPE, "Content-Length": str(len(body))} | problem.fields()
    headers = [(name.lower().encode(), value.encode()) for name, value in fields.items()]
    with suppress(OSError):  # the client may have gone
        await send({"type": f"{kind}.start", "status": problem.status, "headers": headers})
        await send({"type": f"{kind}.body", "body": body})
