"""What a drill claims, what was measured, and the table at the end."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_WIDTH: Final = 118


@dataclass(frozen=True, slots=True)
class Claim:
    """One line of the table. One that is `timed` may fail because the machine was busy."""

    drill: str
    text: str
    measured: str
    held: bool
    timed: bool = False

    def __str__(self) -> str:
        return f"  {'yes' if self.held else 'NO '}  {self.text}: {self.measured}"


@dataclass(slots=True)
class Told:
    """What was claimed so far. Each claim is printed when it is known."""

    claims: list[Claim] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    _drill: str = ""
    _began: float = 0.0

    @property
    def held(self) -> bool:
        """Whether every claim held, and there was one."""
        return bool(self.claims) and all(claim.held for claim in self.claims)

    def begin(self, drill: str, about: str) -> None:
        """Begin a drill."""
        self._drill, self._began = drill, time.monotonic()
        print(f"{drill}: {about}", flush=True)

    def end(self) -> None:
        """End it."""
        self.seconds[self._drill] = time.monotonic() - self._began

    def claim(self, text: str, measured: object, *, held: bool, timed: bool = False) -> None:
        """State a claim, what was measured, and whether that is what was claimed."""
        claim = Claim(self._drill, text, str(measured), held, timed)
        self.claims.append(claim)
        print(claim, flush=True)

    def none(self, text: str, found: int, *, of: int) -> None:
        """Claim that none of a number was found. None of none shows nothing, and does not hold."""
        self.claim(text, f"{found} of {of}", held=found == 0 and of > 0)

    def all(self, text: str, found: int, *, of: int) -> None:
        """Claim that all were found. All of none does not hold."""
        self.claim(text, f"{found} of {of}", held=found == of and of > 0)

    def within(self, text: str, seconds: float | None, limit: float) -> None:
        """Claim that something took at most so long; None is never, however slow the machine is."""
        measured = "never" if seconds is None else f"{seconds:.2f} s"
        held = seconds is not None and seconds <= limit
        self.claim(f"{text} within {limit:g} s", measured, held=held, timed=seconds is not None)

    def note(self, text: str) -> None:
        """Say something that is no claim."""
        print(f"       {text}", flush=True)

    def broke(self, problem: BaseException) -> None:
        """A drill that could not be carried through has shown nothing."""
        self.claim("the drill is carried through", f"{type(problem).__name__}: {problem}"[:600], held=False)

    def table(self) -> str:
        """Return all claims, drill by drill."""
        lines = ["", "drill".ljust(22) + "held  claim and measurement", "-" * _WIDTH]
        last = ""
        for claim in self.claims:
            name = "" if claim.drill == last else claim.drill
            last = claim.drill
            lines.append(f"{name:<22}{'yes' if claim.held else 'NO':<6}{claim.text}: {claim.measured}")
        held = sum(claim.held for claim in self.claims)
        took = sum(self.seconds.values())
        lines += ["-" * _WIDTH, f"{held} of {len(self.claims)} claims held, {len(self.seconds)} drills, {took:.0f} s"]
        return "\n".join(lines)

    def write(self, path: Path) -> None:
        """Write every claim, what was measured and whether it held, as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        said = {
            "held": self.held,
            "seconds": {name: round(took, 1) for name, took in self.seconds.items()},
            "claims": [asdict(claim) for claim in self.claims],
        }
        path.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
