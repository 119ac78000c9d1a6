"""`bonafide gate`: granian with the gate's callable, on a Unix socket or an address.

SIGHUP reads the file again and replaces the workers one by one; a file that is not good changes nothing. What decides
which replay store is asked, and by whom, changes with a restart only: workers of the old file and of the new one
serve side by side for a while, and each would admit what the other has seen.
SIGTERM lets requests in hand end. A worker that dies is replaced; the parent never handles a request.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import logging
import logging.config
import os
import shutil
import socket
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from granian.constants import HTTPModes, Interfaces, RuntimeModes
from granian.server.mp import MPServer

from bonafide.errors import ConfigurationError
from bonafide.gate import snapshot
from bonafide.gate.identity import read_gate_key
from bonafide.gate.poller import own_state
from bonafide.gate.rates import Rates
from bonafide.gate.replay import open_store
from bonafide.reasons import configuration as reasons
from bonafide.stores.admission_keys import read_admission_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from bonafide.gate.config import GateConfig

SOCKET_MODE: Final = 0o660
"""Owner and group: put the proxy's user into the gate's group."""

FIXED: Final = ("listen", "workers", "state_dir", "replay_store", "hosts")
"""Keys that change with a restart. All but `listen` decide how many processes ask which store (`require_scope`)."""

RESPAWN_EVERY_S: Final = 1.0
"""A worker that dies as soon as it is started is started again no sooner than this after the last time."""

PREDECESSOR_S: Final = 5.0
"""How long a gate waits for the workers of one whose first process was killed; they end within 2.5 s."""

_TARGET: Final = "bonafide.gate.worker:application"
_STOP_WITHIN_S: Final = 10
_LOOK_EVERY_S: Final = 0.1
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a directory of one's own in it, which nobody else has made
_log: Final = logging.getLogger("bonafide.gate")

LOGGING: Final[dict[str, Any]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "fmt": "%(levelname)s %(name)s %(process)d %(message)s",
            "rename_fields": {"levelname": "level", "name": "logger"},
            "timestamp": "time",
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {"httpx": {"level": "WARNING"}, "httpcore": {"level": "WARNING"}},
}


def serve(path: Path) -> None:
    """Serve the gate of this file until a signal ends it.

    Raises `ConfigurationError` before anything listens, also where a gate with this state directory is running.
    """
    logging.config.dictConfig(LOGGING)
    config, taken = snapshot.take(path)
    own_state(config)
    held = alone(config.state_dir)
    try:
        require_startable(config)
        finish_before_reading()
        os.environ[snapshot.VARIABLE] = taken
        counters = _counters(config.state_dir)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(counters)
        try:
            _parent(config, lambda: reload(path, config)).serve()
        finally:
            shutil.rmtree(counters, ignore_errors=True)
    finally:
        os.close(held)


def reload(path: Path, running: GateConfig) -> bool:
    """Take the file anew for the workers that are started from now on; tell whether it was good.

    Raises nothing: one that is not good changes nothing.
    """
    try:
        fresh, text = snapshot.take(path)
        for key in FIXED:
            if getattr(fresh, key) != getattr(running, key):
                _refuse(f"{key} changes with a restart, not with a reload")
        require_startable(fresh)
    except ConfigurationError as refusal:
        _log.critical("the gate's file is not good, and the old one stands: %s", refusal.detail)
        return False
    except Exception:  # noqa: BLE001 - whatever it is: a first process that ended here would end a gate that is well
        _log.critical("the gate's file cannot be judged, and the old one stands", exc_info=True)
        return False
    if fresh.threads != running.threads:
        _log.warning("threads change with a restart, not with a reload")
    os.environ[snapshot.VARIABLE] = text
    return True


def alone(state_dir: Path) -> int:
    """Hold the state directory for this process and the workers that it forks; return the descriptor that holds it.

    A second gate would remove the socket and the counters of the first. One whose first process was killed has ended
    when its last worker has, which this waits for.

    Raises `ConfigurationError` (`configuration.setting_malformed`) where another gate goes on.
    """
    descriptor = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    ends = time.monotonic() + PREDECESSOR_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= ends:
                os.close(descriptor)
                _refuse(f"another gate is running with the state directory {state_dir}")
            time.sleep(_LOOK_EVERY_S)
        else:
            return descriptor


def finish_before_reading() -> None:
    """Have this process, and those that it starts, finish what is in hand before they read what has come.

    A worker judges on one thread and reads on another. Left to itself the system interrupts the former whenever the
    latter has something to read, which is once a request and costs both a quarter more (`make bench-gate`). Under
    SCHED_BATCH (sched(7)) a thread that wakes waits until the other waits, or has had its turn of some milliseconds.
    """
    if hasattr(os, "SCHED_BATCH"):  # Linux
        with contextlib.suppress(OSError):  # a sandbox that forbids it takes CPU and nothing else
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def require_startable(config: GateConfig) -> None:
    """Refuse what a worker could not start with, while somebody is looking.

    Raises `ConfigurationError`.
    """
    try:
        own_state(config)
        read_gate_key(config.key_file)
        for upstream in config.upstreams:
            read_admission_key(upstream.key_file)
        Rates(config.limits, timeout=config.store_timeout)
        store = open_store(config)
        try:
            store.require_ready(now=time.time())
        finally:
            store.close()
    except OSError as error:  # a certificate that a store names, for one
        _refuse(f"{error.filename}: {error.strerror}")


class _Parent(MPServer):
    """Granian's first process, but for when it replaces workers.

    Granian ends where a worker dies twice within 5.5 s, and takes those along that are well; and on SIGHUP it
    replaces all of them, also where the new file was refused.
    """

    take_file: Callable[[], bool]
    reload_signal: bool

    def _serve_loop(self, spawn_target: Any, target_loader: Any) -> None:
        """Replace workers until a signal ends it.

        It looks instead of waiting: the event that granian waits for is set by its signal handlers, on this same
        thread, and where they interrupt it within the event's own methods, nobody ever goes on.
        """
        replaced_at: dict[int, float] = {}
        while True:
            time.sleep(_LOOK_EVERY_S)
            if self.interrupt_signal:
                break
            if self.reload_signal:
                self.reload_signal = False
                if self.take_file():
                    for number in range(self.workers):
                        self._replace(number, spawn_target, target_loader, delay=self.respawn_interval)
            for number, worker in enumerate(list(self.wrks)):
                moment = time.monotonic()
                last = replaced_at.get(number, -RESPAWN_EVERY_S)
                if moment - last >= RESPAWN_EVERY_S and not worker.is_alive():  # type: ignore[no-untyped-call]  # granian's
                    replaced_at[number] = moment
                    self._replace(number, spawn_target, target_loader)
        for worker in self.wrks:
            worker.interrupt_by_parent = True  # who stops a whole group signals workers too: they end as they should
        self.interrupt_children.clear()  # who died before was replaced: no reason to end with an error

    def _replace(self, number: int, spawn_target: Any, target_loader: Any, *, delay: float = 0) -> None:
        before = list(self.wrks)
        try:
            self._respawn_workers([number], spawn_target, target_loader, delay=delay)
        except OSError as problem:  # no process or no memory left: the one from before is looked at again
            self.wrks[:] = before
            _log.critical("worker-%d cannot be started: %s", number + 1, problem)


def _parent(config: GateConfig, take_file: Callable[[], bool]) -> Any:
    where: dict[str, Any] = {}
    if config.socket is not None:
        _clear(config.socket)
        where = {"uds": config.socket, "uds_permissions": SOCKET_MODE}
    else:
        host, port = config.address
        where = {"address": host, "port": port}
    parent = _Parent(
        _TARGET,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        factory=True,
        websockets=False,
        workers=config.workers,
        blocking_threads=config.threads,
        runtime_mode=RuntimeModes.st,  # one thread fewer to wake for each request
        backlog=2048,
        backpressure=max(64, config.threads * 16),
        respawn_interval=0.2,  # how long a new worker has before it is the only one
        workers_kill_timeout=_STOP_WITHIN_S,
        log_dictconfig=LOGGING,
        log_access=False,
        **where,
    )
    parent.take_file = take_file
    return parent


def _clear(path: Path) -> None:
    """Remove the socket of a gate that was killed; anything else under that name is not ours to remove."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        _refuse(f"{path} is there, and is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(0)
        if probe.connect_ex(str(path)) != errno.ECONNREFUSED:
            _refuse(f"somebody listens at {path}")
    path.unlink()


def _counters(state_dir: Path) -> Path:
    """Return an empty directory for the counters that workers share; they begin anew with the gate.

    In memory where the system has it: workers map these files, and the kernel ends whoever writes to a mapped file on a
    disk that is full (SIGBUS).
    """
    name = hashlib.sha256(os.fsencode(state_dir)).hexdigest()[:16]
    for place in (_MEMORY / f"bonafide-gate-{os.getuid()}-{name}", state_dir / "metrics"):
        shutil.rmtree(place, ignore_errors=True)
        try:
            place.mkdir(mode=0o700)
        except OSError:  # no such file system, or somebody else has the name
            continue
        return place
    raise ConfigurationError(reasons.SETTING_MALFORMED, f"{state_dir} takes no directory for counters")


def _refuse(why: str) -> NoReturn:
    raise ConfigurationError(reasons.SETTING_MALFORMED, why)
