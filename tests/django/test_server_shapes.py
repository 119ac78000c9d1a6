"""What each server makes of a request that is not quite what was signed, and what is made of that.

The requests are octets on a socket, and differ from an admitted one in exactly what the test names. Where servers
differ, the test says how: one that begins to behave in another way turns it red. `test_servers` has the good ones.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.django.real_server import COMMANDS, RealServer, octets, signed

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from bonafide.testing.client import AppClient
    from tests.django.real_server import Answer

RAW = frozenset(["gunicorn", "uvicorn", "granian_asgi"])
"""Those that show the target as it was sent."""

MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module", params=COMMANDS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    state = tmp_path_factory.mktemp(request.param)
    state.chmod(0o700)
    running = RealServer(name=request.param, state=state)
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def phone(server: RealServer) -> Iterator[AppClient]:
    client = server.phone()
    yield client
    client.close()


def said(answer: Answer) -> dict[str, Any]:
    """Return what the view said."""
    assert answer.status == 200, answer.body
    found: dict[str, Any] = json.loads(answer.body)
    return found


# The body ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("size", [0, 1, 200_000])
def test_the_view_reads_the_body_that_was_signed(server: RealServer, phone: AppClient, method: str, size: int) -> None:
    body = os.urandom(size)
    answer = said(server.send(octets(signed(phone, method, content=body))))
    assert (answer["method"], answer["body"]) == (method, body.decode("latin-1"))


def test_a_body_that_is_read_while_answering_is_whole(server: RealServer, phone: AppClient) -> None:
    body = os.urandom(3 * MEGABYTE)
    assert server.send(octets(signed(phone, "POST", "/api/stream", content=body))).body == body


@pytest.mark.parametrize("body", [b"other", b"bodY", b"body and more", b""])
def test_another_body_is_refused(server: RealServer, phone: AppClient, body: bytes) -> None:
    length = b"Content-Length: %d" % len(body)
    request = octets(signed(phone, "POST", content=b"body"), body=body, without=["content-length"], extra=[length])
    assert server.reason(server.send(request)) == "proof.digest_mismatch"


def test_a_body_without_a_length_is_no_body(server: RealServer, phone: AppClient) -> None:
    request = octets(signed(phone, "POST", content=b"body"), without=["content-length"])
    assert server.reason(server.send(request)) == "proof.digest_mismatch"


def chunked(request: httpx.Request, body: bytes) -> bytes:
    return octets(request, body=body, without=["content-length"], extra=[b"Transfer-Encoding: chunked"])


def test_a_body_in_chunks_is_read_where_the_server_decodes_it(server: RealServer, phone: AppClient) -> None:
    request = signed(phone, "POST", content=b"in chunks")
    answer = server.send(chunked(request, b"3\r\nin \r\n6\r\nchunks\r\n0\r\n\r\n"))
    if server.name == "runserver":
        assert server.reason(answer) == "request.body_framing"
    else:
        assert said(answer)["body"] == "in chunks"


def test_another_body_in_chunks_is_refused(server: RealServer, phone: AppClient) -> None:
    answer = server.send(chunked(signed(phone, "POST", content=b"body"), b"4\r\nbodY\r\n0\r\n\r\n"))
    assert server.reason(answer) in {"proof.digest_mismatch", "request.body_framing"}


def test_chunks_beside_a_length_are_refused_or_one_of_the_two_is_dropped(server: RealServer, phone: AppClient) -> None:
    request = signed(phone, "POST", content=b"body")
    answer = server.send(octets(request, body=b"4\r\nbody\r\n0\r\n\r\n", extra=[b"Transfer-Encoding: chunked"]))
    if server.name == "gunicorn":
        assert answer.status == 400  # by itself
    elif server.name.startswith("granian"):
        assert said(answer)["body"] == "body"  # it drops the length: nobody after it can read another body
    else:
        assert server.reason(answer) == "request.body_framing"


def test_trailers_reach_no_view(server: RealServer, phone: AppClient) -> None:
    body = b"4\r\nbody\r\n0\r\nCookie: a=b\r\n\r\n"
    answer = server.send(chunked(signed(phone, "POST", content=b"body"), body))
    if server.name == "runserver":
        assert server.reason(answer) == "request.body_framing"
    else:
        assert (said(answer)["body"], said(answer)["cookies"]) == ("body", {})


def test_announced_trailers_are_refused(server: RealServer, phone: AppClient) -> None:
    answer = server.send(octets(signed(phone), extra=[b"Trailer: X-Sum"]))
    assert server.reason(answer) == "request.trailers"


@pytest.mark.parametrize("length", [b"+4", b"0_4", b"0x4"])
def test_a_length_that_readers_differ_on_is_refused(server: RealServer, phone: AppClient, length: bytes) -> None:
    request = signed(phone, "POST", content=b"body")
    answer = server.send(octets(request, without=["content-length"], extra=[b"Content-Length: " + length]))
    if server.name == "runserver":
        assert server.reason(answer) == "request.body_framing"
    else:
        assert answer.status == 400  # by themselves


# The target -------------------------------------------------------------------------------------------

SPELLINGS = {
    b"/api/%65cho": ("request.target_not_canonical", "proof.replayed"),
    b"/api%2Fecho": ("request.target_not_canonical", "proof.replayed"),
    b"/api/echo%2F": ("request.target_not_canonical", "proof.signature_invalid"),
    b"/api/echo/%c3%a9": ("request.target_not_canonical", "proof.signature_invalid"),
    b"/api//echo": ("request.target_not_canonical", "request.target_not_canonical"),
    b"/api/./echo": ("request.target_not_canonical", "request.target_not_canonical"),
    b"/api/%2E/echo": ("request.target_not_canonical", "request.target_not_canonical"),
    b"/api/x/../echo": ("request.target_not_canonical", "request.target_not_canonical"),
    b"/api/echo;x": ("request.target_not_canonical", "request.target_not_canonical"),
    b"/api/echo%00": ("request.target_not_canonical", "request.target_not_canonical"),
    b"/api/echo%FF": ("request.target_not_canonical", "request.target_not_canonical"),
    b"/api/echo%2565": ("request.target_not_canonical", "request.target_not_canonical"),
    b"/api/echo/": ("proof.signature_invalid", "proof.signature_invalid"),
    b"/api/echo?x": ("proof.signature_invalid", "proof.signature_invalid"),
    b"/api/upload": ("proof.signature_invalid", "proof.signature_invalid"),
    b"/API/echo": ("route.not_listed", "route.not_listed"),
    b"/other": ("route.not_listed", "route.not_listed"),
}
"""Reasons where the target is shown as it was sent, and where only its decoded path is: there, respelling a path
reaches the same view as the same request, which has been used."""


@pytest.mark.parametrize("target", SPELLINGS, ids=str)
def test_another_spelling_of_the_target_is_refused(server: RealServer, phone: AppClient, target: bytes) -> None:
    request = signed(phone)
    assert said(server.send(octets(request)))["path"] == "/api/echo"
    raw, decoded = SPELLINGS[target]
    assert server.reason(server.send(octets(request, target=target))) == (raw if server.name in RAW else decoded)


def test_octets_outside_ascii_are_refused_or_become_what_was_signed(server: RealServer, phone: AppClient) -> None:
    answer = server.send(octets(signed(phone, path="/api/echo/%C3%A9"), target=b"/api/echo/\xc3\xa9"))
    if server.name == "granian_asgi":
        assert server.reason(answer) == "request.target_not_canonical"
    elif server.name in {"gunicorn", "uvicorn"}:
        assert answer.status == 400  # by themselves
    else:
        assert said(answer)["path"] == "/api/echo/\u00e9"


def test_a_bare_question_mark_is_refused_where_it_is_shown(server: RealServer, phone: AppClient) -> None:
    answer = server.send(octets(signed(phone), target=b"/api/echo?"))
    if server.name == "gunicorn":
        assert server.reason(answer) == "request.target_not_canonical"
    else:
        assert said(answer)["path"] == "/api/echo"  # it is gone, and the signature tells no query from an empty one


@pytest.mark.parametrize("target", [b"http://evil.example/api/echo", b"/api/echo#/open/health"])
def test_an_authority_or_a_fragment_in_the_target_leads_nowhere_else(
    server: RealServer, phone: AppClient, target: bytes
) -> None:
    answer = server.send(octets(signed(phone), target=target))
    if server.name.startswith("granian"):
        assert said(answer)["path"] == "/api/echo"  # it cuts them off; Host, which was signed, is what counts
    elif server.name == "runserver" and target.startswith(b"/"):
        assert server.reason(answer) == "proof.signature_invalid"  # it takes `#` for a part of the path
    else:
        assert server.reason(answer) == "request.target_not_canonical"


@pytest.mark.parametrize("target", [b"/open/api/echo", b"/api/echo"])
def test_a_mount_that_comes_in_a_header_moves_no_path(server: RealServer, phone: AppClient, target: bytes) -> None:
    """Gunicorn believes SCRIPT_NAME of loopback: `/open/api/echo` would run `/api/echo` by an open rule."""
    answer = server.send(octets(signed(phone), target=target, extra=[b"SCRIPT_NAME: /open"]))
    if target == b"/open/api/echo":
        assert answer.status == (400 if server.name == "gunicorn" else 404)
    elif server.name == "gunicorn":
        assert answer.status in {400, 500}  # it cannot take /open off
    else:
        assert said(answer)["path"] == "/api/echo"


@pytest.mark.parametrize("name", [b"Raw-Uri", b"Request-Uri", b"Script-Url", b"X-Original-Uri", b"X-Rewrite-Url"])
def test_no_header_stands_in_for_the_target(server: RealServer, phone: AppClient, name: bytes) -> None:
    request = octets(signed(phone, path="/api/upload"), target=b"/api/echo", extra=[name + b": /api/upload"])
    assert server.reason(server.send(request)) == "proof.signature_invalid"


def test_a_method_in_lower_case_is_refused(server: RealServer, phone: AppClient) -> None:
    answer = server.send(octets(signed(phone)).replace(b"GET ", b"get ", 1))
    if server.name == "gunicorn":
        assert answer.status == 400  # by itself
    else:
        assert server.reason(answer) == "request.method_malformed"


# Headers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", [b"evil.example", b"localhost", b"127.0.0.1", b""])
def test_a_foreign_host_is_refused(server: RealServer, phone: AppClient, host: bytes) -> None:
    answer = server.send(octets(signed(phone), without=["host"], extra=[b"Host: " + host]))
    assert server.reason(answer) == "request.host_unknown"


def test_two_hosts_are_refused(server: RealServer, phone: AppClient) -> None:
    assert server.send(octets(signed(phone), extra=[b"Host: evil.example"])).status == 400


@pytest.mark.parametrize("name", [b"X-Forwarded-Host", b"X-Forwarded-Proto", b"Forwarded"])
def test_forwarding_headers_change_no_origin(server: RealServer, phone: AppClient, name: bytes) -> None:
    answer = server.send(octets(signed(phone), extra=[name + b": https://evil.example"]))
    assert said(answer)["verdict"] == "Admitted"


@pytest.mark.parametrize("header", [b"Authorization: b", b"Cookie: c=d", b"Content-Type: text/html"])
def test_a_second_value_beside_the_signed_one_is_refused(server: RealServer, phone: AppClient, header: bytes) -> None:
    headers = {"Authorization": "a", "Cookie": "a=b", "Content-Type": "text/css"}
    answer = server.send(octets(signed(phone, "POST", content=b"x", headers=headers), extra=[header]))
    if header.startswith(b"Content-Type") and server.name in {"runserver", "granian_wsgi"}:
        assert said(answer)["verdict"] == "Admitted"  # it keeps the first, which was signed; the view sees no other
    else:
        assert answer.status in {400, 401}


def test_a_cookie_in_two_fields_is_seen_as_it_was_signed_or_refused(server: RealServer, phone: AppClient) -> None:
    request = signed(phone, headers={"Cookie": "a=b; c=d"})
    answer = server.send(octets(request, without=["cookie"], extra=[b"Cookie: a=b", b"Cookie: c=d"]))
    if server.name in {"uvicorn", "granian_asgi"}:
        assert said(answer)["cookies"] == {"a": "b", "c": "d"}
    else:
        assert answer.status in {400, 401}


@pytest.mark.parametrize("name", [b"Bonafide-Admission", b"bonafide-x", b"Bonafide_Admission", b"BONAFIDE_X-Y"])
def test_no_client_says_what_a_gate_says(server: RealServer, phone: AppClient, name: bytes) -> None:
    assert said(server.send(octets(signed(phone), extra=[name + b": yes"])))["bonafide_headers"] == []


def test_a_name_with_an_underscore_carries_no_proof_where_it_can_be_told(server: RealServer, phone: AppClient) -> None:
    request = signed(phone)
    digest = request.headers["content-digest"].encode()
    answer = server.send(octets(request, without=["content-digest"], extra=[b"Content_Digest: " + digest]))
    if server.name == "granian_wsgi":
        assert said(answer)["verdict"] == "Admitted"  # one name under WSGI: what is judged is what the view sees
    else:
        assert server.reason(answer) == "proof.missing"


@pytest.mark.parametrize("name", [b"Content_Type", b"Content_Length", b"Transfer_Encoding"])
def test_a_name_with_an_underscore_changes_no_body(server: RealServer, phone: AppClient, name: bytes) -> None:
    answer = server.send(octets(signed(phone, "POST", content=b"body"), extra=[name + b": 1"]))
    if server.name == "granian_wsgi" and name == b"Transfer_Encoding":
        assert server.reason(answer) == "request.body_framing"
    else:
        assert said(answer)["body"] == "body"


# Nobody's ---------------------------------------------------------------------------------------------


def test_an_unsigned_request_runs_no_view(server: RealServer) -> None:
    request = b"POST /api/echo HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody"
    answer = server.send(request % server.port)
    assert (answer.status, answer.headers["bonafide-action"]) == (401, "renew")
    assert server.reason(answer) == "client_attestation.missing"
