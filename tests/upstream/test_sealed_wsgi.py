"""A WSGI application on a route that seals: its answer goes out sealed, whatever it does, or without its end."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest

from bonafide.errors import MalformedEvidence, VerificationFailed
from bonafide.reasons import sealed as reasons
from bonafide.sealing import OpenedAnswer, open_sealed
from tests.upstream.test_wsgi import World
from tests.upstream.word import ANSWER_KEY, SEALED, sender, statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    Application = Callable[[dict[str, Any], Any], Iterable[bytes]]

OUTSIDE = {"Content-Type": "application/bonafide-sealed", "Cache-Control": "private, no-store, no-transform"}


class Sealing(World):
    """The middleware around an application of a test's own, and a server that keeps what goes out."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.written: list[bytes] = []
        self.status = ""
        self.outside: dict[str, str] = {}
        self.begun = 0

    def answer(self, app: Application, **changes: Any) -> OpenedAnswer:
        """Return what the phone opens of the answer that goes out."""
        self.serve(app, **changes)
        return open_sealed(b"".join(self.written), ANSWER_KEY, status=int(self.status[:3]))

    def serve(self, app: Application, body: bytes = b"", **changes: Any) -> None:
        """Run a request as a server does: close what was returned, whatever happens."""
        self.guarded.app = app  # type: ignore[misc]  # another one behind the same door
        environ = self.environ(statement(sender(body), **SEALED), body, **changes)
        returned = self.guarded(environ, self._start_response)
        assert self.begun == 1  # granian asks no later
        try:
            for chunk in returned:
                self.written.append(chunk)
        finally:
            getattr(returned, "close", lambda: None)()

    def _start_response(self, status: str, headers: list[tuple[str, str]], *more: object) -> Callable[[bytes], object]:
        assert not more
        assert len(dict(headers)) == len(headers)
        self.begun += 1
        self.status, self.outside = status, dict(headers)
        return self.written.append


@pytest.fixture
def world(tmp_path: Path) -> Sealing:
    return Sealing(tmp_path)


def mine() -> LookupError:
    return LookupError("a secret of the application")


def says(*chunks: bytes, status: str = "200 OK", headers: tuple[tuple[str, str], ...] = ()) -> Application:
    def app(_: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response(status, list(headers))
        return list(chunks)

    return app


def is_truncated(world: Sealing) -> bool:
    """Tell whether the app learns that the answer is not whole."""
    with pytest.raises((VerificationFailed, MalformedEvidence)) as refusal:
        open_sealed(b"".join(world.written), ANSWER_KEY, status=int(world.status[:3]))
    return refusal.value.reason in {reasons.TRUNCATED, reasons.RECORD_INVALID}


# What goes where ---------------------------------------------------------------------------------


def test_fields_and_body_go_inside_and_the_same_stands_outside_of_every_answer(world: Sealing) -> None:
    headers = (("Content-Type", "text/plain"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Server", "x"))
    opened = world.answer(says(b"one ", b"two", status="201 All mine", headers=headers))
    assert opened == OpenedAnswer(
        (("content-type", "text/plain"), ("set-cookie", "a=1"), ("set-cookie", "b=2")), b"one two"
    )
    assert world.status == "201 Created"
    assert world.outside == OUTSIDE | {"Content-Length": str(len(b"".join(world.written)))}
    assert b"two" not in b"".join(world.written)


@pytest.mark.parametrize("status", ["404 Not Found", "302 Found", "500 Internal Server Error", "299 Odd"])
def test_errors_and_redirects_of_the_application_are_sealed_too(world: Sealing, status: str) -> None:
    opened = world.answer(says(b"inside", status=status, headers=(("Location", "/api/y"),)))
    assert opened == OpenedAnswer((("location", "/api/y"),), b"inside")
    assert world.status[:3] == status[:3]


@pytest.mark.parametrize("status", ["204 No Content", "205 Reset Content", "304 Not Modified"])
def test_an_answer_without_a_body_is_a_sealed_empty_one(world: Sealing, status: str) -> None:
    assert world.answer(says(status=status)) == OpenedAnswer((), b"")
    assert world.status == "200 OK"


def test_where_the_gate_hands_no_key_on_the_answer_is_in_clear(world: Sealing) -> None:
    world.guarded.app = says(b"clear", headers=(("X", "y"),))  # type: ignore[misc]  # as above
    assert world.ask(world.environ(statement(sender()))) == (200, b"clear")
    assert world.answers[-1][1] == {"X": "y"}


def test_the_application_is_not_asked_for_what_could_not_be_sealed(world: Sealing) -> None:
    asked = {
        "HTTP_ACCEPT_ENCODING": "gzip",
        "HTTP_RANGE": "bytes=0-1",
        "HTTP_IF_NONE_MATCH": '"x"',
        "HTTP_IF_MODIFIED_SINCE": "x",
        "HTTP_IF_RANGE": "x",
        "HTTP_TE": "trailers",
        "HTTP_ACCEPT": "text/plain",
        "wsgi.file_wrapper": object(),
    }
    world.answer(world.api, **asked)
    (seen,) = world.api.seen
    assert {name for name in asked if name in seen} == {"HTTP_ACCEPT"}


def test_in_clear_the_application_is_asked_as_it_was(world: Sealing) -> None:
    world.ask(world.environ(statement(sender()), HTTP_RANGE="bytes=0-1", HTTP_ACCEPT_ENCODING="gzip"))
    assert {"HTTP_RANGE", "HTTP_ACCEPT_ENCODING"} <= world.api.seen[0].keys()


# How an application may answer -------------------------------------------------------------------


def test_what_is_written_goes_out_in_its_order(world: Sealing) -> None:
    def app(_: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        write = start_response("200 OK", [])
        write(b"1" * 100_000)
        write(b"2")
        return [b"3" * 100_000, b"", b"4"]

    assert world.answer(app).body == b"1" * 100_000 + b"2" + b"3" * 100_000 + b"4"


def test_an_application_that_begins_when_it_is_iterated_is_sealed(world: Sealing) -> None:
    def app(_: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("X", "y")])
        yield b"late"

    assert world.answer(app) == OpenedAnswer((("x", "y"),), b"late")


def test_an_application_may_think_better_of_it_before_it_has_said_anything(world: Sealing) -> None:
    def app(_: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("X", "first")])
        try:
            raise LookupError
        except LookupError:
            start_response("404 Not Found", [("X", "second")], sys.exc_info())
        return [b"none"]

    assert world.answer(app) == OpenedAnswer((("x", "second"),), b"none")
    assert world.status == "404 Not Found"


def test_an_application_that_thinks_better_of_it_too_late_gets_its_own_error(world: Sealing) -> None:
    def app(_: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])(b"x" * 100_000)
        try:
            raise mine()
        except LookupError:
            start_response("500 Oh", [], sys.exc_info())
        return []

    with pytest.raises(LookupError, match="a secret"):
        world.serve(app)
    assert is_truncated(world)


def test_a_length_that_the_application_gives_is_told_before_the_body_is_there(world: Sealing) -> None:
    world.answer(says(b"x" * 100_000, b"y" * 100_000, headers=(("Content-Length", "200000"),)))
    assert world.outside["Content-Length"] == str(len(b"".join(world.written)))


def test_a_long_answer_without_a_length_has_none(world: Sealing) -> None:
    assert len(world.answer(says(b"x" * 100_000)).body) == 100_000
    assert world.outside == OUTSIDE


def test_records_go_out_as_they_fill(world: Sealing) -> None:
    given: list[int] = []

    def app(_: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        for _number in range(64):
            given.append(len(world.written))
            yield b"x" * 2**16

    assert len(world.answer(app).body) == 2**22
    assert given[-1] >= 61


# What goes wrong ---------------------------------------------------------------------------------

UNFIT: dict[str, Application] = {
    "a part": says(b"x", status="206 Partial Content"),
    "a coding": says(b"x", headers=(("Content-Encoding", "gzip"),)),
    "events": says(b"x", headers=(("Content-Type", "text/event-stream; charset=utf-8"),)),
    "no status": says(b"x", status="OK"),
    "a control in a field": says(b"x", headers=(("X", "a\nb"),)),
    "too many fields": says(b"x", headers=tuple((f"X-{number}", "x" * 1000) for number in range(40))),
    "longer than announced": says(b"12345", headers=(("Content-Length", "4"),)),
    "shorter than announced": says(b"123", headers=(("Content-Length", "4"),)),
    "no beginning": lambda _, __: [b"x"],
    "no beginning and no body": lambda _, __: [],
    "two beginnings": lambda _, start: [start("200 OK", []), start("200 OK", [])] and [b"x"],
}


@pytest.mark.parametrize("app", UNFIT.values(), ids=UNFIT)
def test_what_cannot_be_sealed_is_a_sealed_500_with_nothing_inside(
    world: Sealing, app: Application, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="bonafide.upstream"):
        assert world.answer(app) == OpenedAnswer((), b"")
    assert (world.status, world.begun) == ("500 Internal Server Error", 1)
    assert world.outside == OUTSIDE | {"Content-Length": str(len(b"".join(world.written)))}
    (line,) = caplog.messages
    assert "reason=sealed." in line
    assert f"record={SEALED['record']} route=/api/**" in line


def raising(_: dict[str, Any], __: Any) -> Iterable[bytes]:
    raise mine()


def raising_later(_: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [])
    yield b"half of it"
    raise mine()


@pytest.mark.parametrize("app", [raising, raising_later])
def test_an_application_that_fails_before_anything_is_out_is_a_sealed_500(
    world: Sealing, app: Application, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="bonafide.upstream"):
        assert world.answer(app) == OpenedAnswer((), b"")
    assert world.status[:3] == "500"
    assert "Traceback" in caplog.text
    assert "LookupError: a secret of the application" in caplog.text
    assert b"secret" not in b"".join(world.written)


@pytest.mark.parametrize("announced", [True, False])
def test_an_application_that_fails_in_mid_answer_ends_without_a_last_record(world: Sealing, *, announced: bool) -> None:
    def app(_: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", "200000")] if announced else [])
        yield b"x" * 140_000
        raise mine()

    with pytest.raises(LookupError, match="a secret"):
        world.serve(app)
    assert world.status == "200 OK"
    assert is_truncated(world)


@pytest.mark.parametrize("size", [199_999, 200_001, 400_000])
def test_a_long_answer_of_another_length_ends_without_a_last_record(world: Sealing, size: int) -> None:
    app = says(*[b"x" * 66_000] * (size // 66_000), b"y" * (size % 66_000), headers=(("Content-Length", "200000"),))
    with pytest.raises(Exception, match="answer_unfit"):
        world.serve(app)
    assert is_truncated(world)


class Closable:
    """An answer that counts how often it was closed."""

    def __init__(self, *chunks: bytes, fails: bool = False) -> None:
        self.chunks, self.fails, self.closed = chunks, fails, 0

    def __call__(self, _: dict[str, Any], start_response: Any) -> Closable:
        start_response("200 OK", [])
        return self

    def __iter__(self) -> Iterator[bytes]:
        yield from self.chunks
        if self.fails:
            raise LookupError

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("fails", [True, False])
def test_what_the_application_returned_is_closed_once(world: Sealing, *, fails: bool) -> None:
    app = Closable(b"x", fails=fails)
    world.answer(app)
    assert app.closed == 1


def test_what_the_application_returned_is_closed_where_the_client_goes_away(world: Sealing) -> None:
    app = Closable(*[b"x" * 100_000] * 3)
    world.guarded.app = app  # type: ignore[misc]  # as above
    returned = world.guarded(world.environ(statement(sender(), **SEALED)), world._start_response)
    next(iter(returned))
    returned.close()  # type: ignore[attr-defined]  # what a server calls
    assert app.closed == 1


def test_the_body_can_be_read_until_the_answer_is_closed(world: Sealing) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        while chunk := environ["wsgi.input"].read(100_000):
            yield chunk

    body = b"echo" * 100_000
    world.guarded.app = app  # type: ignore[misc]  # as above
    world.serve(app, body, REQUEST_METHOD="GET")
    assert open_sealed(b"".join(world.written), ANSWER_KEY, status=200).body == body


def test_whoever_stops_the_process_is_not_answered_for(world: Sealing) -> None:
    def app(_: dict[str, Any], __: Any) -> Iterable[bytes]:
        raise SystemExit

    with pytest.raises(SystemExit):
        world.serve(app)
    assert not world.written


def test_what_the_application_returned_is_closed_where_the_process_is_stopped(world: Sealing) -> None:
    class Stopped(Closable):
        def __iter__(self) -> Iterator[bytes]:
            raise SystemExit

    app = Stopped()
    with pytest.raises(SystemExit):
        world.serve(app)
    assert app.closed == 1
