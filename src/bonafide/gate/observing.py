"""What a gate shows its operator: counters for Prometheus over all its workers, and one JSON object a line.

Rules of this file: a label takes values from closed lists only (routes, reasons, upstreams); no log line holds
a header, a target or a body. A refusal is logged under its record id, at most some hundreds a second in each worker:
above it they are counted and dropped. Whatever becomes of the counters' files, no request fails and the alarm sounds.
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
    from bonafide.opening import Opening
    from bonafide.reasons import Reason

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
        self._judged: dict[tuple[str, str], _Tally] = {}
        self._refused: dict[tuple[str, str], _Tally] = {}
        self._second = 0
        self._logged = 0
        self._dropped = 0
        self._alarmed_at = self._complained_at = -ALARM_EVERY_S
        self._forged: tuple[Reason, ...] = ()

    def passed(self, outcome: Passed) -> None:
        """Count a request that goes on; write down a refusal that took no effect."""
        _tally(self._judged, outcome.upstream, _name(outcome.verdict))
        if isinstance(outcome.verdict, Denied):
            self._refusal(outcome.verdict, outcome.record, outcome.upstream, enforced=False, opening=outcome.opening)

    def refused(self, outcome: Refused) -> None:
        """Count and write down a request that must not go on."""
        _tally(self._judged, outcome.upstream, "refused")
        self._refusal(outcome.denied, outcome.record, outcome.upstream, enforced=True, opening=None)

    def write(self) -> None:
        """Write down what was counted since the last time. Raises what the counters' files raise."""
        for counter, tallies in ((self._requests, self._judged), (self._refusals, self._refused)):
            for labels, tally in list(tallies.items()):
                written = counter.labels(*labels)  # first: what is taken from a tally must not be lost
                written.inc(tally.take())

    def look(self, provisioned: Provisioned, now: datetime) -> None:
        """Sound the alarm while glass is broken, and show how old the service's word is. Called now and then.

        Raises nothing: nobody would call again, and the alarm would be silent.
        """
        openings = provisioned.openings(now)
        self._sound(openings, provisioned.refused_openings)
        try:
            self.write()
            self._confirmed.set(provisioned.confirmed_at)
            self._openings.set(len(openings))
        except Exception:  # noqa: BLE001 - the library's own errors and the system's: the alarm must sound again
            moment = time.monotonic()
            if moment - self._complained_at >= ALARM_EVERY_S:
                self._complained_at = moment
                _alarm.exception("what is counted cannot be written down")

    def _sound(self, openings: tuple[Opening, ...], forged: tuple[Reason, ...]) -> None:
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
        if forged != self._forged:
            self._forged = forged
            for reason in forged:
                _alarm.critical("the service hands on an opening that opens nothing: %s", reason.code)

    def _refusal(self, denied: Denied, record: str, upstream: str, *, enforced: bool, opening: object) -> None:
        _tally(self._refused, denied.reason.code, "true" if enforced else "false")
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


def _tally(tallies: dict[tuple[str, str], _Tally], first: str, second: str) -> None:
    """Count one in memory, under the two labels: no request waits for a file."""
    tally = tallies.get((first, second))
    if tally is None:
        tally = tallies.setdefault((first, second), _Tally())
    tally.add()


def exposition() -> bytes:
    """Return the counters of all workers in Prometheus's text form, without what workers that are gone said of now.

    Raises what their files raise.
    """
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
