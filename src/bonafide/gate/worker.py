"""The one callable that a gate's workers serve (WSGI), and how each worker makes it.

/admit     what a proxy asks: 204, or a refusal
/health    200 while this worker answers
/ready     200 while what it knows is fresh, else 503
/metrics   counters of all workers; 503 where their files are gone
"""

from __future__ import annotations

import gc
import logging
import os
import secrets
import signal
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from bonafide import dpop_answer
from bonafide.errors import ConfigurationError
from bonafide.gate import snapshot
from bonafide.gate.identity import read_gate_key
from bonafide.gate.judge import Judge, Passed
from bonafide.gate.observing import Observing, exposition
from bonafide.gate.poller import LOOK_EVERY_S, Poller, own_state
from bonafide.gate.provisioned import Provisioned
from bonafide.gate.rates import Rates
from bonafide.gate.replay import open_store
from bonafide.problem import RETRY_SPREAD_S, Problem
from bonafide.stores.admission_keys import read_admission_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bonafide.gate.config import GateConfig
    from bonafide.gate.judge import Refused

    StartResponse = Callable[[str, list[tuple[str, str]]], object]

PROVISION_WITHIN_S: Final = 5.0
"""How long a worker that starts waits for the service's word, before it serves refusals."""

COLLECT_AFTER: Final = 20_000
"""How many more objects there are before Python looks for cycles among the newest; by itself it is 700."""

END_WITHIN_S: Final = 2.0
"""How long requests in hand have when the parent was killed."""

_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_EMPTY: Final[tuple[bytes, ...]] = (b"",)
_LINES: Final = {
    200: "200 OK",
    401: "401 Unauthorized",
    403: "403 Forbidden",
    404: "404 Not Found",
    503: "503 Service Unavailable",
}

_log: Final = logging.getLogger("bonafide.gate")


class GateWorker:
    """One worker of a gate. Raises `ConfigurationError` for parts that it cannot start with."""

    def __init__(self, config: GateConfig) -> None:
        """Open what the worker needs, and begin to listen for the service's word."""
        own_state(config)
        self._poller = Poller(config, read_gate_key(config.key_file))
        self._provisioned = Provisioned(config, clock=time.time, on_unknown_key=self._poller.hurry)
        self._observing = Observing()
        store = open_store(config)
        try:
            store.require_ready(now=time.time())
        except ConfigurationError as refusal:  # it was ready when the gate was started, and refuses proofs by itself
            _log.critical("the replay store is not ready: %s: %s", refusal.reason.code, refusal.detail)
        self._judge = Judge(
            config,
            keys={upstream.name: read_admission_key(upstream.key_file) for upstream in config.upstreams},
            provisioned=self._provisioned,
            replay=store,
            rates=Rates(config.limits, timeout=config.store_timeout),
        )
        threading.Thread(target=self._poller.run, args=(self._provisioned,), daemon=True, name="poller").start()
        threading.Thread(target=self._watch, daemon=True, name="observer").start()
        self._await_provision()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = environ["PATH_INFO"]
        if path == "/admit":
            return self._admit(environ, start_response)
        if path == "/health":
            return _plain(start_response, 200, b"alive\n")
        if path == "/ready":
            stale = self._provisioned.is_stale()
            return _plain(start_response, 503, b"stale\n") if stale else _plain(start_response, 200, b"ready\n")
        if path == "/metrics":
            return self._metrics(start_response)
        return _plain(start_response, 404, b"")

    def _admit(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        outcome = self._judge.judge(environ, datetime.now(UTC))
        if isinstance(outcome, Passed):
            start_response("204 No Content", [("Bonafide-Admission", outcome.statement), *_for_client(outcome)])
            self._observing.passed(outcome)
            return _EMPTY
        status, fields = _refusal(outcome)
        start_response(_LINES[status], fields)
        self._observing.refused(outcome)
        return _EMPTY

    def _metrics(self, start_response: StartResponse) -> Iterable[bytes]:
        try:
            self._observing.write()
            counters = exposition()
        except Exception:  # noqa: BLE001 - whatever the library or the system says of its files, a gate goes on without
            _log.exception("the counters cannot be read")
            return _plain(start_response, 503, b"no counters\n")
        return _plain(start_response, 200, counters)

    def _await_provision(self) -> None:
        """Wait a moment for the first word: a worker that replaces another must not begin with refusals."""
        ends = time.monotonic() + PROVISION_WITHIN_S
        while self._provisioned.is_stale() and time.monotonic() < ends:
            time.sleep(0.02)
        if self._provisioned.is_stale():
            _log.error("the service has not said anything yet: every proof is refused until it does")

    def _watch(self) -> None:
        while True:
            try:
                self._observing.look(self._provisioned, datetime.now(UTC))
            except Exception:  # noqa: BLE001 - a thread that ended would leave broken glass without an alarm
                _log.exception("looking for what is to be shown failed")
            time.sleep(LOOK_EVERY_S)


def application() -> GateWorker:
    """Make the callable from the snapshot that the gate's parent process took of its file."""
    _end_with_parent()
    worker = GateWorker(snapshot.restore(os.environ[snapshot.VARIABLE]))
    _settle()
    return worker


def _settle() -> None:
    """Spare the collector what stays: judging a request leaves no cycles behind, and nearly nothing to look at."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 20)


def _end_with_parent() -> None:
    """End this worker gracefully when its parent is gone: it would go on with an old file, out of everybody's reach."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_EVERY_S)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(END_WITHIN_S)
        os._exit(1)  # Python hears of a signal only where its main thread runs; whoever asked has gone anyway

    threading.Thread(target=watch, daemon=True, name="lifeline").start()


def _refusal(refused: Refused) -> tuple[int, list[tuple[str, str]]]:
    reason = refused.denied.reason
    problem = Problem(
        status=reason.status,
        action=reason.action,
        record=refused.record,
        retry_after=refused.retry_after,
        jitter=secrets.randbelow(RETRY_SPREAD_S),
    )
    status = _UNAUTHORIZED if reason.status == _UNAUTHORIZED else _FORBIDDEN
    fields = {"Bonafide-Status": str(reason.status), "Content-Length": "0"} | problem.fields() | dict(refused.added)
    return status, list(fields.items())


def _for_client(passed: Passed) -> list[tuple[str, str]]:
    """Return the nonce for the client's next DPoP proof, which the proxy puts on the API's answer."""
    return [field for field in passed.added if field[0] == dpop_answer.NONCE]


def _plain(start_response: StartResponse, status: int, body: bytes) -> Iterable[bytes]:
    start_response(_LINES[status], [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")])
    return (body,)
