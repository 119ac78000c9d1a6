"""Who wants a sealed answer gets that one, whole, or an exception that says why; never a body in clear."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from bonafide.proof.http_signature import parse_proof
from bonafide.sealing import CONTENT_TYPE, answer_key, seal
from bonafide.session import seal_response_key
from bonafide.testing import sealed_answers
from bonafide.testing.client import AnswerNotSealed, AnswerRefused, AsyncAppClient, OutcomeUnknown, SealRefused
from bonafide.testing.hints import Refused
from tests.testing.app_world import new_world
from tests.testing.scripted_service import API, SERVICE_KEY, Refusal, read_request

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.testing.app_world import World

WANTED: dict[str, Any] = {"extensions": {"bonafide_sealed": True}}
FIELDS = (("content-type", "text/plain"), ("set-cookie", "inside=1"), ("x-thing", "y"))
RECORD = 65536
HEADER = 37


@pytest.fixture
def world() -> World:
    return new_world()


class SealingApi:
    """The scripted API, whose answers are sealed; `spoil` is what a proxy does to the octets of the next ones."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.body = b"x" * 200_000
        self.status = 200
        self.fields: tuple[tuple[str, str], ...] = FIELDS
        self.spoil: list[Callable[[httpx.Response], httpx.Response]] = []
        self.made: list[httpx.Response] = []

    def handle(self, request: httpx.Request) -> httpx.Response:
        answer = self.world.service.handle(request)
        if not request.url.path.startswith("/api/"):
            return answer
        if "bonafide-action" not in answer.headers:
            answer = self.sealed(request)
        self.made.append(answer)
        return self.spoil.pop(0)(answer) if self.spoil else answer

    def sealed(self, request: httpx.Request, **changes: Any) -> httpx.Response:
        value, path, query = read_request(request)
        token = value.headers["oauth-client-attestation"]
        base = parse_proof(value, path=path, query=query, attestation=token).base
        session = list(self.world.service.sessions.values())[-1]
        key = answer_key(seal_response_key(session.key), sid=session.sid, base=base)
        said: dict[str, Any] = {"status": self.status, "fields": self.fields} | changes
        body = said.pop("body", self.body)
        return outside(b"".join(seal(body, key, salt=b"%016d" % len(self.made), **said)), status=said["status"])


def outside(octets: bytes, *, status: int = 200, cookie: str | None = None) -> httpx.Response:
    cookies = {} if cookie is None else {"set-cookie": cookie}
    return httpx.Response(status, headers={"content-type": CONTENT_TYPE} | cookies, content=octets)


@pytest.fixture
def api(world: World) -> SealingApi:
    return SealingApi(world)


@pytest.fixture
def app(world: World, api: SealingApi) -> Any:
    client = world.start()
    client._transport = httpx.MockTransport(api.handle)
    return client


def octets(change: Callable[[bytes], bytes]) -> Callable[[httpx.Response], httpx.Response]:
    return lambda answer: outside(change(answer.content), status=answer.status_code)


def flip(place: int) -> Callable[[bytes], bytes]:
    def change(answer: bytes) -> bytes:
        at = place % len(answer)
        return answer[:at] + bytes([answer[at] ^ 1]) + answer[at + 1 :]

    return change


def test_sealed_answer_is_opened(app: Any) -> None:
    response = app.get("/api/me", **WANTED)
    assert (response.status_code, response.content, response.headers["x-thing"]) == (200, b"x" * 200_000, "y")
    assert app.cookies["inside"] == "1"
    assert response.request.url.path == "/api/me"


def test_path_named_sealed_is_wanted_sealed(world: World, api: SealingApi) -> None:
    client = world.start(sealed=["/api/me"])
    client._transport = httpx.MockTransport(api.handle)
    assert client.get("/api/me").content == api.body
    with pytest.raises(SealRefused, match=r"sealed\.unexpected"):
        client.get("/api/other")


@pytest.mark.parametrize("status", [201, 302, 404, 500])
def test_every_status_is_opened_and_is_an_answer(app: Any, api: SealingApi, status: int) -> None:
    api.status = status
    response = app.get("/api/me", **WANTED)
    assert (response.status_code, response.content) == (status, api.body)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (octets(lambda answer: answer[:HEADER]), "sealed.truncated"),
        (octets(lambda answer: answer[: HEADER - 1]), "sealed.truncated"),
        (octets(lambda _: b""), "sealed.truncated"),
        (octets(lambda answer: answer[: HEADER + RECORD]), "sealed.truncated"),
        (octets(lambda answer: answer[: HEADER + RECORD + 1]), "sealed.truncated"),
        (octets(lambda answer: answer[:-1]), "sealed.record_invalid"),
        (octets(lambda answer: answer + b"\x00"), "sealed.record_invalid"),
        (octets(lambda answer: answer[:HEADER] + answer[HEADER + RECORD :]), "sealed.record_invalid"),
        (octets(flip(0)), "sealed.record_invalid"),
        (octets(flip(18)), "sealed.header_refused"),
        (octets(flip(20)), "sealed.header_refused"),
        (octets(flip(21)), "sealed.session_mismatch"),
        (octets(flip(HEADER)), "sealed.record_invalid"),
        (octets(flip(-1)), "sealed.record_invalid"),
        (lambda answer: outside(answer.content, status=201), "sealed.record_invalid"),
    ],
)
def test_answer_that_was_touched_is_refused(app: Any, api: SealingApi, spoil: Any, code: str) -> None:
    api.spoil = [spoil]
    with pytest.raises(SealRefused) as refused:
        app.get("/api/me", **WANTED)
    assert refused.value.code == code
    assert app.get("/api/me", **WANTED).content == api.body


def test_answer_to_an_earlier_question_is_refused(app: Any, api: SealingApi) -> None:
    app.get("/api/me", **WANTED)
    api.spoil = [lambda _: api.made[0]]
    with pytest.raises(SealRefused, match=r"sealed\.record_invalid"):
        app.get("/api/me", **WANTED)


@pytest.mark.parametrize(
    "clear",
    [
        httpx.Response(200, json={"forged": True}),
        httpx.Response(200, content=b"", headers={"content-type": f"{CONTENT_TYPE}; v=1"}),
        httpx.Response(204),
        httpx.Response(404, json={}),
        httpx.Response(302, headers={"location": "https://evil.example/"}),
        httpx.Response(403, headers={"bonafide-action": "give_up", "bonafide-record": "r"}),
    ],
    ids=lambda answer: str(answer.status_code),
)
def test_answer_in_clear_is_an_exception_without_a_body(app: Any, api: SealingApi, clear: httpx.Response) -> None:
    api.spoil = [lambda _: clear]
    with pytest.raises(AnswerNotSealed) as refused:
        app.get("/api/me", **WANTED)
    assert (refused.value.code, refused.value.status) == ("sealed.not_sealed", clear.status_code)
    assert refused.value.record == clear.headers.get("bonafide-record")
    assert not hasattr(refused.value, "response")
    assert app.get("/api/me", **WANTED).content == api.body


def test_cookies_are_taken_from_inside_alone(app: Any, api: SealingApi) -> None:
    api.spoil = [lambda answer: outside(answer.content, cookie="outside=1")]
    app.get("/api/me", **WANTED)
    assert dict(app.cookies) == {"inside": "1"}
    api.spoil = [lambda _: httpx.Response(200, headers={"set-cookie": "outside=1"})]
    with pytest.raises(AnswerNotSealed):
        app.get("/api/me", **WANTED)
    assert dict(app.cookies) == {"inside": "1"}


def test_hint_in_clear_is_followed_within_its_bound_and_the_answer_is_still_wanted_sealed(
    app: Any, api: SealingApi, world: World
) -> None:
    world.service.script("api", Refusal("renew"))
    assert app.get("/api/me", **WANTED).content == api.body
    assert world.service.asked == ["challenge", "enrol", "api", "renew", "api"]
    world.service.script("api", *[Refusal("sign_again")] * 2)
    with pytest.raises(AnswerNotSealed, match=r"401, action sign_again"):
        app.get("/api/me", **WANTED)
    world.service.script("api", Refusal("sign_again"))
    with pytest.raises(OutcomeUnknown):
        app.post("/api/me", **WANTED)


def test_action_inside_is_followed(app: Any, api: SealingApi, world: World) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/api/") and not api.made:
            api.spoil = [lambda _: api.sealed(request, status=401, fields=(("bonafide-action", "sign_again"),))]
        return api.handle(request)

    app._transport = httpx.MockTransport(handle)
    assert app.get("/api/me", **WANTED).content == api.body
    assert [kind.value for kind in world.service.kinds] == ["session", "hardware"]


def test_answer_too_large_for_memory_is_refused(app: Any, api: SealingApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed_answers, "MAX_HELD_OCTETS", 100_000)
    with pytest.raises(SealRefused, match=r"sealed\.too_large"):
        app.get("/api/me", **WANTED)
    api.body = b"short"
    assert app.get("/api/me", **WANTED).content == b"short"


def test_download_appears_whole_or_not_at_all(app: Any, api: SealingApi, tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"from before")
    api.spoil = [octets(lambda answer: answer[: HEADER + RECORD])]
    with pytest.raises(SealRefused, match=r"sealed\.truncated"):
        app.download("/api/file", target)
    assert (target.read_bytes(), [*tmp_path.iterdir()]) == (b"from before", [target])
    assert app.download("/api/file", target).status_code == 200
    assert (target.read_bytes(), [*tmp_path.iterdir()]) == (api.body, [target])


def test_request_for_a_sealed_answer_asks_for_no_half_of_one(app: Any, world: World) -> None:
    app.get("/api/me", headers={"range": "bytes=0-1", "if-none-match": '"1"', "accept-encoding": "gzip"}, **WANTED)
    assert not {"range", "if-none-match", "accept-encoding"} & world.service.api_requests[-1].headers.keys()


def test_device_without_a_session_wants_no_sealed_answer(world: World, app: Any) -> None:
    world.phone.keychain.agree_key = None
    with pytest.raises(AnswerRefused, match="without a session"):
        app.get("/api/me", **WANTED)
    assert world.service.asked == ["challenge", "enrol"]


def test_asynchronous_client_opens_and_refuses_the_same(world: World, api: SealingApi, tmp_path: Path) -> None:
    async def run() -> None:
        client = AsyncAppClient(
            world.phone,
            api=API,
            service_keys=[SERVICE_KEY.kid],
            clock=world.time.phone,
            transport=httpx.MockTransport(api.handle),
        )
        async with client:
            assert (await client.get("/api/me", **WANTED)).content == api.body
            assert dict(client.cookies) == {"inside": "1"}
            api.spoil = [octets(lambda answer: answer[:-1])]
            with pytest.raises(SealRefused):
                await client.get("/api/me", **WANTED)
            api.spoil = [lambda _: httpx.Response(200, headers={"set-cookie": "outside=1"})]
            with pytest.raises(AnswerNotSealed):
                await client.get("/api/me", **WANTED)
            assert dict(client.cookies) == {"inside": "1"}
            await client.get("/api/me", extensions={"bonafide_sealed": tmp_path / "file"})
            assert (tmp_path / "file").read_bytes() == api.body

    asyncio.run(run())


def test_refused_enrolment_is_told_as_before(app: Any, world: World) -> None:
    world.service.script("enrol", Refusal("give_up", status=403))
    with pytest.raises(Refused):
        app.get("/api/me", **WANTED)
