"""A WSGI application behind a gate sees what a gate spoke for, to the octet, and nothing else."""

from __future__ import annotations

import io
import json
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.terms import ProofKind
from bonafide.upstream.wsgi import BonafideWsgi
from tests.upstream.word import ATTESTATION, NOW, ORIGINS, key_file, sender, spoken, statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from wsgiref.types import StartResponse

    from bonafide.statement import Statement


class Api:
    """An application that keeps what it saw."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        self.closed = 0

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        self.seen.append(environ)
        self.bodies.append(environ["wsgi.input"].read())
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"answer"]


class World:
    """The application behind the middleware, and requests to it."""

    def __init__(self, directory: Path, **options: Any) -> None:
        self.api = Api()
        self.key = key_file(directory)
        given: dict[str, Any] = {"key_files": [self.key], "origins": ORIGINS, "clock": lambda: NOW} | options
        self.guarded = BonafideWsgi(self.api, **given)
        self.answers: list[tuple[str, dict[str, str]]] = []

    def environ(self, said: Statement | None, body: bytes = b"", **changes: Any) -> dict[str, Any]:
        """Return a request as a server would hand it over, with the gate's word; None takes a key away."""
        token = {} if said is None else {"HTTP_BONAFIDE_ADMISSION": spoken(self.key, said)}
        length = {"CONTENT_LENGTH": str(len(body))} if body else {}
        environ = {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": "/api/x",
            "QUERY_STRING": "",
            "RAW_URI": "/api/x",
            "HTTP_HOST": "api.example.com",
            "HTTP_OAUTH_CLIENT_ATTESTATION": ATTESTATION,
            "wsgi.input": io.BytesIO(body),
        }
        return {name: value for name, value in (environ | length | token | changes).items() if value is not None}

    def ask(self, environ: dict[str, Any]) -> tuple[int, bytes]:
        """Return status and body of the answer."""

        def start_response(status: str, headers: list[tuple[str, str]], _: object = None) -> Callable[[bytes], object]:
            self.answers.append((status, dict(headers)))
            return lambda data: data

        answer = self.guarded(environ, start_response)
        body = b"".join(answer)
        getattr(answer, "close", lambda: None)()
        return int(self.answers[-1][0][:3]), body


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def reason(world: World, caplog: pytest.LogCaptureFixture) -> Callable[[dict[str, Any]], str]:
    """Return what sends a request that must be refused, and names the reason from the log."""

    def ask(environ: dict[str, Any]) -> str:
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="bonafide.upstream"):
            status, body = world.ask(environ)
        assert world.api.seen == []
        (line,) = caplog.messages
        problem = json.loads(body)
        headers = world.answers[-1][1]
        assert problem["status"] == status
        assert headers["Bonafide-Record"] == problem["record"]
        assert f"record={problem['record']} " in line
        assert headers["Content-Type"] == "application/problem+json"
        return line.partition("reason=")[2].partition(" ")[0]

    return ask


@pytest.mark.parametrize("body", [b"", b"body", b"x" * 3_000_000])
def test_what_was_signed_is_what_the_application_reads(world: World, body: bytes) -> None:
    said = statement(sender(body))
    assert world.ask(world.environ(said, body)) == (200, b"answer")
    assert world.api.bodies == [body]
    assert world.api.seen[0]["bonafide.admission"] == said
    assert world.api.seen[0]["CONTENT_LENGTH"] == str(len(body))


@pytest.mark.parametrize("body", [b"", b"body"])
def test_body_that_came_with_a_dpop_proof_is_handed_on_as_what_nobody_signed(tmp_path: Path, body: bytes) -> None:
    world = World(tmp_path, max_body=4)
    said = statement(sender(proof=ProofKind.DPOP, digest=None))
    assert world.ask(world.environ(said, body))[0] == 200
    assert world.api.bodies == [body]
    assert world.api.seen[0]["bonafide.admission"].sender.digest is None
    assert world.ask(world.environ(said, b"longer"))[0] == 413


def test_body_in_chunks_is_read_to_its_end_and_is_no_longer_in_chunks(world: World) -> None:
    chunked: dict[str, Any] = {
        "HTTP_TRANSFER_ENCODING": "chunked",
        "wsgi.input_terminated": True,
        "wsgi.input": io.BytesIO(b"body"),
    }
    assert world.ask(world.environ(statement(sender(b"body")), **chunked))[0] == 200
    assert world.api.bodies == [b"body"]
    assert world.api.seen[0]["CONTENT_LENGTH"] == "4"
    assert "HTTP_TRANSFER_ENCODING" not in world.api.seen[0]


def test_body_without_a_length_is_not_read_from_a_server_that_does_not_end_it(world: World) -> None:
    world.ask(world.environ(statement(sender())) | {"wsgi.input": io.BytesIO(b"the next request")})
    assert world.api.bodies == [b""]


@pytest.mark.parametrize("client", ["open", "browser", "app"])
def test_where_nothing_was_admitted_the_request_passes_as_it_is(world: World, client: str) -> None:
    said = statement(None, client=client)
    environ = world.environ(said, b"any body", HTTP_OAUTH_CLIENT_ATTESTATION=None)
    assert world.ask(environ)[0] == 200
    assert world.api.seen[0]["bonafide.admission"] == said
    assert not world.api.seen[0]["bonafide.admission"].admitted
    assert world.api.seen[0]["wsgi.input"] is environ["wsgi.input"]


def test_no_word_of_a_gate_reaches_the_application_but_the_verified_one(world: World) -> None:
    world.ask(world.environ(statement(sender()), HTTP_BONAFIDE_INSTANCE="forged", HTTP_X_KEPT="1"))
    (seen,) = world.api.seen
    assert [key for key in seen if "BONAFIDE" in key] == []
    assert seen["HTTP_X_KEPT"] == "1"


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("statement.missing", {"HTTP_BONAFIDE_ADMISSION": None}),
    ("statement.missing", {"HTTP_BONAFIDE_ADMISSION": ""}),
    ("statement.malformed", {"HTTP_BONAFIDE_ADMISSION": "x"}),
    ("statement.request_mismatch", {"REQUEST_METHOD": "POST"}),
    ("statement.request_mismatch", {"REQUEST_METHOD": "get"}),
    ("statement.request_mismatch", {"HTTP_HOST": "other.example.com"}),
    ("statement.request_mismatch", {"PATH_INFO": "/api/y", "RAW_URI": "/api/y"}),
    ("statement.request_mismatch", {"PATH_INFO": "/api/y", "RAW_URI": None}),
    ("statement.request_mismatch", {"RAW_URI": "/api/%78"}),
    ("statement.request_mismatch", {"RAW_URI": "/api/x?a=1", "QUERY_STRING": "a=1"}),
    ("request.target_not_canonical", {"RAW_URI": "/api/y"}),
    ("request.target_not_canonical", {"SCRIPT_NAME": "/mount"}),
    ("request.target_not_canonical", {"PATH_INFO": "/api/\xff", "RAW_URI": "/api/%FF"}),
    ("request.target_not_canonical", {"PATH_INFO": "/api/\u0416", "RAW_URI": None}),
    ("request.host_unknown", {"HTTP_HOST": "evil.example"}),
    ("request.host_unknown", {"HTTP_HOST": None}),
    ("statement.attestation_mismatch", {"HTTP_OAUTH_CLIENT_ATTESTATION": "another"}),
    ("statement.attestation_mismatch", {"HTTP_OAUTH_CLIENT_ATTESTATION": None}),
    ("proof.digest_mismatch", {"wsgi.input": io.BytesIO(b"edit"), "CONTENT_LENGTH": "4"}),
    ("proof.digest_mismatch", {"wsgi.input": io.BytesIO(b"body and more"), "CONTENT_LENGTH": "13"}),
    ("proof.digest_mismatch", {"CONTENT_LENGTH": None}),
    ("proof.digest_mismatch", {"CONTENT_LENGTH": "0"}),
    ("request.body_incomplete", {"CONTENT_LENGTH": "5"}),
    ("request.body_framing", {"HTTP_TRANSFER_ENCODING": "chunked"}),
    ("request.body_framing", {"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "chunked"}),
    ("request.body_framing", {"CONTENT_LENGTH": "4, 4"}),
    ("request.body_framing", {"CONTENT_LENGTH": "-4"}),
]


@pytest.mark.parametrize(("code", "changes"), REFUSED)
def test_request_that_differs_in_one_respect_is_refused(
    world: World, reason: Callable[[dict[str, Any]], str], code: str, changes: dict[str, Any]
) -> None:
    said = statement(sender(b"body"))
    assert reason(world.environ(said, b"body", **changes)) == code
    assert world.ask(world.environ(said, b"body"))[0] == 200


def test_request_past_the_gate_is_told_apart_from_one_that_is_odd_besides(
    world: World, reason: Callable[[dict[str, Any]], str]
) -> None:
    assert reason(world.environ(None, HTTP_HOST="10.0.0.7", RAW_URI="/")) == "statement.missing"


def test_two_statements_are_none(world: World, reason: Callable[[dict[str, Any]], str]) -> None:
    good = spoken(world.key, statement(sender()))
    assert reason(world.environ(None, HTTP_BONAFIDE_ADMISSION=f"{good},{good}")) == "statement.missing"


def test_statement_of_a_gate_with_another_key_is_refused(
    world: World, reason: Callable[[dict[str, Any]], str], tmp_path: Path
) -> None:
    other = key_file(tmp_path, "other.key")
    forged = spoken(other, statement(sender()))
    assert reason(world.environ(None, HTTP_BONAFIDE_ADMISSION=forged)) == "statement.signature_invalid"


@pytest.mark.parametrize("age_s", [11, 60, -6])
def test_statement_is_good_for_ten_seconds(world: World, reason: Callable[[dict[str, Any]], str], age_s: int) -> None:
    stale = statement(sender(), issued_at=NOW - timedelta(seconds=age_s))
    assert reason(world.environ(stale)) == "statement.stale"
    assert world.ask(world.environ(statement(sender(), issued_at=NOW - timedelta(seconds=10))))[0] == 200


def test_unproven_request_needs_a_statement_about_itself_too(
    world: World, reason: Callable[[dict[str, Any]], str]
) -> None:
    assert reason(world.environ(statement(None), REQUEST_METHOD="DELETE")) == "statement.request_mismatch"


@pytest.mark.parametrize("chunked", [False, True])
def test_limit_of_a_body_is_exact(tmp_path: Path, caplog: pytest.LogCaptureFixture, *, chunked: bool) -> None:
    world = World(tmp_path, max_body=10)
    more: dict[str, Any] = {"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    changes = more if chunked else {}
    assert world.ask(world.environ(statement(sender(b"x" * 10)), b"x" * 10, **changes))[0] == 200
    assert world.ask(world.environ(statement(sender(b"x" * 11)), b"x" * 11, **changes))[0] == 413
    assert "request.body_too_large" in caplog.text
    assert len(world.api.seen) == 1


def test_announced_length_above_the_limit_is_refused_before_an_octet_is_read(tmp_path: Path) -> None:
    world = World(tmp_path, max_body=10)
    environ = world.environ(statement(sender(b"x" * 11)), b"x" * 11)
    world.ask(environ)
    assert environ["wsgi.input"].tell() == 0


def test_peer_that_goes_away_is_refused(world: World, reason: Callable[[dict[str, Any]], str]) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise ConnectionResetError(size)

    said = statement(sender(b"body"))
    assert reason(world.environ(said, b"body") | {"wsgi.input": Broken()}) == "request.body_incomplete"


def test_mount_is_what_was_configured(tmp_path: Path) -> None:
    world = World(tmp_path, mount="/shop/")
    said = statement(sender(), target="/shop/api/x")
    assert world.ask(world.environ(said, SCRIPT_NAME="/shop", RAW_URI="/shop/api/x"))[0] == 200
    assert world.ask(world.environ(said, SCRIPT_NAME="/shop", RAW_URI="/api/x"))[0] == 200
    assert world.ask(world.environ(said, SCRIPT_NAME="", RAW_URI="/api/x"))[0] == 400


def test_two_keys_hold_while_one_is_replaced(tmp_path: Path) -> None:
    old = key_file(tmp_path, "old.key")
    world = World(tmp_path, key_files=[tmp_path / "admission.key", old])
    assert world.ask(world.environ(statement(sender())))[0] == 200
    assert world.ask(world.environ(None, HTTP_BONAFIDE_ADMISSION=spoken(old, statement(sender()))))[0] == 200


def test_path_that_is_not_ascii_needs_no_raw_target(world: World) -> None:
    said = statement(sender(), target="/api/b%C3%A9")
    path = "/api/bé".encode().decode("latin-1")
    assert world.ask(world.environ(said, PATH_INFO=path, RAW_URI=None))[0] == 200


def test_spool_is_given_back_when_the_answer_is_out_also_where_the_application_fails(tmp_path: Path) -> None:
    kept: list[Any] = []

    def api(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        kept.append(environ["wsgi.input"])
        if len(kept) == 1:
            raise RuntimeError
        start_response("200 OK", [])
        return iter(lambda: kept[-1].read(2), b"")

    world = World(tmp_path)
    world.guarded = BonafideWsgi(api, key_files=[world.key], origins=ORIGINS, clock=lambda: NOW)
    said = statement(sender(b"body"))
    with pytest.raises(RuntimeError):
        world.ask(world.environ(said, b"body"))
    assert world.ask(world.environ(said, b"body")) == (200, b"body")
    assert [each.closed for each in kept] == [True, True]


def test_answer_of_the_application_is_closed(tmp_path: Path) -> None:
    class Answer(list[bytes]):
        closed = False

        def close(self) -> None:
            self.closed = True

    answer = Answer([b"x"])

    def api(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        return answer

    world = World(tmp_path)
    world.guarded = BonafideWsgi(api, key_files=[world.key], origins=ORIGINS, clock=lambda: NOW)
    world.ask(world.environ(statement(sender())))
    assert answer.closed


TEXT = st.text(st.characters(max_codepoint=255), max_size=12)
CHANGES = st.fixed_dictionaries(
    {
        "REQUEST_METHOD": st.sampled_from(["GET", "POST", "get", ""]),
        "PATH_INFO": st.just("/api/x") | TEXT,
        "RAW_URI": st.none() | st.just("/api/x") | TEXT,
        "HTTP_HOST": st.sampled_from(["api.example.com", "other.example.com", "", "x"]),
        "CONTENT_LENGTH": st.sampled_from(["4", "5", "0", "", "x"]),
        "HTTP_TRANSFER_ENCODING": st.sampled_from([None, "chunked", "x"]),
        "wsgi.input": st.builds(io.BytesIO, st.just(b"body") | st.binary(max_size=6)),
        "wsgi.input_terminated": st.booleans(),
    }
)


@settings(parent=settings.get_profile("bonafide"))
@given(changes=CHANGES, cut=st.integers(min_value=0, max_value=3))
def test_no_request_but_the_one_a_gate_spoke_for_reaches_the_application(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[str, Any], cut: int
) -> None:
    world = _world_of(tmp_path_factory)
    world.api.seen.clear()
    world.api.bodies.clear()
    token = spoken(world.key, statement(sender(b"body")))
    changes |= {"HTTP_BONAFIDE_ADMISSION": token[: len(token) - cut]}
    given_length, raw = changes["CONTENT_LENGTH"], changes["RAW_URI"]
    status, _ = world.ask(world.environ(None, **changes))
    assert (status == 200) == (len(world.api.seen) == 1)
    if status == 200:
        assert (changes["REQUEST_METHOD"], changes["PATH_INFO"], cut) == ("GET", "/api/x", 0)
        assert changes["HTTP_HOST"] == "api.example.com"
        assert raw in {None, "", "/api/x"}
        assert given_length in {"4", ""}
        assert world.api.bodies == [b"body"]


_WORLDS: dict[str, World] = {}


def _world_of(factory: pytest.TempPathFactory) -> World:
    if "one" not in _WORLDS:
        _WORLDS["one"] = World(factory.mktemp("property"))
    return _WORLDS["one"]
