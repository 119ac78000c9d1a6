"""The whole front: a real proxy, a real gate over its socket, and an API that verifies what the gate said."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from bonafide import statement
from bonafide.http import HttpRequest, Origin
from bonafide.proof.content_digest import digest_of
from tests.gate.proxies.judging import HOST, having, without
from tests.gate.proxies.stage import Stage
from tests.gate.proxies.starting import STARTS
from tests.gate.proxies.wire import Message
from tests.gate.world import RunningGate, fresh

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import RequireProgram

RULES = ({"match": "/api/**", "max_body": "64KiB"},)
ROUTES = '[[route]]\nmatch = "/api/**"\nmax_body = "64KiB"\n'


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGate]:
    running = RunningGate(home=tmp_path_factory.mktemp("gate") / "home", routes=ROUTES)
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module", params=STARTS)
def running(request: pytest.FixtureRequest, gate: RunningGate, require_program: RequireProgram) -> Iterator[Stage]:
    start, apt = STARTS[request.param]
    program = require_program(request.param, apt=apt)
    with Stage(lambda stage: start(stage, program), rules=RULES, gate_socket=gate.socket) as stage:
        yield stage


@pytest.fixture
def stage(running: Stage) -> Stage:
    running.forget()
    return running


def sent(request: HttpRequest, body: bytes = b"") -> Message:
    """Return a request as it stands on the wire."""
    lines = tuple((name.title(), value) for name, value in request.headers.items())
    length = (("Content-Length", str(len(body))),) if body else ()
    return Message(f"{request.method} {request.target} HTTP/1.1", (("Host", HOST), *lines, *length), body)


def arrived(got: Message) -> HttpRequest:
    """Return what the API got, as a middleware of ours reads it."""
    return HttpRequest(
        method=got.method,
        origin=Origin(scheme="https", authority=got.one("Host")),
        target=got.target,
        headers={name.lower(): value for name, value in got.headers},
    )


def test_admission_that_arrives_is_about_the_request_that_arrives(stage: Stage, gate: RunningGate) -> None:
    assert stage.ask(sent(fresh("/api/a%20b?x=1&y=%2f"))).status == 200
    (got,) = stage.api.seen
    said = statement.verify(
        got.one("Bonafide-Admission"), keys=[gate.admission_key], request=arrived(got), now=datetime.now(UTC)
    )
    assert said.sender is not None
    assert said.sender.app == "shop"


def test_what_is_sent_again_is_refused_with_a_record_and_an_action(stage: Stage) -> None:
    message = sent(fresh())
    assert [stage.ask(message).status for _ in range(2)] == [200, 401]
    again = stage.ask(message)
    assert again.one("Bonafide-Action") == "sign_again"
    assert len(again.one("Bonafide-Record")) >= 22
    assert again.one("WWW-Authenticate").startswith("ClientAttestation ")
    assert again.one("Content-Type") == "application/problem+json"
    assert len(stage.api.seen) == 1


@pytest.mark.parametrize("field", ["oauth-client-attestation", "authorization", "signature", "content-digest"])
def test_field_that_comes_twice_is_refused_by_somebody(stage: Stage, field: str) -> None:
    message = sent(fresh())
    for extra in (message.one(field), "x"):
        assert stage.ask(having(message, (field.title(), extra))).status in {400, 401}
    assert not stage.api.seen


BODY = b'{"a":1}'
FORM = "application/x-www-form-urlencoded"
EDITED_FIELDS: dict[str, tuple[dict[str, str], tuple[tuple[str, str], ...]]] = {
    "a second type": ({"content-type": "application/json"}, (("Content-Type", FORM),)),
    "a second type that is not ASCII": ({"content-type": "application/json"}, (("Content-Type", f"{FORM}; a=\xff"),)),
    "a type where none was signed": ({}, (("Content-Type", FORM),)),
    "one that is not ASCII": ({}, (("Content-Type", f"{FORM}; a=\xff"),)),
    "an empty one, then another": ({}, (("Content-Type", ""), ("Content-Type", FORM))),
    "a token that is not ASCII": ({}, (("Authorization", "Bearer \xff"),)),
    "a cookie that is not ASCII": ({}, (("Cookie", "sid=evil; x=\xff"),)),
    "a second cookie that is not ASCII": ({"cookie": "a=1"}, (("Cookie", "sid=\xff"),)),
    "a type that Connection names": ({}, (("Content-Type", FORM), ("Connection", "Content-Type"))),
    "a cookie that Connection names": ({}, (("Cookie", "sid=evil"), ("Connection", "Cookie"))),
    "a token that Connection names": ({}, (("Authorization", "Bearer evil"), ("Connection", "Authorization"))),
    "an override that Connection names": (
        {},
        (("X-HTTP-Method-Override", "DELETE"), ("Connection", "X-HTTP-Method-Override")),
    ),
    "a coding that Connection names": ({}, (("Content-Encoding", "gzip"), ("Connection", "Content-Encoding"))),
    "an announced trailer that is not ASCII": ({}, (("Trailer", "X-\xff"),)),
    "an upgrade that is not ASCII": ({}, (("Upgrade", "h2c\xff"), ("Connection", "Upgrade"))),
}


@pytest.mark.parametrize(("signed", "added"), EDITED_FIELDS.values(), ids=EDITED_FIELDS)
def test_field_that_the_app_did_not_sign_is_refused_or_reaches_nobody(
    stage: Stage, gate: RunningGate, signed: dict[str, str], added: tuple[tuple[str, str], ...]
) -> None:
    """The gate's server shows the first of several fields, and '' for what is not ASCII; an API's shows others."""
    request = fresh(method="POST", headers={"content-digest": digest_of([BODY]), "authorization": None, **signed})
    answer = stage.ask(having(sent(request, BODY), *added))
    if answer.status != 200:
        assert answer.status in {400, 401}
        assert not stage.api.seen
        return
    (got,) = stage.api.seen
    assert [got.all(name) for name in JUDGED] == [[signed[name]] if name in signed else [] for name in JUDGED]
    word = got.one("Bonafide-Admission")
    assert statement.verify(word, keys=[gate.admission_key], request=arrived(got), now=datetime.now(UTC)).admitted


JUDGED = ("content-type", "cookie", "authorization", "x-http-method-override", "content-encoding", "upgrade")


def test_cookie_in_two_fields_reaches_the_api_in_one_or_not_at_all(stage: Stage) -> None:
    message = sent(fresh(headers={"cookie": "a=1; b=2"}))
    stage.ask(having(without(message, "cookie"), ("Cookie", "a=1"), ("Cookie", "b=2")))
    assert [got.all("Cookie") for got in stage.api.seen] in ([["a=1; b=2"]], [])


def test_fields_as_large_as_the_core_takes_pass_the_whole_way(stage: Stage) -> None:
    assert stage.ask(sent(fresh(headers={"cookie": "c=" + "x" * 8000}))).status == 200


def test_gate_that_stands_still_is_503_in_time_and_serves_again(stage: Stage, gate: RunningGate) -> None:
    assert stage.ask(sent(fresh())).status == 200
    gate.pause()
    try:
        began = time.monotonic()
        answer = stage.ask(sent(fresh()))
        assert time.monotonic() - began < 3
        assert (answer.status, answer.one("Bonafide-Action")) == (503, "back_off")
    finally:
        gate.resume()
    ends = time.monotonic() + 2
    while stage.ask(sent(fresh())).status != 200:
        assert time.monotonic() < ends
