"""What all drills share: one cluster, the claims that each of them makes, and the register of drills."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bonafide.reasons import Action
from drill.load import BEARABLE, Load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bonafide.testing.client import AppClient
    from deploy.cluster import Cluster
    from drill.told import Told

RENEWAL_TRIES: Final = 3


@dataclass(slots=True)
class World:
    """One run: what is broken, and who writes down what came of it."""

    cluster: Cluster
    told: Told

    @contextmanager
    def load(
        self,
        *,
        gates: Sequence[int] = (0, 1, 2),
        enrols: bool = True,
        calm: bool = True,
        refused: Sequence[str] = (Action.SIGN_AGAIN,),
    ) -> Iterator[Load]:
        """Have phones go on, and claim at the end what every drill claims, with everything mended again.

        `refused` are the actions with which a request that is sent again may be refused.
        """
        load = Load(self.cluster, gates=gates, enrols=enrols)
        with load:
            if calm:
                load.calm()
            yield load
            self.show_nothing_twice(load, refused)
            load.end()
            if load.failure is not None:
                raise load.failure
            self._show_nothing_unproven(load)
            if enrols:
                self._show_nothing_enrolled_lost(load)

    def show_nothing_twice(self, load: Load, refused: Sequence[str] = (Action.SIGN_AGAIN,), when: str = "") -> None:
        """Send again what had been admitted, and claim that it was refused for that: not by a gate that refuses all."""
        again = load.send_again(refused)
        self.told.none(f"sent again{when}, admitted", again.admitted, of=again.number)
        words = " or ".join(f"401 {action}" for action in refused)
        self.told.all(f"sent again{when}, refused with {words}", again.known, of=again.number - again.too_old)
        if again.others:
            self.told.note(f"sent again{when}, otherwise: {dict(again.others)}")

    def _show_nothing_unproven(self, load: Load) -> None:
        lines = load.journal()
        nonces = Counter(line[0] for line in lines)
        twice = sum(number - 1 for number in nonces.values())
        self.told.none("in the API's journal twice", twice, of=len(lines))
        self.told.none("sent again at random during the fault, admitted", load.admitted_replays, of=load.replays)
        through = [name for nonce, name in load.attack_nonces.items() if nonce in nonces] + load.admitted_attacks
        kinds = len(load.attacks)
        self.told.none(f"attacks of {kinds} kinds admitted", len(through), of=load.attacks.total())
        for name in sorted(set(through)):
            self.told.note(f"came through: {name}")

    def _show_nothing_enrolled_lost(self, load: Load) -> None:
        phones = list(load.enrolled)
        renewed = 0
        for phone in phones:
            problem = _renew(phone)
            for _ in range(RENEWAL_TRIES):
                if problem is not None:
                    time.sleep(0.5)
                    problem = _renew(phone)
            renewed += problem is None
            if problem is not None:
                self.told.note(f"did not renew: {problem}")
        self.told.all("enrolled (201) and able to renew", renewed, of=len(phones))


def _renew(phone: AppClient) -> Exception | None:
    try:
        if phone.device.keychain.enrolled is None:
            phone.enrol()  # the 201 came and its body did not: the same pair is answered with the same instance
        phone.renew()
    except BEARABLE as problem:
        return problem
    return None


@dataclass(frozen=True, slots=True)
class Drill:
    """A drill by its name."""

    name: str
    about: str
    run: Callable[[World], None]


DRILLS: Final[dict[str, Drill]] = {}


def drill(function: Callable[[World], None]) -> Callable[[World], None]:
    """Register a drill under its function's name; the docstring's first line says what is broken."""
    name = function.__name__.replace("_", "-")
    about = (function.__doc__ or "").strip().splitlines()[0]
    DRILLS[name] = Drill(name, about, function)
    return function
