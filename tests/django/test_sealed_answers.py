"""On a route that seals, whatever a view answers leaves as octets that this app alone opens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.core.wsgi import get_wsgi_application

from bonafide.django.contrib.rest_framework import SealedJSONRenderer
from bonafide.errors import BonafideError, Misuse
from bonafide.sealing import CACHE_CONTROL, CONTENT_TYPE, OpenedAnswer, open_sealed
from bonafide.terms import ProofKind
from bonafide.testing.in_process import environ_of
from tests.django import sealed_api
from tests.django.locked_api import configure, keeping_connections, reason, send_to_event_loop, signed, unsigned
from tests.django.locked_api import send as send_to_wsgi
from tests.django.sealed_api import CANARY, CHUNK, CHUNKS

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from bonafide.testing.client import AppClient

    Send = Callable[[httpx.Request], httpx.Response]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sealing")]

OUTSIDE = {"content-type", "content-length", "cache-control"}
NOT_THE_VIEWS = {"x-content-type-options", "x-frame-options", "referrer-policy", "cross-origin-opener-policy", "vary"}


@pytest.fixture
def sealing(settings: Any) -> None:
    sealed_api.lock(settings)
    sealed_api.RUNS.clear()
    sealed_api.CLOSED.clear()


@pytest.fixture
def app(sealing: None, bonafide_client: AppClient) -> AppClient:
    return bonafide_client


def opened(app: AppClient, request: httpx.Request, response: httpx.Response) -> OpenedAnswer:
    """Open an answer as the app does, once it looks as every sealed answer looks."""
    assert response.headers["content-type"] == CONTENT_TYPE
    assert response.headers["cache-control"] == CACHE_CONTROL
    assert response.headers.keys() <= OUTSIDE
    assert CANARY.encode() not in response.content
    return open_sealed(response.content, app.conversation.answer_key(request), status=response.status_code)


def ask(app: AppClient, send: Send, path: str, method: str = "GET", **options: Any) -> tuple[int, OpenedAnswer]:
    request = signed(app, method, path, **options)
    response = send(request)
    return response.status_code, opened(app, request, response)


# What leaves, and what does not ------------------------------------------------------------------


@pytest.mark.parametrize("proof", [ProofKind.SESSION, ProofKind.HARDWARE])
def test_answer_is_opened_by_the_app_and_shows_nothing_outside(app: AppClient, send: Send, proof: ProofKind) -> None:
    status, answer = ask(app, send, "/api/plain", "POST", proof=proof, content=b"{}")
    assert status == 200
    assert json.loads(answer.body)["said"] == CANARY
    fields = [(name, value) for name, value in answer.fields if name not in NOT_THE_VIEWS]
    assert [name for name, _ in fields] == ["content-type", "x-thing", "set-cookie", "set-cookie"]
    assert fields[2][1].startswith("one=1")
    assert fields[3][1].startswith(f"two={CANARY}; HttpOnly")


@pytest.mark.parametrize("octets", [0, 1, 65480, 65519, 65520, 200_000])
def test_every_size_is_opened(app: AppClient, send: Send, octets: int) -> None:
    _, answer = ask(app, send, f"/api/sized/{octets}")
    assert answer.body == b"x" * octets


def test_two_answers_of_a_kind_have_one_length_and_nothing_else_in_common(app: AppClient, send: Send) -> None:
    one, other = send(signed(app, path="/api/status/200")), send(signed(app, path="/api/sized/20"))
    assert len(one.content) == len(other.content)
    assert one.content[:16] != other.content[:16]


def test_answer_to_one_request_is_none_to_another(app: AppClient, send: Send) -> None:
    first, second = signed(app, path="/api/plain"), signed(app, path="/api/plain")
    answer = send(first)
    for key, status in [
        (app.conversation.answer_key(second), 200),
        (app.conversation.answer_key(first), 404),
    ]:
        with pytest.raises(BonafideError, match=r"sealed\.record_invalid"):
            open_sealed(answer.content, key, status=status)


# Statuses ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 302, 400, 401, 403, 404, 409, 500, 503])
def test_errors_are_sealed_too(app: AppClient, send: Send, status: int) -> None:
    said, answer = ask(app, send, f"/api/status/{status}")
    assert (said, answer.body) == (status, CANARY.encode())


@pytest.mark.parametrize("status", [204, 205, 304])
def test_answers_without_a_body_look_like_those_with_an_empty_one(app: AppClient, send: Send, status: int) -> None:
    said, answer = ask(app, send, f"/api/status/{status}")
    assert (said, answer.body) == (200, b"")


def test_what_django_answers_by_itself_is_sealed(app: AppClient, send: Send) -> None:
    status, _ = ask(app, send, "/api/no-such-view")
    assert status == 404
    status, answer = ask(app, send_to_event_loop, "/api/broken")
    assert status == 500
    assert CANARY.encode() not in answer.body


def test_redirect_tells_nobody_where_to(app: AppClient, send: Send) -> None:
    status, answer = ask(app, send, "/api/elsewhere")
    assert status == 302
    assert dict(answer.fields)["location"] == f"/api/plain?{CANARY}"


@pytest.mark.parametrize("path", ["coded", "events", "partial"])
def test_what_cannot_be_sealed_leaves_as_an_empty_sealed_error(app: AppClient, send: Send, path: str) -> None:
    status, answer = ask(app, send, f"/api/{path}")
    assert (status, answer) == (500, OpenedAnswer((), b""))


# Requests ----------------------------------------------------------------------------------------


def test_view_never_sees_what_asks_for_half_an_answer(app: AppClient, send: Send) -> None:
    asking = {
        "range": "bytes=0-1",
        "if-range": '"1"',
        "if-none-match": '"1"',
        "if-modified-since": "Thu, 01 Jan 2026 00:00:00 GMT",
        "accept-encoding": "gzip",
    }
    request = signed(app, path="/api/gzipped", headers=asking)
    said = json.loads(opened(app, request, send(request)).body)
    assert said["asked"] == []
    assert "Range" not in said["fields"]
    _, answer = ask(app, send, "/api/file", headers={"range": "bytes=0-1"})
    assert answer.body == Path(sealed_api.__file__).read_bytes()
    clear = send(signed(app, path="/clear/plain", headers=asking))
    assert len(clear.json()["asked"]) == len(asking)


def test_head_is_refused_before_the_view(app: AppClient, send: Send) -> None:
    assert reason(send(signed(app, "HEAD", "/api/plain"))) == "route.head_not_sealed"
    assert sealed_api.RUNS == []
    assert send(signed(app, "HEAD", "/clear/plain")).status_code == 200


def test_refusals_before_admission_are_no_sealed_answers_and_say_nothing(app: AppClient, send: Send) -> None:
    for request in (unsigned(path="/api/plain"), signed(app, path="/api/plain")):
        request.headers["authorization"] = "Bearer edited"
        response = send(request)
        assert response.status_code == 401
        assert response.headers["content-type"] == "application/problem+json"
    assert sealed_api.RUNS == []


def test_rehearsal_answers_in_clear_whom_it_would_have_refused(app: AppClient, send: Send, settings: Any) -> None:
    rules = [{"match": "/api/**", "seal": True, "mode": "observe"}]
    configure(settings, ROUTES=rules)
    assert send(unsigned(path="/api/plain")).json()["said"] == CANARY
    status, _ = ask(app, send, "/api/plain")
    assert status == 200


# Streams and files -------------------------------------------------------------------------------


def test_streams_are_sealed_in_records(app: AppClient, send: Send) -> None:
    _, answer = ask(app, send, "/api/streamed")
    assert answer.body == CHUNK * CHUNKS


def test_asynchronous_streams_are_sealed_in_records(app: AppClient) -> None:
    _, answer = ask(app, send_to_event_loop, "/api/streamed-later")
    assert answer.body == CHUNK * CHUNKS


def test_files_are_sealed_and_announce_their_length(app: AppClient, send: Send) -> None:
    request = signed(app, path="/api/file")
    response = send(request)
    assert int(response.headers["content-length"]) == len(response.content)
    answer = opened(app, request, response)
    assert answer.body == Path(sealed_api.__file__).read_bytes()
    assert dict(answer.fields)["content-disposition"].startswith("attachment")


def test_what_an_answer_held_is_given_back(app: AppClient, send: Send) -> None:
    ask(app, send, "/api/streamed")
    assert sealed_api.CLOSED == ["stream"]


def test_stream_that_breaks_has_no_last_record(app: AppClient) -> None:
    pieces: list[bytes] = []
    request = signed(app, path="/api/streamed-until-it-breaks")
    with pytest.raises(ValueError, match=CANARY):
        _take(request, pieces)
    assert pieces
    with pytest.raises(BonafideError, match=r"sealed\.(truncated|record_invalid)"):
        open_sealed(b"".join(pieces), app.conversation.answer_key(request), status=200)


@pytest.mark.parametrize("more", [-1, 1])
def test_stream_of_another_length_than_announced_has_no_last_record(app: AppClient, more: int) -> None:
    pieces: list[bytes] = []
    request = signed(app, path=f"/api/streamed-with-a-length/{len(CHUNK) * CHUNKS + more}")
    with pytest.raises(Misuse, match=r"sealed\.answer_unfit"):
        _take(request, pieces)
    with pytest.raises(BonafideError, match=r"sealed\.(truncated|record_invalid)"):
        open_sealed(b"".join(pieces), app.conversation.answer_key(request), status=200)


def test_stream_of_the_length_that_was_announced_is_whole(app: AppClient, send: Send) -> None:
    _, answer = ask(app, send, f"/api/streamed-with-a-length/{len(CHUNK) * CHUNKS}")
    assert answer.body == CHUNK * CHUNKS


def _take(request: httpx.Request, pieces: list[bytes]) -> None:
    """Take an answer piece by piece, as a server does, and keep what came before it broke."""
    with keeping_connections():
        for piece in get_wsgi_application()(environ_of(request), lambda *_: lambda _octets: None):
            pieces += [piece]


# Views that want more than their route --------------------------------------------------------------


@pytest.mark.parametrize("view", ["marked", "marked-later", "marked-strictly", "rendered", "permitted"])
def test_view_seals_where_its_route_does_not(app: AppClient, send: Send, view: str) -> None:
    _, answer = ask(app, send, f"/clear/{view}")
    assert json.loads(answer.body)["said"] == CANARY


def test_marked_view_sees_no_range_and_its_failure_is_sealed(app: AppClient, send: Send) -> None:
    _, answer = ask(app, send, "/clear/marked", headers={"range": "bytes=0-1"})
    assert not json.loads(answer.body)["asked"]
    status, _ = ask(app, send_to_event_loop, "/clear/marked?fail=1")
    assert status == 500


@pytest.mark.parametrize("view", ["marked", "permitted", "rendered"])
def test_view_that_seals_has_no_answer_for_a_browser(view: str) -> None:
    with pytest.raises(Misuse, match=r"misuse\.view_unguarded"):
        send_to_wsgi(unsigned(path=f"/browser/{view}"))
    assert view == "rendered" or sealed_api.RUNS == []


def test_renderer_that_knows_no_request_renders_nothing() -> None:
    with pytest.raises(Misuse, match=r"sealed\.key_missing"):
        SealedJSONRenderer().render({"said": CANARY})


def test_marked_view_refuses_head(app: AppClient) -> None:
    with pytest.raises(Misuse, match=r"sealed\.answer_unfit"):
        send_to_wsgi(signed(app, "HEAD", "/clear/marked"))


def test_rehearsal_of_a_marked_view_answers_in_clear_unless_it_is_strict(app: AppClient, settings: Any) -> None:
    configure(settings, ROUTES=[{"match": "/clear/**", "mode": "observe"}])
    assert send_to_wsgi(unsigned(path="/clear/marked")).json()["said"] == CANARY
    assert send_to_wsgi(unsigned(path="/clear/marked-strictly")).status_code == 401
    assert send_to_wsgi(unsigned(path="/clear/rendered")).status_code == 401


# The Python client ---------------------------------------------------------------------------------

WANTED: dict[str, Any] = {"extensions": {"bonafide_sealed": True}}


def test_client_opens_what_it_wants_sealed(app: AppClient) -> None:
    response = app.get("/api/plain", **WANTED)
    assert response.json()["said"] == CANARY
    assert response.headers["x-thing"] == CANARY
    assert app.cookies["two"] == CANARY


def test_client_writes_a_file_whole(app: AppClient, tmp_path: Path) -> None:
    directory = tmp_path / "downloads"
    directory.mkdir()
    response = app.download("/api/file", directory / "file")
    assert response.status_code == 200
    assert (directory / "file").read_bytes() == Path(sealed_api.__file__).read_bytes()
    missing = app.download("/api/status/404", directory / "other")
    assert (missing.status_code, missing.text) == (404, CANARY)
    assert [each.name for each in directory.iterdir()] == ["file"]


def test_event_loop_serves_the_same(app: AppClient) -> None:
    request = signed(app, path="/api/later")
    assert json.loads(opened(app, request, send_to_event_loop(request)).body)["said"] == CANARY
