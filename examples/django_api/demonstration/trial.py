"""One attack as a value: what is sent, its untouched twin, and the same wish against the open API."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from demonstration.wire import Answer

if TYPE_CHECKING:
    from demonstration.world import World

FILE: Final = Path(__file__).resolve().parent.parent / "attacks.toml"

NGINX_ITSELF: Final = "(Nginx, before the gate)"
"""The reason of what Nginx refuses by itself; the operator finds it in Nginx's log."""

Sending = Callable[[], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How one row is run. `control_first` is for attacks that repeat what the twin did.

    `reason` reads the operator's record of the attack's answer, unless the operator's record is not a row
    of the database but, for example, the log of a server that did not start.
    """

    before: Sending
    attack: Sending
    control: Sending
    control_first: bool = False
    reason: Callable[[Answer], str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one row came to. `runs` is how often views ran for the attack; `control` the twin's status."""

    name: str
    before: int
    after: int
    reason: str
    action: str
    runs: int
    control: int
    control_runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What `attacks.toml` says a row must come to. `after` 0 is a server that does not start, or an app that stops.

    `answered` says that the request itself is genuine: a view runs for it, and it is the app that refuses what it gets.
    `nginx` is the status with which Nginx itself refuses, where it stands in front; 0 where it lets the gate judge.
    """

    name: str
    what: str
    before: int
    after: int
    reason: str
    action: str = ""
    nginx: int = 0
    answered: bool = False

    def behind_nginx(self) -> Row:
        """Return what the row must come to where Nginx stands in front."""
        return replace(self, after=self.nginx, reason=NGINX_ITSELF, action="") if self.nginx else self

    def faults(self, outcome: Outcome) -> list[str]:
        """Say how the outcome differs from this row; empty where it holds."""
        faults = [
            f"{field}: {found!r} instead of {wanted!r}"
            for field in ("before", "after", "reason", "action")
            if (found := getattr(outcome, field)) != (wanted := getattr(self, field))
        ]
        if self.answered and not outcome.runs:
            faults.append("no view ran for the request, whose answer the app was to refuse")
        if outcome.runs and not self.answered:
            faults.append(f"a view ran {outcome.runs} times for the refused request")
        if not 200 <= outcome.control < 300:  # noqa: PLR2004 - what HTTP calls success
            faults.append(f"the untouched twin was answered {outcome.control}")
        if not outcome.control_runs:
            faults.append("no view ran for the untouched twin")
        return faults


Attack = Callable[["World"], Trial]

ATTACKS: Final[dict[str, Attack]] = {}


def attack(function: Attack) -> Attack:
    """Enter a function into the list of attacks under its own name; its row has the same."""
    name = function.__name__
    if name in ATTACKS:
        message = f"two attacks are called {name}"
        raise RuntimeError(message)
    ATTACKS[name] = function
    return function


def read_rows(path: Path = FILE) -> list[Row]:
    """Read the committed rows, in their order."""
    return [Row(**table) for table in tomllib.loads(path.read_text(encoding="utf-8"))["attack"]]
