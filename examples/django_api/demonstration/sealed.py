"""Attacks by the same mitmproxy on sealed answers, which it passes on and may change.

The request is genuine and the API answers it: what is shown is that the app takes no other answer than that one, and
says which way it was not. `before` is the API as it was, to whose app the same proxy does the same.
"""

from __future__ import annotations

import base64
import json
import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx

from bonafide.codec.aes128gcm import parse_header
from bonafide.errors import BonafideError
from bonafide.sealing import CONTENT_TYPE, RECORD_OCTETS, AnswerKey, open_sealed
from bonafide.testing.client import AnswerNotSealed, SealRefused
from demonstration.proxy import bearer, plain, through
from demonstration.trial import Trial, attack
from demonstration.wire import Answer
from demonstration.world import answer_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from bonafide.testing.client import AppClient
    from demonstration.world import World

WALLET: Final = "/api/wallet"
STATEMENT: Final = "/api/statement"
HEADER_OCTETS: Final = 37
CARD: Final = "GIFT-"
FORGED: Final = json.dumps({"cards": [{"code": "GIFT-0000000000000000", "value": 1}]}).encode()


def _app(world: World) -> AppClient:
    return world.client(world.people["ada"].phone, sealed=[WALLET, STATEMENT], **through(world))


def _ask(world: World, client: httpx.Client, path: str, what: str, **more: object) -> Answer:
    """Ask for `path` while the proxy does this to the answer."""
    world.proxy.order(what, path=path, **more)
    try:
        return answer_of(client.get(path, headers=bearer(world)))
    finally:
        world.proxy.order("watch")


class _Refusals:
    """What the app said of answers that it did not take."""

    def __init__(self) -> None:
        self.codes: list[str] = []

    def of(self, asking: Callable[[], Answer]) -> Answer:
        try:
            return asking()
        except SealRefused as refused:
            self.codes.append(refused.code)
        except AnswerNotSealed:
            self.codes.append("sealed.not_sealed")
        return Answer(status=0)

    def last(self, _answer: Answer) -> str:
        return self.codes[-1] if self.codes else "the app took the answer"


def _spoiling(world: World, path: str, what: Callable[[], dict[str, Any]]) -> Trial:
    """Have the proxy do `what` to the answer to `path`, on its way to an app without and one with Bonafide."""
    refusals = _Refusals()

    def ordered(client: httpx.Client) -> Answer:
        return _ask(world, client, path, **what())

    return Trial(
        before=lambda: ordered(plain(world, world.open)),
        attack=lambda: refusals.of(lambda: ordered(_app(world))),
        control=lambda: _ask(world, _app(world), path, "watch"),
        reason=refusals.last,
    )


def _recorded(world: World, client: httpx.Client, path: str, who: str = "ada") -> dict[str, Any]:
    """Have an app ask, and return what the proxy wrote down of the answer."""
    seen = len(world.proxy.seen())
    client.get(path, headers=bearer(world, who))
    return next(answer for answer in world.proxy.seen()[seen:] if answer["path"] == path)


def _again(answer: dict[str, Any]) -> dict[str, Any]:
    return {"what": "put_in"} | _kept(answer)


def _kept(answer: dict[str, Any]) -> dict[str, Any]:
    fields = {name: answer["headers"].get(name, "") for name in ("content-type", "cache-control")}
    return {"status": answer["status"], "headers": fields, "body": answer["body"]}


def _clear(body: bytes, status: int, **headers: str) -> dict[str, Any]:
    fields = {"content-type": "application/json"} | headers
    return {"what": "put_in", "status": status, "headers": fields, "body": base64.b64encode(body).decode()}


@attack
def proxy_reads_a_sealed_answer(world: World) -> Trial:
    """The proxy keeps everything that passes, and tries to open it with what it saw of the enrolment."""
    refusals = _Refusals()

    def read() -> Answer:
        answer = _recorded(world, _app(world), WALLET)
        body = base64.b64decode(answer["body"])
        everything = json.dumps(world.proxy.seen()) + body.decode("latin-1")
        if CARD in everything or answer["headers"]["content-type"] != CONTENT_TYPE:
            return Answer(status=200)
        header = parse_header(body)
        if header is None:
            return Answer(status=200)
        try:
            open_sealed(body, AnswerKey(sid=header.key_id, key=secrets.token_bytes(32)), status=answer["status"])
        except BonafideError as error:
            refusals.codes.append(error.reason.code)
        return Answer(status=0)

    return Trial(
        before=lambda: _ask(world, plain(world, world.open), WALLET, "watch"),
        attack=read,
        control=lambda: _ask(world, _app(world), WALLET, "watch"),
        reason=refusals.last,
    )


@attack
def proxy_answers_in_clear(world: World) -> Trial:
    """The proxy answers in the API's place, as a route without `seal` would."""
    return _spoiling(world, WALLET, lambda: _clear(FORGED, 200))


@attack
def proxy_answers_an_error_in_clear(world: World) -> Trial:
    """The proxy has the app give up, with an error of its own."""
    return _spoiling(world, WALLET, lambda: _clear(b"{}", 403, **{"bonafide-action": "give_up"}))


@attack
def proxy_strips_the_seal(world: World) -> Trial:
    """The proxy says that the sealed octets are something else."""
    return _spoiling(world, WALLET, lambda: {"what": "change_content_type", "content_type": "application/octet-stream"})


@attack
def proxy_puts_in_anothers_answer(world: World) -> Trial:
    """The proxy gives one phone what was sealed for another."""
    grace = world.client(world.people["grace"].phone, sealed=[WALLET], **through(world))

    def another() -> dict[str, Any]:
        return _again(_recorded(world, grace, WALLET, "grace"))

    return _spoiling(world, WALLET, another)


@attack
def proxy_replays_a_sealed_answer(world: World) -> Trial:
    """The proxy answers a question with what was sealed for the same question before."""
    app = _app(world)
    return _spoiling(world, WALLET, lambda: _again(_recorded(world, app, WALLET)))


@attack
def proxy_answers_with_another_question(world: World) -> Trial:
    """The proxy answers a question with what was sealed for another one of the same session."""
    app = _app(world)
    return _spoiling(world, WALLET, lambda: _again(_recorded(world, app, STATEMENT)))


@attack
def proxy_changes_the_status(world: World) -> Trial:
    """The proxy makes an error of a sealed success."""
    return _spoiling(world, WALLET, lambda: {"what": "change_status", "status": 404})


@attack
def proxy_cuts_off_a_record(world: World) -> Trial:
    """The proxy lets a file end where a record ends."""
    return _spoiling(world, STATEMENT, lambda: {"what": "cut", "octets": HEADER_OCTETS + RECORD_OCTETS})


@attack
def proxy_cuts_into_a_record(world: World) -> Trial:
    """The proxy lets a file end anywhere."""
    return _spoiling(world, STATEMENT, lambda: {"what": "cut", "octets": HEADER_OCTETS + RECORD_OCTETS + 1000})


@attack
def proxy_swaps_records(world: World) -> Trial:
    """The proxy changes the order of what is in a file."""
    return _spoiling(world, STATEMENT, lambda: {"what": "swap_records", "begin": HEADER_OCTETS, "size": RECORD_OCTETS})


@attack
def proxy_cuts_a_download(world: World) -> Trial:
    """The proxy cuts a file that is written to disk: nothing appears there."""
    refusals = _Refusals()

    def download(what: str) -> Answer:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "statement.csv"
            world.proxy.order(what, path=STATEMENT, octets=HEADER_OCTETS + RECORD_OCTETS)
            try:
                answer = refusals.of(lambda: answer_of(_app(world).download(STATEMENT, path, headers=bearer(world))))
            finally:
                world.proxy.order("watch")
            return answer if path.exists() is (answer.status == httpx.codes.OK) else Answer(status=500)

    return Trial(
        before=lambda: _ask(world, plain(world, world.open), STATEMENT, "cut", octets=1000),
        attack=lambda: download("cut"),
        control=lambda: download("watch"),
        reason=refusals.last,
    )


@attack
def proxy_asks_for_another_proof(world: World) -> Trial:
    """The proxy has the app prove by the other key, and answers that with what was sealed for the first proof."""
    refusals = _Refusals()

    def downgrade() -> Answer:
        app = _app(world)
        first = _recorded(world, app, WALLET)
        world.proxy.order("sign_again_then", path=WALLET, **_kept(first))
        try:
            return refusals.of(lambda: answer_of(app.get(WALLET, headers=bearer(world))))
        finally:
            world.proxy.order("watch")

    return Trial(
        before=lambda: _ask(world, plain(world, world.open), WALLET, "watch"),
        attack=downgrade,
        control=lambda: _ask(world, _app(world), WALLET, "watch"),
        reason=refusals.last,
    )


@attack
def proxy_leads_to_a_route_in_clear(world: World) -> Trial:
    """The proxy leads the request to a route that does not seal: the proof was for another one."""
    refusals = _Refusals()

    def lead() -> Answer:
        return _ask(world, _app(world), WALLET, "lead_elsewhere", to="/api/me")

    return Trial(
        before=lambda: _ask(world, plain(world, world.open), WALLET, "lead_elsewhere", to="/api/me"),
        attack=lambda: refusals.of(lead),
        control=lambda: _ask(world, _app(world), WALLET, "watch"),
        reason=refusals.last,
    )
