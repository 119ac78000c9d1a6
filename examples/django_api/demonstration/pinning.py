"""Attacks by the same mitmproxy on the pins: whoever has apps take its own can stand between for good.

The app's request is genuine. The twin of each is the same phone, which takes the service's pins through the same proxy
and goes on to use the API.
"""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING, Any, Final

from bonafide.testing.hints import AnswerRefused
from demonstration.proxy import plain, through
from demonstration.trial import Trial, attack
from demonstration.wire import Answer
from demonstration.world import answer_of

if TYPE_CHECKING:
    from demonstration.world import World

PINS: Final = "/bonafide/v1/pins"


def _publish(world: World) -> None:
    """Publish what the API shows now and a new spare, as the operator does after each change of keys."""
    spare = base64.b64encode(secrets.token_bytes(32)).decode()
    ask = ("--from", world.locked.origin, "--ca-file", str(world.certificates.authority))
    world.locked.manage("bonafide_pins", "publish", "shop", *ask, "--spare", spare)


def _trial(world: World, what: str, **more: object) -> Trial:
    """Have the proxy do `what` to the answer that brings the pins, to a phone that has taken the published ones."""
    app = world.client(world.phone(), **through(world))
    app.pins()
    refusals: list[str] = []

    def take() -> Answer:
        world.proxy.order(what, **more)
        try:
            app.pins()
        except AnswerRefused as refused:
            refusals.append(str(refused))
            return Answer(status=0)
        finally:
            world.proxy.order("watch")
        return Answer(status=200)

    def control() -> Answer:
        app.pins()
        return answer_of(app.get("/api/config"))

    return Trial(
        before=lambda: answer_of(plain(world, world.open).get("/api/config")),
        attack=take,
        control=control,
        reason=lambda _: refusals[-1] if refusals else "the app took the pins",
    )


@attack
def proxy_forges_the_pins(world: World) -> Trial:
    """The proxy signs newer pins by a key of its own: for the same app, hosts and time."""
    _publish(world)
    return _trial(world, "replace_pins")


@attack
def proxy_brings_back_old_pins(world: World) -> Trial:
    """The proxy answers with pins that the service signed, before it published others."""
    _publish(world)
    old = _recorded(world)
    _publish(world)
    fields = {"content-type": old["headers"]["content-type"]}
    return _trial(world, "put_in", path=PINS, status=old["status"], headers=fields, body=old["body"])


def _recorded(world: World) -> dict[str, Any]:
    """Have some phone take the pins, and return what the proxy wrote down of the answer."""
    world.client(world.phone(), **through(world)).pins()
    return next(answer for answer in reversed(world.proxy.seen()) if answer["path"] == PINS)
