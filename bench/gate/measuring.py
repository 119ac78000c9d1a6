"""Interleaved rounds: every contender once a round, and a raw signature's price beside them."""

from __future__ import annotations

import gc
import statistics
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from bench.gate.accounting import cpu_us
from bench.gate.load import Load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager

    from bench.gate.contenders import Contender

ADMITTED: Final = 204
WARM_UP_S: Final = 20.0
VERIFIES: Final = 1000
MESSAGE_OCTETS: Final = 1200
"""About as long as the base of one of these requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One contender in one round: microseconds of CPU a request by role, answers a second, milliseconds."""

    cpu: Mapping[str, float]
    per_second: float
    p50: float
    p99: float


@dataclass(slots=True)
class Measured:
    """All rounds."""

    slots: dict[str, list[Slot]] = field(default_factory=dict)
    verify: list[float] = field(default_factory=list)

    def cpu(self, name: str, role: str | None = None) -> list[float]:
        """Return a contender's microseconds a request in each round: of one role, or of all together."""
        return [sum(slot.cpu.values()) if role is None else slot.cpu.get(role, 0.0) for slot in self.slots[name]]


def median(values: Iterable[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def measure(
    contenders: Mapping[str, Contender],
    *,
    rounds: int,
    requests: int,
    said: Callable[[str], None],
    before_round: Callable[[], None] = lambda: None,
    on_their_processor: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Measured:
    """Run all contenders in turn, round after round.

    The signature's price is taken where the servers run and beside each of them in time, since a machine that others
    use as well is faster and slower by turns; a round's is the median of what was taken in it.
    """
    measured = Measured(slots={name: [] for name in contenders})
    loads = {name: Load(contender.port) for name, contender in contenders.items()}
    for name, contender in contenders.items():
        _warm_up(contender, loads[name], requests)
    verify = verifying()
    for number in range(rounds):
        said(f"round {number + 1} of {rounds}")
        before_round()
        prices = []
        for name, contender in contenders.items():
            with on_their_processor():
                prices.append(cost_of(verify))
            measured.slots[name].append(_slot(contender, loads[name], requests))
        measured.verify.append(median(prices))
    for load in loads.values():
        load.close()
    return measured


def _warm_up(contender: Contender, load: Load, requests: int) -> None:
    """Send until all are admitted: a new replay store refuses what was signed before it was seconds old."""
    ends = time.monotonic() + WARM_UP_S
    while set(load.send(contender.make(8)).statuses) != {ADMITTED}:
        if time.monotonic() > ends:
            message = f"{contender.name} does not admit: {load.send(contender.make(8)).statuses}"
            raise RuntimeError(message)
        time.sleep(0.5)
    load.send(contender.make(max(requests // 4, 8)))


def _slot(contender: Contender, load: Load, requests: int) -> Slot:
    batch = contender.make(requests)
    pids = {role: find() for role, find in contender.pids.items()}
    gc.collect()
    gc.disable()
    before = {role: cpu_us(ids) for role, ids in pids.items()}
    flow = load.send(batch)
    after = {role: cpu_us(ids) for role, ids in pids.items()}
    gc.enable()
    if set(flow.statuses) != {ADMITTED}:
        message = f"{contender.name}: the benchmark measures refusals: {flow.statuses}"
        raise RuntimeError(message)
    return Slot(
        cpu={role: (after[role] - before[role]) / requests for role in pids},
        per_second=requests / flow.seconds,
        p50=flow.quantile(0.5),
        p99=flow.quantile(0.99),
    )


def verifying() -> Callable[[], None]:
    """Return what verifies one P-256 signature, the key ready."""
    key = ec.derive_private_key(0x51_6E, ec.SECP256R1())
    message, algorithm = bytes(MESSAGE_OCTETS), ec.ECDSA(hashes.SHA256())
    signature, public = key.sign(message, algorithm), key.public_key()
    return lambda: public.verify(signature, message, algorithm)


def cost_of(verify: Callable[[], None], calls: int = VERIFIES) -> float:
    """Return the microseconds of CPU of one call, in a loop that does nothing else."""
    begun = time.process_time_ns()
    for _ in range(calls):
        verify()
    return (time.process_time_ns() - begun) / calls / 1000
