"""Whether a gate's memory stays level: a series for each worker, and the line through its second half.

Level are workers that lived through all of it. One that died was replaced by another with an empty memory, which would
look level: so a set of processes that changed is a fault by itself, and so is a run that was long enough and judged
nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bench.gate.accounting import private_memory

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_GROWTH_SHARE: Final = 0.03
MAX_GROWTH_BYTES: Final = 1_000_000
"""What the line may rise over the second half: what a heap breathes."""

LEAST_SAMPLES: Final = 20
"""With fewer, a line says nothing, and a worker is not judged."""

_MEGA: Final = 1_000_000


@dataclass(slots=True)
class Series:
    """Private memory of each worker over time. Files' pages are left out: the kernel takes those back at will."""

    samples: dict[int, list[tuple[float, int]]] = field(default_factory=dict)
    changed: bool = False

    def look(self, workers: Iterable[int], at: float) -> None:
        """Take a sample of each, and see whether they are those of the first look."""
        found = set(workers)
        self.changed |= bool(self.samples) and found != self.samples.keys()
        for pid in sorted(found):
            try:
                octets = private_memory(pid).anonymous
            except (OSError, LookupError):  # it ended since it was listed
                self.changed = True
                continue
            self.samples.setdefault(pid, []).append((at, octets))

    def growth(self) -> dict[int, tuple[float, bool]]:
        """Return how many octets each worker's line rose over the second half, and whether that is level.

        What a gate remembers fills up for as long as a client attestation lives: the first half is left out. Workers
        of whom there are too few samples are not judged, whatever the others are.
        """
        judged = {pid: found for pid, found in self.samples.items() if len(found) >= LEAST_SAMPLES}
        return {pid: _judge(found[len(found) // 2 :]) for pid, found in judged.items()}

    def verdicts(self, *, long: bool) -> list[tuple[str, bool]]:
        """Return what is claimed, and whether it held. In a run that was `long` enough, every worker is judged."""
        growth = self.growth()
        everybody = bool(self.samples) and growth.keys() == self.samples.keys()
        return [
            ("the same workers from beginning to end", bool(self.samples) and not self.changed),
            ("memory level", all(level for _, level in growth.values()) and (everybody or not long)),
        ]

    def text(self) -> str:
        """Return each worker's series in megabytes, ten values of it."""
        lines = []
        for pid, found in self.samples.items():
            shown = found[:: max(1, len(found) // 10)]
            lines.append(f"worker {pid}: " + " ".join(f"{octets / _MEGA:.1f}" for _, octets in shown) + " MB")
        return "\n".join(lines)


def _judge(found: Sequence[tuple[float, int]]) -> tuple[float, bool]:
    rise = slope(found) * (found[-1][0] - found[0][0])
    mean = sum(octets for _, octets in found) / len(found)
    return rise, rise <= MAX_GROWTH_BYTES + MAX_GROWTH_SHARE * mean


def slope(points: Sequence[tuple[float, int]]) -> float:
    """Return the slope of the least-squares line, in octets a second."""
    count = len(points)
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
