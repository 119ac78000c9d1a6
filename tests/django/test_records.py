"""Every refusal has its record, recording touches no database, and what is lost is counted."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import OperationalError, connections
from pytest_django.asserts import assertNumQueries

from bonafide.django import records
from bonafide.django.models import ObservedRoute, Refusal
from bonafide.django.records import Recorder, Seen
from bonafide.reasons import proof, route
from bonafide.terms import Environment
from bonafide.testing.enrolment_trial import NOW
from tests.conftest import ROOT

if TYPE_CHECKING:
    from datetime import datetime

    from tests.django.databases import Database

pytestmark = pytest.mark.usefixtures("database")

SEEN = Seen(method="GET", route="/api/orders/*", enforced=True, app="shop", app_version="2.3.0", instance="i" * 22)
MINUTE = timedelta(minutes=1)


class Process:
    """A process's recorder with a clock that tests move."""

    def __init__(self) -> None:
        self.now: datetime = NOW
        self.recorder = Recorder(Environment.TEST, every=None, clock=lambda: self.now)

    def counts(self) -> list[tuple[Any, ...]]:
        self.recorder.flush()
        columns = ("route", "method", "app", "app_version", "reason", "enforced", "count")
        return list(ObservedRoute.objects.order_by("pk").values_list(*columns))


@pytest.fixture
def process() -> Process:
    return Process()


# What is recorded --------------------------------------------------------------------------------


def test_a_refusal_is_found_under_the_id_that_the_client_was_told(process: Process) -> None:
    record = process.recorder.refused(SEEN, proof.REPLAYED, "twice")
    assert len(record) == 22
    assert not Refusal.objects.exists()
    process.recorder.flush()
    row = Refusal.objects.get(pk=record)
    assert (row.at, row.environment, row.app, row.app_version) == (NOW, "test", "shop", "2.3.0")
    assert (row.reason, row.detail) == ("proof.replayed", "twice")
    assert (row.method, row.route, row.instance, row.enforced) == ("GET", "/api/orders/*", "i" * 22, True)


def test_ids_are_random(process: Process) -> None:
    assert len({process.recorder.refused(SEEN, proof.REPLAYED) for _ in range(100)}) == 100


def test_what_was_not_proven_is_empty(process: Process) -> None:
    record = process.recorder.refused(Seen(method="GET", route="", enforced=False), route.NOT_LISTED)
    process.recorder.flush()
    row = Refusal.objects.get(pk=record)
    assert (row.app, row.app_version, row.instance, row.route, row.enforced) == ("", "", None, "", False)


def test_refused_and_admitted_requests_are_counted_per_route_version_reason_and_day(process: Process) -> None:
    for _ in range(3):
        process.recorder.refused(SEEN, proof.REPLAYED)
    process.recorder.refused(SEEN, proof.FENCED)
    process.now += MINUTE
    process.recorder.admitted(SEEN)
    expected = [("/api/orders/*", "GET", "shop", "2.3.0")]
    assert sorted(process.counts()) == [
        (*expected[0], "", True, 1),
        (*expected[0], "proof.fenced", True, 1),
        (*expected[0], "proof.replayed", True, 3),
    ]
    process.now += timedelta(days=1)
    process.recorder.refused(SEEN, proof.REPLAYED)
    process.recorder.flush()
    rows = ObservedRoute.objects.filter(reason="proof.replayed").order_by("day")
    assert [(row.day, row.count) for row in rows] == [(NOW.date(), 3), (process.now.date(), 1)]


def test_counts_of_several_writes_and_processes_add_up(process: Process) -> None:
    other = Process()
    for each, minute in ((process, 5), (other, 1), (process, 9)):
        each.now = NOW + minute * MINUTE
        each.recorder.refused(SEEN, proof.REPLAYED)
        each.recorder.refused(SEEN, proof.REPLAYED)
        each.recorder.flush()
    row = ObservedRoute.objects.get()
    assert row.count == 6
    assert (row.first_seen, row.last_seen) == (NOW + 5 * MINUTE, NOW + 9 * MINUTE)


def test_processes_that_write_at_once_lose_no_count() -> None:
    def write() -> None:
        try:
            process = Process()
            for n in range(5):
                for name in ("a", "b", "c"):
                    process.recorder.admitted(Seen(method="GET", route=f"/{name}", enforced=n % 2 == 0))
                process.recorder.flush()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(ObservedRoute.objects.values_list("count", flat=True)) == 4 * 5 * 3


# What an attacker may send -----------------------------------------------------------------------


def test_methods_that_are_made_up_are_counted_as_one(process: Process) -> None:
    for n in range(5):
        process.recorder.refused(Seen(method=f"METHOD{n}", route="/", enforced=True), route.NOT_LISTED)
    assert [(row[1], row[-1]) for row in process.counts()] == [("OTHER", 5)]


def test_a_detail_is_one_short_line_of_ascii(process: Process, caplog: Any) -> None:
    detail = "a\nb\r\x00\x1b[31m\x7fü\ud800" + "x" * 500
    record = process.recorder.refused(SEEN, proof.REPLAYED, detail)
    process.recorder.flush()
    stored = Refusal.objects.get(pk=record).detail
    assert stored.startswith("a\\x0ab\\x0d\\x00\\x1b[31m\\x7f\\xfc\\ud800xxx")
    assert len(stored) == records.MAX_DETAIL
    assert "\n" not in caplog.messages[0]


def test_no_text_keeps_a_batch_from_being_written(process: Process) -> None:
    hostile = "\x00\ud800\n" + "x" * 400
    seen = Seen(method=hostile, route=hostile, enforced=True, app=hostile, app_version=hostile, instance=hostile)
    record = process.recorder.refused(seen, proof.REPLAYED, hostile)
    process.recorder.admitted(seen)
    process.recorder.flush()
    row = Refusal.objects.get(pk=record)
    lengths = (len(row.route), len(row.app), len(row.app_version), len(row.instance or ""))
    assert (row.method, *lengths) == ("OTHER", 255, 255, 64, 22)
    assert row.route.startswith("\\x00\\ud800\\x0ax")
    assert ObservedRoute.objects.count() == 2


def test_a_thread_that_died_is_replaced(process: Process) -> None:
    process.recorder.every = 300.0
    dead = threading.Thread(target=int)
    dead.start()
    dead.join()
    process.recorder._thread = dead
    process.recorder.refused(SEEN, proof.REPLAYED)
    assert process.recorder._thread is not dead
    assert process.recorder._thread.is_alive()


def test_the_log_line_has_reason_record_and_route(process: Process, caplog: Any) -> None:
    first = process.recorder.refused(SEEN, proof.REPLAYED, "twice")
    second = process.recorder.refused(Seen(method="GET", route="/", enforced=False), route.NOT_LISTED)
    assert caplog.messages == [
        f"refused reason=proof.replayed record={first} method=GET route=/api/orders/* instance={'i' * 22} detail=twice",
        f"would refuse reason=route.not_listed record={second} method=GET route=/ instance= detail=",
    ]
    line = caplog.records[0]
    assert line.name == "bonafide.refusals"
    assert line.bonafide == {
        "reason": "proof.replayed",
        "record": first,
        "route": "/api/orders/*",
        "enforced": True,
    }


# Bounds ------------------------------------------------------------------------------------------


def test_recording_asks_the_database_nothing(process: Process, database: Database) -> None:
    with assertNumQueries(0, using=database.alias):
        process.recorder.refused(SEEN, proof.REPLAYED)
        process.recorder.admitted(SEEN)
    process.recorder.flush()
    with assertNumQueries(0, using=database.alias):
        process.recorder.flush()


def test_a_flood_is_dropped_and_counted_twice_over(
    process: Process, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(records, "MAX_WAITING", 3)
    kept = [process.recorder.refused(SEEN, proof.REPLAYED) for _ in range(10)][:3]
    assert process.recorder.dropped == 7
    caplog.clear()
    process.recorder.flush()
    assert caplog.messages == ["7 refusals found no room and were not recorded"]
    assert sorted(Refusal.objects.values_list("pk", flat=True)) == sorted(kept)
    assert ObservedRoute.objects.get().count == 10
    caplog.clear()
    process.recorder.flush()
    assert not caplog.messages


def test_a_flood_of_versions_is_counted_without_them(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_COUNTS_WAITING", 3)
    for n in range(10):
        process.recorder.admitted(Seen(method="GET", route="/", enforced=True, app_version=f"{n}"))
    assert sorted((row[3], row[-1]) for row in process.counts()) == [("", 7), ("0", 1), ("1", 1), ("2", 1)]


def test_what_the_database_does_not_take_waits_for_the_next_time(
    process: Process, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(records, "MAX_WAITING", 3)
    write = records._write

    def fail(*_: Any) -> None:
        process.now += MINUTE
        process.recorder.refused(SEEN, proof.FENCED)  # meanwhile
        message = "password=hunter2"
        raise OperationalError(message)

    first = [process.recorder.refused(SEEN, proof.REPLAYED) for _ in range(3)]
    monkeypatch.setattr(records, "_write", fail)
    process.recorder.flush()
    assert "records were not written: OperationalError" in caplog.messages
    assert "hunter2" not in caplog.text
    monkeypatch.setattr(records, "_write", write)
    process.recorder.flush()
    assert Refusal.objects.count() == 3
    assert process.recorder.dropped == 1
    assert Refusal.objects.filter(pk__in=first).count() == 2
    counts = {row.reason: (row.count, row.first_seen) for row in ObservedRoute.objects.all()}
    assert counts == {"proof.replayed": (3, NOW), "proof.fenced": (1, NOW + MINUTE)}


# Threads, forks, ends ----------------------------------------------------------------------------


def test_a_child_made_by_fork_leaves_its_parents_records_to_its_parent(process: Process) -> None:
    process.recorder.refused(SEEN, proof.REPLAYED)
    process.recorder._lock.acquire()  # held by a thread that the child does not have
    process.recorder._pid = os.getppid()
    own = process.recorder.refused(SEEN, proof.REPLAYED)
    process.recorder.flush()
    assert Refusal.objects.get().pk == own


def test_a_child_that_only_flushes_writes_nothing_of_its_parents(process: Process) -> None:
    process.recorder.refused(SEEN, proof.REPLAYED)
    process.recorder._pid = os.getppid()
    process.recorder.flush()
    assert not Refusal.objects.exists()
    assert not ObservedRoute.objects.exists()


def test_in_a_test_environment_no_thread_writes(process: Process) -> None:
    process.recorder.refused(SEEN, proof.REPLAYED)
    assert process.recorder._thread is None


def test_the_recorder_follows_the_settings(settings: Any) -> None:
    before = records.recorder()
    assert records.recorder() is before
    assert (before.environment, before.every) == (Environment.TEST, None)
    settings.BONAFIDE = settings.BONAFIDE | {"ENVIRONMENT": "staging", "RECORDS_EVERY": 3}
    after = records.recorder()
    assert (after.environment, after.every) == (Environment.STAGING, 3.0)


STORY = """
import django, os, threading
django.setup()
from bonafide.django import records
from bonafide.reasons import proof
seen = records.Seen(method="GET", route="/written/by/{}", enforced=True)
records.recorder().refused(seen, proof.REPLAYED)
{}
"""

WAIT = """
from django.db import connection
from bonafide.django.models import Refusal
pause = threading.Event()
while not Refusal.objects.exists():
    pause.wait(0.05)
"""

FORK = """
child = os.fork()
if child == 0:
    records.recorder().refused(records.Seen(method="GET", route="/written/by/child", enforced=True), proof.REPLAYED)
    raise SystemExit
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.parametrize(
    ("name", "rest", "routes"),
    [("thread", WAIT, ["thread"]), ("exit", "", ["exit"]), ("parent", FORK, ["child", "parent"])],
)
def test_a_process_writes_by_its_thread_and_when_it_ends(
    database: Database, name: str, rest: str, routes: list[str]
) -> None:
    every = "0.1" if name == "thread" else "300"
    program = f"""
import tests.django.settings as settings
from datetime import timedelta
settings.BONAFIDE |= {{"RECORDS_EVERY": timedelta(seconds={every})}}
{STORY.format(name, rest)}
"""
    environ = (
        os.environ
        | database.environ
        | {
            "DJANGO_SETTINGS_MODULE": "tests.django.settings",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
        }
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environ, cwd=ROOT, timeout=60, capture_output=True, check=False
    )
    assert ended.returncode == 0, ended.stderr.decode()
    assert sorted(Refusal.objects.values_list("route", flat=True)) == [f"/written/by/{one}" for one in routes]
