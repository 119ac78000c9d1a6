"""Clocks that are ten minutes off: of one gate, then of every service. libfaketime steps them while they run."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx

from deploy.processes import Failed
from drill.load import STEADY
from drill.world import World, drill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.processes import Process

OFF_S: Final = 600
AWAY_S: Final = 4.0
STEP_S: Final = 1.0
"""How long libfaketime believes what it read."""

BACK_S: Final = 5.0
ODD: Final = 1


class Clock:
    """The clock of some processes, read from a file. `step` sets it off by some seconds; monotonic time goes on."""

    def __init__(self, file: Path) -> None:
        """Begin with the true time."""
        self._file = file
        self.step(0)

    def step(self, seconds: int) -> None:
        """Set the clock, and wait until everybody sees it."""
        self._file.write_text(f"{seconds:+d}\n")
        time.sleep(STEP_S + 0.2)

    @property
    def environment(self) -> dict[str, str]:
        """What preloads the clock."""
        return {
            "LD_PRELOAD": library(),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": f"{STEP_S:g}",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }


def library() -> str:
    """Return libfaketime for programs with threads. Raises `Failed`."""
    for place in ("/usr/lib", "/usr/local/lib", "/usr/lib64"):
        for found in sorted(Path(place).glob("**/faketime/libfaketimeMT.so.1")):
            return str(found)
    message = "libfaketime is missing. Type: apt-get install --yes --no-install-recommends faketime"
    raise Failed(message)


@contextmanager
def under_clock(world: World, processes: list[Process]) -> Iterator[Clock]:
    """Start some programs anew under a clock that can be stepped, and at last without it."""
    clock = Clock(world.cluster.directory / "clock")
    try:
        for process in processes:
            process.environment = {**process.environment, **clock.environment}
            process.restart()
        yield clock
    finally:
        clock.step(0)
        for process in processes:
            process.environment = {
                name: value for name, value in process.environment.items() if name not in clock.environment
            }
            process.restart()


@drill
def gate_clock(world: World) -> None:
    """The clock of one of three gates steps ten minutes ahead, then ten minutes back, then to the true time."""
    machine = world.cluster.gates[ODD]
    with under_clock(world, [machine.gate]) as clock, world.load() as load:
        for off in (OFF_S, -OFF_S):
            clock.step(off)
            stepped = time.monotonic()
            time.sleep(AWAY_S)
            sent = load.between(stepped + 0.5, time.monotonic())
            odd, others = [each for each in sent if each.gate == ODD], [each for each in sent if each.gate != ODD]
            world.told.none(f"admitted by the gate at {off:+d} s", sum(each.good for each in odd), of=len(odd))
            good = sum(each.good for each in others)
            world.told.all(f"good requests admitted by the others, that gate at {off:+d} s", good, of=len(others))
        mended = time.monotonic()
        clock.step(0)
        back = load.back_after(mended)
        world.told.within("good traffic back at every gate after the clock was put right", back, BACK_S)


@drill
def service_clock(world: World) -> None:
    """The clocks of both services step ten minutes ahead, then ten minutes back, then to the true time."""
    services = [each.process for each in world.cluster.services]
    with under_clock(world, services) as clock, world.load() as load:
        for off in (OFF_S, -OFF_S):
            clock.step(off)
            stepped = time.monotonic()
            time.sleep(AWAY_S)
            sent = load.between(stepped, time.monotonic())
            good = sum(each.good for each in sent)
            world.told.all(f"good requests admitted, services at {off:+d} s", good, of=len(sent))
            enrolled = sum(at > stepped for at in load.enrolled_at)
            world.told.note(f"{enrolled} phones enrolled at {off:+d} s")
        mended = time.monotonic()
        clock.step(0)
        back = load.back_after(mended, steady=2 * STEADY)
        world.told.within("good traffic after the clocks were put right", back, BACK_S)
        world.told.claim(
            "every gate has the service's word", ready(world), held=ready(world) == len(world.cluster.gates)
        )


def ready(world: World) -> int:
    """Return how many gates call themselves ready."""
    return sum(machine.ask("/ready").status_code == httpx.codes.OK for machine in world.cluster.gates)
