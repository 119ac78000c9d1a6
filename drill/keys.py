"""Keys are replaced and phones banned under load; a service that is away is believed for so long and no longer."""

from __future__ import annotations

import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final

import httpx

from bonafide.reasons import Action
from deploy.machines import APP
from drill.load import ANSWER_S
from drill.world import World, drill

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bonafide.testing.client import AppClient
    from drill.load import Load

BANS: Final = 50
BAN_S: Final = 6.0
ASK_AGAIN_S: Final = 0.15
GIVE_UP_S: Final = 15.0
MAX_STALE_S: Final = 12
KEYS_BACK_S: Final = 10.0


@drill
def keys_replaced(world: World) -> None:
    """All signing and gate keys of the app are replaced (`bonafide keys rotate --compromised`), services restarted."""
    cluster = world.cluster
    with world.load(refused=(Action.SIGN_AGAIN, Action.RENEW)) as load:
        thief = load.new_phone()
        thief.enrol()
        before = [
            phone_sends(world, cluster.signed(thief), gate) for gate in (*load.gates,) * 4
        ]  # every worker knows it
        world.told.all("admitted before", sum(status == httpx.codes.OK for status in before), of=len(before))
        cluster.bonafide("keys", "rotate", APP, "--compromised")
        replaced = time.monotonic()
        for machine in cluster.services:
            machine.process.restart()
        restarted = time.monotonic()
        world.told.note(f"the services' restart, one after the other, took {restarted - replaced:.1f} s")
        refused = refused_everywhere(world, load, thief)
        since = None if refused is None else refused - restarted
        world.told.within("refused at every gate: who signs under the old keys, after the restart,", since, BAN_S)
        back = load.back_after(restarted)
        world.told.within("good traffic of phones that renewed, after the restart,", back, KEYS_BACK_S)


def refused_everywhere(world: World, load: Load, phone: AppClient) -> float | None:
    """Send a phone's requests until no gate admits one; return when that was, or None."""
    ends = time.monotonic() + GIVE_UP_S
    while time.monotonic() < ends:
        answers = [phone_sends(world, world.cluster.signed(phone), gate) for gate in load.gates]
        if all(status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN} for status in answers):
            return time.monotonic()
        time.sleep(ASK_AGAIN_S)
    return None


@drill
def bans(world: World) -> None:
    """Fifty phones are banned under load, one command after another; each is sent on to three gates meanwhile."""
    with world.load(enrols=False) as load:
        phones = [load.new_phone() for _ in range(BANS)]
        for phone in phones:
            phone.enrol()
        with ThreadPoolExecutor(12) as pool:
            begun = [pool.submit(ban, world, load, phone, turn) for turn, phone in zip(count(), phones, strict=False)]
            watched = [each.result() for each in begun]
        world.told.all(
            "of them admitted at each gate before their ban", sum(each.admitted for each in watched), of=len(watched)
        )
        took = sorted(delay for each in watched for delay in each.delays)
        missing = sum(math.isinf(delay) for delay in took)
        world.told.none("banned and still admitted after 15 s", missing, of=len(took))
        p99 = took[math.ceil(0.99 * len(took)) - 1]
        world.told.note(
            f"from the command's exit to the first 403: median {took[len(took) // 2]:.2f} s, longest {took[-1]:.2f} s"
        )
        world.told.within(f"p99 of {BANS} bans at 3 gates", None if math.isinf(p99) else p99, BAN_S)


_two_at_a_time: Final = threading.Semaphore(2)


@dataclass(frozen=True, slots=True)
class Ban:
    """Whether each gate admitted a phone before its ban; and for each how long after the command it answered 403."""

    admitted: bool
    delays: Sequence[float]


def ban(world: World, load: Load, phone: AppClient, turn: int) -> Ban:
    """Have a phone send to each gate, ban it, and send until each gate has refused it with 403."""
    enrolled = phone.device.keychain.enrolled
    assert enrolled is not None  # noqa: S101 - it enrolled a moment ago
    with _two_at_a_time:
        before = [phone_sends(world, world.cluster.signed(phone, "/api/free"), gate) for gate in load.gates]
        service = world.cluster.services[turn % len(world.cluster.services)]
        service.run("ban", "--instance", enrolled.instance, "--because", "a drill")
        begin = time.monotonic()
    waiting, found = set(load.gates), []
    while waiting and time.monotonic() < begin + GIVE_UP_S:
        for gate in tuple(waiting):
            request = world.cluster.signed(phone, "/api/banned")
            answer = phone_sends(world, request, gate)
            if answer == httpx.codes.FORBIDDEN:
                found.append(time.monotonic() - begin)
                waiting.remove(gate)
        time.sleep(ASK_AGAIN_S)
    admitted = all(status == httpx.codes.OK for status in before)
    return Ban(admitted, found + [math.inf for _ in waiting])


def phone_sends(world: World, request: httpx.Request, gate: int) -> int:
    """Send a request and return the status; 0 for no answer."""
    try:
        return world.cluster.send(request, gate=gate, timeout=ANSWER_S).status_code
    except httpx.TransportError:
        return 0


@drill
def services_away(world: World) -> None:
    """Both services are away: gates go by their last word for `max_stale` (here 12 s), and then refuse with 503."""
    cluster = world.cluster
    before = [machine.settings for machine in cluster.gates]
    for machine in cluster.gates:
        machine.settings = {**machine.settings, "max_stale": MAX_STALE_S}
        machine.write()
        machine.gate.restart()
    try:
        with world.load(enrols=False) as load:
            away = time.monotonic()
            for service in cluster.services:
                service.process.kill()
            time.sleep(MAX_STALE_S + 1.5)
            early = load.between(away, away + MAX_STALE_S - 4)  # the last word was up to `poll_every` old by then
            good = sum(each.good for each in early)
            world.told.all(f"good requests admitted in the first {MAX_STALE_S - 4} s", good, of=len(early))
            past = time.monotonic()
            time.sleep(2)
            late = load.between(past, time.monotonic())
            refused = sum(each.status == httpx.codes.SERVICE_UNAVAILABLE for each in late)
            world.told.all(f"refused with 503 from {MAX_STALE_S} s on", refused, of=len(late))
            for service in cluster.services:
                service.process.start()
            world.told.within("good traffic after the services' start", load.back_after(time.monotonic()), KEYS_BACK_S)
    finally:
        for machine, settings in zip(cluster.gates, before, strict=True):
            machine.settings = settings
            machine.write()
            machine.gate.reload()
