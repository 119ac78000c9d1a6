"""Processes of gates and services are killed under load."""

from __future__ import annotations

import os
import signal
import time
from typing import Final

from deploy.processes import members
from drill.world import World, drill

SUPERVISED_S: Final = 1.0
"""What a supervisor waits before it starts a program again."""

BACK_S: Final = 5.0
WORKERS: Final = 2


@drill
def gate_worker_killed(world: World) -> None:
    """One of the two workers of each gate is killed; the gate replaces it."""
    with world.load() as load:
        killed = time.monotonic()
        for machine in world.cluster.gates:
            os.kill(machine.gate.workers[0], signal.SIGKILL)
        world.told.within("good traffic back at every gate", load.back_after(killed), BACK_S)
        ends = time.monotonic() + BACK_S
        while time.monotonic() < ends and any(len(each.gate.workers) < WORKERS for each in world.cluster.gates):
            time.sleep(0.1)
        whole = sum(len(each.gate.workers) >= WORKERS for each in world.cluster.gates)
        world.told.all("gates with all their workers", whole, of=len(world.cluster.gates))


@drill
def gate_killed(world: World) -> None:
    """The first process of a gate is killed, and its supervisor starts the gate again a second later."""
    machine = world.cluster.gates[0]
    with world.load() as load:
        group = machine.gate.pid
        killed = time.monotonic()
        machine.gate.kill_first()
        time.sleep(SUPERVISED_S)
        machine.gate.start()
        world.told.within(
            "good traffic back, a second of the supervisor included,", load.back_after(killed), 2 * BACK_S
        )
        ends = time.monotonic() + BACK_S
        while members(group) and time.monotonic() < ends:
            time.sleep(0.1)
        left = members(group)
        world.told.claim("workers of the dead gate that go on without it", len(left), held=not left)
        for pid in left:
            os.kill(pid, signal.SIGKILL)


@drill
def gate_machine_lost(world: World) -> None:
    """A gate machine loses power: gate and Nginx at once. The others go on; it comes back three seconds later."""
    machine = world.cluster.gates[0]
    with world.load() as load:
        lost = time.monotonic()
        machine.gate.kill()
        machine.nginx.kill()
        time.sleep(3)
        others = [each for each in load.between(lost, time.monotonic()) if each.gate != 0]
        world.told.all("good requests admitted by the other gates", sum(each.good for each in others), of=len(others))
        machine.gate.launch()
        machine.nginx.launch()
        back = time.monotonic()
        world.told.within("good traffic back at every gate after its start", load.back_after(back), 2 * BACK_S)


@drill
def service_killed(world: World) -> None:
    """One service machine is killed under enrolments and comes back after four seconds; then the other one."""
    with world.load() as load:
        began = time.monotonic()
        for machine in world.cluster.services:
            machine.process.kill()
            time.sleep(4)
            machine.process.start()
        ended = time.monotonic()
        meanwhile = load.between(began, ended)
        world.told.all("good requests admitted meanwhile", sum(each.good for each in meanwhile), of=len(meanwhile))
        enrolled = sum(began < at < ended for at in load.enrolled_at)
        world.told.claim("enrolled with one of two services away", enrolled, held=enrolled > 0)
        while time.monotonic() < ended + BACK_S and not any(at > ended for at in load.enrolled_at):
            time.sleep(0.05)
        back = min((at - ended for at in load.enrolled_at if at > ended), default=None)
        world.told.within("enrolments after both were back", back, BACK_S)
