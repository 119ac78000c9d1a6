"""Two processors for a run: one for the server that is compared, one for Nginx, Redis and who sends.

Left to itself, the system moves a server between processors and lets whoever wakes cut in, once a request; and
to wake a processor that sleeps costs a virtual machine up to twenty microseconds, which the books charge to whoever
woke it. How often that happens depends on how busy the others are, not on what a server does: without these two
measures the same server's CPU for a request varied by a third from run to run.

    place      the server has the last processor, everybody else the first
    no sleep   a process of class SCHED_IDLE turns on each; it gives way at once, and is nobody's cost

A machine with one processor is measured without either, and says so.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_LATENCY: Final = "/dev/cpu_dma_latency"
"""While this is open and says 0, processors that have nothing to do wait awake (Linux, PM QoS)."""


@dataclass(frozen=True, slots=True)
class Processors:
    """Where the parts of a run stay; `servers` is None on a machine with one processor."""

    servers: int | None

    @contextmanager
    def for_servers(self) -> Iterator[None]:
        """Start what is compared in here: it, and what it starts later, stays on the servers' processor."""
        if self.servers is None:
            yield
            return
        ours = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {self.servers})
        try:
            yield
        finally:
            os.sched_setaffinity(0, ours)


@contextmanager
def kept_apart() -> Iterator[Processors]:
    """Keep this process, and what it starts, on the first processor, and two awake; put it back at the end."""
    usable = os.sched_getaffinity(0)
    if len(usable) == 1:
        print("one processor only: servers share it with everybody else, and their figures vary", file=sys.stderr)
        yield Processors(None)
        return
    first, last = min(usable), max(usable)
    with _kept_awake():
        os.sched_setaffinity(0, {first})
        try:
            yield Processors(last)
        finally:
            os.sched_setaffinity(0, usable)


@contextmanager
def _kept_awake() -> Iterator[None]:
    try:
        latency = os.open(_LATENCY, os.O_WRONLY)
    except OSError as problem:
        print(f"{_LATENCY}: {problem.strerror}: processors fall asleep, and figures vary", file=sys.stderr)
        yield
        return
    try:
        os.write(latency, bytes(4))
        yield
    finally:
        os.close(latency)
