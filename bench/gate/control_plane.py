"""What an enrolment and a renewal cost the service and a PostgreSQL of its own: the projection's other unit costs.

Django is set up by the import of `bench.django_project`, so that this runs in a process of its own:
`python -m bench.gate control-plane`.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.core.management import call_command
from django.db import connections

from bench import django_project
from bench.gate.accounting import cpu_us, family
from bench.gate.measuring import cost_of, median, verifying
from bench.gate.processes import require
from bonafide import enrolment
from bonafide.django.enrolment_store import DjangoEnrolmentStore
from tests.django.databases import NAME, USER, PostgresqlServer
from tests.enrolment.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from bonafide.enrolment import Enrolled
    from bonafide.http import HttpRequest

ALIAS: Final = "postgresql"
PHONES: Final = 60
ROUNDS: Final = 5


@dataclass(frozen=True, slots=True)
class _Message:
    request: HttpRequest
    body: bytes
    instance: str = ""


def measure() -> list[dict[str, Any]]:
    """Return an entry for each kind of message, and for each of the two processes that pay for it."""
    server = PostgresqlServer(_find)
    try:
        server.start()
        return _measure(server)
    finally:
        connections[ALIAS].close()
        server.remove()


def _find(name: str, *, apt: str) -> Path:
    places = [str(place) for place in Path("/usr/lib/postgresql").glob("*/bin")]
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *sorted(places, reverse=True)]))
    return Path(found or require(name, apt))


def _measure(server: PostgresqlServer) -> list[dict[str, Any]]:
    connections.databases[ALIAS] = connections.databases[django_project.ALIASES[0]] | {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": str(server.place),
        "PORT": "",
        "USER": USER,
        "NAME": NAME,
        "OPTIONS": {},
    }
    call_command("migrate", database=ALIAS, verbosity=0)
    world = World(store=DjangoEnrolmentStore(using=ALIAS))
    pids = family(_pid(server))
    costs: dict[str, list[tuple[float, float]]] = {"an enrolment": [], "a renewal": []}
    verify = verifying()
    raw = []
    for number in range(ROUNDS + 1):
        raw.append(cost_of(verify))
        enrolled: list[Enrolled] = []
        messages = _enrolments(world, number)
        costs["an enrolment"].append(_spend(messages, pids, partial(_enrol, world, enrolled)))
        messages = _renewals(world, enrolled, number)
        costs["a renewal"].append(_spend(messages, pids, partial(_renew, world)))
    unit = median(raw)
    return [
        {
            "name": f"{what}, {who}",
            "us_per_op": round(median(found[index] for found in rounds[1:]), 3),
            "versus": "P-256 verify (cryptography)",
            "ratio": round(median(found[index] for found in rounds[1:]) / unit, 4),
        }
        for what, rounds in costs.items()
        for index, who in enumerate(("service", "PostgreSQL"))
    ]


def _pid(server: PostgresqlServer) -> int:
    return int((server.place / "data" / "postmaster.pid").read_text().split("\n", 1)[0])


def _spend(messages: list[_Message], pids: list[int], handle: Callable[[_Message], object]) -> tuple[float, float]:
    """Return microseconds of CPU a message: of this process, and of the database's."""
    begun, theirs = time.process_time_ns(), cpu_us(pids)
    for message in messages:
        handle(message)
    ours = (time.process_time_ns() - begun) / 1000
    return ours / len(messages), (cpu_us(pids) - theirs) / len(messages)


def _enrolments(world: World, number: int) -> list[_Message]:
    messages = []
    for phone in range(PHONES):
        world.phone = world.new_phone(f"phone {number} {phone}")
        body = world.enrolment().body()
        messages.append(_Message(world.request("/instances", body), body))
    return messages


def _renewals(world: World, enrolled: list[Enrolled], number: int) -> list[_Message]:
    messages = []
    for phone, known in enumerate(enrolled):
        world.phone = world.new_phone(f"phone {number} {phone}")
        body = world.renewal(known, asserted=False).body()
        messages.append(_Message(world.request(f"/instances/{known.instance}/renewals", body), body, known.instance))
    return messages


def _enrol(world: World, enrolled: list[Enrolled], message: _Message) -> None:
    enrolled.append(
        enrolment.enrol(
            message.request,
            message.body,
            service=world.service,
            store=world.store,
            pool=world.places,
            now=world.now,
            random=world.random,
        )
    )


def _renew(world: World, message: _Message) -> Enrolled:
    return enrolment.renew(
        message.request,
        message.body,
        instance=message.instance,
        service=world.service,
        store=world.store,
        now=world.now,
        random=world.random,
    )
