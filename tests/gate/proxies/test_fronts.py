"""What every proxy must do alike: refusals whole, silence refused, the service apart, sizes and upgrades held."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from tests.gate.proxies.judging import ADMISSION, HOST, OTHER_HOST, having, refusal, signed, without
from tests.gate.proxies.stage import PREFIX, Stage
from tests.gate.proxies.starting import STARTS
from tests.gate.proxies.wire import Message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import RequireProgram

TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    413: "Request Entity Too Large",
    429: "Too Many Requests",
    503: "Service Unavailable",
}
UPGRADE = (
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)


@pytest.fixture(scope="module", params=STARTS)
def proxy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def running(proxy: str, require_program: RequireProgram) -> Iterator[Stage]:
    start, apt = STARTS[proxy]
    program = require_program(proxy, apt=apt)
    with Stage(lambda stage: start(stage, program)) as stage:
        yield stage


@pytest.fixture
def stage(running: Stage) -> Stage:
    running.forget()
    return running


def bare(target: str, *more: tuple[str, str], method: str = "GET") -> Message:
    return Message(f"{method} {target} HTTP/1.1", (("Host", HOST), *more))


@pytest.mark.parametrize("status", TITLES)
@pytest.mark.parametrize("retry_after", ["", "7"])
def test_refusal_gets_its_status_its_fields_and_its_document_back(stage: Stage, status: int, retry_after: str) -> None:
    more = f"Retry-After: {retry_after}\r\n" if retry_after else ""
    stage.gate.answer = lambda _: refusal(status, "back_off", "Ab_-9", more)
    answer = stage.ask(signed("/api/photo.json"))
    assert answer.status == status
    assert answer.one("Content-Type") == "application/problem+json"
    assert answer.one("Bonafide-Action") == "back_off"
    assert answer.one("Bonafide-Record") == "Ab_-9"
    assert answer.one("Retry-After") == retry_after
    assert answer.one("Cache-Control") == "no-store"
    assert json.loads(answer.body) == {
        "type": "about:blank",
        "title": TITLES[status],
        "status": status,
        "action": "back_off",
        "record": "Ab_-9",
    }
    wanted = ['ClientAttestation error="invalid_client_attestation"'] if status == 401 else []
    assert answer.all("WWW-Authenticate") == wanted
    assert not stage.api.seen


def test_refusal_of_a_head_has_no_body(stage: Stage) -> None:
    answer = stage.ask(without(signed(method="HEAD"), "signature"))
    assert (answer.status, answer.body) == (401, b"")
    assert answer.one("Bonafide-Action")


@pytest.mark.parametrize("status", ["200", "204", "", "x"])
def test_refused_status_that_is_none_of_ours_is_a_refusal(stage: Stage, status: str) -> None:
    stage.gate.answer = lambda _: (
        f"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nBonafide-Status: {status}\r\n\r\n".encode()
    )
    assert stage.ask(signed()).status in {403, 503}
    assert not stage.api.seen


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"garbage\r\n\r\n",
    ],
    ids=["hangs up", "500", "503", "302", "404", "garbage"],
)
def test_gate_that_does_not_answer_as_a_gate_is_503_and_back_off(stage: Stage, answer: bytes | None) -> None:
    stage.gate.answer = lambda _: answer
    _is_silent(stage.ask(signed()), stage)


def test_gate_that_is_away_is_503_and_back_off(stage: Stage) -> None:
    stage.gate.close()
    _is_silent(stage.ask(signed()), stage)


def test_gate_that_is_slow_is_503_within_its_deadline(stage: Stage) -> None:
    stage.gate.answer = _sleep
    began = time.monotonic()
    _is_silent(stage.ask(signed()), stage)
    assert time.monotonic() - began < 2.5


def _sleep(_: Message) -> None:
    time.sleep(5)


def _is_silent(answer: Message, stage: Stage) -> None:
    assert answer.status == 503
    assert answer.one("Bonafide-Action") == "back_off"
    assert 2 <= int(answer.one("Retry-After")) <= 9
    document = json.loads(answer.body)
    assert (document["status"], document["action"]) == (503, "back_off")
    assert document["record"] == answer.one("Bonafide-Record")
    assert len(document["record"]) >= 32
    assert answer.one("Content-Type") == "application/problem+json"
    assert answer.one("Cache-Control") == "no-store"
    assert not stage.api.seen


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 429, 500, 502, 503])
def test_what_the_api_itself_answers_is_left_alone(stage: Stage, status: int) -> None:
    stage.api.answer = lambda _: (
        f"HTTP/1.1 {status} As It Likes\r\nContent-Length: 3\r\nContent-Type: text/x-own\r\n"
        f'WWW-Authenticate: Own realm="x"\r\nBonafide-Action: update_app\r\nRetry-After: 99\r\n\r\nown'
    ).encode()
    answer = stage.ask(signed())
    assert (answer.status, answer.body, answer.one("Content-Type")) == (status, b"own", "text/x-own")
    assert answer.one("WWW-Authenticate") == 'Own realm="x"'
    assert answer.one("Bonafide-Action") == "update_app"
    assert answer.one("Retry-After") == "99"


def test_api_that_is_away_is_not_taken_for_a_silent_gate(stage: Stage) -> None:
    stage.api.close()
    answer = stage.ask(signed())
    assert answer.status in {502, 503}
    assert not answer.all("Bonafide-Action")


def test_request_is_given_to_the_api_once_though_the_api_hangs_up(stage: Stage) -> None:
    stage.ask(signed())
    stage.api.answer = lambda _: None
    stage.api.seen.clear()
    assert stage.ask(signed()).status == 502
    assert len(stage.api.seen) == 1


def test_body_above_every_routes_bound_is_413_and_the_api_reads_none(stage: Stage) -> None:
    answer = stage.ask(signed(method="POST", body=b"x" * (64 * 1024 + 1)))
    assert answer.status == 413
    assert answer.one("Bonafide-Action") == "give_up"
    assert json.loads(answer.body)["status"] == 413
    assert not [got for got in stage.api.seen if got.body]


def test_body_of_the_largest_bound_and_fields_of_8_kib_pass(stage: Stage) -> None:
    sent = signed(method="POST", body=b"x" * 64 * 1024, cookie="c=" + "x" * 8000)
    assert stage.ask(sent).status == 200
    assert len(stage.api.seen[0].body) == 64 * 1024


@pytest.mark.parametrize(
    "path",
    [
        "challenge",
        "instances",
        "instances/aB-_9/renewals",
        "jwks.json",
        "secrets",
        "configuration",
        "pins",
        "jwks.json?x=1",
    ],
)
def test_what_the_service_says_to_the_public_asks_no_gate(stage: Stage, path: str) -> None:
    assert stage.ask(bare(f"{PREFIX}/{path}", ("Bonafide-Admission", "forged"))).status == 200
    (got,) = stage.service.seen
    assert got.target == f"{PREFIX}/{path}"
    assert got.one("Host") == HOST
    assert not got.all("Bonafide-Admission")
    assert not stage.gate.seen
    assert not stage.api.seen


@pytest.mark.parametrize(
    "target",
    [
        f"{PREFIX}/gate",
        f"{PREFIX}/gate?x",
        f"{PREFIX}/",
        f"{PREFIX}/challenge/",
        f"{PREFIX}/challenge/../gate",
        f"{PREFIX}/x/../challenge",
        f"{PREFIX}/./challenge",
        f"{PREFIX}/%63hallenge",
        f"/api/..{PREFIX}/challenge",
        f"/api/..{PREFIX}/gate",
        f"http://{HOST}{PREFIX}/challenge",
        f"{PREFIX}/instances/../../../api/config/renewals",
        f"{PREFIX}/Challenge",
    ],
)
def test_nothing_else_of_the_service_is_reached_and_nothing_else_by_its_prefix(stage: Stage, target: str) -> None:
    assert stage.ask(bare(target)).status in {400, 401, 403, 404}
    assert not stage.service.seen
    assert not stage.api.seen


def test_service_takes_no_body_above_its_own_bound(stage: Stage) -> None:
    sent = having(bare(f"{PREFIX}/instances", ("Content-Length", "65537"), method="POST"), body=b"x" * 65537)
    assert stage.ask(sent).status == 413
    assert not [got for got in stage.service.seen if got.body]


def test_each_host_reaches_its_own_api_alone(stage: Stage) -> None:
    stage.gate.answer = lambda _: f"HTTP/1.1 204 No Content\r\nBonafide-Admission: {ADMISSION}\r\n\r\n".encode()
    stage.ask(having(without(signed(), "host"), ("Host", OTHER_HOST)))
    assert [len(recorder.seen) for recorder in (stage.api, stage.other)] == [0, 1]
    assert stage.gate.seen[0].one("Originalhost") == OTHER_HOST


@pytest.mark.parametrize(
    ("target", "method", "goes_through"),
    [
        ("/ws/chat", "GET", True),
        ("/ws/chat?x=1", "GET", True),
        ("/ws/chat", "POST", False),
        ("/ws/quiet", "GET", False),
        ("/ws/a/b", "GET", False),
        ("/api/config", "GET", False),
    ],
)
def test_upgrade_goes_through_where_the_first_matching_route_says_so(
    stage: Stage, target: str, method: str, goes_through: bool
) -> None:
    stage.gate.answer = lambda _: b"HTTP/1.1 204 No Content\r\n\r\n"  # as under `observe`
    stage.ask(having(signed(target, method=method), *UPGRADE))
    (asked,), (got,) = stage.gate.seen, stage.api.seen
    assert asked.one("Originalupgrade") == "websocket"
    assert not asked.all("Upgrade")
    assert got.one("Upgrade") == ("websocket" if goes_through else "")
    assert (got.one("Connection").lower() == "upgrade") is goes_through


@pytest.mark.parametrize("protocol", ["h2c", "websocket, h2c", "TLS/1.0", "websocket/13"])
def test_upgrade_to_anything_but_a_websocket_is_handed_on_to_nobody(stage: Stage, protocol: str) -> None:
    """Behind it would be a tunnel whose requests nobody judges."""
    stage.gate.answer = lambda _: b"HTTP/1.1 204 No Content\r\n\r\n"  # as on a route that asks for no proof
    fields = (("Upgrade", protocol), ("Connection", "Upgrade, HTTP2-Settings"), ("HTTP2-Settings", "AAMAAABkAAQAoAAA"))
    stage.send(having(signed("/ws/chat"), *fields))
    for got in stage.api.seen:
        assert not got.all("Upgrade")
        assert not got.all("HTTP2-Settings")


def test_what_an_api_says_in_a_gates_name_reaches_no_client(stage: Stage) -> None:
    stage.api.answer = lambda _: (
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nBonafide-Admission: secret\r\nBonafide-Status: 401\r\n\r\n"
    )
    answer = stage.ask(signed())
    assert answer.status == 200
    assert not answer.all("Bonafide-Admission")
    assert not answer.all("Bonafide-Status")


def test_two_sockets_talk_over_an_upgraded_connection(stage: Stage) -> None:
    """The API's 101 comes back, and is not taken for anything of the gate's."""
    stage.api.answer = lambda _: (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    )
    assert stage.ask(having(signed("/ws/chat"), *UPGRADE)).status == 101


@pytest.mark.parametrize("proxy", STARTS)
def test_api_that_compares_no_bodies_gets_none(proxy: str, require_program: RequireProgram) -> None:
    start, apt = STARTS[proxy]
    program = require_program(proxy, apt=apt)
    with Stage(lambda stage: start(stage, program), takes_bodies=False) as stage:
        assert stage.ask(signed()).status == 200
        stage.forget()
        assert stage.ask(signed(method="POST", body=b"hello")).status == 413
        lengthless = without(signed(method="POST", body=b"hello"), "content-length")
        stage.send(having(lengthless, ("Transfer-Encoding", "chunked"), body=b"5\r\nhello\r\n0\r\n\r\n"))
        fields = [(name.lower(), value) for name, value in lengthless.headers if name != "Host"]
        pseudo = [(":method", "POST"), (":scheme", "https"), (":authority", HOST), (":path", "/api/config")]
        stage.ask_h2([*pseudo, *fields], body=b"hello")
        assert [got.body for got in stage.api.seen if got.body] == []
