"""`bonafide gate`: granian with the gate's callable, on a Unix socket or an address.

SIGHUP reads the file again and replaces the workers one by one; a file that is not good changes nothing.
SIGTERM lets requests in hand end. A worker that dies is replaced; the parent never handles a request.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import logging.config
import os
import shutil
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from granian.constants import HTTPModes, Interfaces, RuntimeModes
from granian.server import Server

from bonafide.errors import ConfigurationError
from bonafide.gate import snapshot
from bonafide.gate.identity import read_gate_key
from bonafide.gate.poller import own_state
from bonafide.gate.replay import open_store
from bonafide.reasons import configuration as reasons
from bonafide.stores.admission_keys import read_admission_key

if TYPE_CHECKING:
    from bonafide.gate.config import GateConfig

SOCKET_MODE: Final = 0o660
"""Owner and group: put the proxy's user into the gate's group."""

_TARGET: Final = "bonafide.gate.worker:application"
_STOP_WITHIN_S: Final = 10
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

    Raises `ConfigurationError` before anything listens.
    """
    logging.config.dictConfig(LOGGING)
    config, taken = snapshot.take(path)
    require_startable(config)
    finish_before_reading()
    os.environ[snapshot.VARIABLE] = taken
    counters = _counters(config.state_dir)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(counters)
    server = _server(config)

    def reload() -> None:
        try:
            fresh, text = snapshot.take(path)
            require_startable(fresh)
        except ConfigurationError as refusal:
            _log.critical("the gate's file is not good, and the old one stands: %s", refusal.detail)
            return
        if (fresh.listen, fresh.workers, fresh.state_dir) != (config.listen, config.workers, config.state_dir):
            _log.warning("listen, workers and state_dir change with a restart, not with a reload")
        os.environ[snapshot.VARIABLE] = text

    server.on_reload(reload)
    try:
        server.serve()
    finally:
        shutil.rmtree(counters, ignore_errors=True)


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
    own_state(config)
    read_gate_key(config.key_file)
    for upstream in config.upstreams:
        read_admission_key(upstream.key_file)
    store = open_store(config)
    try:
        store.require_ready(now=time.time())
    finally:
        store.close()


def _server(config: GateConfig) -> Any:
    where: dict[str, Any] = {}
    if config.socket is not None:
        _clear(config.socket)
        where = {"uds": config.socket, "uds_permissions": SOCKET_MODE}
    else:
        host, port = config.address
        where = {"address": host, "port": port}
    return Server(
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
        respawn_failed_workers=True,
        respawn_interval=0.2,
        workers_kill_timeout=_STOP_WITHIN_S,
        log_dictconfig=LOGGING,
        log_access=False,
        **where,
    )


def _clear(socket: Path) -> None:
    """Remove the socket of a gate that was killed; anything else under that name is not ours to remove."""
    try:
        status = socket.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise ConfigurationError(reasons.SETTING_MALFORMED, f"{socket} is there, and is no socket")
    socket.unlink()


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
