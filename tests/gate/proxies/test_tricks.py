"""Gate and API judge the same request, whatever a client makes of it, behind each proxy."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from bonafide.gate.proxies import ORIGINAL_HEADERS
from bonafide.proof.content_digest import digest_of
from tests.gate.proxies.judging import ADMISSION, having, octets, without
from tests.gate.proxies.stage import Stage
from tests.gate.proxies.starting import STARTS
from tests.gate.proxies.tricks import ALIKE, API, BROKEN, COOKIE, GET, POST, PROXY, TRICKS, TRICKS_H2, Trick, TrickH2
from tests.gate.proxies.wire import OK, send

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import RequireProgram

JUDGED = ("Authorization", "Content-Digest", "Content-Type", "Cookie", "OAuth-Client-Attestation", "Signature",
          "Signature-Input")  # fmt: skip
"""What a proof covers, and the proof."""


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


@pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: trick.name)
def test_trick_over_http_1(stage: Stage, proxy: str, trick: Trick) -> None:
    answers = send(trick.sent, port=stage.http)
    _compare(stage, trick.by(proxy), answers[0].status if answers else 0)


@pytest.mark.parametrize("trick", TRICKS_H2, ids=lambda trick: trick.name)
def test_trick_over_http_2(stage: Stage, proxy: str, trick: TrickH2) -> None:
    status = stage.ask_h2(trick.fields, body=trick.body, trailers=trick.trailers)
    _compare(stage, trick.by(proxy), status)


def test_cookies_in_two_fields_are_one_to_gate_and_api_or_refused(stage: Stage, proxy: str) -> None:
    sent = without(COOKIE, "cookie")
    lines = [*(f"{name}: {value}" for name, value in sent.headers), "Cookie: a=1", "Cookie: b=2", "", ""]
    (answer,) = send("\r\n".join([sent.start, *lines]).encode(), port=stage.http)
    if proxy == "caddy":  # which has no way to join them: the gate's server joins them by a comma, and it refuses
        assert [asked.all("Cookie") for asked in stage.gate.seen] == [["a=1", "b=2"]]
        return
    assert answer.status == 200
    assert stage.gate.seen[0].all("Cookie") == stage.api.seen[0].all("Cookie") == ["a=1; b=2"]


def test_expectation_is_met_and_the_body_arrives(stage: Stage) -> None:
    stage.api.answer = lambda _: OK
    sent = octets(having(POST, ("Expect", "100-continue"), ("Connection", "close")))
    assert [answer.status for answer in send(sent, port=stage.http, answers=2)][-1] == 200
    assert [got.body for got in stage.api.seen] == [b"hello"]


def test_pipelined_requests_are_judged_one_by_one(stage: Stage) -> None:
    good, bad = octets(GET), octets(without(GET, "signature"))
    assert [answer.status for answer in send(good + bad + good, port=stage.http, answers=3)] == [200, 401, 200]
    assert len(stage.api.seen) == 2


def _compare(stage: Stage, who: str, status: int) -> None:
    found = (status, stage.judge.refusals, stage.gate.seen, stage.api.seen)
    if who in {ALIKE, API}:
        assert status in {200, 204}, found
        assert stage.judge.refusals == []
        _judged_alike(stage, bodies_differ=who == API)
    elif who == BROKEN:
        assert status == 0 or 400 <= status < 600, found
        time.sleep(0.2)  # what was begun has then arrived, and is not taken for a part of the next test
    elif who == PROXY:
        assert status == 0 or 400 <= status < 600, found
        assert stage.judge.refusals == [], found
        assert not stage.api.seen, found
    else:
        assert stage.judge.refusals == [who], found
        assert status in {0, 400, 401, 403}, found  # HTTP/0.9 has no status
        assert not stage.api.seen, found


def _judged_alike(stage: Stage, *, bodies_differ: bool) -> None:
    (asked,), (got,) = stage.gate.seen, stage.api.seen
    assert got.method == asked.one("Originalmethod")
    assert got.target == asked.one("Originaltarget")
    assert got.one("Host") == asked.one("Originalhost")
    for name in JUDGED:
        assert got.all(name) == asked.all(name)
    assert got.all("Bonafide-Admission") == [ADMISSION]
    names = [name.lower() for name, _ in got.headers]
    assert not [name for name in names if "_" in name or (name.startswith("bonafide") and name != "bonafide-admission")]
    assert "forged" not in {asked.one(name) for name in ORIGINAL_HEADERS}
    assert (digest_of([got.body]) != got.one("Content-Digest")) is bodies_differ
    if got.one("Content-Length") and asked.one("Originallength"):
        assert got.one("Content-Length") == asked.one("Originallength")
