"""How every benchmark here measures: interleaved rounds, process CPU time, the median.

Machines are noisy and change their clock while they run, so two numbers taken one after the other
compare the weather. Here each round runs every contender once; a ratio is between medians of one run.
"""

from __future__ import annotations

import gc
import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROUNDS: Final = 9
OUTPUT: Final = Path(__file__).resolve().parent.parent / "build" / "bench"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured thing: microseconds of CPU for one operation, beside its yardstick.

    `at_most` is what is promised of the ratio. `aim` is what was wanted of it: where it is missed that is said, and
    breaks nothing.
    """

    name: str
    us_per_op: float
    versus: str
    ratio: float
    at_most: float | None = None
    aim: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the ratio is within what is promised; a row without a promise holds."""
        return self.at_most is None or self.ratio <= self.at_most


def interleave(
    cases: Mapping[str, Callable[[], object]], *, rounds: int = ROUNDS, calls: int = 1000
) -> dict[str, float]:
    """Run each case `calls` times a round, in turn, and return its median cost in microseconds of CPU a call."""
    costs: dict[str, list[float]] = {name: [] for name in cases}
    for case in cases.values():
        case()
    for _ in range(rounds):
        for name, case in cases.items():
            gc.collect()
            gc.disable()
            begun = time.process_time_ns()
            for _ in range(calls):
                case()
            costs[name].append((time.process_time_ns() - begun) / calls / 1000)
            gc.enable()
    return {name: statistics.median(taken) for name, taken in costs.items()}


def compare(
    costs: Mapping[str, float], name: str, *, versus: str, at_most: float | None = None, aim: float | None = None
) -> Row:
    """Return the row that sets one case beside another of the same run."""
    ratio = costs[name] / costs[versus]
    return Row(name=name, us_per_op=costs[name], versus=versus, ratio=ratio, at_most=at_most, aim=aim)


def report(name: str, rows: Sequence[Row]) -> bool:
    """Print the table, write `build/bench/<name>.json`, and tell whether every promise holds."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    fields = [
        {"name": row.name, "us_per_op": round(row.us_per_op, 3), "versus": row.versus, "ratio": round(row.ratio, 4)}
        for row in rows
    ]
    (OUTPUT / f"{name}.json").write_text(json.dumps(fields, indent=1) + "\n", encoding="ascii")
    width = max(len(row.name) for row in rows)
    print(f"\n{name}")
    for row in rows:
        promise = "" if row.at_most is None else f"  (at most {row.at_most:.3f}: {'holds' if row.holds else 'BROKEN'})"
        if row.aim is not None:
            promise += f"  (aim {row.aim:.3f}: {'reached' if row.ratio <= row.aim else 'MISSED'})"
        print(f"  {row.name:<{width}}  {row.us_per_op:10.2f} us   {row.ratio:8.3f} x {row.versus}{promise}")
    return all(row.holds for row in rows)
