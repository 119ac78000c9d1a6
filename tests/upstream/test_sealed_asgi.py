"""An ASGI application on a route that seals: its answer goes out sealed, whatever it does, or without its end."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

from bonafide.errors import MalformedEvidence, Misuse, VerificationFailed
from bonafide.reasons import sealed as reasons
from bonafide.sealing import OpenedAnswer, open_sealed
from tests.upstream.test_asgi import World
from tests.upstream.word import ANSWER_KEY, SEALED, sender, statement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from bonafide.upstream.asgi import BonafideAsgi

    Application = Callable[[Any, Any, Any], Awaitable[None]]

OUTSIDE = [
    (b"content-type", b"application/bonafide-sealed"),
    (b"cache-control", b"private, no-store, no-transform"),
]


class Sealing(World):
    """The middleware around an application of a test's own, and a server that keeps what goes out."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.sent: list[dict[str, Any]] = []
        self.gone_after: int | None = None

    def answer(self, app: Application, *fields: tuple[bytes, bytes], **changes: Any) -> OpenedAnswer:
        """Return what the phone opens of the answer that goes out."""
        self.serve(app, *fields, **changes)
        assert [message["more_body"] for message in self.sent[1:]] == [True] * (len(self.sent) - 2) + [False]
        return open_sealed(self.octets, ANSWER_KEY, status=self.status_line)

    def serve(self, app: Application, *fields: tuple[bytes, bytes], **changes: Any) -> None:
        """Run a request as a server does."""
        self.guarded.app = app  # type: ignore[misc]  # another one behind the same door
        version = {"spec_version": "2.4"}  # who goes away is told by what `send` raises
        scope = self.scope(statement(sender(), **SEALED), *fields, **({"asgi": version} | changes))
        asyncio.run(_run(self.guarded, scope, self._send))

    async def _send(self, message: Any) -> None:
        if self.gone_after is not None and len(self.sent) >= self.gone_after:
            raise ConnectionResetError
        self.sent.append(message)

    @property
    def octets(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])

    @property
    def status_line(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def outside(self) -> list[tuple[bytes, bytes]]:
        return list(self.sent[0]["headers"])

    @property
    def length(self) -> tuple[bytes, bytes]:
        return (b"content-length", str(len(self.octets)).encode())


async def _run(guarded: BonafideAsgi, scope: dict[str, Any], send: Any) -> None:
    waiting = [{"type": "http.request", "body": b"", "more_body": False}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return waiting.pop(0)

    await guarded(scope, receive, send)


@pytest.fixture
def world(tmp_path: Path) -> Sealing:
    return Sealing(tmp_path)


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": headers}


def body(chunk: bytes = b"", *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": chunk, "more_body": more}


def sends(*messages: dict[str, Any], fails: Exception | None = None) -> Application:
    async def app(_: Any, __: Any, send: Any) -> None:
        for message in messages:
            await send(message)
        if fails is not None:
            raise fails

    return app


def is_truncated(world: Sealing) -> bool:
    """Tell whether the app learns that the answer is not whole."""
    with pytest.raises((VerificationFailed, MalformedEvidence)) as refusal:
        open_sealed(world.octets, ANSWER_KEY, status=world.status_line)
    return refusal.value.reason in {reasons.TRUNCATED, reasons.RECORD_INVALID}


# What goes where ---------------------------------------------------------------------------------


def test_fields_and_body_go_inside_and_the_same_stands_outside_of_every_answer(world: Sealing) -> None:
    headers = ((b"Content-Type", b"text/plain"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"etag", b"x"))
    opened = world.answer(sends(start(201, *headers), body(b"one ", more=True), body(b"two")))
    assert opened == OpenedAnswer(
        (("content-type", "text/plain"), ("set-cookie", "a=1"), ("set-cookie", "b=2")), b"one two"
    )
    assert world.status_line == 201
    assert world.outside == [*OUTSIDE, world.length]


@pytest.mark.parametrize("status", [302, 404, 500])
def test_errors_and_redirects_of_the_application_are_sealed_too(world: Sealing, status: int) -> None:
    opened = world.answer(sends(start(status, (b"location", b"/api/y")), body(b"inside")))
    assert (world.status_line, opened) == (status, OpenedAnswer((("location", "/api/y"),), b"inside"))


@pytest.mark.parametrize("status", [204, 205, 304])
def test_an_answer_without_a_body_is_a_sealed_empty_one(world: Sealing, status: int) -> None:
    assert world.answer(sends(start(status), {"type": "http.response.body"})) == OpenedAnswer((), b"")
    assert world.status_line == 200


def test_where_the_gate_hands_no_key_on_the_answer_is_in_clear(world: Sealing) -> None:
    messages = [start(200, (b"x", b"y")), body(b"clear")]
    world.guarded.app = sends(*messages)  # type: ignore[misc]  # as above
    assert world.ask(world.scope(statement(sender()))) == messages


def test_the_application_is_not_asked_for_what_could_not_be_sealed(world: Sealing) -> None:
    fields = (
        *((b"Accept-Encoding", b"gzip"), (b"range", b"bytes=0-1"), (b"if-none-match", b"x"), (b"if-range", b"x")),
        *((b"if-modified-since", b"x"), (b"TE", b"trailers"), (b"accept", b"text/plain")),
    )
    extensions: dict[str, dict[str, object]] = {
        name: {}
        for name in ("http.response.pathsend", "http.response.zerocopysend", "http.response.trailers", "new", "tls")
    }
    world.answer(world.api, *fields, extensions=extensions)
    (seen,) = world.api.seen
    assert [each for each in seen["headers"] if each in fields] == [(b"accept", b"text/plain")]
    assert seen["extensions"] == {"tls": {}}


def test_in_clear_the_application_is_asked_as_it_was(world: Sealing) -> None:
    fields = (b"range", b"bytes=0-1")
    extensions: dict[str, dict[str, object]] = {"http.response.pathsend": {}}
    world.ask(world.scope(statement(sender()), fields, extensions=extensions))
    (seen,) = world.api.seen
    assert fields in seen["headers"]
    assert seen["extensions"] == extensions


def test_a_handshake_has_no_answer_to_seal(world: Sealing, caplog: pytest.LogCaptureFixture) -> None:
    scope = world.scope(statement(sender(), **SEALED), type="websocket", method=None)
    assert world.ask(scope)[0]["type"] == "websocket.close"
    assert "request.upgrade" in caplog.text
    assert not world.api.seen


# How an application may answer -------------------------------------------------------------------


def test_a_length_that_the_application_gives_is_told_before_the_body_is_there(world: Sealing) -> None:
    chunks = [body(b"x" * 100_000, more=True), body(b"y" * 100_000)]
    opened = world.answer(sends(start(200, (b"content-length", b"200000")), *chunks))
    assert len(opened.body) == 200_000
    assert world.outside == [*OUTSIDE, world.length]


def test_a_long_answer_without_a_length_has_none(world: Sealing) -> None:
    assert len(world.answer(sends(start(), body(b"x" * 100_000))).body) == 100_000
    assert world.outside == OUTSIDE


def test_records_go_out_as_they_fill(world: Sealing) -> None:
    out: list[int] = []

    async def app(_: Any, __: Any, send: Any) -> None:
        await send(start())
        for _ in range(64):
            await send(body(b"x" * 2**16, more=True))
            out.append(len(world.sent))
        await send(body())

    assert len(world.answer(app).body) == 2**22
    assert out[-1] >= 62


def test_what_an_application_does_after_its_answer_is_done(world: Sealing) -> None:
    done: list[int] = []

    async def later() -> None:
        done.append(len(world.sent))

    async def page(_: Any) -> PlainTextResponse:
        return PlainTextResponse("page", background=BackgroundTask(later))

    opened = world.answer(Starlette(routes=[Route("/api/x", page)]))
    assert opened.body == b"page"
    assert ("content-type", "text/plain; charset=utf-8") in opened.fields
    assert done == [2]


def test_a_file_goes_out_sealed_where_the_server_would_send_it_by_itself(world: Sealing, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"z" * 300_000)

    async def page(_: Any) -> FileResponse:
        return FileResponse(tmp_path / "file")

    routes = [Route("/api/x", page)]
    opened = world.answer(Starlette(routes=routes), (b"range", b"bytes=0-9"), extensions={"http.response.pathsend": {}})
    assert (world.status_line, opened.body) == (200, b"z" * 300_000)
    assert world.outside == [*OUTSIDE, world.length]
    assert not {"etag", "accept-ranges", "last-modified", "content-length"} & dict(opened.fields).keys()


# What goes wrong ---------------------------------------------------------------------------------

UNFIT: dict[str, Application] = {
    "a part": sends(start(206), body(b"x")),
    "an interim answer": sends(start(103), body(b"x")),
    "a coding": sends(start(200, (b"content-encoding", b"br")), body(b"x")),
    "events": sends(start(200, (b"content-type", b"text/event-stream")), body(b"x", more=True), body(b"x")),
    "a control in a field": sends(start(200, (b"x", b"a\nb")), body(b"x")),
    "longer than announced": sends(start(200, (b"content-length", b"4")), body(b"12345")),
    "shorter than announced": sends(start(200, (b"content-length", b"4")), body(b"123")),
    "nothing": sends(),
    "no body": sends(start()),
    "no end": sends(start(), body(b"half", more=True)),
    "no beginning": sends(body(b"x")),
    "two beginnings": sends(start(), start(), body(b"x")),
    "a path": sends(start(), {"type": "http.response.pathsend", "path": "/etc/passwd"}),
    "trailers": sends(start(), {"type": "http.response.trailers", "headers": []}),
}


@pytest.mark.parametrize("app", UNFIT.values(), ids=UNFIT)
def test_what_cannot_be_sealed_is_a_sealed_500_with_nothing_inside(
    world: Sealing, app: Application, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="bonafide.upstream"):
        assert world.answer(app) == OpenedAnswer((), b"")
    assert world.status_line == 500
    assert world.outside == [*OUTSIDE, world.length]
    (line,) = caplog.messages
    assert "reason=sealed.answer_unfit" in line
    assert f"record={SEALED['record']} route=/api/**" in line


@pytest.mark.parametrize("messages", [(), (start(),), (start(), body(b"half", more=True))])
def test_an_application_that_fails_before_anything_is_out_is_a_sealed_500_and_the_server_is_told(
    world: Sealing, messages: tuple[dict[str, Any], ...], caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.ERROR, logger="bonafide.upstream"),
        pytest.raises(LookupError, match="mine"),
    ):
        world.serve(sends(*messages, fails=LookupError("mine")))
    assert open_sealed(world.octets, ANSWER_KEY, status=world.status_line) == OpenedAnswer((), b"")
    assert world.status_line == 500
    assert "Traceback" in caplog.text


def test_a_framework_s_page_about_its_failure_is_sealed(world: Sealing) -> None:
    async def page(_: Any) -> PlainTextResponse:
        raise LookupError

    with pytest.raises(LookupError):
        world.serve(Starlette(routes=[Route("/api/x", page)]))
    opened = open_sealed(world.octets, ANSWER_KEY, status=500)
    assert opened.body == b"Internal Server Error"


@pytest.mark.parametrize("length", [{}, {"content-length": "200000"}])
def test_an_application_that_fails_in_mid_answer_ends_without_a_last_record(
    world: Sealing, length: dict[str, str]
) -> None:
    async def page(_: Any) -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"x" * 140_000
            raise LookupError

        return StreamingResponse(chunks(), headers=length)

    with pytest.raises(LookupError):
        world.serve(Starlette(routes=[Route("/api/x", page)]))
    assert world.status_line == 200
    assert all(message["more_body"] for message in world.sent[1:])
    assert is_truncated(world)


def test_an_application_that_ends_in_mid_answer_ends_without_a_last_record(world: Sealing) -> None:
    world.serve(sends(start(), body(b"x" * 140_000, more=True)))
    assert all(message["more_body"] for message in world.sent[1:])
    assert is_truncated(world)


@pytest.mark.parametrize("size", [199_999, 200_001, 400_000])
def test_a_long_answer_of_another_length_ends_without_a_last_record(world: Sealing, size: int) -> None:
    chunks = [body(b"x" * 150_000, more=True), body(b"x" * (size - 150_000))]
    with pytest.raises(Misuse) as refusal:
        world.serve(sends(start(200, (b"content-length", b"200000")), *chunks))
    assert refusal.value.reason is reasons.ANSWER_UNFIT
    assert is_truncated(world)


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_client_that_has_gone_is_answered_no_further(world: Sealing, after: int) -> None:
    world.gone_after = after
    with pytest.raises(ConnectionResetError):
        world.serve(sends(start(), body(b"x" * 200_000)))
    assert len(world.sent) == after


def test_whoever_cancels_a_request_is_not_answered_for(world: Sealing) -> None:
    async def app(_: Any, __: Any, send: Any) -> None:
        await send(start())
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        world.serve(app)
    assert not world.sent
