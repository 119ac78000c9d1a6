"""The programs of a run: Nginx, Redis, the gate and other servers, on loopback, in one directory.

Each is started in a session of its own and stopped by its process id.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.gate.accounting import family
from bonafide.gate.proxies import Address, Front, Site
from bonafide.gate.proxies.nginx import http_level, server_level
from bonafide.http import Origins
from bonafide.routes import parse_rules

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HOST: Final = "api.example.com"
ROOT: Final = Path(__file__).resolve().parents[2]
START_S: Final = 30.0
STOP_S: Final = 10.0


@dataclass(slots=True)
class Program:
    """A server that runs until it is stopped. `listens` are ports of loopback or paths of sockets."""

    command: Sequence[str]
    listens: Sequence[int | Path]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return once it listens."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - this project's own programs
                self.command,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}", **self.environment},
            )
        ends = time.monotonic() + START_S
        while not all(_accepts(place) for place in self.listens):
            if self._process.poll() is not None or time.monotonic() > ends:
                self.stop()
                message = f"{self.command[:4]} did not start: {self.log.read_text(errors='replace')[-2000:]}"
                raise RuntimeError(message)
            time.sleep(0.05)

    @property
    def pids(self) -> list[int]:
        """The process and its children."""
        return [] if self._process is None else family(self._process.pid)

    @property
    def pid(self) -> int:
        """The process that was started."""
        return self.pids[0]

    def stop(self) -> None:
        """End it, and what it started."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(STOP_S)


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def require(program: str, apt: str) -> str:
    """Return where a program of the system is, or say how to get it."""
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        message = f"{program} is missing. Type: apt-get install --yes --no-install-recommends {apt}"
        raise SystemExit(message)
    return found


def nginx(directory: Path, name: str, *, http: str, server: str) -> tuple[Program, int]:
    """Return an Nginx of one process with these texts in http { } and server { }, not started, and its port."""
    port = free_port()
    temporary = "\n".join(
        f"{kind}_temp_path {directory}/{name}-temp;" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = directory / f"{name}.conf"
    configuration.write_text(
        f"daemon off;\nmaster_process off;\npid {directory}/{name}.pid;\nworker_rlimit_nofile 4096;\n"
        f"events {{ worker_connections 1024; }}\nhttp {{\n{temporary}\n{http}\n"
        f"access_log off;\nkeepalive_requests 1000000000;\nkeepalive_timeout 1h;\n"
        f"server {{\nlisten 127.0.0.1:{port} backlog=1024;\nserver_name {HOST};\n{server}\n}}\n}}\n"
    )
    log = directory / f"{name}.log"
    return Program([require("nginx", "nginx-light"), "-e", str(log), "-c", str(configuration)], [port], log), port


def behind_gate(gate: Path, api: Path, rules: Sequence[Mapping[str, object]]) -> tuple[str, str]:
    """Return the two texts that `bonafide nginx` would write for a gate and an API on these sockets."""
    site = Site(
        name="api",
        origins=tuple(Origins([f"https://{HOST}"])),
        backend=Address(path=str(api)),
        routes=parse_rules(rules),
    )
    front = Front(gate=Address(path=str(gate)), service=None, sites=(site,))
    return http_level(front), server_level(front, site)


def in_front(api: Path) -> tuple[str, str]:
    """Return the texts of an Nginx that hands everything on to an API, and asks nobody."""
    http = f"upstream api {{ server unix:{api}; }}\n"
    server = (
        "location / {\nproxy_pass http://api;\nproxy_http_version 1.1;\nproxy_set_header Host $http_host;\n"
        "proxy_set_header Connection close;\nproxy_set_header X-Forwarded-For $remote_addr;\n"
        "proxy_set_header X-Forwarded-Proto $scheme;\n}"
    )
    return http, server


def answering(api: Path) -> str:
    """Return the server { } of an API that answers 204 by itself: what stands behind the contenders' Nginx."""
    return f"server {{ listen unix:{api}; location / {{ return 204; }} }}"


def redis(directory: Path) -> tuple[Program, Path]:
    """Return a Redis on a Unix socket that keeps everything in memory, not started."""
    path = directory / "redis.sock"
    options = {"port": "0", "unixsocket": str(path), "save": "", "appendonly": "no", "dir": str(directory)}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return Program([require("redis-server", "redis-server"), *words], [path], directory / "redis.log"), path


def python(module: str, arguments: Sequence[str], listens: Path, log: Path, **environment: str) -> Program:
    """Return one of this project's servers, not started."""
    return Program([sys.executable, "-m", module, *arguments], [listens], log, environment)


def _accepts(place: int | Path) -> bool:
    kind = socket.AF_UNIX if isinstance(place, Path) else socket.AF_INET
    with closing(socket.socket(kind)) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(place) if isinstance(place, Path) else ("127.0.0.1", place))
        except OSError:
            return False
    return True
