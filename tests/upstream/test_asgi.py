"""An ASGI application behind a gate sees what a gate spoke for, to the octet, and nothing else."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import timedelta
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.errors import Misuse
from bonafide.reasons import misuse as misuse_reasons
from bonafide.terms import ProofKind
from bonafide.upstream.asgi import BonafideAsgi
from tests.upstream.word import ATTESTATION, NOW, ORIGINS, key_file, sender, spoken, statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from bonafide.statement import Statement

DISCONNECT = {"type": "http.disconnect"}


class Api:
    """An application that reads its request to the end and keeps what it saw."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        self.afterwards: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen.append(scope)
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            assert message["type"] == "http.request"
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.bodies.append(body)
        self.afterwards.append(await receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"answer"})


class World:
    """The application behind the middleware, and requests to it."""

    def __init__(self, directory: Path, **options: Any) -> None:
        self.api = Api()
        self.key = key_file(directory)
        given: dict[str, Any] = {"key_files": [self.key], "origins": ORIGINS, "clock": lambda: NOW} | options
        self.guarded = BonafideAsgi(self.api, **given)

    def scope(self, said: Statement | None, *fields: tuple[bytes, bytes], **changes: Any) -> dict[str, Any]:
        """Return a request as a server would hand it over, with the gate's word; None takes a key away."""
        named = [] if said is None else [(b"bonafide-admission", spoken(self.key, said).encode())]
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/api/x",
            "raw_path": b"/api/x",
            "query_string": b"",
            "root_path": "",
            "headers": [
                (b"host", b"api.example.com"),
                (b"oauth-client-attestation", ATTESTATION.encode()),
                *named,
                *fields,
            ],
        }
        return {name: value for name, value in (scope | changes).items() if value is not None}

    def ask(self, scope: dict[str, Any], chunks: Iterable[bytes] = (b"",), *, whole: bool = True) -> list[Any]:
        """Return the messages that were sent; a body that is not `whole` ends with the client going away."""
        parts = list(chunks)
        last = len(parts) - 1
        messages = [
            {"type": "http.request", "body": part, "more_body": index < last or not whole}
            for index, part in enumerate(parts)
        ]
        waiting = iter([*messages, DISCONNECT, DISCONNECT])
        sent: list[Any] = []

        async def receive() -> Any:
            return next(waiting)

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(self.guarded(scope, receive, send))
        return sent

    def status(self, scope: dict[str, Any], chunks: Iterable[bytes] = (b"",)) -> int:
        return int(self.ask(scope, chunks)[0]["status"])


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def reason(world: World, caplog: pytest.LogCaptureFixture) -> Callable[..., str]:
    """Return what sends a request that must be refused, and names the reason from the log."""

    def ask(scope: dict[str, Any], chunks: Iterable[bytes] = (b"body",), *, whole: bool = True) -> str:
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="bonafide.upstream"):
            start, body = world.ask(scope, chunks, whole=whole)
        assert world.api.seen == []
        (line,) = caplog.messages
        problem = json.loads(body["body"])
        assert problem["status"] == start["status"]
        assert (b"bonafide-record", problem["record"].encode()) in start["headers"]
        assert f"record={problem['record']} " in line
        return line.partition("reason=")[2].partition(" ")[0]

    return ask


@pytest.mark.parametrize("chunks", [[b""], [b"body"], [b"bo", b"", b"dy"], [b"x" * 700_000] * 4])
@pytest.mark.parametrize("memory", [0, 2**20])
def test_what_was_signed_is_what_the_application_reads(tmp_path: Path, chunks: list[bytes], memory: int) -> None:
    world = World(tmp_path, spool_memory=memory)
    body = b"".join(chunks)
    said = statement(sender(body))
    start, answer = world.ask(world.scope(said), chunks)
    assert (start["status"], answer["body"]) == (200, b"answer")
    assert world.api.bodies == [body]
    assert world.api.seen[0]["bonafide.admission"] == said
    assert world.api.afterwards == [DISCONNECT]


@pytest.mark.parametrize("client", ["open", "browser", "app"])
def test_where_nothing_was_admitted_the_request_passes_as_it_is(world: World, client: str) -> None:
    said = statement(None, client=client)
    assert world.status(world.scope(said), [b"any", b"body"]) == 200
    assert world.api.bodies == [b"anybody"]
    assert not world.api.seen[0]["bonafide.admission"].admitted


def test_no_word_of_a_gate_reaches_the_application_but_the_verified_one(world: World) -> None:
    fields = ((b"Bonafide-Instance", b"forged"), (b"bonafide_jkt", b"forged"), (b"x-kept", b"1"))
    scope = world.scope(statement(sender()), *fields)
    assert world.status(scope) == 200
    names = [name for name, _ in world.api.seen[0]["headers"]]
    assert names == [b"host", b"oauth-client-attestation", b"x-kept"]
    assert len(scope["headers"]) == 6  # the server's own scope is left alone


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("statement.request_mismatch", {"method": "POST"}),
    ("statement.request_mismatch", {"method": "get"}),
    ("statement.request_mismatch", {"path": "/api/y", "raw_path": b"/api/y"}),
    ("statement.request_mismatch", {"path": "/api/y", "raw_path": None}),
    ("statement.request_mismatch", {"raw_path": b"/api/%78"}),
    ("statement.request_mismatch", {"query_string": b"a=1"}),
    ("request.target_not_canonical", {"raw_path": b"/api/y"}),
    ("request.target_not_canonical", {"root_path": "/mount"}),
    ("request.target_not_canonical", {"path": "/api/\ufffd", "raw_path": b"/api/%FF"}),
    ("request.target_not_canonical", {"path": "/api/\ud800"}),
]


@pytest.mark.parametrize(("code", "changes"), REFUSED)
def test_request_that_differs_in_one_respect_is_refused(
    world: World, reason: Callable[..., str], code: str, changes: dict[str, Any]
) -> None:
    said = statement(sender(b"body"))
    assert reason(world.scope(said, **changes)) == code
    assert world.status(world.scope(said), [b"body"]) == 200


FIELDS: list[tuple[str, bytes, bytes | None]] = [
    ("statement.missing", b"bonafide-admission", None),
    ("statement.malformed", b"bonafide-admission", b"x"),
    ("request.host_unknown", b"host", b"evil.example"),
    ("request.host_unknown", b"host", None),
    ("statement.request_mismatch", b"host", b"other.example.com"),
    ("statement.attestation_mismatch", b"oauth-client-attestation", b"another"),
    ("statement.attestation_mismatch", b"oauth-client-attestation", None),
]


@pytest.mark.parametrize(("code", "name", "value"), FIELDS)
def test_request_whose_one_field_differs_is_refused(
    world: World, reason: Callable[..., str], code: str, name: bytes, value: bytes | None
) -> None:
    scope = world.scope(statement(sender(b"body")))
    scope["headers"] = [each for each in scope["headers"] if each[0] != name]
    if value is not None:
        scope["headers"].append((name, value))
    assert reason(scope) == code


@pytest.mark.parametrize("name", [b"bonafide-admission", b"Bonafide-Admission", b"bonafide_admission"])
def test_second_statement_in_any_spelling_is_refused(world: World, reason: Callable[..., str], name: bytes) -> None:
    said = statement(sender(b"body"))
    scope = world.scope(said, (name, spoken(world.key, said).encode()))
    assert reason(scope) == "statement.missing"


def test_request_past_the_gate_is_told_apart_from_one_that_is_odd_besides(
    world: World, reason: Callable[..., str]
) -> None:
    assert reason(world.scope(None, path="/", headers=[(b"host", b"10.0.0.7")])) == "statement.missing"


def test_statement_under_a_name_with_an_underscore_is_none(world: World, reason: Callable[..., str]) -> None:
    token = spoken(world.key, statement(sender(b"body"))).encode()
    assert reason(world.scope(None, (b"bonafide_admission", token))) == "statement.missing"


@pytest.mark.parametrize("field", [b"host", b"oauth-client-attestation"])
def test_field_that_is_sent_twice_is_refused(world: World, reason: Callable[..., str], field: bytes) -> None:
    value = {b"host": b"api.example.com", b"oauth-client-attestation": ATTESTATION.encode()}[field]
    scope = world.scope(statement(sender(b"body")), (field, value))
    assert reason(scope) in {"request.host_unknown", "statement.attestation_mismatch"}


@pytest.mark.parametrize(
    ("code", "chunks", "fields"),
    [
        ("proof.digest_mismatch", [b"edit"], []),
        ("proof.digest_mismatch", [b"body", b" and more"], []),
        ("proof.digest_mismatch", [b""], []),
        ("request.body_incomplete", [b"body"], [(b"content-length", b"5")]),
        ("request.body_incomplete", [b"body"], [(b"content-length", b"3")]),
        ("request.body_framing", [b"body"], [(b"content-length", b"4"), (b"transfer-encoding", b"chunked")]),
        ("request.body_framing", [b"body"], [(b"content-length", b"4"), (b"content-length", b"4")]),
        ("request.body_framing", [b"body"], [(b"transfer-encoding", b"gzip")]),
    ],
)
def test_other_body_is_refused(
    world: World, reason: Callable[..., str], code: str, chunks: list[bytes], fields: list[tuple[bytes, bytes]]
) -> None:
    assert reason(world.scope(statement(sender(b"body")), *fields), chunks) == code


def test_body_that_came_with_a_dpop_proof_is_handed_on_as_what_nobody_signed(tmp_path: Path) -> None:
    world = World(tmp_path, max_body=4)
    said = statement(sender(proof=ProofKind.DPOP, digest=None))
    assert world.status(world.scope(said), [b"bo", b"dy"]) == 200
    assert world.api.bodies == [b"body"]
    assert world.api.seen[0]["bonafide.admission"].sender.digest is None
    assert world.status(world.scope(said), [b"longer"]) == 413
    world.ask(world.scope(said, type="websocket", method=None))
    assert world.api.seen[-1]["type"] == "websocket"


def test_client_that_goes_away_before_its_body_is_whole_is_refused(world: World, reason: Callable[..., str]) -> None:
    scope = world.scope(statement(sender(b"body")))
    assert reason(scope, [b"body"], whole=False) == "request.body_incomplete"


@pytest.mark.parametrize("age_s", [11, 60, -6])
def test_statement_is_good_for_ten_seconds(world: World, reason: Callable[..., str], age_s: int) -> None:
    assert reason(world.scope(statement(sender(), issued_at=NOW - timedelta(seconds=age_s)))) == "statement.stale"


@pytest.mark.parametrize("announced", [False, True])
def test_limit_of_a_body_is_exact(tmp_path: Path, *, announced: bool) -> None:
    world = World(tmp_path, max_body=10)
    for size, status in ((10, 200), (11, 413)):
        fields = [(b"content-length", b"%d" % size)] if announced else []
        scope = world.scope(statement(sender(b"x" * size)), *fields)
        assert world.status(scope, [b"x"] * size) == status


def test_mount_is_what_was_configured(tmp_path: Path) -> None:
    world = World(tmp_path, mount="/shop")
    said = statement(sender(), target="/shop/api/x")
    for path, raw in (("/shop/api/x", b"/shop/api/x"), ("/api/x", b"/api/x"), ("/shop/api/x", None)):
        assert world.status(world.scope(said, root_path="/shop", path=path, raw_path=raw)) == 200
    assert world.status(world.scope(said, root_path="", path="/shop/api/x", raw_path=b"/shop/api/x")) == 400


def test_lifespan_is_the_applications_own(world: World) -> None:
    scope = {"type": "lifespan"}
    world.ask(scope)
    assert world.api.seen == [scope]


def test_protocol_that_nothing_can_judge_is_refused(world: World) -> None:
    with pytest.raises(Misuse) as caught:
        world.ask({"type": "rsocket", "headers": []})
    assert caught.value.reason is misuse_reasons.SCOPE_UNKNOWN
    assert world.api.seen == []


def socket(world: World, said: Statement | None, **changes: Any) -> dict[str, Any]:
    return world.scope(said, type="websocket", method=None, **changes)


def test_handshake_that_a_gate_spoke_for_is_handed_on(world: World) -> None:
    for said in (statement(sender()), statement(None)):
        world.ask(socket(world, said))
        assert world.api.seen[-1]["bonafide.admission"] == said


@pytest.mark.parametrize(
    "said", [None, statement(sender(b"body")), statement(sender(), method="POST"), statement(sender(), target="/y")]
)
def test_other_handshake_is_refused(world: World, said: Statement | None) -> None:
    assert world.ask(socket(world, said)) == [{"type": "websocket.close"}]
    start, body = world.ask(socket(world, said, extensions={"websocket.http.response": {}}))
    assert (start["type"], start["status"]) == (
        "websocket.http.response.start",
        403 if said is None else start["status"],
    )
    assert json.loads(body["body"])["status"] == start["status"]
    assert world.api.seen == []


def test_client_that_has_gone_is_answered_in_vain(world: World) -> None:
    async def receive() -> Any:
        return DISCONNECT

    async def send(message: Any) -> None:
        raise ConnectionResetError(message["type"])

    asyncio.run(world.guarded(world.scope(None), receive, send))
    assert world.api.seen == []


def test_spool_is_given_back_also_where_the_application_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bonafide.stores import body_spool

    opened: list[Any] = []
    made = SpooledTemporaryFile

    def keep(*arguments: Any, **options: Any) -> Any:
        opened.append(made(*arguments, **options))
        return opened[-1]

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(body_spool, "SpooledTemporaryFile", keep)
    world = World(tmp_path)
    world.ask(world.scope(statement(sender(b"body"))), [b"body"])
    world.ask(world.scope(statement(sender(b"body"))), [b"edit"])
    world.guarded = BonafideAsgi(failing, key_files=[world.key], origins=ORIGINS, clock=lambda: NOW)
    with pytest.raises(RuntimeError):
        world.ask(world.scope(statement(sender(b"body"))), [b"body"])
    assert [each.closed for each in opened] == [True, True, True]


TEXT = st.text(max_size=12)
CHANGES = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "POST", "get", ""]),
        "path": st.just("/api/x") | TEXT,
        "raw_path": st.none() | st.just(b"/api/x") | st.binary(max_size=12),
        "query_string": st.just(b"") | st.binary(max_size=4),
        "root_path": st.just("") | TEXT,
    }
)
LENGTHS = st.sampled_from([None, b"4", b"5", b"0", b"x", b"\xff"])


@settings(parent=settings.get_profile("bonafide"))
@given(changes=CHANGES, chunks=st.just([b"bo", b"dy"]) | st.lists(st.binary(max_size=3), min_size=1), length=LENGTHS)
def test_no_request_but_the_one_a_gate_spoke_for_reaches_the_application(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[str, Any], chunks: list[bytes], length: bytes | None
) -> None:
    world = _world_of(tmp_path_factory)
    world.api.seen.clear()
    world.api.bodies.clear()
    fields = [] if length is None else [(b"content-length", length)]
    status = world.status(world.scope(statement(sender(b"body")), *fields, **changes), chunks)
    assert (status == 200) == (len(world.api.seen) == 1)
    if status == 200:
        assert (changes["method"], changes["path"], changes["query_string"]) == ("GET", "/api/x", b"")
        assert changes["raw_path"] in {None, b"", b"/api/x"}
        assert length in {None, b"4"}
        assert world.api.bodies == [b"body"]


_WORLDS: dict[str, World] = {}


def _world_of(factory: pytest.TempPathFactory) -> World:
    if "one" not in _WORLDS:
        _WORLDS["one"] = World(factory.mktemp("property"))
    return _WORLDS["one"]
