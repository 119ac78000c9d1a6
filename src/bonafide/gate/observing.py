"""What a gate shows its operator: counters for Prometheus over all its workers, and one JSON object a line.

Rules of this file: a label takes values from closed lists only (routes, reasons, upstreams); no log line holds
a header, a target or a body. A refusal is logged under its record id, at most some hundreds a second in each worker:
above it they are counted and dropped.
"""

from __future__ import annotations

import logging
import os
import time
from itertools import count
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest, multiprocess

from bonafide.admission import Admitted, Denied, Exempt, Unproven

if TYPE_CHECKING:
    from datetime import datetime

    from bonafide.gate.judge import Passed, Refused, Verdict
    from bonafide.gate.provisioned import Provisioned

MAX_LOGGED_PER_SECOND: Final = 200
ALARM_EVERY_S: Final = 60.0

_log: Final = logging.getLogger("bonafide.gate.refusals")
_alarm: Final = logging.getLogger("bonafide.gate.openings")


class Observing:
    """One worker's counters and log."""

    def __init__(self) -> None:
        """Register the counters; in a process with PROMETHEUS_MULTIPROC_DIR they are shared with its siblings."""
        registry = CollectorRegistry()
        self._requests = Counter(
            "bonafide_gate_requests", "Requests judged.", ["upstream", "verdict"], registry=registry
        )
        self._refusals = Counter(
            "bonafide_gate_refusals",
            "Refusals, by whether they took effect.",
            ["reason", "enforced"],
            registry=registry,
        )
        self._confirmed = Gauge(
            "bonafide_gate_confirmed_timestamp_seconds",
            "When the service last confirmed keys and bans.",
            registry=registry,
            multiprocess_mode="livemin",
        )
        self._openings = Gauge(
            "bonafide_gate_openings",
            "Openings that stand now: broken glass.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._tallies: dict[tuple[str, str], _Tally] = {}
        self._second = 0
        self._logged = 0
        self._dropped = 0
        self._alarmed_at = -ALARM_EVERY_S

    def passed(self, outcome: Passed) -> None:
        """Count a request that goes on; write down a refusal that took no effect."""
        self._count(outcome.upstream, _name(outcome.verdict))
        if isinstance(outcome.verdict, Denied):
            self._refusal(outcome.verdict, outcome.record, outcome.upstream, enforced=False, opening=outcome.opening)

    def refused(self, outcome: Refused) -> None:
        """Count and write down a request that must not go on."""
        self._count(outcome.upstream, "refused")
        self._refusal(outcome.denied, outcome.record, outcome.upstream, enforced=True, opening=None)

    def write(self) -> None:
        """Write down what was counted since the last time."""
        for (upstream, verdict), tally in list(self._tallies.items()):
            self._requests.labels(upstream, verdict).inc(tally.take())

    def look(self, provisioned: Provisioned, now: datetime) -> None:
        """Show how old the service's word is, and sound the alarm while glass is broken. Called now and then."""
        self.write()
        self._confirmed.set(provisioned.confirmed_at)
        openings = provisioned.openings(now)
        self._openings.set(len(openings))
        moment = time.monotonic()
        if openings and moment - self._alarmed_at >= ALARM_EVERY_S:
            self._alarmed_at = moment
            for opening in openings:
                _alarm.critical(
                    "route %s is open until %s: %s (by %s)",
                    opening.route,
                    opening.until.isoformat(),
                    opening.because,
                    opening.by,
                )

    def _count(self, upstream: str, verdict: str) -> None:
        tally = self._tallies.get((upstream, verdict))
        if tally is None:
            tally = self._tallies.setdefault((upstream, verdict), _Tally())
        tally.add()

    def _refusal(self, denied: Denied, record: str, upstream: str, *, enforced: bool, opening: object) -> None:
        self._refusals.labels(denied.reason.code, str(enforced).lower()).inc()
        second = int(time.monotonic())
        if second != self._second:
            if self._dropped:
                _log.warning("refusals are not logged: too many", extra={"count": self._dropped})
            self._second, self._logged, self._dropped = second, 0, 0
        if self._logged >= MAX_LOGGED_PER_SECOND:
            self._dropped += 1
            return
        self._logged += 1
        _log.info(
            "refused" if enforced else "would be refused",
            extra={
                "record": record,
                "reason": denied.reason.code,
                "detail": denied.detail,
                "upstream": upstream,
                "route": None if denied.route is None else denied.route.match,
                "instance": denied.proven_instance,
                "enforced": enforced,
                "opened": opening is not None,
            },
        )


class _Tally:
    """Counts without a lock, on whatever thread: each step of an `itertools.count` is one, taken by nobody else.

    Written to the file that workers share it would cost as much as a limit, for each request.
    """

    def __init__(self) -> None:
        self._steps = count()
        self._taken = 0
        self._lock = Lock()
        self.add = self._steps.__next__

    def take(self) -> int:
        """Return how many were added since the last time."""
        with self._lock:
            at = next(self._steps)
            fresh, self._taken = at - self._taken, at + 1
            return fresh


def exposition() -> bytes:
    """Return the counters of all workers in Prometheus's text form, without what workers that are gone said of now."""
    for left in Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).glob("gauge_live*.db"):
        pid = left.stem.rpartition("_")[2]
        if not Path("/proc", pid).exists():
            left.unlink(missing_ok=True)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library's annotations end here
    return generate_latest(registry)


def _name(verdict: Verdict) -> str:
    return _NAMES[type(verdict)]


_NAMES: Final[dict[type[Verdict], str]] = {
    Admitted: "admitted",
    Exempt: "exempt",
    Unproven: "unproven",
    Denied: "observed",
}
