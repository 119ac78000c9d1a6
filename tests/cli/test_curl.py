"""`bonafide curl` signs one request with debug evidence, says what came of it, and shows no secret."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from bonafide.cli import main
from bonafide.codec import base64url
from bonafide.terms import ProofKind
from tests.testing.scripted_service import Refusal, ScriptedService, Time

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = base64url.encode(b"a secret of thirty-two octets...")
BEARER = "Bearer of-somebody"


class WallTime(Time):
    """The time that the command lives in: a process of its own would read the clock."""

    def __init__(self) -> None:
        import time

        super().__init__()
        self.now = time.time()


@pytest.fixture
def service() -> ScriptedService:
    return ScriptedService(WallTime(), evidence_environment="debug")


@pytest.fixture
def api(service: ScriptedService) -> Iterator[str]:
    """Serve the scripted service over real HTTP."""

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            url = f"http://{self.headers['host']}{self.path}"
            answer = service.handle(httpx.Request(self.command, url, headers=dict(self.headers), content=body))
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_PUT = _serve  # noqa: N815 - http.server's names

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def curl(api: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("STAGING_SECRET", SECRET)

    def run(path: str, *more: str, secret: tuple[str, ...] = ("--debug-secret-env", "STAGING_SECRET")) -> int:
        fixed = ["--service", f"{api}/bonafide/v1", "--app", "shop", "--identity", "ABCDE12345.com.example.shop"]
        url = path if "://" in path or not path.startswith("/") else api + path
        return main(["curl", url, *fixed, "--debug-secret-name", "ci", *secret, *more])

    return run


def test_request_is_signed_by_the_hardware_key_and_answered(
    curl: Any, service: ScriptedService, capsys: pytest.CaptureFixture[str]
) -> None:
    assert curl("/api/me", "-H", f"Authorization: {BEARER}") == 0
    assert capsys.readouterr().out == '{"ok":true}'
    assert service.asked == ["challenge", "enrol", "api"]
    assert service.kinds == [ProofKind.HARDWARE]
    assert service.api_requests[0].headers["authorization"] == BEARER


def test_evidence_is_debug_under_the_named_secret(curl: Any, service: ScriptedService) -> None:
    curl("/api/me")
    evidence = json.loads(service.bodies[0])["evidence"]
    assert [(each["format"], each["name"]) for each in evidence] == [("debug", "ci")]


def test_data_is_posted_as_json_unless_a_header_says_otherwise(curl: Any, service: ScriptedService) -> None:
    assert curl("/api/orders", "-d", '{"n":1}') == 0
    assert curl("/api/orders", "-d", "n=1", "-H", "Content-Type: text/plain", "-X", "PUT") == 0
    first, second = service.api_requests
    assert (first.method, first.headers["content-type"]) == ("POST", "application/json")
    assert (second.method, second.headers["content-type"]) == ("PUT", "text/plain")


def test_data_may_come_from_a_file(curl: Any, service: ScriptedService, tmp_path: Path) -> None:
    (tmp_path / "order.json").write_bytes(b'{"n":1}')
    assert curl("/api/orders", "-d", f"@{tmp_path / 'order.json'}") == 0
    assert service.api_requests[0].headers["content-length"] == "7"


def test_include_prints_status_and_headers(curl: Any, capsys: pytest.CaptureFixture[str]) -> None:
    curl("/api/me", "-i")
    out = capsys.readouterr().out
    assert out.startswith("HTTP 200\n")
    assert "content-type: application/json\n" in out


def test_secret_may_come_from_a_file(curl: Any, service: ScriptedService, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")
    assert curl("/api/me", secret=("--debug-secret-file", str(tmp_path / "secret"))) == 0
    assert service.asked[-1] == "api"


def test_refused_request_exits_with_1_and_names_the_record(
    curl: Any, service: ScriptedService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.script("api", Refusal("give_up", 403))
    assert curl("/api/me") == 1
    assert capsys.readouterr().err == "refused: 403, action give_up, record record\n"


def test_unsafe_request_is_not_repeated(curl: Any, service: ScriptedService) -> None:
    service.script("api", Refusal("sign_again"))
    assert curl("/api/orders", "-d", "{}") == 1
    assert service.asked.count("api") == 1


def test_service_that_takes_no_debug_evidence_ends_it(
    curl: Any, service: ScriptedService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.script("enrol", Refusal("give_up", 403))
    assert curl("/api/me") == 1
    assert "production takes no debug evidence" in capsys.readouterr().err
    assert "api" not in service.asked


@pytest.mark.parametrize("environment", ["production", "development", ""])
def test_service_that_does_not_mark_its_answer_as_debug_is_sent_nothing(
    curl: Any, service: ScriptedService, environment: str, capsys: pytest.CaptureFixture[str]
) -> None:
    service.evidence_environment = environment
    assert curl("/api/me") == 1
    assert "this is no staging; nothing was sent" in capsys.readouterr().err
    assert "api" not in service.asked


@pytest.mark.parametrize("token", ["", "a.b.c", "a.e30.c", "a.eyJib25hZmlkZSI6MX0.c"])
def test_token_that_cannot_be_read_counts_as_not_marked(
    curl: Any, service: ScriptedService, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ScriptedService, "_token", lambda _self, _sid: token)
    assert curl("/api/me") == 1
    assert "api" not in service.asked


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        (("--debug-secret-env", "NOT_SET"), "the environment has no NOT_SET"),
        (("--debug-secret-file", "/nonexistent/secret"), "No such file or directory"),
        (("--debug-secret-env", "SHORT"), "fewer than 16 octets"),
        (("--debug-secret-env", "WRONG"), "not the base64url"),
    ],
)
def test_secret_that_cannot_be_used_is_misuse_and_is_not_shown(
    curl: Any, secret: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHORT", "c2hvcnQ")
    monkeypatch.setenv("WRONG", "not base64url!")
    assert curl("/api/me", secret=secret) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert "c2hvcnQ" not in shown.err + shown.out
    assert "not base64url!" not in shown.err + shown.out


def test_name_of_a_secret_that_is_none_is_misuse(curl: Any) -> None:
    assert curl("/api/me", "--debug-secret-name", "no name") == 2


@pytest.mark.parametrize("arguments", [("-i",), ("-d", "{}"), ("-H", f"Authorization: {BEARER}")])
@pytest.mark.parametrize("answer", [None, Refusal("sign_again"), httpx.Response(500)])
def test_neither_secret_nor_attestation_nor_bearer_is_shown(
    curl: Any,
    service: ScriptedService,
    arguments: tuple[str, ...],
    answer: Any,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if answer is not None:
        service.script("api", answer)
    curl("/api/me", *arguments)
    shown = capfd.readouterr()
    for secret in (SECRET, base64url.decode(SECRET).decode(), base64url.decode(SECRET).hex(), "signature", BEARER):
        assert secret not in shown.out + shown.err


def test_malformed_header_is_misuse_and_is_not_shown(curl: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert curl("/api/me", "-H", "secret-without-colon") == 2
    assert "secret-without-colon" not in capsys.readouterr().err


@pytest.mark.parametrize("url", ["api.example.com/me", "ftp://api.example.com/", "https://"])
def test_url_that_is_none_is_misuse(curl: Any, url: str) -> None:
    assert curl(url) == 2


def test_url_without_an_admitted_spelling_is_misuse(curl: Any) -> None:
    assert curl("/api/a%2Fb") == 2


def test_data_file_that_is_missing_is_misuse(curl: Any) -> None:
    assert curl("/api/me", "-d", "@/nonexistent/file") == 2


def test_ca_file_that_is_missing_is_misuse(curl: Any) -> None:
    assert curl("/api/me", "--ca-file", "/nonexistent/ca.pem") == 2


def test_host_that_does_not_answer_exits_with_1(curl: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert curl("/api/me", "--service", "http://127.0.0.1:1/bonafide/v1") == 1
    assert "ConnectError" in capsys.readouterr().err


def test_answer_of_the_service_that_is_none_exits_with_1(curl: Any, service: ScriptedService) -> None:
    service.script("challenge", httpx.Response(200, content=b"<html>"))
    assert curl("/api/me") == 1
