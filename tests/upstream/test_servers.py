"""Flask and FastAPI on real servers: what a gate spoke for is served, and what differs in one respect is not.

The requests are octets on a socket. Where servers differ, the test says how.
"""

from __future__ import annotations

import base64
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.upstream.running import COMMANDS, Running
from tests.upstream.word import ATTESTATION, sender

if TYPE_CHECKING:
    from collections.abc import Iterator

UNSEEN = {
    ("flask_granian", "GET /api/%78"),
    ("flask_granian", "GET /api/x?"),
    ("fastapi_uvicorn", "GET /api/x?"),
    ("fastapi_granian", "GET /api/x?"),
}
"""Spellings that a server does not show: WSGI without a raw target, and ASGI's empty query."""


@pytest.fixture(scope="module", params=COMMANDS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(name=request.param, state=tmp_path_factory.mktemp(request.param))
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.mark.parametrize("size", [0, 1, 200_000, 3_000_000])
def test_the_application_reads_the_body_that_was_signed(server: Running, size: int) -> None:
    body = os.urandom(size)
    said = server.say(sender(body), method="POST")
    answer = server.send(server.octets(said, body, line="POST /api/x")).said
    assert (answer["instance"], answer["body"]) == ("inst-1", body.decode("latin-1"))
    assert answer["names"] == []


def chunked(server: Running, body: bytes, signed: bytes, *extra: bytes) -> bytes:
    return server.octets(
        server.say(sender(signed), method="POST"),
        body,
        line="POST /api/x",
        without=("Content-Length",),
        extra=(b"Transfer-Encoding: chunked", *extra),
    )


def test_a_body_in_chunks_is_read_whole(server: Running) -> None:
    request = chunked(server, b"3\r\nin \r\n6\r\nchunks\r\n0\r\n\r\n", b"in chunks")
    assert server.send(request).said["body"] == "in chunks"


def test_another_body_in_chunks_is_refused(server: Running) -> None:
    assert server.reason(server.send(chunked(server, b"4\r\nbodY\r\n0\r\n\r\n", b"body"))) == "proof.digest_mismatch"


def test_chunks_beside_a_length_are_refused_or_one_of_the_two_is_dropped(server: Running) -> None:
    answer = server.send(chunked(server, b"4\r\nbody\r\n0\r\n\r\n", b"body", b"Content-Length: 14"))
    if server.name == "flask_gunicorn":
        assert answer.status == 400  # by itself
    elif server.name.endswith("granian"):
        assert answer.said["body"] == "body"  # it drops the length: nobody after it can read another body
    else:
        assert server.reason(answer) == "request.body_framing"


def test_whoever_comes_past_the_gate_is_refused(server: Running) -> None:
    answer = server.send(server.octets(None))
    assert (answer.status, server.reason(answer)) == (403, "statement.missing")
    assert answer.headers["bonafide-action"] == "give_up"


@pytest.mark.parametrize("body", [b"other", b"bodY", b"body and more", b""])
def test_another_body_is_refused(server: Running, body: bytes) -> None:
    request = server.octets(server.say(sender(b"body"), method="POST"), body, line="POST /api/x")
    assert server.reason(server.send(request)) == "proof.digest_mismatch"


def test_a_statement_is_refused_after_ten_seconds(server: Running) -> None:
    def aged(seconds: float) -> bytes:
        return server.octets(server.say(sender(), issued_at=datetime.now(UTC) - timedelta(seconds=seconds)))

    assert server.send(aged(5)).status == 200
    assert server.reason(server.send(aged(12))) == "statement.stale"


@pytest.mark.parametrize(
    "line", ["POST /api/x", "GET /api/y", "GET /api/x?", "GET /api/x?a=1", "GET /api/x/", "GET /api/%78"]
)
def test_a_statement_for_another_request_is_refused(server: Running, line: str) -> None:
    answer = server.send(server.octets(server.say(sender()), line=line))
    if (server.name, line) in UNSEEN:
        assert answer.status == 200  # nor can the application tell it from what was signed
    else:
        assert server.reason(answer) == "statement.request_mismatch"


def test_a_statement_for_another_host_is_refused(server: Running) -> None:
    said = server.say(sender())
    request = server.octets(said, without=("Host",), extra=(b"Host: other.example.com",))
    assert server.reason(server.send(request)) == "request.host_unknown"


def test_a_path_that_is_not_ascii_is_the_one_that_was_signed(server: Running) -> None:
    target = "/api/b%C3%A9b%C3%A9%20x?q=%20"
    answer = server.send(server.octets(server.say(sender(), target=target), line=f"GET {target}")).said
    assert answer["path"].startswith("/api/b")
    assert "\N{LATIN SMALL LETTER E WITH ACUTE}" in answer["path"] or "%C3%A9" in answer["path"]


def test_a_path_that_is_not_utf8_is_refused(server: Running) -> None:
    said = server.say(sender(), target="/api/%FF")
    assert server.send(server.octets(said, line="GET /api/%FF")).status == 400


def test_another_attestation_is_refused(server: Running) -> None:
    request = server.octets(
        server.say(sender()),
        without=("OAuth-Client-Attestation",),
        extra=(b"OAuth-Client-Attestation: " + ATTESTATION.encode() + b"x",),
    )
    assert server.reason(server.send(request)) == "statement.attestation_mismatch"


def test_two_statements_are_refused(server: Running) -> None:
    line = b"Bonafide-Admission: x"
    answer = server.send(server.octets(server.say(sender()), extra=(line,)))
    assert answer.status in {400, 403}
    assert "bonafide-record" not in answer.headers or server.reason(answer) in {
        "statement.missing",
        "statement.malformed",
    }


@pytest.mark.parametrize("name", [b"Bonafide-Instance", b"bonafide_instance", b"BONAFIDE_JKT"])
def test_what_a_client_says_in_a_gates_name_reaches_no_application(server: Running, name: bytes) -> None:
    answer = server.send(server.octets(server.say(sender()), extra=(name + b": forged",)))
    assert answer.said["names"] == []


def test_what_was_let_through_in_a_rehearsal_passes(server: Running) -> None:
    answer = server.send(server.octets(server.say(None, method="POST"), b"any body", line="POST /api/x")).said
    assert (answer["instance"], answer["body"]) == (None, "any body")


def test_a_body_over_the_limit_is_refused(server: Running) -> None:
    body = b"x" * (4 * 2**20 + 1)
    request = server.octets(server.say(sender(body), method="POST"), body, line="POST /api/x")
    try:
        answer = server.send(request)
    except (ConnectionResetError, BrokenPipeError):  # refused before all of it was taken
        return
    assert (answer.status, server.reason(answer)) == (413, "request.body_too_large")


@pytest.mark.parametrize("server", ["flask_gunicorn", "flask_granian"], indirect=True)
def test_a_form_is_parsed_from_what_was_signed(server: Running) -> None:
    form = "multipart/form-data; boundary=b"
    body = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' + b"x" * 300_000
    body += b'\r\n--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n'
    request = server.octets(
        server.say(sender(body), method="POST", target="/form", fields={"content-type": form}),
        body,
        line="POST /form",
        extra=(f"Content-Type: {form}".encode(),),
    )
    assert server.send(request).said == {"f": 300_000, "a": "1"}


@pytest.mark.parametrize("server", ["fastapi_granian"], indirect=True)  # uvicorn wants a further package for them
@pytest.mark.parametrize("spoken_for", [True, False])
def test_a_handshake_is_admitted_by_its_statement(server: Running, *, spoken_for: bool) -> None:
    said = server.say(sender(), target="/talk") if spoken_for else None
    lines = (
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)),
    )
    answer = server.send(server.octets(said, line="GET /talk", without=("Connection", "Content-Length"), extra=lines))
    assert answer.status == (101 if spoken_for else 403)
