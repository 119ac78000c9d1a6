"""Granian with the options that `bonafide.gate.serve` gives it, for what is compared with a gate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from granian.constants import HTTPModes, Interfaces, RuntimeModes
from granian.server import Server

from bonafide.gate.serve import finish_before_reading

if TYPE_CHECKING:
    from pathlib import Path

THREADS: Final = 1
"""A gate's default (`threads`) where it waits for no store."""


def serve(target: str, path: Path, *, interface: str = "wsgi", threads: int = THREADS, workers: int = 1) -> None:
    """Serve a target (a factory, for WSGI) on a Unix socket until a signal ends it."""
    finish_before_reading()
    Server(
        target,
        uds=path,
        uds_permissions=0o660,
        interface=Interfaces(interface),
        factory=interface == "wsgi",
        http=HTTPModes.http1,
        websockets=False,
        workers=workers,
        blocking_threads=threads if interface == "wsgi" else None,
        runtime_mode=RuntimeModes.st,
        backlog=2048,
        backpressure=max(64, threads * 16),
        log_access=False,
    ).serve()
