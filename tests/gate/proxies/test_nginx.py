"""Nginx with our snippet: what it asks the gate, what it makes of the answers, and what it leaves alone."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from bonafide.gate.proxies import GATE_HEADERS, ORIGINAL_HEADERS, nginx
from tests.gate.proxies import programs
from tests.gate.proxies.judging import ADMISSION, HOST, OTHER_HOST, having, octets, refusal, signed, without
from tests.gate.proxies.stage import PREFIX, Stage
from tests.gate.proxies.starting import start_nginx
from tests.gate.proxies.wire import Message

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import RequireProgram


@pytest.fixture(scope="module")
def program(require_program: RequireProgram) -> Path:
    return require_program("nginx", apt="nginx-light")


@pytest.fixture(scope="module")
def running(program: Path) -> Iterator[Stage]:
    with Stage(lambda stage: start_nginx(stage, program)) as stage:
        yield stage


@pytest.fixture
def stage(running: Stage) -> Stage:
    running.forget()
    return running


# What the gate is told, and what the API gets ------------------------------------------------------


def test_signed_request_is_admitted_and_reaches_the_api_as_it_was_sent(stage: Stage) -> None:
    sent = signed("/api/a%20b?x=%2f..//&y", method="POST", body=b"hello", content_type="text/plain", cookie="a=1; b=2")
    assert stage.ask(sent).status == 200
    (asked,), (got,) = stage.gate.seen, stage.api.seen
    assert asked.one("Originalmethod") == got.method == "POST"
    assert asked.one("Originaltarget") == got.target == "/api/a%20b?x=%2f..//&y"
    assert asked.one("Originalhost") == got.one("Host") == HOST
    assert asked.one("Originallength") == got.one("Content-Length") == "5"
    assert asked.one("Originaladdress") == got.one("X-Forwarded-For") == "127.0.0.1"
    assert got.body == b"hello"
    assert got.one("Bonafide-Admission") == ADMISSION
    signed_names = {name for name, _ in sent.headers} - {"Host", "Content-Length"}
    assert len(signed_names) == 7
    for name in signed_names:
        assert asked.one(name) == got.one(name) == sent.one(name)


def test_gate_is_asked_without_a_body_and_told_how_the_body_is_framed(stage: Stage) -> None:
    stage.ask(signed(method="POST", body=b"hello"))
    whole = signed(method="POST", body=b"hello")
    chunked = without(whole, "content-length")
    stage.ask(having(chunked, ("Transfer-Encoding", "chunked"), body=b"5\r\nhello\r\n0\r\n\r\n"))
    by_length, by_chunks = stage.gate.seen
    assert (by_length.method, by_length.target, by_length.body) == ("GET", "/admit", b"")
    assert not by_length.all("Content-Length")
    assert (by_length.one("Originallength"), by_length.one("Originalcoding")) == ("5", "")
    assert (by_chunks.one("Originallength"), by_chunks.one("Originalcoding")) == ("", "chunked")
    assert not by_chunks.all("Transfer-Encoding")
    assert [got.body for got in stage.api.seen] == [b"hello", b"hello"]


def test_gate_is_asked_over_one_kept_connection(stage: Stage) -> None:
    stage.ask(signed())
    before = stage.gate.connections
    for _ in range(20):
        stage.ask(signed())
    assert stage.gate.connections == before


def test_gate_that_closed_a_kept_connection_is_asked_anew(stage: Stage) -> None:
    stage.ask(signed())
    stage.gate.hang_up()
    assert stage.ask(signed()).status == 200


def test_names_of_the_gate_that_a_client_sends_reach_nobody(stage: Stage) -> None:
    forged = [(name, "forged") for name in (*ORIGINAL_HEADERS, *GATE_HEADERS, *GATE_HEADERS)]
    assert stage.ask(having(signed(), *forged)).status == 200
    (asked,), (got,) = stage.gate.seen, stage.api.seen
    assert "forged" not in {asked.one(name) for name in ORIGINAL_HEADERS}
    assert {name: got.one(name) for name in GATE_HEADERS if got.all(name)} == {"Bonafide-Admission": ADMISSION}


def test_old_admission_does_not_pass_where_the_gate_gives_none(stage: Stage) -> None:
    stage.gate.answer = lambda _: b"HTTP/1.1 204 No Content\r\n\r\n"
    stage.ask(having(signed(), ("Bonafide-Admission", ADMISSION)))
    assert not stage.api.seen[0].all("Bonafide-Admission")


# Refusals -------------------------------------------------------------------------------------------

TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    413: "Request Entity Too Large",
    429: "Too Many Requests",
    503: "Service Unavailable",
}


@pytest.mark.parametrize("status", TITLES)
def test_refusal_gets_its_status_its_fields_and_its_document_back(stage: Stage, status: int) -> None:
    stage.gate.answer = lambda _: refusal(status, "back_off", "Ab_-9", "Retry-After: 7\r\n")
    answer = stage.ask(signed("/api/photo.json"))
    assert answer.status == status
    assert answer.one("Content-Type") == "application/problem+json"
    assert answer.one("Bonafide-Action") == "back_off"
    assert answer.one("Bonafide-Record") == "Ab_-9"
    assert answer.one("Retry-After") == "7"
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


def test_refused_status_that_is_none_of_ours_is_403(stage: Stage) -> None:
    stage.gate.answer = lambda _: b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nBonafide-Status: 200\r\n\r\n"
    answer = stage.ask(signed())
    assert (answer.status, json.loads(answer.body)["action"]) == (403, "give_up")
    assert not stage.api.seen


@pytest.mark.parametrize("wrong", ['","x":"', "x" * 65, "a b", ""])
def test_what_cannot_be_a_record_or_an_action_is_not_repeated(stage: Stage, wrong: str) -> None:
    stage.gate.answer = lambda _: refusal(403, wrong, wrong)
    answer = stage.ask(signed())
    document = json.loads(answer.body)
    assert document["action"] == "give_up"
    assert len(document["record"]) == 32
    assert answer.one("Bonafide-Record") == document["record"]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"garbage\r\n\r\n",
    ],
    ids=["hangs up", "500", "502", "503", "302", "404", "garbage"],
)
def test_gate_that_does_not_answer_as_a_gate_is_503_and_back_off(stage: Stage, answer: bytes | None) -> None:
    stage.gate.answer = lambda _: answer
    _is_silent(stage.ask(signed()), stage)


def test_gate_that_is_away_is_503_and_back_off(stage: Stage) -> None:
    stage.gate.close()
    _is_silent(stage.ask(signed()), stage)


def test_gate_that_is_slow_is_503_within_its_deadline(stage: Stage) -> None:
    stage.gate.answer = lambda _: time.sleep(5)  # type: ignore[func-returns-value]  # None hangs up, in time for nobody
    began = time.monotonic()
    _is_silent(stage.ask(signed()), stage)
    assert time.monotonic() - began < 2.5


def _is_silent(answer: Message, stage: Stage) -> None:
    assert answer.status == 503
    assert answer.one("Bonafide-Action") == "back_off"
    assert 2 <= int(answer.one("Retry-After")) <= 9
    document = json.loads(answer.body)
    assert (document["status"], document["action"]) == (503, "back_off")
    assert document["record"] == answer.one("Bonafide-Record")
    assert answer.one("Content-Type") == "application/problem+json"
    assert answer.one("Cache-Control") == "no-store"
    assert not stage.api.seen


# The API's own answers ------------------------------------------------------------------------------


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


def test_request_is_given_to_the_api_once_though_the_api_hangs_up(stage: Stage) -> None:
    stage.api.answer = lambda _: None
    assert stage.ask(signed()).status == 502
    assert len(stage.api.seen) == len(stage.gate.seen) == 1


# Sizes ----------------------------------------------------------------------------------------------


def test_body_above_every_routes_bound_is_413_before_the_gate_is_asked(stage: Stage) -> None:
    answer = stage.ask(signed(method="POST", body=b"x" * (64 * 1024 + 1)))
    assert (answer.status, json.loads(answer.body)["action"]) == (413, "give_up")
    assert not stage.gate.seen
    assert not stage.api.seen


def test_body_of_the_largest_bound_and_fields_of_8_kib_pass(stage: Stage) -> None:
    sent = signed(method="POST", body=b"x" * 64 * 1024, cookie="c=" + "x" * 8000)
    assert stage.ask(sent).status == 200
    assert len(stage.api.seen[0].body) == 64 * 1024


def test_chunked_body_above_the_bound_is_413_and_the_api_sees_none(stage: Stage) -> None:
    sent = without(signed(method="POST", body=b"x"), "content-length")
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (70_000, b"x" * 70_000)
    assert stage.ask(having(sent, ("Transfer-Encoding", "chunked"), body=body)).status == 413
    assert not stage.api.seen


# The service ----------------------------------------------------------------------------------------


def bare(target: str, *more: tuple[str, str], method: str = "GET") -> Message:
    return Message(f"{method} {target} HTTP/1.1", (("Host", HOST), *more))


@pytest.mark.parametrize(
    "path", ["challenge", "instances", "instances/aB-_9/renewals", "jwks.json", "secrets", "pins", "jwks.json?x=1"]
)
def test_what_the_service_says_to_the_public_asks_no_gate(stage: Stage, path: str) -> None:
    forged = [(name, "forged") for name in GATE_HEADERS]
    assert stage.ask(bare(f"{PREFIX}/{path}", *forged)).status == 200
    (got,) = stage.service.seen
    assert got.target == f"{PREFIX}/{path}"
    assert got.one("Host") == HOST
    assert not any(got.all(name) for name in GATE_HEADERS)
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
    assert not stage.service.seen


def test_internal_location_is_nobodys_to_reach(stage: Stage) -> None:
    for target in (nginx.ADMIT, f"/api/..{nginx.ADMIT}", nginx.ADMIT.replace("_", "%5f")):
        assert stage.ask(bare(target)).status == 404
    assert not stage.gate.seen
    assert not stage.api.seen


# Two APIs behind one gate ---------------------------------------------------------------------------


def test_each_host_reaches_its_own_api_alone(stage: Stage) -> None:
    stage.gate.answer = lambda _: f"HTTP/1.1 204 No Content\r\nBonafide-Admission: {ADMISSION}\r\n\r\n".encode()
    stage.ask(having(without(signed(), "host"), ("Host", OTHER_HOST)))
    assert [len(recorder.seen) for recorder in (stage.api, stage.other)] == [0, 1]
    assert stage.gate.seen[0].one("Originalhost") == OTHER_HOST


def test_default_server_tells_the_gate_no_host_of_another_api(program: Path) -> None:
    """Otherwise the gate would judge by the rules of one API what Nginx gives to the other."""

    def one_server(stage: Stage) -> programs.Program:
        front = stage.front
        server = f"server {{ listen 127.0.0.1:{stage.http};\n{nginx.server_level(front, front.sites[0])}\n}}"
        return programs.nginx(
            program, stage.directory, http=nginx.http_level(front), servers=server, ports=[stage.http]
        )

    with Stage(one_server) as stage:
        for host in (OTHER_HOST, "evil.example.com", HOST + ".", f"{HOST}:80", f"{HOST}:8443"):
            answer = stage.ask(having(without(signed(), "host"), ("Host", host)))
            assert answer.status == 400
        assert {asked.one("Originalhost") for asked in stage.gate.seen} == {"-"}
        assert set(stage.judge.refusals) == {"request.host_unknown"}
        assert not stage.api.seen


# Upgrade --------------------------------------------------------------------------------------------

UPGRADE = (("Upgrade", "websocket"), ("Connection", "Upgrade"))


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
    wanted = ("websocket", "upgrade") if goes_through else ("", "close")
    assert (got.one("Upgrade"), got.one("Connection")) == wanted


# Without a middleware behind it ---------------------------------------------------------------------


def test_api_that_compares_no_bodies_gets_none(program: Path) -> None:
    with Stage(lambda stage: start_nginx(stage, program), takes_bodies=False) as stage:
        assert stage.ask(signed(method="POST", body=b"hello")).status == 413
        assert not stage.gate.seen
        lengthless = without(signed(method="POST", body=b"x"), "content-length")
        stage.ask(having(lengthless, ("Transfer-Encoding", "chunked"), body=b"1\r\nx\r\n0\r\n\r\n"))
        fields = [(name.lower(), value) for name, value in lengthless.headers if name != "Host"]
        pseudo = [(":method", "POST"), (":scheme", "https"), (":authority", HOST), (":path", "/api/config")]
        assert stage.ask_h2([*pseudo, *fields], body=b"x") == 200
        assert stage.api.seen
        for got in stage.api.seen:
            assert got.body == b""
            assert not got.all("Content-Length")
            assert not got.all("Transfer-Encoding")


# What a site's own lines cannot undo ----------------------------------------------------------------


def test_location_that_the_site_adds_is_guarded_too(program: Path) -> None:
    inside = (
        "location /files/ { proxy_pass http://bonafide_api; }\nlocation ~ \\.php$ { proxy_pass http://bonafide_api; }"
    )
    with Stage(lambda stage: start_nginx(stage, program, inside=inside)) as stage:
        for target in ("/files/x", "/api/x.php"):
            assert stage.ask(bare(target)).status in {401, 403}
        assert not stage.api.seen
        assert len(stage.gate.seen) == 2


def test_cache_satisfy_and_intercepting_of_the_site_do_not_reach_the_snippet(program: Path) -> None:
    before = (
        "proxy_cache_path @DIR@/cache keys_zone=all:1m; proxy_cache all; proxy_cache_valid any 1h;"
        "proxy_ignore_headers Cache-Control; satisfy any; allow all; proxy_intercept_errors on; recursive_error_pages on;"
        "proxy_set_header Bonafide-Admission forged; add_header X-Site yes; proxy_next_upstream error timeout http_500;"
    )

    def begin(stage: Stage) -> programs.Program:
        return start_nginx(stage, program, before=before.replace("@DIR@", str(stage.directory)))

    with Stage(begin) as stage:
        assert stage.ask(signed()).status == 200
        assert stage.ask(without(signed(), "signature")).status == 401
        assert stage.ask(signed()).status == 200
        assert len(stage.gate.seen) == 3
        assert [got.one("Bonafide-Admission") for got in stage.api.seen] == [ADMISSION, ADMISSION]
        stage.api.answer = lambda _: b"HTTP/1.1 500 Own\r\nContent-Length: 3\r\n\r\nown"
        assert stage.ask(signed()).body == b"own"


@pytest.mark.parametrize("line", ["underscores_in_headers on;", "ignore_invalid_headers off;"])
def test_site_that_turns_off_what_the_snippet_relies_on_does_not_start(program: Path, line: str) -> None:
    with Stage(lambda stage: start_nginx(stage, program)) as stage:
        wrong = start_nginx(stage, program, before=line)
        run = subprocess.run([*wrong.command, "-t"], capture_output=True, text=True, check=False)
        assert run.returncode != 0
        assert "duplicate" in run.stderr


def test_pipelined_requests_are_judged_one_by_one(stage: Stage) -> None:
    good, bad = octets(signed()), octets(without(signed(), "signature"))
    assert [answer.status for answer in stage.send(good + bad + good, answers=3)] == [200, 401, 200]
    assert len(stage.api.seen) == 2


def test_whole_example_of_a_site_is_accepted_by_nginx(program: Path, running: Stage, tmp_path: Path) -> None:
    """With TLS; the certificate is the operator's."""
    front = running.front
    for name, text in nginx.write_files(front).items():
        (tmp_path / name).write_text(text)
    key, chain = tmp_path / "privkey.pem", tmp_path / "fullchain.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        + ["-subj", "/CN=x", "-keyout", str(key), "-out", str(chain)],
        check=True,
        capture_output=True,
    )
    servers = "".join(nginx.example_server(site, str(tmp_path)) for site in front.sites)
    servers = (
        servers.replace("/etc/ssl/api/", f"{tmp_path}/")
        .replace("443", "8443")
        .replace("    listen [::]:8443 ssl http2;\n", "")
    )
    prepared = programs.nginx(program, tmp_path, http=f"include {tmp_path}/http.conf;", servers=servers, ports=[])
    run = subprocess.run([*prepared.command, "-t"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
