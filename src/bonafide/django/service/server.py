"""The two listeners under granian, and the process that holds them together.

    bonafide serve ── worker … worker          the public listener
                   └─ console ── worker        the operator's listener, a program of its own

Rules of this file: nobody outlives the first process, however it ends; and on SIGTERM and SIGINT it ends when the
requests in flight are answered, those of both listeners at once.
"""

from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings

from bonafide.django.service import logs
from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bonafide.django.service.home import Home
    from bonafide.django.service.service_file import Listener

logger: Final = logging.getLogger("bonafide.serve")

SETTINGS: Final = "bonafide.django.service.settings"
CONSOLE_SETTINGS: Final = "bonafide.django.service.console_settings"
METRICS_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"

_CONSOLE_THREADS: Final = 4
_BACKPRESSURE: Final = 256
_RESTART_S: Final = 1.0
_WATCH_S: Final = 0.5
_CTRL_C: Final = (signal.SIGINT,)
"""What a terminal sends to all processes at once. Only the first one hears it, and ends the others by SIGTERM: a worker
of granian that hears two signals hangs."""

_HEADER_MS: Final = 10_000
_BUFFER_BYTES: Final = 128 * 1024


def serve(home: Home, *, listen: Listener, console: Listener, workers: int) -> None:
    """Serve until SIGTERM or SIGINT, within `metrics_directory`. Nothing of Django's may be open in this process.

    Raises `ConfigurationError` (`configuration.setting_malformed`) where somebody listens already.
    """
    for listener in (listen, console):
        require_free(listener)
    server = _server(
        "public_application", listen, workers=workers, threads=home.says.threads, stop_within=home.says.stop_within
    )
    with _console(console) as keeper:
        server.on_startup(lambda: _on_ending(keeper.end))
        server.serve()


def serve_console(listener: Listener, *, stop_within: int, parent: int) -> None:
    """Serve the operator's listener: the whole of a process that `serve` starts as `parent`, and that ends with it."""
    logs.apply()
    _end_with(parent)
    server = _server("console_application", listener, workers=1, threads=_CONSOLE_THREADS, stop_within=stop_within)
    server.serve()


def public_application() -> Any:
    """Return what a worker of the public listener runs."""
    _be_a_worker()
    from bonafide.django.service.wsgi import application  # noqa: PLC0415 - in the worker, after the fork

    return application


def console_application() -> Any:
    """Return what the worker of the operator's listener runs."""
    _be_a_worker()
    from bonafide.django.service.wsgi import application  # noqa: PLC0415, I001 - in the worker, and before what wants Django
    from bonafide.django.service import caretaker  # noqa: PLC0415 - which is set up now

    caretaker.start()
    return application


def require_free(listener: Listener) -> None:
    """Refuse an address on which somebody listens; remove the socket file of a server that died.

    Granian shares a port with whoever has it, so two services would silently take turns.

    Raises `ConfigurationError` (`configuration.setting_malformed`).
    """
    family = socket.AF_UNIX if listener.socket else socket.AF_INET6 if ":" in listener.address else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            if listener.socket is None:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((listener.address, listener.port))
            elif listener.socket.exists():
                # Only a socket on which nobody listens is removed, and nothing else that has this name.
                if probe.connect_ex(str(listener.socket)) != errno.ECONNREFUSED or not listener.socket.is_socket():
                    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
                listener.socket.unlink(missing_ok=True)
    except OSError as error:
        detail = f"cannot listen on {listener}: {os.strerror(error.errno or 0)}"
        raise ConfigurationError(reasons.SETTING_MALFORMED, detail) from None


def _server(factory: str, listener: Listener, *, workers: int, threads: int, stop_within: int) -> Any:
    place: dict[str, Any] = {"address": listener.address, "port": listener.port}
    if listener.socket is not None:
        # The proxy of the public listener runs under another account, in our group. The operator is who we are.
        place = {"uds": listener.socket, "uds_permissions": 0o660 if factory == "public_application" else 0o600}
    return Granian(
        f"{__name__}:{factory}",
        factory=True,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=threads,
        backpressure=_BACKPRESSURE,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=_HEADER_MS, max_buffer_size=_BUFFER_BYTES),
        websockets=False,
        log_dictconfig=logs.configuration(),
        respawn_failed_workers=True,
        workers_kill_timeout=stop_within,
        **place,
        **_static_files(factory),
    )


def _static_files(factory: str) -> dict[str, Any]:
    if factory != "console_application":
        return {}
    admin = find_spec("django.contrib.admin")  # found, not imported: that wants settings
    if admin is None or admin.origin is None:
        return {}
    return {"static_path_route": ["/static"], "static_path_mount": [Path(admin.origin).parent / "static"]}


@contextmanager
def metrics_directory() -> Iterator[None]:
    """Give all processes of this service one place for their counts, which ends with it.

    Enter it before anything imports prometheus_client, which looks for that place once.
    """
    place = tempfile.mkdtemp(prefix="bonafide-metrics-")
    os.environ[METRICS_VARIABLE] = place
    try:
        yield
    finally:
        del os.environ[METRICS_VARIABLE]
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _console(listener: Listener) -> Iterator[_Keeper]:
    """Keep the operator's listener running beside the public one, and have it end with it."""
    address = str(listener).removeprefix("http://")
    program = [sys.executable, "-P", "-m", "bonafide.django.service.console_process"]
    keeper = _Keeper([*program, address, str(os.getpid())])
    keeper.start()
    try:
        yield keeper
    finally:
        keeper.stop()


class _Keeper:
    """Starts a program, and starts it again when it ends by itself."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._owner = os.getpid()
        self._turn = threading.RLock()  # a signal's handler may come while its own thread holds it
        self._ending = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name="bonafide-console", daemon=True)

    def start(self) -> None:
        """Start it, and watch it from now on."""
        self._process = self._open()
        self._thread.start()

    def end(self) -> None:
        """End it gracefully, without waiting. A worker that was forked while we watch ends nothing of ours."""
        if os.getpid() != self._owner:
            return
        with self._turn:
            self._ending.set()
            if self._process is not None:
                with suppress(ProcessLookupError):
                    self._process.terminate()

    def stop(self) -> None:
        """End it gracefully, and wait."""
        self.end()
        self._thread.join()

    def _keep(self) -> None:
        while self._process is not None:
            code = self._process.wait()
            if self._ending.wait(_RESTART_S):
                return
            with self._turn:
                if self._ending.is_set():  # since we stopped waiting; whoever set it ended the one before
                    return
                logger.critical("the operator's listener ended with %d and is started again", code)
                self._process = self._open()

    def _open(self) -> subprocess.Popen[bytes]:
        environ = os.environ | {"DJANGO_SETTINGS_MODULE": CONSOLE_SETTINGS}
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _CTRL_C)  # which is inherited
        try:
            return subprocess.Popen(self._command, env=environ, stdin=subprocess.DEVNULL)  # noqa: S603 - our own program
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _on_ending(act: Callable[[], None]) -> None:
    """Run `act` on SIGTERM and SIGINT too, before the handlers that stand."""

    def before(then: Any) -> Callable[[int, Any], None]:
        def handle(number: int, frame: Any) -> None:
            act()
            then(number, frame)

        return handle

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, before(signal.getsignal(number)))


def _be_a_worker() -> None:
    """In a worker, on its first thread, before it has others: have the first process decide when this one ends."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _CTRL_C)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # until granian's; a fork inherits that of the first process
    first = multiprocessing.parent_process()
    if first is not None and first.pid is not None:
        _end_with(first.pid)


def _end_with(parent: int) -> None:
    """End this process gracefully when its parent is gone: a server that was killed must not leave one behind.

    Who the parent is must be handed over: whoever asks for it late may be told of another.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH_S)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="bonafide-lifeline", daemon=True).start()
