"""Nginx with our snippet: what it asks the gate, what it makes of the answers, and what it leaves alone."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bonafide.gate.proxies import GATE_HEADERS, ORIGINAL_HEADERS, Address, nginx
from tests.gate.proxies import programs
from tests.gate.proxies.judging import ADMISSION, HOST, OTHER_HOST, having, octets, refusal, signed, without
from tests.gate.proxies.stage import Stage
from tests.gate.proxies.starting import start_nginx
from tests.gate.proxies.wire import Message, send

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


def test_api_cannot_send_nginx_to_another_path_than_the_gate_judged(stage: Stage) -> None:
    stage.api.answer = lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-Accel-Redirect: /api/secret\r\n\r\nown"
    assert stage.ask(signed()).body == b"own"
    assert [got.target for got in stage.api.seen] == ["/api/config"]


def test_old_admission_does_not_pass_where_the_gate_gives_none(stage: Stage) -> None:
    stage.gate.answer = lambda _: b"HTTP/1.1 204 No Content\r\n\r\n"
    stage.ask(having(signed(), ("Bonafide-Admission", ADMISSION)))
    assert not stage.api.seen[0].all("Bonafide-Admission")


# Refusals -------------------------------------------------------------------------------------------


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


# Sizes ----------------------------------------------------------------------------------------------


def test_body_above_every_routes_bound_is_413_before_the_gate_is_asked(stage: Stage) -> None:
    answer = stage.ask(signed(method="POST", body=b"x" * (64 * 1024 + 1)))
    assert (answer.status, json.loads(answer.body)["action"]) == (413, "give_up")
    assert not stage.gate.seen
    assert not stage.api.seen


def test_chunked_body_above_the_bound_is_413_and_the_api_sees_none(stage: Stage) -> None:
    sent = without(signed(method="POST", body=b"x"), "content-length")
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (70_000, b"x" * 70_000)
    assert stage.ask(having(sent, ("Transfer-Encoding", "chunked"), body=body)).status == 413
    assert not stage.api.seen


# The service ----------------------------------------------------------------------------------------


def bare(target: str, *more: tuple[str, str], method: str = "GET") -> Message:
    return Message(f"{method} {target} HTTP/1.1", (("Host", HOST), *more))


def test_internal_location_is_nobodys_to_reach(stage: Stage) -> None:
    for target in (nginx.ADMIT, f"/api/..{nginx.ADMIT}", nginx.ADMIT.replace("_", "%5f")):
        assert stage.ask(bare(target)).status == 404
    assert not stage.gate.seen
    assert not stage.api.seen


# Two APIs behind one gate ---------------------------------------------------------------------------


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


@pytest.mark.parametrize(("bound", "streams"), [("64KiB", False), ("1MiB", True)])
def test_large_uploads_reach_the_api_while_the_gates_word_is_fresh(program: Path, bound: str, streams: bool) -> None:
    """A slow phone may send for minutes; a body that was gathered first would arrive long after the gate spoke."""
    rules = ({"match": "/api/**", "max_body": bound},)
    with Stage(lambda stage: start_nginx(stage, program), rules=rules) as stage:
        raw = octets(signed(method="POST", body=b"x" * 1000))
        begun: list[int] = []

        def slowly() -> Iterator[bytes]:
            yield raw[:-500]
            ends = time.monotonic() + (5 if streams else 0.3)
            while not stage.api.connections and time.monotonic() < ends:
                time.sleep(0.01)
            begun.append(stage.api.connections)
            yield raw[-500:]

        (answer,) = send(slowly(), port=stage.http)
        assert answer.status == 200
        assert begun == [int(streams)]
        assert len(stage.api.seen[0].body) == 1000


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
        "proxy_ignore_headers Cache-Control; satisfy any; allow all; proxy_intercept_errors on; add_header X-Site yes;"
        "recursive_error_pages on;"
        "proxy_set_header Bonafide-Admission forged; proxy_next_upstream error timeout http_500;"
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


def test_api_behind_tls_is_verified(running: Stage) -> None:
    front = running.front
    backend = Address(authority="api.internal:443", tls=True)
    text = nginx.server_level(front, replace(front.sites[0], backend=backend))
    assert "proxy_pass https://bonafide_api;" in text
    for line in ("proxy_ssl_verify on;", "proxy_ssl_name api.internal;", "proxy_ssl_server_name on;"):
        assert line in text


def test_whole_example_of_a_site_is_accepted_by_nginx(program: Path, running: Stage, tmp_path: Path) -> None:
    """With TLS; the certificate is the operator's."""
    front = running.front
    for name, text in nginx.write_files(front).items():
        (tmp_path / name).write_text(text)
    key, chain = tmp_path / "privkey.pem", tmp_path / "fullchain.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-subj", "/CN=x", "-keyout", str(key), "-out", str(chain)),
        ],
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
