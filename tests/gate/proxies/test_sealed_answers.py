"""Every proxy of ours leaves sealed answers as they are, and what a site adds to Nginx does not open or keep them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest

from bonafide.errors import BonafideError
from bonafide.sealing import CACHE_CONTROL, CONTENT_TYPE, AnswerKey, open_sealed, seal
from tests.gate.proxies.judging import having, signed
from tests.gate.proxies.stage import Stage
from tests.gate.proxies.starting import STARTS, start_nginx

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import RequireProgram
    from tests.gate.proxies.wire import Message

KEY: Final = AnswerKey(sid=bytes(16), key=bytes(range(32)))
BODY: Final = b"the same again and again " * 8000
ASKED: Final = (("Range", "bytes=0-9"), ("If-None-Match", "*"), ("If-Modified-Since", "Thu, 01 Jan 2026 00:00:00 GMT"))
COMPRESSING: Final = "gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;"
REWRITING: Final = "sub_filter_types *; sub_filter_once off; sub_filter 'a' 'b';"
CACHING: Final = "proxy_cache_path @/cache keys_zone=site:1m; proxy_cache site; proxy_cache_valid any 1h;"


def sealed(_: Message) -> bytes:
    """Answer as an API that seals."""
    body = b"".join(seal(BODY, KEY, status=200, fields=[("etag", "x")], salt=os.urandom(16)))
    lines = ("HTTP/1.1 200 OK", f"Content-Type: {CONTENT_TYPE}", f"Cache-Control: {CACHE_CONTROL}")
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def opened(answer: Message) -> bytes:
    assert answer.status == 200
    assert answer.one("Content-Type") == CONTENT_TYPE
    assert answer.one("Cache-Control") == CACHE_CONTROL
    return open_sealed(answer.body, KEY, status=200).body


@pytest.fixture(scope="module", params=STARTS)
def running(request: pytest.FixtureRequest, require_program: RequireProgram) -> Iterator[Stage]:
    start, apt = STARTS[request.param]
    program = require_program(request.param, apt=apt)
    with Stage(lambda stage: start(stage, program)) as stage:
        yield stage


@pytest.fixture
def stage(running: Stage) -> Stage:
    running.forget()
    running.api.answer = sealed
    return running


@pytest.mark.parametrize("coding", ["identity", "gzip, br"])
def test_sealed_answer_passes_as_it_is_whatever_is_asked_for(stage: Stage, coding: str) -> None:
    answer = stage.ask(having(signed(), *ASKED, ("Accept-Encoding", coding)))
    assert opened(answer) == BODY
    assert not answer.all("Content-Encoding")


def test_sealed_answer_is_not_kept_for_the_next_caller(stage: Stage) -> None:
    first, second = stage.ask(signed()), stage.ask(signed())
    assert first.body != second.body
    assert len(stage.api.seen) == 2


def test_what_a_proxy_says_itself_is_no_sealed_answer(stage: Stage) -> None:
    """Nobody seals where the API is away: the phone takes an error from it, and no body."""
    stage.api.answer = lambda _: None
    answer = stage.ask(signed())
    assert answer.status in {502, 503, 504}
    assert answer.one("Content-Type") != CONTENT_TYPE


# What a site adds to Nginx ------------------------------------------------------------------------


@pytest.fixture
def program(require_program: RequireProgram) -> Path:
    return require_program("nginx", apt="nginx-light")


def asked_of(program: Path, site: str, *fields: tuple[str, str]) -> tuple[list[Message], int]:
    """Return the answers to two requests through an Nginx whose site adds lines in http { }, and what the API saw."""
    with Stage(lambda stage: start_nginx(stage, program, before=site.replace("@", str(stage.directory)))) as stage:
        stage.api.answer = sealed
        return [stage.ask(having(signed(), *fields)) for _ in range(2)], len(stage.api.seen)


def test_a_site_that_compresses_everything_leaves_alone_what_is_asked_for_as_it_is(program: Path) -> None:
    """Python's client asks for no coding; an iPhone's takes off what its system asked for before it opens."""
    answers, _ = asked_of(program, COMPRESSING, ("Accept-Encoding", "identity"))
    assert [opened(answer) for answer in answers] == [BODY, BODY]
    assert not answers[0].all("Content-Encoding")


def test_a_site_that_caches_everything_keeps_no_sealed_answer(program: Path) -> None:
    answers, asks = asked_of(program, CACHING)
    assert [opened(answer) for answer in answers] == [BODY, BODY]
    assert asks == 2


def test_a_site_that_rewrites_everything_makes_no_answer_of_a_sealed_one(program: Path) -> None:
    answers, _ = asked_of(program, REWRITING)
    with pytest.raises(BonafideError):
        opened(answers[0])
