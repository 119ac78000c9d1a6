"""A phone, Nginx, a gate, and Flask and FastAPI on real servers: what is sealed arrives whole, or is an error."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import pytest

from bonafide.codec.jose import parse_jws, sign_hs256
from bonafide.codec.json import dump, parse_object
from bonafide.errors import BonafideError
from bonafide.gate.proxies import Address, Front, Site, nginx
from bonafide.http import Origins
from bonafide.proof.content_digest import digest_of
from bonafide.reasons import sealed as reasons
from bonafide.routes import parse_toml
from bonafide.sealing import CONTENT_TYPE, OpenedAnswer, open_sealed
from bonafide.statement import TYPE, issue
from tests import gate_world
from tests.gate.proxies import programs
from tests.gate.world import HOST, RunningGate, asked, fresh, key_to
from tests.upstream.running import ANSWER_S, COMMANDS, Running
from tests.upstream.word import SEALED, sender
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bonafide.http import HttpRequest
    from tests.conftest import RequireProgram

ROUTES: Final = '[[route]]\nmatch = "/sealed/**"\nmax_body = "1MiB"\nseal = true\n[[route]]\nmatch = "/clear/**"\n'
CHUNK: Final = b"0123456789abcdef" * 2048
OTHER_KEY: Final = bytes(range(32))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a phone gets: `is_whole` says that the framing of HTTP ended as it should."""

    request: HttpRequest
    status: int
    fields: dict[str, str]
    body: bytes
    is_whole: bool

    @property
    def opened(self) -> OpenedAnswer:
        return self.opened_for(self.request)

    def opened_for(self, request: HttpRequest) -> OpenedAnswer:
        assert self.fields["content-type"] == CONTENT_TYPE
        assert self.fields["cache-control"] == "private, no-store, no-transform"
        return open_sealed(self.body, key_to(request), status=self.status)

    def reason(self, request: HttpRequest | None = None) -> str:
        with pytest.raises(BonafideError) as refusal:
            self.opened_for(request or self.request)
        return refusal.value.reason.code


@dataclass(slots=True, kw_only=True)
class World:
    """Nginx, a gate and one server. Use as a context manager."""

    name: str
    state: Path
    nginx: Path
    site: str = ""
    port: int = field(default_factory=programs.free_port)
    gate: RunningGate = field(init=False)
    server: Running = field(init=False)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        self.gate = RunningGate(home=self.state / "gate", routes=ROUTES, upstream="seals = true\n")
        self.server = Running(name=self.name, state=self.state, origin=f"https://{HOST}", served="served_sealed")
        shutil.copy(self.gate.home / "api.key", self.server.key)
        with ExitStack() as stack:
            for part in (self.gate, self.server, self._proxy()):
                stack.callback(part.stop)
                part.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _proxy(self) -> programs.Program:
        site = Site(
            name="api",
            origins=tuple(Origins([f"https://{HOST}"])),
            backend=Address(authority=self.server.authority),
            routes=parse_toml(ROUTES),
            takes_bodies=True,
        )
        front = Front(
            gate=Address(path=str(self.gate.socket)), service=None, sites=(site,), deadline=timedelta(seconds=5)
        )
        inside = f"listen 127.0.0.1:{self.port}; server_name {HOST};\n{nginx.server_level(front, site)}\n{self.site}"
        return programs.nginx(
            self.nginx,
            self.state,
            http=nginx.http_level(front),
            servers=f"server {{ {inside} }}",
            ports=(self.port,),
        )

    def ask(self, target: str, body: bytes = b"", *extra: str, signer: Any = None) -> Answer:
        """Send a request of the phone's through Nginx."""
        method = "POST" if body else "GET"
        signed = {"content-digest": digest_of([body])} if body else {}
        request = fresh(target, method=method, headers=signed, signer=signer)
        return self.send(request, body, *extra)

    def send(self, request: HttpRequest, body: bytes = b"", *extra: str, past: str = "") -> Answer:
        """Send a request through Nginx, or with the word `past` to the server itself."""
        named = {"Host": HOST, "Connection": "close", "Content-Length": str(len(body)), **request.headers}
        lines = [f"{name}: {value}" for name, value in named.items()] + list(extra)
        if past:
            lines.append(f"Bonafide-Admission: {past}")
        head = "\r\n".join([f"{request.method} {request.target} HTTP/1.1", *lines, "", ""])
        port = self.server.port if past else self.port
        with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S) as connection:
            connection.sendall(head.encode() + body)
            with closing(http.client.HTTPResponse(connection)) as response:
                response.begin()
                fields = {name.lower(): value for name, value in response.getheaders()}
                try:
                    return Answer(request, response.status, fields, response.read(), is_whole=True)
                except http.client.IncompleteRead as partial:
                    return Answer(request, response.status, fields, partial.partial, is_whole=False)

    def word(self, request: HttpRequest) -> str:
        """Return what the gate says of a request to the API."""
        answer = self.gate.ask(asked(request))
        assert answer.status == 204
        return answer.fields["bonafide-admission"]


@pytest.fixture(scope="module", params=COMMANDS)
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, require_program: RequireProgram
) -> Iterator[World]:
    program = require_program("nginx", apt="nginx-light")
    with World(name=request.param, state=tmp_path_factory.mktemp(request.param), nginx=program) as world:
        yield world


# What arrives --------------------------------------------------------------------------------------


@pytest.mark.parametrize("signer", [None, gate_world.HARDWARE], ids=["session", "hardware"])
def test_the_phone_opens_what_the_application_answered(world: World, signer: Any) -> None:
    answer = world.ask("/sealed/echo", b"asked", signer=signer)
    fields = dict(answer.opened.fields)
    assert json.loads(answer.opened.body)["body"] == "asked"
    assert fields["content-type"].startswith("application/json")
    assert fields["set-cookie"].startswith("inner=secret")
    assert not {"content-length", "date", "server"} & fields.keys()
    assert answer.fields.keys() <= {"content-type", "cache-control", "content-length", "date", "server", "connection"}
    assert b"asked" not in answer.body


def test_a_route_that_does_not_seal_is_answered_in_clear(world: World) -> None:
    answer = world.ask("/clear/echo", b"", "Accept-Encoding: gzip", "Range: bytes=0-9")
    assert answer.fields["content-type"].startswith("application/json")
    assert json.loads(answer.body)["names"] == ["accept-encoding", "range"]


def test_what_asks_for_an_answer_that_cannot_be_sealed_reaches_no_application(world: World) -> None:
    asks = ("Accept-Encoding: gzip", "Range: bytes=0-9", 'If-None-Match: "x"', "If-Modified-Since: x", "TE: trailers")
    assert json.loads(world.ask("/sealed/echo", b"", *asks).opened.body)["names"] == []


@pytest.mark.parametrize("size", [0, 1, 65_471, 65_519, 1_000_000, 2**26])
@pytest.mark.parametrize("announced", [True, False])
def test_a_stream_arrives_whole(world: World, size: int, *, announced: bool) -> None:
    length = f"&length={size}" if announced else ""
    answer = world.ask(f"/sealed/stream?size={size}{length}")
    body = answer.opened.body
    assert answer.is_whole
    assert len(body) == size
    assert body == (CHUNK * (size // len(CHUNK) + 1))[:size]
    assert ("content-length" in answer.fields) or not announced


def test_a_file_arrives_whole_though_a_part_was_asked_for(world: World) -> None:
    answer = world.ask("/sealed/file", b"", "Range: bytes=0-9")
    assert answer.status == 200
    assert answer.opened.body == Path(__file__).with_name("served_sealed.py").read_bytes()
    assert not {"etag", "last-modified", "accept-ranges", "cache-control"} & dict(answer.opened.fields).keys()


def test_where_a_redirect_leads_is_for_the_phone_alone(world: World) -> None:
    answer = world.ask("/sealed/away")
    assert 300 <= answer.status < 400
    assert dict(answer.opened.fields)["location"] == "/inner/place"
    assert "location" not in answer.fields


@pytest.mark.parametrize(("status", "outside"), [(204, 200), (205, 200), (304, 200), (404, 404), (503, 503)])
def test_every_status_of_the_application_arrives_sealed(world: World, status: int, outside: int) -> None:
    answer = world.ask(f"/sealed/status/{status}")
    assert (answer.status, answer.opened.body) == (outside, b"")


def test_what_a_framework_says_of_an_unknown_path_is_sealed(world: World) -> None:
    answer = world.ask("/sealed/nowhere/at/all")
    assert answer.status == 404
    assert b"ot " in answer.opened.body  # Not Found, in one spelling or another


# What cannot be sealed -----------------------------------------------------------------------------


@pytest.mark.parametrize("named", ["Content-Encoding=gzip", "Content-Type=text/event-stream"])
def test_what_cannot_be_sealed_is_a_sealed_500(world: World, named: str) -> None:
    answer = world.ask(f"/sealed/field?is={named}")
    assert (answer.status, answer.opened) == (500, OpenedAnswer((), b""))
    eventually(lambda: reasons.ANSWER_UNFIT.code in world.server.log.read_text(), "the reason in the log")


def test_a_part_is_a_sealed_500(world: World) -> None:
    answer = world.ask("/sealed/status/206")
    assert (answer.status, answer.opened) == (500, OpenedAnswer((), b""))


def test_an_application_that_fails_is_a_sealed_500(world: World) -> None:
    answer = world.ask("/sealed/fail")
    assert (answer.status, answer.is_whole) == (500, True)
    assert b"LookupError" not in answer.opened.body
    if world.name != "fastapi_granian":  # which is told to log nothing, and is told of the failure
        eventually(lambda: "LookupError" in world.server.log.read_text(), "the failure in the log")


def test_a_stream_that_breaks_before_anything_is_out_is_a_sealed_500(world: World) -> None:
    answer = world.ask("/sealed/stream?size=1000000&breaks_at=1")
    assert (answer.status, answer.opened) == (500, OpenedAnswer((), b""))


@pytest.mark.parametrize("length", ["", "&length=1000000"])
def test_a_stream_that_breaks_later_is_truncated(world: World, length: str) -> None:
    answer = world.ask(f"/sealed/stream?size=1000000&breaks_at=400000{length}")
    assert answer.status == 200
    assert answer.body
    assert answer.reason() in {"sealed.truncated", "sealed.record_invalid"}


@pytest.mark.parametrize("length", [999_999, 1_000_001])
def test_a_stream_of_another_length_is_truncated(world: World, length: int) -> None:
    answer = world.ask(f"/sealed/stream?size=1000000&length={length}")
    assert answer.reason() in {"sealed.truncated", "sealed.record_invalid"}


# Attacks -------------------------------------------------------------------------------------------


def test_an_answer_to_one_question_is_none_to_another(world: World) -> None:
    first, second = world.ask("/sealed/echo"), world.ask("/sealed/echo")
    assert first.opened == second.opened
    assert first.body != second.body
    assert first.reason(second.request) == "sealed.record_invalid"


def test_head_and_upgrades_are_refused_where_answers_are_sealed(world: World) -> None:
    head = world.send(fresh("/sealed/echo", method="HEAD"))
    assert head.status in {400, 403}
    assert head.fields["bonafide-action"] == "give_up"


def changed(world: World, request: HttpRequest, **members: Any) -> str:
    """Return the gate's word about a request with other members, as a holder of the admission key would make it."""
    said = parse_object(parse_jws(world.word(request)).payload)
    merged = {name: value for name, value in (dict(said) | members).items() if value is not None}
    return sign_hs256({"alg": "HS256", "typ": TYPE}, dump(merged), world.gate.admission_key)


def member(word: str) -> Any:
    return parse_object(parse_jws(word).payload)["k"]


def test_the_gate_s_word_brings_the_key_and_whoever_reads_it_does_not(world: World) -> None:
    request = fresh("/sealed/echo")
    word = world.word(request)
    assert world.send(request, past=word).opened.body
    assert key_to(request).key not in parse_jws(word).payload
    assert "k" not in parse_object(parse_jws(world.word(fresh("/clear/echo"))).payload)


def test_a_word_whose_key_was_taken_out_on_the_way_is_refused(world: World) -> None:
    request = fresh("/sealed/echo")
    head, _, mac = world.word(request).split(".")
    _, payload, _ = changed(world, fresh("/sealed/echo"), k=None).split(".")
    answer = world.send(request, past=f"{head}.{payload}.{mac}")
    assert (answer.status, reason_of(world, answer)) == (403, "statement.signature_invalid")


def test_the_key_of_another_request_is_refused(world: World) -> None:
    request = fresh("/sealed/echo")
    other = member(world.word(fresh("/sealed/echo")))
    answer = world.send(request, past=changed(world, request, k=other))
    assert (answer.status, reason_of(world, answer)) == (403, "statement.answer_key_unopened")


def test_a_key_under_another_admission_key_is_refused(world: World) -> None:
    request = fresh("/sealed/echo")
    said = world.server.say(sender(), **SEALED)
    foreign = member(issue(said, key=OTHER_KEY))
    answer = world.send(request, past=changed(world, request, k=foreign, record=said.record))
    assert (answer.status, reason_of(world, answer)) == (403, "statement.answer_key_unopened")


def reason_of(world: World, answer: Answer) -> str:
    """Return the reason of a refusal, from the API's log."""
    record = f"record={answer.fields['bonafide-record']} "
    (line,) = [line for line in world.server.log.read_text(errors="replace").splitlines() if record in line]
    return line.partition("reason=")[2].partition(" ")[0]
