"""What processes took, by the operating system's own books: CPU time and private memory."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_PROC: Final = Path("/proc")
_NS_PER_US: Final = 1000
_KIB: Final = 1024
_SCHEDULED: Final = 2
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Private memory of one process in octets: what its end would give back.

    `anonymous` is its own heap and stacks; `mapped` are pages of files, the replay store's among them, that
    no other process has mapped at this moment and that the kernel may write back and drop.
    """

    total: int
    anonymous: int

    @property
    def mapped(self) -> int:
        """The part that has a file behind it."""
        return self.total - self.anonymous


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it, by their ids."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def cpu_us(pids: Iterable[int]) -> float:
    """Return the CPU time of all threads of these processes so far, in microseconds, ended threads included.

    It is the kernel's clock of each process (`clock_getcpuclockid(3)`), in nanoseconds where `/proc/PID/stat` shows
    hundredths of a second.
    """
    return sum(time.clock_gettime_ns(~pid << 3 | _SCHEDULED) for pid in pids) / _NS_PER_US


def spent_us(pid: int) -> float:
    """Return the CPU time of a process and all that ever descended from it, in microseconds, those that ended included.

    What a child took is its parent's (`cutime`, `cstime`) once it has ended; that part is in hundredths of a second.
    A difference of two such sums is therefore complete where processes came and went in between.
    """
    while True:
        pids = family(pid)
        try:
            total = cpu_us(pids) + sum(_ended_us(each) for each in pids)
        except OSError:  # one ended while the books were read
            continue
        if family(pid) == pids:
            return total


def _ended_us(pid: int) -> float:
    fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) * 1_000_000 / _TICKS


def private_memory(pid: int) -> Memory:
    """Return what `smaps_rollup` calls private, and how much of it has no file behind it."""
    sizes = {}
    for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        sizes[name] = int(rest.split()[0]) * _KIB
    total = sizes["Private_Clean"] + sizes["Private_Dirty"] + sizes["Private_Hugetlb"]
    return Memory(total=total, anonymous=min(total, sizes["Pss_Anon"]))
