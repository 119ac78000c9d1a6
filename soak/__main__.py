"""`make soak`. Exits with 1 where an answer was wrong, memory grew, or the requests were not sent in time."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import multiprocessing.connection
import secrets
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "examples" / "django_api"))  # the demo imports as a Django project does

from bench._rounds import OUTPUT  # noqa: E402 - after the path
from soak.attacks import KINDS  # noqa: E402 - likewise
from soak.memory import LEAST_SAMPLES, Series  # noqa: E402 - likewise
from soak.running import Stack  # noqa: E402 - likewise
from soak.sending import Sender, Tally, send_for_ever  # noqa: E402 - likewise

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection

SENDERS: Final = 2
WARM_UP_S: Final = 20.0
LOOK_EVERY_S: Final = 5.0
SAY_EVERY_S: Final = 30.0
LONG_S: Final = 1.5 * LEAST_SAMPLES * LOOK_EVERY_S
"""From here on there are samples enough of every worker, on a machine that looks late as well."""

FULL: Final = 1_000_000
"""Requests of a run that is held to everything, however fast it was."""

FULL_MINUTES: Final = 10.0
"""How long they take: twice as long as a client attestation lives, so that memory has filled up by the half of it."""

PATIENCE_S: Final = 120.0
"""How much longer than asked for it may take."""


def main(words: Sequence[str]) -> int:
    """Soak, and tell whether everything held."""
    reader = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    reader.add_argument("--requests", type=int, default=FULL)
    reader.add_argument("--minutes", type=float, help="over how long (default: ten for a million)")
    reader.add_argument("--attacks", type=float, default=0.01, help="the share of attacks")
    reader.add_argument("--workers", type=int, default=2, help="of the gate and of the API")
    reader.add_argument("--seed", default=secrets.token_hex(8))
    asked = reader.parse_args(words)
    asked.minutes = asked.minutes or asked.requests / FULL * FULL_MINUTES
    print(f"seed {asked.seed}: {asked.requests} requests, {len(KINDS)} kinds of attack", flush=True)
    with ExitStack() as opened:
        directory = opened.enter_context(tempfile.TemporaryDirectory(prefix="bonafide-soak-"))
        stack = opened.enter_context(Stack(Path(directory), asked.workers))
        _warm_up(stack.port)
        before, begun = stack.cpu(), time.monotonic()
        tally, series = _soak(stack, asked)
        seconds = time.monotonic() - begun
        cpu = {name: spent - before[name] for name, spent in stack.cpu().items()}
    return _conclude(asked, tally, series, seconds, cpu)


def _warm_up(port: int) -> None:
    """Send until everything genuine is admitted: a new replay store refuses what was signed in its first seconds."""
    sender = Sender(port, seed="warm up", attack_share=0, phones=4)
    ends = time.monotonic() + WARM_UP_S
    while (tally := sender.batch(16)).faults:
        if time.monotonic() > ends:
            message = f"the gate does not admit: {tally.told}"
            raise RuntimeError(message)
        time.sleep(0.5)
    sender.close()


def _soak(stack: Stack, asked: argparse.Namespace) -> tuple[Tally, Series]:
    """Let the senders send, and gather what they say."""
    context = multiprocessing.get_context("spawn")
    pipes: list[Connection] = []
    processes = []
    for number in range(SENDERS):
        ours, theirs = context.Pipe()
        share = asked.requests / (asked.minutes * 60) / SENDERS
        words = (theirs, stack.port, f"{asked.seed}-{number}", asked.attacks, share)
        processes.append(context.Process(target=send_for_ever, args=words, daemon=True))
        processes[-1].start()
        theirs.close()
        pipes.append(ours)
    try:
        return _gather(stack, asked, pipes)
    finally:
        for process in processes:
            process.terminate()
            process.join(10)


def _gather(stack: Stack, asked: argparse.Namespace, pipes: Sequence[Connection]) -> tuple[Tally, Series]:
    tally, series = Tally(), Series()
    begun = looked = said = time.monotonic()
    series.look(stack.gate_workers, 0.0)
    while tally.sent < asked.requests and time.monotonic() - begun < asked.minutes * 60 + PATIENCE_S:
        for pipe in multiprocessing.connection.wait(pipes, timeout=1.0):
            tally.add(cast("Connection", pipe).recv())
        now = time.monotonic()
        if now - looked >= LOOK_EVERY_S:
            looked = now
            series.look(stack.gate_workers, now - begun)
        if now - said >= SAY_EVERY_S:
            said = now
            print(f"{now - begun:5.0f} s  {tally.sent:>9} sent, {tally.sent / (now - begun):.0f} a second", flush=True)
    series.look(stack.gate_workers, time.monotonic() - begun)
    return tally, series


def _conclude(asked: argparse.Namespace, tally: Tally, series: Series, seconds: float, cpu: dict[str, float]) -> int:
    missing = set(KINDS) - tally.kinds.keys()
    print(
        f"{tally.sent} requests in {seconds:.0f} s ({tally.sent / seconds:.0f} a second), of them {tally.attacks}"
        f" attacks of {len(tally.kinds)} kinds, each at least {min(tally.kinds.values(), default=0)} times\n"
        f"false accepts {tally.false_accepts}, false refusals {tally.false_refusals},"
        f" refusals that are not the stored one {tally.wrong_refusals}"
    )
    print("us of CPU a request: " + ", ".join(f"{name} {spent / tally.sent * 1e6:.0f}" for name, spent in cpu.items()))
    print(series.text())
    for pid, (rise, level) in series.growth().items():
        print(f"worker {pid}: {rise / 1e6:+.2f} MB over the second half ({'level' if level else 'GROWS'})")
    for pid in series.samples.keys() - series.growth().keys():
        print(f"worker {pid}: not judged, by {len(series.samples[pid])} samples")
    for line in tally.told:
        print(f"  {line}")
    kept = [
        ("every answer as stored", not tally.faults),
        ("as many requests as asked for", tally.sent >= asked.requests),
        ("every kind of attack", not missing or tally.sent < len(KINDS) * 200),
        *series.verdicts(long=asked.requests >= FULL or seconds >= LONG_S),
    ]
    _write(asked, tally, series, seconds, dict(kept))
    for what, held in kept:
        print(f"{what}: {'holds' if held else 'DOES NOT HOLD'}")
    return 0 if all(held for _, held in kept) else 1


def _write(asked: argparse.Namespace, tally: Tally, series: Series, seconds: float, kept: dict[str, bool]) -> None:
    OUTPUT.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {
        "seed": asked.seed,
        "requests": tally.sent,
        "attacks": tally.attacks,
        "kinds": dict(sorted(tally.kinds.items())),
        "seconds": round(seconds, 1),
        "false_accepts": tally.false_accepts,
        "false_refusals": tally.false_refusals,
        "wrong_refusals": tally.wrong_refusals,
        "private_bytes": {str(pid): [octets for _, octets in found] for pid, found in series.samples.items()},
        "kept": kept,
    }
    (OUTPUT / "soak.json").write_text(json.dumps(found, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
