"""Keys change under load as they do by themselves: the gate key at midnight (UTC), the signing key after a month.

A day is not waited for. Services, gates, Nginx, the API, Redis and the phones are started with clocks that stand
shortly before the moment, all by the same shift (libfaketime), and go on from there; the keys are those that the
services made by themselves on the day before. Nothing here tells anybody that a key has changed.
"""

from __future__ import annotations

import json
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import httpx

from bonafide.codec.jose import parse_jws
from deploy.machines import APP, PREFIX
from drill.clocks import shift
from drill.keys import phone_sends
from drill.world import World, drill
from tests.stores.redis_servers import ClockedServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bonafide.testing.client import AppClient
    from deploy.cluster import Cluster
    from drill.load import Load

LEAD_S: Final = 45
"""How long before the moment everything is started: a new replay store fences 8 s, and there should be some load."""

GONE_OVER_S: Final = 75.0
"""`bonafide keys list` names a signing key's beginning to the minute."""

AFTER_S: Final = 5.0
CROSSING: Final = 4
_BEGINS: Final = re.compile(rf"^{APP}  signing  ([\w-]+)  begins  (\d{{4}}-\d\d-\d\d \d\d:\d\d)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Keys:
    """Which keys a phone's client attestation names."""

    signing: str
    gate: str

    @classmethod
    def of(cls, phone: AppClient) -> Keys:
        """Read them, without proof: this is the phone's own attestation."""
        enrolled = phone.device.keychain.enrolled
        assert enrolled is not None  # noqa: S101 - it enrolled a moment ago
        parsed = parse_jws(enrolled.client_attestation)
        return cls(str(parsed.header["kid"]), str(json.loads(parsed.payload)["bonafide"]["gk"]))


@drill
def gate_key_rotated(world: World) -> None:
    """Midnight (UTC) passes under load: sessions derive from the next day's gate key, which every gate has already."""
    midnight = datetime.combine(datetime.now(UTC).date() + timedelta(days=1), datetime.min.time(), UTC)
    if midnight - datetime.now(UTC) < timedelta(seconds=2 * LEAD_S):
        midnight += timedelta(days=1)
    with clocks_before(world.cluster, midnight), world.load() as load:
        show_change(world, load, lambda keys: keys.gate)


@drill
def signing_key_rotated(world: World) -> None:
    """A month later, under load: the signing key that was published ahead takes over."""
    found = _BEGINS.search(world.cluster.bonafide("keys", "list"))
    assert found is not None  # noqa: S101 - what our own command prints
    begins = datetime.strptime(found[2], "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
    with clocks_before(world.cluster, begins), world.load() as load:
        answers = [each.ask(f"{PREFIX}/jwks.json").text for each in world.cluster.services]
        published = sum(found[1] in answer for answer in answers)
        world.told.all("services that publish the next key before it signs", published, of=len(answers))
        show_change(world, load, lambda keys: keys.signing)
        after = load.new_phone()
        after.enrol()
        held = Keys.of(after).signing == found[1]
        world.told.claim("who signs now is the key that was published", Keys.of(after).signing, held=held)


def show_change(world: World, load: Load, which: Callable[[Keys], str]) -> None:
    """Claim that the key changes while nothing that is good is refused, under the old key or the new one."""
    begun = time.monotonic()
    crossing = [load.new_phone() for _ in range(CROSSING)]
    for phone in crossing:
        phone.enrol()
    before = {which(Keys.of(phone)) for phone in crossing}
    world.told.claim("key of the phones before", ", ".join(sorted(before)), held=len(before) == 1)
    changed = wait_for_another(load, which, before)
    world.told.claim("the key changed under load", changed, held=changed)
    stay, renew = crossing[: CROSSING // 2], crossing[CROSSING // 2 :]
    for phone in renew:
        phone.renew()
    another = sum(which(Keys.of(phone)) not in before for phone in renew)
    world.told.all("phones that renewed and hold another key's attestation", another, of=len(renew))
    for name, phones in (("under the new key", renew), ("under the old one", stay)):
        answers = [
            phone_sends(world, world.cluster.signed(phone), gate)
            for phone in phones
            for gate in (*load.gates, *load.gates)
        ]
        good = sum(status == httpx.codes.OK for status in answers)
        world.told.all(f"admitted at every gate {name}, afterwards", good, of=len(answers))
    time.sleep(AFTER_S)
    sent = load.between(begun, time.monotonic() - 1)
    world.told.all("good requests admitted throughout", sum(each.good for each in sent), of=len(sent))
    refused = sum(at > begun for at in load.refused_enrolments)
    world.told.none("enrolments refused throughout", refused, of=refused + sum(at > begun for at in load.enrolled_at))


def wait_for_another(load: Load, which: Callable[[Keys], str], before: set[str]) -> bool:
    """Wait until a phone enrols under another key."""
    ends = time.monotonic() + LEAD_S + GONE_OVER_S
    while time.monotonic() < ends:
        if any(which(Keys.of(phone)) not in before for phone in load.enrolled[-3:] if phone.device.keychain.enrolled):
            return True
        time.sleep(0.2)
    return False


@contextmanager
def clocks_before(cluster: Cluster, moment: datetime) -> Iterator[None]:
    """Have all clocks stand shortly before a moment, with an empty Redis; put them right again afterwards.

    What was learnt with these clocks lies ahead of the true time: it is kept apart, and left behind.
    """
    off = int(moment.timestamp() - time.time()) - LEAD_S
    place = cluster.directory / f"redis-{off:+d}"
    redis = ClockedServer(place, options={"maxmemory-policy": "noeviction"})
    before = [(machine.replay_store, machine.settings) for machine in cluster.gates]
    redis.start()
    try:
        redis.set_clock(off)
        use(cluster, [(redis.url, {**settings, "state_dir": f"state-{off:+d}"}) for _, settings in before], off)
        yield
    finally:
        use(cluster, before, 0)
        redis.stop()


def use(cluster: Cluster, stores: Sequence[tuple[str, Mapping[str, object]]], off: int) -> None:
    """Start services, API and gates anew with these stores and settings, with clocks that are so far off.

    Nginx too: phones learn the time from its answers.
    """
    for machine in cluster.gates:
        machine.gate.stop()
    for machine, (store, settings) in zip(cluster.gates, stores, strict=True):
        machine.replay_store, machine.settings = store, settings
        machine.write()
    cluster.clock = lambda: time.time() + off
    fronts = [machine.nginx for machine in cluster.gates]
    shift([cluster.api, *fronts, *(each.process for each in cluster.services)], off)
    shift([machine.gate for machine in cluster.gates], off)
