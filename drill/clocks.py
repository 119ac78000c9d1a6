"""Clocks that are ten minutes off: of one gate, then of every service.

libfaketime shifts a program's time of day from its start on, and leaves its monotonic clock alone. Debian's version
then breaks `clock_nanosleep`, so that Python sleeps otherwise (`drill/shifted`). A program is started anew for each
shift, as on a machine that booted with a wrong clock.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx

from deploy.processes import Failed
from drill.load import STEADY
from drill.world import World, drill

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from deploy.processes import Process

OFF_S: Final = 600
AWAY_S: Final = 4.0
BACK_S: Final = 5.0
ODD: Final = 1
_PRELOAD: Final = "LD_PRELOAD"
_SHIFT: Final = "FAKETIME"
_KEEP: Final = "FAKETIME_DONT_FAKE_MONOTONIC"
_PATH: Final = "PYTHONPATH"
_SLEEP: Final = Path(__file__).with_name("shifted")


def library() -> str:
    """Return libfaketime for programs with threads. Raises `Failed`."""
    for place in ("/usr/lib", "/usr/local/lib", "/usr/lib64"):
        for found in sorted(Path(place).glob("**/faketime/libfaketimeMT.so.1")):
            return str(found)
    message = "libfaketime is missing. Type: apt-get install --yes --no-install-recommends faketime"
    raise Failed(message)


@contextmanager
def true_clocks_afterwards(processes: Sequence[Process]) -> Iterator[None]:
    """Start the programs anew without a shift at last."""
    try:
        yield
    finally:
        if any(_SHIFT in process.environment for process in processes):
            shift(processes, 0)


def shift(processes: Sequence[Process], seconds: int, *, wait: bool = True) -> None:
    """Start programs anew with clocks that are so far off."""
    for process in processes:
        process.environment = shifted(process.environment, seconds)
        process.stop()
        process.launch()
    if wait:
        for process in processes:
            process.wait()


def shifted(environment: Mapping[str, str], seconds: int) -> dict[str, str]:
    """Return a program's environment with a clock that is so far off; 0 is the true one again."""
    paths = [path for path in environment.get(_PATH, "").split(os.pathsep) if path and path != str(_SLEEP)]
    kept = {name: value for name, value in environment.items() if name not in {_PRELOAD, _SHIFT, _KEEP, _PATH}}
    if seconds:
        kept |= {_PRELOAD: library(), _SHIFT: f"{seconds:+d}", _KEEP: "1"}
        paths.append(str(_SLEEP))
    return kept | ({_PATH: os.pathsep.join(paths)} if paths else {})


@drill
def gate_clock(world: World) -> None:
    """One of three gates runs with a clock that is ten minutes ahead, then ten minutes behind, then right again."""
    gate = world.cluster.gates[ODD].gate
    with true_clocks_afterwards([gate]), world.load() as load:
        for off in (OFF_S, -OFF_S):
            shift([gate], off, wait=False)  # it never gets ready: no service believes its asks
            gate.wait_until(lambda: world.cluster.gates[ODD].ask("/health").status_code == httpx.codes.OK)
            shifted = time.monotonic()
            time.sleep(AWAY_S)
            sent = load.between(shifted, time.monotonic())
            odd, others = [each for each in sent if each.gate == ODD], [each for each in sent if each.gate != ODD]
            world.told.none(f"admitted by the gate at {off:+d} s", sum(each.good for each in odd), of=len(odd))
            good = sum(each.good for each in others)
            world.told.all(f"good requests admitted by the others, that gate at {off:+d} s", good, of=len(others))
        shift([gate], 0)
        mended = time.monotonic()
        back = load.back_after(mended)
        world.told.within("good traffic back at every gate after its start with a right clock", back, BACK_S)


@drill
def service_clock(world: World) -> None:
    """Both services run with clocks that are ten minutes ahead, then ten minutes behind, then right again."""
    services = [each.process for each in world.cluster.services]
    with true_clocks_afterwards(services), world.load() as load:
        for off in (OFF_S, -OFF_S):
            began = time.monotonic()
            shift(services, off)
            shifted = time.monotonic()
            time.sleep(AWAY_S)
            sent = load.between(began, time.monotonic())
            good = sum(each.good for each in sent)
            world.told.all(f"good requests admitted, services at {off:+d} s", good, of=len(sent))
            enrolled = sum(at > shifted for at in load.enrolled_at)
            world.told.note(f"{enrolled} phones enrolled at {off:+d} s")
        shift(services, 0)
        mended = time.monotonic()
        back = load.back_after(mended, steady=2 * STEADY)
        world.told.within("good traffic after their start with right clocks", back, BACK_S)
        while time.monotonic() < mended + BACK_S and ready(world) < len(world.cluster.gates):
            time.sleep(0.2)
        world.told.all("gates with the service's word", ready(world), of=len(world.cluster.gates))


def ready(world: World) -> int:
    """Return how many gates call themselves ready."""
    return sum(machine.ask("/ready").status_code == httpx.codes.OK for machine in world.cluster.gates)
