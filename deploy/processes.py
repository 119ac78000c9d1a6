"""One program that runs until it is ended: by itself, with everything that it started, as systemd would do it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any, Final

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

HOST: Final = "127.0.0.1"
START_S: Final = 60.0
STOP_S: Final = 20.0
_LOOK_S: Final = 0.02
_LAST_OCTETS: Final = 4000


class Failed(Exception):
    """A program is not there, did not start, or a command ended with an error."""


@dataclass(slots=True, kw_only=True)
class Process:
    """A program in a process group of its own. Its command, files and ports stay the same over restarts.

    `ready` tells whether it serves. `environment` is added to the one of this process; `options` are Popen's, e.g.
    `user`.
    """

    name: str
    command: Sequence[str | Path]
    directory: Path
    ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    _running: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What it wrote, over all its lives."""
        return self.directory / f"{self.name}.log"

    @property
    def pid(self) -> int:
        """The first process of the group. Raises `Failed` where none runs."""
        if self._running is None:
            message = f"{self.name} does not run"
            raise Failed(message)
        return self._running.pid

    @property
    def group(self) -> tuple[int, ...]:
        """Every process of the group that runs now."""
        return () if self._running is None else members(self._running.pid)

    @property
    def workers(self) -> tuple[int, ...]:
        """Every process of the group but the first."""
        return () if self._running is None else tuple(pid for pid in self.group if pid != self._running.pid)

    def launch(self) -> None:
        """Start it, and return at once."""
        with self.log.open("ab") as log:
            self._running = subprocess.Popen(  # noqa: S603 - our own programs, with arguments that we made
                [str(word) for word in self.command],
                cwd=self.directory,
                env=environment(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self.options,
            )

    def wait(self, within: float = START_S) -> None:
        """Return when it is ready. Raises `Failed`, and ends it, where it ended or took too long."""
        self.wait_until(self.ready, within)

    def wait_until(self, told: Callable[[], bool], within: float = START_S) -> None:
        """Return when `told()` is true of it. Raises as `wait`."""
        ends = time.monotonic() + within
        while time.monotonic() < ends and self._running is not None and self._running.poll() is None:
            with suppress(OSError, httpx.TransportError):
                if told():
                    return
            time.sleep(_LOOK_S)
        self.kill()
        message = f"{self.name} did not start:\n{self.said()}"
        raise Failed(message)

    def start(self) -> None:
        """Start it, and return when it is ready."""
        self.launch()
        self.wait()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int | None:
        """End it as an operator does, and whatever of it is left after a while; return its exit code."""
        if self._running is None:
            return None
        self.resume()
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)
        with suppress(subprocess.TimeoutExpired):
            self._running.wait(STOP_S)
        return self.kill()

    def kill(self) -> int | None:
        """SIGKILL to the whole group, as where its machine lost power; return once none of it is left."""
        if self._running is None:
            return None
        self.signal_all(signal.SIGKILL)
        code = self._running.wait(STOP_S)
        ends = time.monotonic() + STOP_S
        while members(self._running.pid) and time.monotonic() < ends:
            time.sleep(0.01)  # whom the first one started may still hold the port when it has gone
        self._running = None
        return code

    def kill_first(self) -> None:
        """SIGKILL to the first process alone; what it started is left to itself."""
        os.kill(self.pid, signal.SIGKILL)
        if self._running is not None:
            self._running.wait(STOP_S)

    def restart(self) -> None:
        """End it and start it again."""
        self.stop()
        self.start()

    def reload(self) -> None:
        """Have it read its files again (SIGHUP)."""
        os.kill(self.pid, signal.SIGHUP)

    def pause(self) -> None:
        """Stop every process of the group where it stands (SIGSTOP); connections stay open and say nothing."""
        self.signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let them go on (SIGCONT)."""
        self.signal_all(signal.SIGCONT)

    def signal_all(self, number: signal.Signals) -> None:
        """Send the whole group a signal."""
        if self._running is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._running.pid, number)

    def said(self) -> str:
        """Return the end of its log."""
        try:
            return self.log.read_bytes()[-_LAST_OCTETS:].decode("utf-8", "replace")
        except FileNotFoundError:
            return ""


def members(group: int) -> tuple[int, ...]:
    """Return the processes of a process group that run now, zombies left out."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                state, _, pgrp = (entry / "stat").read_text().rpartition(") ")[2].split()[:3]
                if int(pgrp) == group and state != "Z":
                    found.append(int(entry.name))
    return tuple(sorted(found))


def run(*words: str | Path, within: float = START_S, **options: Any) -> str:
    """Run a command to its end and return what it printed. Raises `Failed` with that where it ended with an error."""
    options.setdefault("env", environment({}))
    ended: subprocess.CompletedProcess[str] = subprocess.run(  # noqa: S603 - our own programs, with arguments that we made
        [str(word) for word in words], capture_output=True, text=True, check=False, timeout=within, **options
    )
    if ended.returncode:
        message = f"{' '.join(map(str, words[:4]))} ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}"
        raise Failed(message)
    return ended.stdout + ended.stderr


def find(program: str, *, apt: str) -> Path:
    """Return where a program is. Raises `Failed` with the line that installs it."""
    postgresql = sorted(str(path) for path in Path("/usr/lib/postgresql").glob("*/bin"))[::-1]
    found = which(program, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", *postgresql]))
    if found is None:
        message = f"{program} is missing. Type: apt-get install --yes --no-install-recommends {apt}"
        raise Failed(message)
    return Path(found)


def environment(added: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment without what would tell Django or Bonafide of another project."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "BONAFIDE_"))}
    return kept | {"PYTHONUNBUFFERED": "1"} | dict(added)


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Tell whether somebody accepts connections at this port."""
    with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


def listens_at(path: Path) -> bool:
    """Tell whether somebody accepts connections at this Unix socket. httpcore would leave a failed one open."""
    with suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        probe.connect(str(path))
        return True
    return False
