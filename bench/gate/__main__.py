"""`make bench-gate`. Exits with 1 where a promise is broken."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.gate import control_plane, interfaces, page, projection, report
from bench.gate.contenders import CONTENDERS, Arena
from bench.gate.measuring import measure
from bench.gate.memory import fill_gate, largest_worker, redis_bytes, require_live

if TYPE_CHECKING:
    from collections.abc import Sequence


WHAT: Final = ("contenders", "interfaces", "control-plane", "projection", "page")


def main(words: Sequence[str]) -> int:
    """Do what the command line says."""
    reader = argparse.ArgumentParser(prog="python -m bench.gate", description=__doc__)
    reader.add_argument("what", nargs="?", choices=list(WHAT), default="contenders")
    reader.add_argument("--rounds", type=int, default=5)
    reader.add_argument("--requests", type=int, default=16000, help="in each slot")
    reader.add_argument("--live", type=int, default=1_000_000, help="nonces in the LMDB store")
    reader.add_argument("--only", action="append", choices=CONTENDERS, help="may be repeated")
    asked = reader.parse_args(words)
    if asked.what == "projection":
        print(projection.text(projection.read()))
        return 0
    if asked.what == "page":
        page.rewrite()
        return 0
    if asked.what == "control-plane":
        return _control_plane()
    with tempfile.TemporaryDirectory(prefix="bonafide-bench-") as directory:
        if asked.what == "interfaces":
            return _interfaces(Path(directory), asked)
        return _contenders(Path(directory), asked)


def _interfaces(directory: Path, asked: argparse.Namespace) -> int:
    entries = interfaces.compare(directory, rounds=asked.rounds, requests=asked.requests)
    report.write("gate_interfaces", entries)
    print(interfaces.text(entries))
    return 0


def _control_plane() -> int:
    entries = control_plane.measure()
    report.write("control_plane", entries)
    for entry in entries:
        print(f"  {entry['name']:<28} {entry['us_per_op']:9.0f} us of CPU")
    return 0


def _contenders(directory: Path, asked: argparse.Namespace) -> int:
    with Arena(directory, live=asked.live) as arena:
        arena.admit(*asked.only or ())
        more: list[dict[str, Any]] = []
        measured = measure(
            arena.contenders,
            rounds=asked.rounds,
            requests=asked.requests,
            said=_say,
            before_round=arena.fill,
            on_their_processor=arena.processors.for_servers,
        )
        if arena.lmdb is not None:
            more.append(_memory(arena, arena.lmdb, asked.live))
        if arena.redis is not None:
            octets = redis_bytes(arena.redis, empty=arena.redis_empty)
            more.append({"name": "a live nonce in Redis", "bytes": round(octets)})
    entries = [*report.rows(measured), *(promise.fields() for promise in report.promises(measured)), *more]
    report.write("gate", entries)
    print(f"\n{report.table(entries)}\n\n{report.judgement(entries)}")
    return 0 if all(entry.get("holds", True) for entry in entries) else 1


def _memory(arena: Arena, store: Path, live: int) -> dict[str, Any]:
    arena.fill()
    gate = arena.restart_gate("LMDB")
    fill_gate(arena.contenders["session, LMDB"], attestations=min(10_000, live // 100))
    worker = largest_worker(gate.pid)
    return report.memory_promise(worker, live=require_live(store, live))


def _say(what: str) -> None:
    print(what, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
