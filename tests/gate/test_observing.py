"""What is counted is counted once, whoever counts and whoever writes it down; where nobody can, nothing else fails."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

from bonafide import opening
from bonafide.admission import Denied
from bonafide.gate.judge import Refused
from bonafide.gate.observing import Observing, _Tally
from bonafide.reasons import request as request_reasons
from tests.gate import test_provisioned
from tests.gate.service import SERVICE_KEY
from tests.gate.test_provisioned import Holding
from tests.gate_world import NOW

if TYPE_CHECKING:
    import pytest


def test_each_is_taken_once() -> None:
    tally = _Tally()
    taken = []
    for added in (3, 0, 2, 1, 0, 0, 5):
        for _ in range(added):
            tally.add()
        taken.append(tally.take())
    assert taken == [3, 0, 2, 1, 0, 0, 5]


def test_none_is_lost_between_threads() -> None:
    tally = _Tally()

    def add() -> int:
        for _ in range(20_000):
            tally.add()
        return 0

    with ThreadPoolExecutor(6) as pool:
        adding = [pool.submit(add) for _ in range(4)]
        taking = [pool.submit(tally.take) for _ in range(500)]
        total = sum(each.result() for each in (*adding, *taking))
    assert total + tally.take() == 80_000


OPENED = opening.issue(replace(test_provisioned.OPENED, until=NOW + timedelta(minutes=5)), service_key=SERVICE_KEY)
REFUSED = Refused(Denied(request_reasons.RATE_EXCEEDED, "network"), "record", "api")


def broken() -> Observing:
    """Return what observes where the directory of the counters was removed."""
    observing = Observing()

    def gone(*_: object) -> NoReturn:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "counter_1.db")

    for counter in (observing._requests, observing._refusals):
        setattr(counter, "labels", gone)  # noqa: B010 - a method is not assigned to
    return observing


def test_a_request_is_refused_as_ever_where_nobody_can_count() -> None:
    broken().refused(REFUSED)


def test_the_alarm_sounds_where_nobody_can_count(caplog: pytest.LogCaptureFixture) -> None:
    observing, held = broken(), Holding().told(openings=(OPENED,))
    observing.refused(REFUSED)
    for _ in range(3):
        observing.look(held, NOW)
    _, first, second = caplog.messages
    assert first.startswith("route /api/** is open until")
    assert second == "what is counted cannot be written down"


def test_nothing_is_lost_that_cannot_be_written_down_at_once() -> None:
    observing = broken()
    for _ in range(3):
        observing.refused(REFUSED)
    observing.look(Holding().told(), NOW)
    for counter in (observing._requests, observing._refusals):
        del counter.labels
    observing.look(Holding().told(), NOW)
    assert observing._refusals.labels(request_reasons.RATE_EXCEEDED.code, "true")._value.get() == 3
    assert observing._requests.labels("api", "refused")._value.get() == 3


def test_an_opening_that_opens_nothing_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    observing, holding = Observing(), Holding()
    for openings in ((), ("no.open.ing",), ("no.open.ing",), ()):
        observing.look(holding.told(openings=openings), NOW)
    assert caplog.messages == ["the service hands on an opening that opens nothing: opening.malformed"]
