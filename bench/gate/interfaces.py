"""Which server interface a gate should have: the empty 204 over each, asked as Nginx asks, without Nginx between."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from bench.gate.accounting import cpu_us, private_memory
from bench.gate.load import Load
from bench.gate.measuring import ADMITTED, median
from bench.gate.phones import APP_HEADERS, ISSUING, lines, make_phone
from bench.gate.processes import HOST, python
from bench.gate.processors import kept_apart

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.gate.processes import Program

CASES: Final = {
    "granian WSGI, 1 thread": ("wsgi", "1"),
    "granian WSGI, 4 threads": ("wsgi", "4"),
    "granian RSGI": ("rsgi", "1"),
    "granian ASGI": ("asgi", "1"),
    "uvicorn ASGI": ("uvicorn", "1"),
}


def compare(directory: Path, *, rounds: int, requests: int) -> list[dict[str, Any]]:
    """Measure each interface in interleaved rounds; return a row for each."""
    request = asked()
    costs: dict[str, list[float]] = {name: [] for name in CASES}
    memory: dict[str, int] = {}
    with ExitStack() as stack:
        processors = stack.enter_context(kept_apart())
        servers: dict[str, tuple[Program, Load]] = {}
        for number, (name, (interface, threads)) in enumerate(CASES.items()):
            path = directory / f"{number}.sock"
            words = [interface, "empty", str(path), threads]
            server = python("bench.gate.endpoints", words, path, directory / f"{number}.log")
            stack.callback(server.stop)
            with processors.for_servers():
                server.start()
            load = Load(str(path))
            stack.callback(load.close)
            load.send([request] * requests)
            servers[name] = server, load
        for _ in range(rounds):
            for name, (server, load) in servers.items():
                costs[name].append(_cost(server, load, [request] * requests))
                memory[name] = max(private_memory(pid).total for pid in server.pids)
    return [
        {
            "name": name,
            "us_per_op": round(median(found), 3),
            "versus": "granian WSGI, 4 threads",
            "ratio": round(median(found) / median(costs["granian WSGI, 4 threads"]), 4),
            "spread": [round(min(found), 3), round(max(found), 3)],
            "private_bytes": memory[name],
        }
        for name, found in costs.items()
    ]


def text(entries: Sequence[dict[str, Any]]) -> str:
    """Return the rows as text."""
    lines = ["us of CPU for an empty 204, without Nginx"]
    for entry in entries:
        low, high = entry["spread"]
        lines.append(f"{entry['name']:<24} {entry['us_per_op']:7.1f}  ({low:.1f} to {high:.1f})")
    return "\n".join(lines)


def _cost(server: Program, load: Load, batch: list[bytes]) -> float:
    pids = server.pids
    before = cpu_us(pids)
    flow = load.send(batch)
    if set(flow.statuses) != {ADMITTED}:
        message = f"the benchmark measures refusals: {flow.statuses}"
        raise RuntimeError(message)
    return (cpu_us(pids) - before) / len(batch)


def asked() -> bytes:
    """Return what Nginx asks about a request with a proof."""
    now = datetime.now(UTC)
    request = make_phone(ISSUING, now).signed(created=int(now.timestamp()))
    headers = {
        "Host": "bonafide-gate",
        "Originalmethod": "GET",
        "Originaltarget": request.target,
        "Originalhost": HOST,
        "Originaladdress": "127.0.0.1",
        **APP_HEADERS,
        **request.headers,
    }
    return lines("GET", "/admit", headers)
