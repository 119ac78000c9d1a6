"""Phones that go on while things break: good requests at every gate, attacks and replays between them, enrolments.

    with Load(cluster) as load:
        load.calm()
        …break something, mend it…
        seconds = load.back_after(mended)

Rule of this file: nothing here judges. It sends, and keeps what was sent, answered and written down by the API.
"""

from __future__ import annotations

import random  # noqa: TID251 - which request is sent again meets no attacker
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count, cycle
from typing import TYPE_CHECKING, Any, Final, Self

import httpx

from bonafide.reasons import Action
from bonafide.terms import ProofKind
from bonafide.testing.client import AnswerRefused, AppClient, Refused, Stopped
from deploy.machines import ORIGIN
from deploy.processes import Failed
from drill.attacks import Attacker, nonce_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from deploy.cluster import Cluster

PHONES: Final = 4
PACE_S: Final = 0.06
SETTLE_S: Final = 3.0
ENROL_PACE_S: Final = 0.5
ANSWER_S: Final = 3.0
SENT_AGAIN_S: Final = 65.0
CALM_S: Final = 30.0
STEADY: Final = 6
"""So many good answers in a row, of each gate, are good traffic."""

FRESH_S: Final = 58.0
"""A proof is good for 60 s. One that is nearly so old is refused for its age, before anybody asks a store."""

BEARABLE: Final = (httpx.TransportError, Refused, AnswerRefused, Stopped)


@dataclass(frozen=True, slots=True)
class Sent:
    """A good request and its answer. Times are on the monotonic clock; status 0 is no answer."""

    request: httpx.Request
    gate: int
    at: float
    answered_at: float
    status: int
    action: str

    @property
    def good(self) -> bool:
        """Whether it was answered as an admitted request is."""
        return self.status == httpx.codes.OK


@dataclass(slots=True)
class Again:
    """What became of requests that had reached the API, once each was sent a second time.

    `known` were refused as a first use that a store knows or cannot vouch for is (401, `sign_again`), or, where their
    keys are gone, with `renew`. A gate that refuses everything, for whatever other reason, has shown nothing.
    """

    number: int = 0
    admitted: int = 0
    known: int = 0
    too_old: int = 0
    others: Counter[str] = field(default_factory=Counter)

    def count(self, status: int, action: str, *, age: float, actions: Collection[str]) -> None:
        """Count an answer to a request that was first sent `age` seconds ago."""
        self.number += 1
        if status // 100 == 2:  # noqa: PLR2004 - a success, whichever
            self.admitted += 1
        elif status == httpx.codes.UNAUTHORIZED and action in actions:
            self.known += 1
        elif status == httpx.codes.UNAUTHORIZED and action == Action.FIX_CLOCK and age > FRESH_S:
            self.too_old += 1
        else:
            self.others[f"{status} {action}".strip()] += 1


@dataclass(slots=True)
class Load:
    """A context manager; threads run between its ends. `gates` are the machines that phones are sent to."""

    cluster: Cluster
    gates: Sequence[int] = (0, 1, 2)
    phones: int = PHONES
    enrols: bool = True
    sent: list[Sent] = field(default_factory=list)
    attacks: Counter[str] = field(default_factory=Counter)
    attack_nonces: dict[str, str] = field(default_factory=dict)
    admitted_attacks: list[str] = field(default_factory=list)
    replays: int = 0
    admitted_replays: int = 0
    enrolled: list[AppClient] = field(default_factory=list)
    refused_enrolments: list[float] = field(default_factory=list)
    enrolled_at: list[float] = field(default_factory=list)
    failure: BaseException | None = None
    _ending: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _clients: list[httpx.Client] = field(default_factory=list)
    _turn: count[int] = field(default_factory=count)
    _journal_begins: int = 0

    def __enter__(self) -> Self:
        self._journal_begins = len(self.cluster.admitted())
        phones = [self.new_phone() for _ in range(self.phones + 2)]
        for phone in phones:
            phone.enrol()
        *good, victim, other = phones
        for phone in good:
            self._begin(lambda phone=phone: self._go_on(phone))
        self._begin(lambda: self._attack(Attacker(victim, other), (victim, other)))
        if self.enrols:
            self._begin(self._enrol)
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        for client in [*self._clients, *self.enrolled]:
            client.close()

    def end(self) -> None:
        """Send nothing more."""
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def new_phone(self) -> AppClient:
        """Return a phone that is sent to one gate machine after another; it waits no longer than it must."""
        phone = self.cluster.phone(self._next_gate, sleep=lambda seconds: time.sleep(min(seconds, 1.0)), timeout=8.0)
        self._clients.append(phone)
        return phone

    # What is seen -------------------------------------------------------------------------------------

    def calm(self, within: float = CALM_S) -> None:
        """Wait until good traffic flows at every gate, and let it flow for a moment. Raises `Failed`."""
        began = time.monotonic()
        if self.back_after(began, within=within) is None:
            last = {gate: [(each.status, each.action) for each in self.at(gate)[-3:]] for gate in self.gates}
            message = f"no calm within {within} s: {last}"
            raise Failed(message)
        time.sleep(SETTLE_S)  # so that there is something that must not be admitted twice

    def back_after(self, moment: float, *, within: float = CALM_S, steady: int = STEADY) -> float | None:
        """Wait until good traffic flows again; return how long after `moment` the last gate's first good answer was.

        A gate is back with the first good answer after its last bad one, once `steady` of them stand in a row.
        """
        while time.monotonic() < moment + within + ANSWER_S:
            found = [_first_of_the_last_good(self.at(gate), moment, steady) for gate in self.gates]
            if None not in found:
                back = max(each for each in found if each is not None) - moment
                return back if back <= within else None
            if self.failure is not None:
                raise self.failure
            time.sleep(0.05)
        return None

    def at(self, gate: int) -> list[Sent]:
        """Return what was sent to one gate, in the order of the answers."""
        return [each for each in list(self.sent) if each.gate == gate]

    def between(self, begin: float, end: float) -> list[Sent]:
        """Return what was sent within a span."""
        return [each for each in list(self.sent) if begin <= each.at < end]

    def journal(self) -> list[list[str]]:
        """Return what the API wrote down since this load began."""
        return self.cluster.admitted()[self._journal_begins :]

    def send_again(self, actions: Collection[str] = (Action.SIGN_AGAIN,)) -> Again:
        """Send every request that reached the API in the last 65 s once more, each to another gate than before."""
        reached = {line[0] for line in self.journal()}
        since = time.monotonic() - SENT_AGAIN_S
        found = Again()
        with self._sender() as client:
            for each in [one for one in list(self.sent) if one.at > since and nonce_of(one.request) in reached]:
                others = [gate for gate in self.gates if gate != each.gate] or [each.gate]
                gate = random.choice(others)
                status, action = self._send(client, each.request, gate)
                if not status:  # a kept connection that Nginx closed meanwhile
                    status, action = self._send(client, each.request, gate)
                found.count(status, action, age=time.monotonic() - each.at, actions=actions)
        return found

    # What is done -------------------------------------------------------------------------------------

    def _begin(self, what: Any) -> None:
        def run() -> None:
            try:
                what()
            except BaseException as problem:
                self.failure = problem
                raise

        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _next_gate(self) -> int:
        return self.gates[next(self._turn) % len(self.gates)]

    def _sender(self) -> httpx.Client:
        client = httpx.Client(transport=self.cluster.transport(), trust_env=False, timeout=ANSWER_S)
        self._clients.append(client)
        return client

    def _send(self, client: httpx.Client, request: httpx.Request, gate: int) -> tuple[int, str]:
        request.extensions = {**request.extensions, "gate": gate, "timeout": httpx.Timeout(ANSWER_S).as_dict()}
        try:
            answer = client.send(request)
        except httpx.TransportError:
            return 0, ""
        return answer.status_code, answer.headers.get("bonafide-action", "")

    def _go_on(self, phone: AppClient) -> None:
        """One phone in a user's hands: reads, sometimes writes, renews when it is told to or when it is due."""
        turns, renewed_at = count(), 0.0
        with self._sender() as client:
            while not self._ending.wait(PACE_S):
                number, gate = next(turns), self._next_gate()
                proof = ProofKind.HARDWARE if number % 5 == 0 else ProofKind.SESSION
                method, content = ("POST", b'{"n":%d}' % number) if number % 3 == 0 else ("GET", b"")
                request = httpx.Request(method, f"{ORIGIN}/api/thing/{number}?n={number}", content=content)
                phone.conversation.sign(request, proof=proof)
                at = time.monotonic()
                status, action = self._send(client, request, gate)
                self.sent.append(Sent(request, gate, at, time.monotonic(), status, action))
                told = action in {Action.RENEW, Action.RETRY_WITH_CHALLENGE, Action.FIX_CLOCK}
                if time.monotonic() - renewed_at > 1 and (told or _due(phone)):
                    renewed_at = time.monotonic()
                    with suppress(*BEARABLE):
                        phone.renew()

    def _attack(self, attacker: Attacker, phones: tuple[AppClient, AppClient]) -> None:
        kinds = cycle(attacker.kinds().items())
        renewed_at = 0.0
        with self._sender() as client:
            for number in count():
                if self._ending.wait(PACE_S / 2):
                    return
                if number % 2:
                    self._replay(client)
                    continue
                name, make = next(kinds)
                request = make()
                self.attack_nonces[nonce_of(request) or f"none-{number}"] = name
                status, _ = self._send(client, request, self._next_gate())
                self.attacks[name] += 1
                if status // 100 == 2:  # noqa: PLR2004 - a success, whichever
                    self.admitted_attacks.append(name)
                for phone in phones:  # an attack by an expired attestation would show little
                    if _due(phone) and time.monotonic() - renewed_at > 1:
                        renewed_at = time.monotonic()
                        with suppress(*BEARABLE):
                            phone.renew()

    def _replay(self, client: httpx.Client) -> None:
        good = [each for each in self.sent[-400:] if each.good]
        if good:
            each = random.choice(good)
            status, _ = self._send(client, each.request, self._next_gate())
            self.replays += 1
            self.admitted_replays += status // 100 == 2  # noqa: PLR2004 - a success, whichever

    def _enrol(self) -> None:
        """A launch day's phones, one after another. One that is refused, or gets no answer, goes on until it is."""
        phone = None
        while not self._ending.wait(ENROL_PACE_S):
            phone = phone or self._counted_phone()
            try:
                phone.enrol()
            except BEARABLE:
                self.refused_enrolments.append(time.monotonic())
                phone.conversation._stopped = None  # noqa: SLF001 - the next start of the app
            else:
                phone = None

    def _counted_phone(self) -> AppClient:
        """Return a phone that counts as enrolled from the moment of a 201, whatever becomes of the answer."""
        phone = self.new_phone()

        def note(response: httpx.Response) -> None:
            if response.status_code == httpx.codes.CREATED and phone not in self.enrolled:
                self.enrolled.append(phone)
                self.enrolled_at.append(time.monotonic())

        phone.event_hooks = {"response": [note]}
        return phone


def _due(phone: AppClient) -> bool:
    enrolled = phone.device.keychain.enrolled
    return enrolled is not None and phone.clock.now() >= enrolled.renew_at


def _first_of_the_last_good(sent: list[Sent], moment: float, steady: int) -> float | None:
    """Return when the first of the last unbroken run of good answers came; None where it is too short yet."""
    first, length = None, 0
    for each in reversed(sent):
        if not each.good or each.at < moment:
            break
        first, length = each.answered_at, length + 1
    return first if length >= steady else None
