"""Attacks by a real mitmproxy between app and API, whose authority the phone trusts.

The twin of each passes through the same proxy while it only watches: what is refused is what the proxy did,
and not that it was there.
"""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any, Final

import httpx
from cryptography.hazmat.primitives.asymmetric import ec

from bonafide.codec.jwk import from_public
from bonafide.proof.http_signature import CLIENT_ATTESTATION, SessionSigner
from bonafide.testing.hints import AnswerRefused, Refused
from demonstration.forging import open_token, sign_freely
from demonstration.trial import Trial, attack
from demonstration.wire import Answer, RawRequest
from demonstration.world import answer_of, refusal_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from bonafide.testing.client import AppClient
    from demonstration.interception import Proxy
    from demonstration.servers import Server
    from demonstration.world import World

REPEAT_S: Final = 10.0
ORDER: Final = {"item": "abacus", "quantity": 1}


def through(world: World) -> dict[str, Any]:
    """Return httpx's options for a phone behind the proxy, which trusts its authority."""
    proxy = world.proxy
    return {
        "proxy": f"http://127.0.0.1:{proxy.port}",
        "verify": world.certificates.trust(proxy.authority),
    }


def _app(world: World) -> AppClient:
    return world.client(world.people["ada"].phone, **through(world))


def _changing(world: World, send: Callable[[httpx.Client], httpx.Response], order: str, **more: str) -> Trial:
    """Send the same through the proxy thrice: unprotected and changed, changed, and only watched."""

    def run(client: httpx.Client, what: str) -> Answer:
        world.proxy.order(what, **more)
        try:
            return answer_of(send(client))
        finally:
            world.proxy.order("watch")

    return Trial(
        before=lambda: run(plain(world, world.open), order),
        attack=lambda: run(_app(world), order),
        control=lambda: run(_app(world), "watch"),
    )


def plain(world: World, server: Server) -> httpx.Client:
    """Return the app from before: the same requests, without proofs, through the same proxy."""
    client = httpx.Client(base_url=server.origin, trust_env=False, **through(world))
    world.keep(client.close)
    return client


def bearer(world: World, who: str = "ada") -> dict[str, str]:
    """Return a customer's bearer as a header."""
    return {"Authorization": f"Bearer {world.people[who].bearer}"}


@attack
def proxy_changes_the_query(world: World) -> Trial:
    """The proxy asks for something else than the app did."""
    return _changing(world, lambda app: app.get("/api/orders?page=1", headers=bearer(world)), "change_query")


@attack
def proxy_changes_the_body(world: World) -> Trial:
    """The proxy orders nine for one."""
    return _changing(world, lambda app: app.post("/api/orders", headers=bearer(world), json=ORDER), "change_body")


@attack
def proxy_changes_the_bearer(world: World) -> Trial:
    """The proxy has the app act on another customer's account."""
    return _changing(
        world,
        lambda app: app.get("/api/me", headers=bearer(world)),
        "change_bearer",
        bearer=f"Bearer {world.people['grace'].bearer}",
    )


@attack
def proxy_repeats_a_request(world: World) -> Trial:
    """The proxy sends an order once more by itself."""

    def ordering(client: httpx.Client) -> Callable[[], Answer]:
        return lambda: answer_of(client.post("/api/orders", headers=bearer(world), json=ORDER))

    def control() -> Answer:
        world.proxy.order("repeat")
        return ordering(_app(world))()

    def before() -> Answer:
        world.proxy.order("repeat")
        ordering(plain(world, world.open))()
        return _repeated(world)

    return Trial(before=before, attack=lambda: _repeated(world), control=control, control_first=True)


def _repeated(world: World) -> Answer:
    """Return what the proxy got for the request that it sent by itself, the last one."""
    deadline = time.monotonic() + REPEAT_S
    while time.monotonic() < deadline:
        again = [seen for seen in world.proxy.seen() if seen["again"]]
        if len(again) > world.repeats_read:
            world.repeats_read = len(again)
            world.proxy.order("watch")
            return Answer(status=again[-1]["status"], headers=again[-1]["headers"])
        time.sleep(0.02)
    message = "the proxy repeated nothing"
    raise RuntimeError(message)


@attack
def proxy_reads_the_session(world: World) -> Trial:
    """The proxy watched the enrolment, and signs with the best that it has seen."""
    phone = world.phone()
    client = world.client(phone, **through(world))

    def forge() -> Answer:
        client.enrol()
        enrolled = phone.keychain.enrolled
        if enrolled is None or enrolled.session is None:
            message = "not enrolled"
            raise RuntimeError(message)
        _require_unseen(world.proxy, enrolled.session.key)
        sid = open_token(enrolled.client_attestation)[1]["bonafide"]["sid"]
        request = RawRequest(
            method="GET",
            target="/api/config",
            headers=(
                ("Host", world.locked.authority),
                (CLIENT_ATTESTATION, enrolled.client_attestation),
                ("Content-Digest", "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"),
            ),
        )
        guess = SessionSigner(base64.urlsafe_b64decode(sid + "==") * 2, sid)
        return world.send(sign_freely(request, guess, created=int(time.time()), nonce=world.nonce()))

    return Trial(
        before=lambda: answer_of(plain(world, world.open).get("/api/me", headers=bearer(world))),
        attack=forge,
        control=lambda: answer_of(client.get("/api/config")),
    )


def _require_unseen(proxy: Proxy, key: bytes) -> None:
    """Look for the session key in everything that passed, in each form in which it could have."""
    spelt = [key.hex(), base64.b64encode(key).decode(), base64.urlsafe_b64encode(key).decode().rstrip("=")]
    for seen in proxy.seen():
        body = base64.b64decode(seen["body"])
        text = json.dumps(seen) + body.decode("latin-1")
        if key in body or any(form in text for form in spelt):
            message = "the session key passed the proxy in the clear"
            raise RuntimeError(message)


@attack
def proxy_replaces_the_session(world: World) -> Trial:
    """The proxy puts a session of its own into the answer; the app does not take it."""
    refusals: list[str] = []
    phone = world.phone()

    def enrol() -> Answer:
        world.proxy.order("replace_session")
        try:
            return answer_of(world.client(phone, **through(world)).get("/api/config"))
        except AnswerRefused as refused:
            refusals.append(str(refused))
            return Answer(status=0)
        finally:
            world.proxy.order("watch")

    return Trial(
        before=lambda: answer_of(plain(world, world.open).get("/api/config")),
        attack=enrol,
        control=lambda: answer_of(world.client(phone, **through(world)).get("/api/config")),
        reason=lambda _: refusals[-1],
    )


@attack
def proxy_replaces_the_agree_key(world: World) -> Trial:
    """The proxy asks for the session to be sealed to a key of its own."""
    phone = world.phone()
    own = from_public(ec.generate_private_key(ec.SECP256R1()).public_key())

    def enrol() -> Answer:
        world.proxy.order("replace_agree_key", agree_jwk=own)
        try:
            return answer_of(world.client(phone, **through(world)).get("/api/config"))
        except Refused as refused:
            return refusal_of(refused)
        finally:
            world.proxy.order("watch")

    return Trial(
        before=lambda: answer_of(plain(world, world.open).get("/api/config")),
        attack=enrol,
        control=lambda: answer_of(world.client(phone, **through(world)).get("/api/config")),
    )
