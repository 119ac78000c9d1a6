"""What HAProxy does where the Lua action does not come to its end: it would go on, and must not."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bonafide.gate.proxies import haproxy
from bonafide.routes import parse_rules
from tests.gate.proxies.judging import HOST, OTHER_HOST, having, octets, signed, without
from tests.gate.proxies.programs import Program
from tests.gate.proxies.stage import Stage
from tests.gate.proxies.starting import HAPROXY_DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bonafide.gate.proxies import Front
    from tests.conftest import RequireProgram

TRIES = 10


@pytest.fixture
def program(require_program: RequireProgram) -> Path:
    return require_program("haproxy", apt="haproxy")


def started(
    stage: Stage,
    program: Path,
    *,
    defaults: str = "",
    change: Callable[[str], str] = str,
    facts: Callable[[Front], Front] = lambda front: front,
) -> Program:
    """Return HAProxy with more defaults of the site's, another Lua file, or other facts."""
    lua, file = stage.directory / "bonafide.lua", stage.directory / "haproxy.cfg"
    lua.write_text(change(haproxy.lua()))
    front = haproxy.configuration(facts(stage.front), str(lua), bind=f"127.0.0.1:{stage.http}")
    file.write_text(f"{HAPROXY_DEFAULTS}{defaults}{front}")
    return Program([str(program), "-db", "-f", str(file)], [stage.http], stage.directory / "haproxy.log")


@pytest.fixture
def impatient(program: Path) -> Iterator[Stage]:
    """HAProxy that ends an action when the client has gone."""
    with Stage(lambda stage: started(stage, program, defaults="    option abortonclose\n")) as stage:
        yield stage


def test_client_that_closes_its_half_gets_nothing_unproven_past(impatient: Stage) -> None:
    unsigned = octets(without(signed(method="POST", body=b"hello"), "signature"))
    for _ in range(TRIES):
        with socket.create_connection(("127.0.0.1", impatient.http), timeout=5) as client:
            client.sendall(unsigned)
            client.shutdown(socket.SHUT_WR)
            while client.recv(4096):
                pass
    assert not impatient.api.seen


@pytest.mark.parametrize(
    ("at", "instead"),
    [
        ("  local sent = txn.http:req_get_headers()", '  error("broken")'),
        ('  tell("originaladdress", txn.f:src())', "  local x = nil; x.y = 1"),
        ("  local client = core.httpclient()", "  do return end"),
        ("  if asked and answer and answer.status == 204 then", "  if asked and answer and answer.no.such then"),
    ],
    ids=["raises", "indexes nothing", "returns early", "raises after the gate spoke"],
)
def test_action_that_fails_is_a_refusal(program: Path, at: str, instead: str) -> None:
    def change(lua: str) -> str:
        assert at in lua
        return lua.replace(at, instead)

    with Stage(lambda stage: started(stage, program, change=change)) as stage:
        answer = stage.ask(signed())
        assert (answer.status, answer.one("Bonafide-Action")) == (503, "back_off")
        assert not stage.api.seen


def test_signed_request_is_admitted_all_the_same(impatient: Stage) -> None:
    assert impatient.ask(signed()).status == 200
    assert len(impatient.api.seen) == 1


def test_upgrade_that_one_api_takes_goes_through_to_no_other(program: Path) -> None:
    def other_takes_none(front: Front) -> Front:
        first, second = front.sites
        return replace(front, sites=(first, replace(second, routes=parse_rules([{"match": "/**"}]))))

    key, version = ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Version", "13")
    handshake = (("Upgrade", "websocket"), ("Connection", "Upgrade"), key, version)
    with Stage(lambda stage: started(stage, program, facts=other_takes_none)) as stage:
        stage.gate.answer = lambda _: b"HTTP/1.1 204 No Content\r\n\r\n"
        for host in (HOST, OTHER_HOST):
            stage.ask(having(without(signed("/ws/chat"), "host"), ("Host", host), *handshake))
        assert [got.one("Upgrade") for got in (*stage.api.seen, *stage.other.seen)] == ["websocket", ""]
