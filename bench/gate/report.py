"""The table of a run, the promises that it is held to, and `build/bench/gate.json`.

Each entry of the JSON has the fields of `make bench` (`name`, `us_per_op`, `versus`, `ratio`) and more: what each role
took, the spread of the rounds, throughput and times.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bench._rounds import OUTPUT
from bench.gate.measuring import median

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.gate.accounting import Memory
    from bench.gate.measuring import Measured

VERIFY: Final = "P-256 verify (cryptography)"
EMPTY: Final = "empty 204"
EMPTY_VERIFY: Final = "empty 204 + verify"
AT_WORK: Final = "a verify in a server at work"
DPOP: Final = "PyJWT + pydpop"
DPOP_BEST: Final = "PyJWT + pydpop, store replaced"
MAX_WORKER_BYTES: Final = 80_000_000
_ROLES: Final = ("nginx", "server", "redis")


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What is promised of a run: `ratio` is at most `at_most`, or at least `at_least`; without either it is shown."""

    name: str
    us_per_op: float
    versus: str
    ratio: float
    at_most: float | None = None
    at_least: float | None = None

    @property
    def holds(self) -> bool:
        """Whether it is kept."""
        return (self.at_most is None or self.ratio <= self.at_most) and (
            self.at_least is None or self.ratio >= self.at_least
        )

    def fields(self) -> dict[str, Any]:
        """Return the entry of the JSON."""
        bounds = {"at_most": self.at_most, "at_least": self.at_least}
        return {
            "name": self.name,
            "us_per_op": round(self.us_per_op, 3),
            "versus": self.versus,
            "ratio": round(self.ratio, 4),
            **{name: bound for name, bound in bounds.items() if bound is not None},
            "holds": self.holds,
        }


def promises(measured: Measured) -> Iterator[Promise]:
    """Yield what this run is held to, as far as its contenders ran."""
    yield from _beside_a_verify(measured)
    yield from _beside_others(measured)


def _beside_a_verify(measured: Measured) -> Iterator[Promise]:
    """Yield what a gate adds to an empty answer, in signatures verified: in a loop as promised, and in a server."""
    ran = measured.slots
    bounds = (("session, LMDB", 1.0), ("session, Redis", 2.5), ("hardware, LMDB", 2.0))
    for name, at_most in bounds:
        if name not in ran or EMPTY not in ran:
            continue
        added = median(_added(measured, name))
        what = f"{name}: gate - empty 204"
        ratio = added / median(measured.verify)
        yield Promise(name=what, us_per_op=added, versus=VERIFY, ratio=ratio, at_most=at_most)
        if EMPTY_VERIFY in ran:
            ratio = added / median(_added(measured, EMPTY_VERIFY))
            yield Promise(name=what, us_per_op=added, versus=AT_WORK, ratio=ratio)


def _added(measured: Measured, name: str) -> list[float]:
    """Return what a contender's server takes more than the empty one, round by round: they ran beside each other."""
    pairs = zip(measured.cpu(name, "server"), measured.cpu(EMPTY, "server"), strict=True)
    return [server - empty for server, empty in pairs]


def _beside_others(measured: Measured) -> Iterator[Promise]:
    """Yield how much more PyJWT and pydpop take: what is promised, and two rows that it is to be read with.

    pydpop's own store walks through all that it has seen, so that each round is dearer than the last. Promised is the
    median, as of everything; beside it stand the cheapest round, in which it had seen least, and another store.
    """
    ran = measured.slots
    for name, at_least in (("session, LMDB", 5.0), ("hardware, LMDB", 3.0)):
        for other, what, of, bound in (
            (DPOP, DPOP, median, at_least),
            (DPOP, f"{DPOP}, its cheapest round", min, None),
            (DPOP_BEST, DPOP_BEST, median, None),
        ):
            if name in ran and other in ran:
                theirs = of(measured.cpu(other, "server"))
                ratio = theirs / median(measured.cpu(name, "server"))
                yield Promise(name=f"{what}: gate CPU", us_per_op=theirs, versus=name, ratio=ratio, at_least=bound)


def memory_promise(worker: Memory, *, live: int) -> dict[str, Any]:
    """Return the entry for the largest gate worker's private memory with so many live nonces, as they were counted.

    Judged is what is its own. The replay store's file is mapped by all workers and belongs to none: its pages count as
    private in whoever happens to have mapped one alone, and the kernel takes them back when it needs them.
    """
    return {
        "name": f"private memory of a gate worker, {live:,} live nonces",
        "live_nonces": live,
        "bytes": worker.total,
        "anonymous_bytes": worker.anonymous,
        "mapped_bytes": worker.mapped,
        "at_most": MAX_WORKER_BYTES,
        "holds": worker.anonymous <= MAX_WORKER_BYTES,
    }


def rows(measured: Measured) -> list[dict[str, Any]]:
    """Return an entry for each contender."""
    verify = median(measured.verify)
    found = [
        {
            "name": VERIFY,
            "us_per_op": round(verify, 3),
            "versus": VERIFY,
            "ratio": 1.0,
            "spread": [round(min(measured.verify), 3), round(max(measured.verify), 3)],
        }
    ]
    for name, slots in measured.slots.items():
        cost = median(measured.cpu(name))
        server = measured.cpu(name, "server") if "server" in slots[0].cpu else measured.cpu(name)
        found.append(
            {
                "name": name,
                "us_per_op": round(cost, 3),
                "versus": VERIFY,
                "ratio": round(cost / verify, 4),
                **{f"{role}_us": round(median(measured.cpu(name, role)), 3) for role in _ROLES if role in slots[0].cpu},
                "spread": [round(min(server), 3), round(max(server), 3)],
                "per_second": round(median(slot.per_second for slot in slots)),
                "p50_ms": round(median(slot.p50 for slot in slots), 3),
                "p99_ms": round(median(slot.p99 for slot in slots), 3),
            }
        )
    return found


def table(entries: Sequence[dict[str, Any]]) -> str:
    """Return the contenders among these entries as text: microseconds of CPU a request, by role and in all."""
    entries = [entry for entry in entries if "spread" in entry]
    width = max(len(entry["name"]) for entry in entries)
    heads = f"{'nginx':>8}{'server':>8}{'redis':>8} {'all':>7}  {'server, lowest to highest':>25}"
    lines = [f"{'us of CPU a request':<{width}} {heads}  {'per s':>7} {'p50 ms':>7} {'p99 ms':>7}"]
    for entry in entries:
        low, high = entry["spread"]
        cells = "".join(_cell(entry.get(f"{role}_us")) for role in _ROLES)
        tail = (
            f"  {entry['per_second']:>7} {entry['p50_ms']:>7.2f} {entry['p99_ms']:>7.2f}"
            if "per_second" in entry
            else ""
        )
        spread = f"{low:.1f} to {high:.1f}"
        lines.append(f"{entry['name']:<{width}} {cells} {entry['us_per_op']:>7.1f}  {spread:>25}{tail}")
    return "\n".join(lines)


def judgement(entries: Sequence[dict[str, Any]]) -> str:
    """Return the promises among these entries as text."""
    return "\n".join(_judged(entry) for entry in entries if "holds" in entry)


def _judged(entry: dict[str, Any]) -> str:
    kept = "holds" if entry["holds"] else "BROKEN"
    if "bytes" in entry:
        total, heap, files = (entry[f"{part}bytes"] / 1_000_000 for part in ("", "anonymous_", "mapped_"))
        sizes = f"{heap:.1f} MB of its own  (at most {MAX_WORKER_BYTES // 1_000_000}: {kept})"
        return f"{entry['name']}: {sizes}, {files:.1f} MB of the store's file, {total:.1f} MB in all"
    said = f"{entry['name']}: {entry['us_per_op']:.1f} us, {entry['ratio']:.2f} x {entry['versus']}"
    bounds = [f"{words} {entry[key]}" for key, words in _BOUNDS.items() if key in entry]
    return f"{said}  ({bounds[0]}: {kept})" if bounds else f"{said}  (nothing is promised)"


_BOUNDS: Final = {"at_most": "at most", "at_least": "at least"}


def write(name: str, entries: Sequence[dict[str, Any]]) -> None:
    """Write `build/bench/<name>.json`."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    (OUTPUT / f"{name}.json").write_text(json.dumps(list(entries), indent=1) + "\n", encoding="ascii")


def _cell(value: float | None) -> str:
    return f"{'':>8}" if value is None else f"{value:>8.1f}"
