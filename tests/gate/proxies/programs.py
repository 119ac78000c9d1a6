"""Real proxies on loopback, each with a configuration written by `bonafide.gate.proxies`."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

START_S: Final = 20.0


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Tell whether somebody accepts connections at this port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@dataclass(slots=True)
class Program:
    """A server that runs until it is stopped."""

    command: Sequence[str]
    ports: Sequence[int]
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return once it listens."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=log, start_new_session=True, env=os.environ | self.environment
            )
        deadline = time.monotonic() + START_S
        while not all(listens(port) for port in self.ports):
            alive = self.process.poll() is None and time.monotonic() < deadline
            assert alive, self.log.read_text(errors="replace")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it, and what it started."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(5)
        self.process = None


def nginx(program: Path, directory: Path, *, http: str, servers: str, ports: Sequence[int]) -> Program:
    """Return an Nginx with these texts in http { }, not started. One process, as whoever runs the tests."""
    for name in ("body", "proxy", "fastcgi", "uwsgi", "scgi"):
        (directory / f"nginx-{name}").mkdir(exist_ok=True)
    paths = "\n".join(
        f"{name}_temp_path {directory}/nginx-{short};"
        for name, short in (
            ("client_body", "body"),
            ("proxy", "proxy"),
            ("fastcgi", "fastcgi"),
            ("uwsgi", "uwsgi"),
            ("scgi", "scgi"),
        )
    )
    configuration = directory / "nginx.conf"
    configuration.write_text(
        f"daemon off;\nmaster_process off;\npid {directory}/nginx.pid;\nerror_log {directory}/nginx-error.log info;\n"
        f"events {{ worker_connections 256; }}\nhttp {{\n{paths}\n{http}\n"
        f"access_log {directory}/access.log bonafide;\n{servers}\n}}\n"
    )
    return Program(
        [str(program), "-e", f"{directory}/nginx-error.log", "-c", str(configuration)], ports, directory / "nginx.log"
    )
