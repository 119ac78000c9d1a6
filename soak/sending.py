"""One sending process: it signs a batch, each request with the verdict that it must get, sends it, and compares."""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bench.gate.load import Load
from soak.api import VIEW
from soak.attacks import KINDS, ROWS, assault
from soak.phones import Fleet, signed

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from demonstration.trial import Row
    from demonstration.wire import RawRequest

    from soak.phones import Person

PHONES: Final = 250
BATCH: Final = 400
CONNECTIONS: Final = 12
HARDWARE_SHARE: Final = 0.05
LATER: Final = "replayed_after_a_restart"
LATER_S: Final = (2.0, 50.0)
"""How old a request is that is sent again long after: its proof is still fresh, and nobody remembers its sender."""

SHARES: Final = {"account": 50, "page": 20, "profile": 10, "config": 10, "login": 1, "order": 9}
"""Of a hundred genuine requests."""

MAX_TOLD: Final = 10
_OK: Final = 200
_ORDERS: Final = tuple(b'{"item":"%s","quantity":%d}' % (item, n) for item in (b"abacus", b"lamp") for n in (1, 2, 40))
_JSON: Final = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer must be: a view that ran for this instance, or this refusal."""

    kind: str
    status: int
    instance: str = ""
    action: str = ""


@dataclass(slots=True)
class Tally:
    """What a batch came to. `kinds` counts attacks; `told` are the first few answers that were wrong."""

    sent: int = 0
    attacks: int = 0
    false_accepts: int = 0
    false_refusals: int = 0
    wrong_refusals: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add another batch's."""
        self.sent += other.sent
        self.attacks += other.attacks
        self.false_accepts += other.false_accepts
        self.false_refusals += other.false_refusals
        self.wrong_refusals += other.wrong_refusals
        self.kinds += other.kinds
        self.told = (self.told + other.told)[:MAX_TOLD]

    @property
    def faults(self) -> int:
        """How many answers were wrong."""
        return self.false_accepts + self.false_refusals + self.wrong_refusals


Steps = list[tuple[bytes, Verdict]]


class Sender:
    """What one process sends. The same `seed` gives the same kinds, targets and bodies in the same order."""

    def __init__(
        self,
        place: int | str,
        *,
        seed: str,
        attack_share: float,
        phones: int = PHONES,
        connections: int = CONNECTIONS,
    ) -> None:
        """Enrol the phones; connect to a port or a socket's path with the first batch."""
        self._order = random.Random(seed)
        self._fleet = Fleet(phones, self._order)
        self._load = Load(place, connections=connections)
        self._share = attack_share
        self._kinds: list[str] = []
        self._sent: deque[tuple[float, bytes]] = deque(maxlen=64)

    def batch(self, size: int) -> Tally:
        """Sign, send and compare one batch of about `size` requests."""
        cases = [self._case() for _ in range(size)]
        tally = Tally()
        places = [0] * len(cases)

        def heard(number: int, status: int, answer: bytes) -> bytes | None:
            _compare(cases[number][places[number]][1], status, answer, tally)
            places[number] += 1
            return cases[number][places[number]][0] if places[number] < len(cases[number]) else None

        self._load.send([steps[0][0] for steps in cases], heard=heard)
        return tally

    def close(self) -> None:
        """Close the connections."""
        self._load.close()

    def _case(self) -> Steps:
        if self._order.random() < self._share:
            return self._attack()
        person = self._fleet.pick()
        return [self._admitted(self._genuine(person), person)]

    def _genuine(self, person: Person) -> RawRequest:
        hardware = self._order.random() < HARDWARE_SHARE
        (what,) = self._order.choices(list(SHARES), list(SHARES.values()))
        if what == "account":
            return signed(person, "GET", "/api/me", hardware=hardware)
        if what == "page":
            return signed(person, "GET", f"/api/orders?page={self._order.randrange(9)}", hardware=hardware)
        if what == "profile":
            return signed(person, "GET", f"/api/users/{self._order.randrange(9999)}", hardware=hardware)
        if what == "config":
            return signed(person, "GET", "/api/config", bearer=False, hardware=hardware)
        body = self._order.choice(_ORDERS)
        if what == "login":
            return signed(person, "POST", "/api/login", body=body, headers=_JSON, bearer=False, hardware=True)
        return signed(person, "POST", "/api/orders", body=body, headers=_JSON, hardware=hardware)

    def _admitted(self, request: RawRequest, person: Person) -> tuple[bytes, Verdict]:
        octets = _octets(request)
        if request.method == "POST":
            self._sent.append((time.monotonic(), octets))
        return octets, Verdict("genuine", _OK, instance=person.phone.instance)

    def _attack(self) -> Steps:
        if not self._kinds:
            self._kinds = list(KINDS)
            self._order.shuffle(self._kinds)
        kind = self._kinds.pop()
        row = ROWS[kind]
        if kind == LATER and (old := self._old()) is not None:
            return [(old, _refusal(row))]
        made = assault(kind, self._fleet)
        steps = [] if made.first is None else [self._admitted(*made.first)]
        steps.append((_octets(made.attack), _refusal(row)))
        return steps if made.twin is None else [*steps, self._admitted(*made.twin)]

    def _old(self) -> bytes | None:
        moment = time.monotonic()
        for sent_at, octets in self._sent:
            if LATER_S[0] <= moment - sent_at <= LATER_S[1]:
                return octets
        return None


def _octets(request: RawRequest) -> bytes:
    """Return the request on the wire, on a connection that is kept."""
    lines = [f"{request.method} {request.target} HTTP/1.1", *(f"{name}: {value}" for name, value in request.headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + request.body


def _refusal(row: Row) -> Verdict:
    return Verdict(row.name, row.after, action=row.action)


def _compare(due: Verdict, status: int, answer: bytes, tally: Tally) -> None:
    fields = _fields(answer)
    view, action = fields.get(VIEW.lower(), ""), fields.get("bonafide-action", "")
    tally.sent += 1
    if due.instance:
        if status != due.status or view != due.instance:
            tally.false_refusals += 1
            _tell(tally, due, status, action)
        return
    tally.attacks += 1
    tally.kinds[due.kind] += 1
    if view or status < 300:  # noqa: PLR2004 - what HTTP calls success
        tally.false_accepts += 1
        _tell(tally, due, status, action)
    elif status != due.status or (due.action and action != due.action):
        tally.wrong_refusals += 1
        _tell(tally, due, status, action)


def _tell(tally: Tally, due: Verdict, status: int, action: str) -> None:
    if len(tally.told) < MAX_TOLD:
        tally.told.append(f"{due.kind}: {status} {action} instead of {due.status} {due.action}")


def _fields(answer: bytes) -> dict[str, str]:
    lines = answer.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def send_for_ever(pipe: Connection, port: int, seed: str, attack_share: float, per_second: float) -> None:
    """Send batch after batch, and say what each came to, until the other end says otherwise.

    No more than `per_second`: a run is to last longer than anything that is remembered.
    """
    sender = Sender(port, seed=seed, attack_share=attack_share)
    begun, sent = time.monotonic(), 0
    try:
        while not pipe.poll(max(0.0, begun + sent / per_second - time.monotonic())):
            tally = sender.batch(BATCH)
            sent += tally.sent
            pipe.send(tally)
    finally:
        sender.close()
        pipe.close()
