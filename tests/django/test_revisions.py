"""A process's copy is as fresh as it says, costs one query now and then, and an old one is no answer."""

from __future__ import annotations

import asyncio
import os
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError, connections, transaction
from pytest_django.asserts import assertNumQueries

from bonafide.django import revisions
from bonafide.django.models import Revision
from bonafide.django.revisions import Copy, Reading
from bonafide.errors import VerificationFailed
from bonafide.reasons import store as reasons
from bonafide.testing.enrolment_trial import ENVIRONMENT, NOW

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tests.django.databases import Database

TOPIC = "apps"
EVERY = 5


class World:
    """A table with one value, clocks that tests move, and a copy of the value."""

    def __init__(self) -> None:
        self.value, self.reads, self.ends_at = "first", 0, None
        self.seconds, self.now = 100.0, NOW
        self.failure: Exception | None = None
        self.copy: Copy[str] = Copy(
            TOPIC,
            environment=ENVIRONMENT,
            read=self.read,
            every=timedelta(seconds=EVERY),
            clock=lambda: self.now,
            monotonic=lambda: self.seconds,
        )

    ends_at: datetime | None

    def read(self, now: datetime, using: str) -> Reading[str]:
        assert now == self.now
        self.reads += 1
        if self.failure is not None:
            raise self.failure
        return Reading(self.value, self.ends_at)

    def change(self, value: str) -> None:
        with transaction.atomic(using=self.alias):
            self.value = value
            revisions.raise_revision(TOPIC, environment=ENVIRONMENT, using=self.alias)

    alias = "default"


@pytest.fixture
def world(database: Database) -> World:
    world = World()
    world.alias = database.alias
    return world


def number(alias: str) -> int:
    return Revision.objects.using(alias).get(environment=ENVIRONMENT, topic=TOPIC).number


def test_a_revision_rises_by_one_from_nothing(database: Database) -> None:
    for expected in (1, 2, 3):
        revisions.raise_revision(TOPIC, environment=ENVIRONMENT, using=database.alias)
        assert number(database.alias) == expected
    revisions.raise_revision(TOPIC, environment="production", using=database.alias)
    revisions.raise_revision("other", environment=ENVIRONMENT, using=database.alias)
    assert number(database.alias) == 3


def test_changes_that_race_are_all_counted(database: Database) -> None:
    def change() -> None:
        try:
            revisions.raise_revision(TOPIC, environment=ENVIRONMENT, using=database.alias)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=change) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert number(database.alias) == 8


def test_a_change_is_seen_once_the_copy_is_due_and_not_before(world: World) -> None:
    assert world.copy.current() == "first"
    world.change("second")
    world.seconds += EVERY - 0.1
    assert world.copy.current() == "first"
    world.seconds += 0.1
    assert world.copy.current() == "second"


def test_between_two_looks_nothing_is_asked_and_a_look_is_one_query(world: World) -> None:
    world.copy.current()
    with assertNumQueries(0, using=world.alias):
        world.copy.current()
    world.seconds += EVERY
    with assertNumQueries(1, using=world.alias):
        world.copy.current()
    assert world.reads == 1


def test_a_change_of_another_environment_or_topic_is_not_read(world: World) -> None:
    world.copy.current()
    revisions.raise_revision(TOPIC, environment="production", using=world.alias)
    revisions.raise_revision("other", environment=ENVIRONMENT, using=world.alias)
    world.seconds += EVERY
    world.copy.current()
    assert world.reads == 1


def test_what_ends_by_itself_is_read_again_at_its_end(world: World) -> None:
    world.ends_at = NOW + timedelta(hours=1)
    world.copy.current()
    for now, reads in ((NOW + timedelta(minutes=59), 1), (NOW + timedelta(hours=1), 2)):
        world.now = now
        world.seconds += EVERY
        world.copy.current()
        assert world.reads == reads


def test_a_database_that_does_not_answer_is_stood_in_for_and_then_it_is_not(world: World) -> None:
    world.copy.current()
    world.change("second")
    world.failure = OperationalError("gone")
    limit = EVERY + revisions.MAX_STALE.total_seconds()
    begun = world.seconds
    world.seconds = begun + limit
    assert world.copy.current() == "first"
    world.seconds = begun + limit + EVERY
    assert refused(world.copy.current)
    world.failure = None
    world.seconds += EVERY
    assert world.copy.current() == "second"


def test_without_a_first_copy_there_is_no_answer(world: World) -> None:
    world.failure = OperationalError("gone")
    assert refused(world.copy.current)
    world.failure = None
    world.seconds += EVERY
    assert world.copy.current() == "first"


def refused(call: Callable[[], object]) -> bool:
    with pytest.raises(VerificationFailed) as caught:
        call()
    assert caught.value.detail == f"{TOPIC} could not be read"
    return caught.value.reason is reasons.COPY_STALE


def test_a_database_in_trouble_is_not_asked_by_every_request(world: World) -> None:
    world.failure = OperationalError("gone")
    for _ in range(3):
        assert refused(world.copy.current)
    assert world.reads == 1


def test_one_thread_asks_while_the_others_go_on(world: World) -> None:
    world.copy.current()
    world.change("second")
    world.seconds += EVERY
    asked, go_on = threading.Event(), threading.Event()
    read = world.read

    def slow(now: datetime, using: str) -> Reading[str]:
        asked.set()
        assert go_on.wait(30)
        return read(now, using)

    world.copy._read = slow

    def ask() -> None:
        try:
            world.copy.current()
        finally:
            connections.close_all()

    thread = threading.Thread(target=ask)
    thread.start()
    assert asked.wait(30)
    assert world.copy.current() == "first"
    go_on.set()
    thread.join()
    assert world.copy.current() == "second"


def test_a_child_made_by_fork_asks_anew_even_where_its_parent_was_asking(world: World) -> None:
    world.copy.current()
    world.copy._lock.acquire()  # held by a thread that the child does not have
    world.seconds += EVERY
    world.value = "second"
    world.copy._pid = os.getppid()
    assert world.copy.current() == "second"


def test_without_a_copy_all_wait_for_the_one_that_asks(world: World) -> None:
    asked, go_on = threading.Event(), threading.Event()
    answers: list[str] = []
    read = world.read

    def slow(now: datetime, using: str) -> Reading[str]:
        asked.set()
        assert go_on.wait(30)
        return read(now, using)

    world.copy._read = slow

    def ask() -> None:
        try:
            answers.append(world.copy.current())
        finally:
            connections.close_all()

    first, second = (threading.Thread(target=ask) for _ in range(2))
    first.start()
    assert asked.wait(30)
    second.start()
    second.join(0.2)  # long enough to be refused, if it were
    go_on.set()
    for thread in (first, second):
        thread.join()
    assert answers == ["first", "first"]
    assert world.reads == 1


def test_an_event_loop_asks_in_a_thread_and_only_when_due(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []

    def watched(call: Callable[[], str]) -> Any:
        used.append("thread")
        return sync_to_async(call)

    monkeypatch.setattr(revisions, "sync_to_async", watched)

    async def story() -> list[str]:
        seen = [await world.copy.acurrent()]
        await sync_to_async(world.change)("second")
        seen.append(await world.copy.acurrent())
        world.seconds += EVERY
        return [*seen, await world.copy.acurrent()]

    assert asyncio.run(story()) == ["first", "first", "second"]
    assert used == ["thread", "thread"]


def test_a_failure_is_logged_by_its_kind_alone(world: World, caplog: Any) -> None:
    world.failure = OperationalError("password=hunter2")
    assert refused(world.copy.current)
    assert caplog.messages == ["apps could not be read: OperationalError"]
