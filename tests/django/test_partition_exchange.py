"""Tables in use are split without an error, a lost row or a changed name, and every step can be taken back or again."""

from __future__ import annotations

import threading
from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING, Any, Final, Self

import psycopg
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import OperationalError, connections, transaction

from bonafide.django import partition_exchange as exchange
from bonafide.django import partitions
from bonafide.django.enrolment_store import DjangoEnrolmentStore
from bonafide.django.models import AttestKey, EvidenceRecord, Instance, SignKey
from bonafide.django.partition_exchange import NotNow
from bonafide.ports import InstanceRecord, RenewalOutcome
from bonafide.testing.enrolment_trial import APP, ENVIRONMENT, NOW, digest, registration, renewal
from tests.django.test_partitions import counts, schema
from tests.django.unsplit import fill, unsplit

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["unsplit"]

OLD: Final = 2000


def enrol(name: str, **changes: Any) -> InstanceRecord:
    store, new = DjangoEnrolmentStore(), registration(name, **changes)
    store.spend_challenge(new.challenge_digest, body_digest=digest("body"), expires_at=NOW)
    record = store.register(new)
    assert isinstance(record, InstanceRecord)
    return record


def erase(record: InstanceRecord) -> None:
    with transaction.atomic(using="unsplit"):
        for model in (AttestKey, SignKey, EvidenceRecord):
            model._default_manager.filter(instance=record.instance).delete()
        Instance.objects.filter(pk=record.instance).delete()


def copy_all(using: str, batch: int = 500) -> list[tuple[str, int]]:
    return list(exchange.copy(using, batch=batch))


def differences(using: str) -> list[int]:
    return [exchange._differences(using, table) for table in partitions.COLUMNS]


def patiently(step: Callable[[str], None], using: str) -> None:
    """Take a step as an operator does: again, where its locks were not had in time."""
    for _ in range(20):
        try:
            return step(using)
        except NotNow as reason:
            if "lock was not had" not in str(reason):
                raise
    pytest.fail("the locks were never had")


# The whole way, in use ----------------------------------------------------------------------------


class Traffic:
    """Devices that enrol, renew, reinstall and are erased all the while, the old ones among them."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self.done = [0, 0, 0]
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._live, args=(me,)) for me in range(3)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(60)

    def wait_for_more(self) -> None:
        """Let everybody get on, so that a step is taken in the middle of things."""
        goal = [done + 5 for done in self.done]
        while not self.errors and any(done < least for done, least in zip(self.done, goal, strict=True)):
            self._stopped.wait(0.01)

    def _live(self, me: int) -> None:
        store = DjangoEnrolmentStore()
        try:
            while not self._stopped.is_set():
                number = self.done[me]
                record = enrol(f"{me} {number}")
                assert store.renew(renewal(record, 1)) is RenewalOutcome.DONE
                again = registration(f"again {me} {number}", jkt=record.jkt)
                enrol(f"again {me} {number}", jkt=again.jkt)
                old = f"old{number * 3 + me + 1}"
                known = store.instance(old, app=APP, environment=ENVIRONMENT)
                assert known is not None
                assert store.renew(renewal(known, 1)) is RenewalOutcome.DONE
                enrol(f"reinstalled {old}", jkt=known.jkt)
                if number % 3 == 0:
                    erase(record)
                self.done[me] += 1
        except BaseException as error:  # noqa: BLE001 - a thread's errors are the test's
            self.errors.append(error)
        finally:
            connections.close_all()


def test_tables_in_use_are_split_and_nothing_is_lost(unsplit: str, migrated_postgresql: str) -> None:
    fill(unsplit, OLD)
    with Traffic() as traffic:
        traffic.wait_for_more()
        patiently(exchange.prepare, unsplit)
        traffic.wait_for_more()
        steps = copy_all(unsplit)
        assert [seen for table, seen in steps if table == "bonafide_instance"][:4] == [500, 1000, 1500, 2000]
        traffic.wait_for_more()
        assert differences(unsplit) == [0] * 5
        patiently(exchange.swap, unsplit)
        traffic.wait_for_more()
    assert traffic.errors == []
    enrolled, erased = sum(traffic.done), sum(-(-done // 3) for done in traffic.done)
    assert Instance.objects.count() == OLD + enrolled - erased
    assert counts(unsplit)[0] == OLD + enrolled - erased
    assert Instance.objects.filter(renewed_at__isnull=False).count() >= enrolled - erased
    evidence = list(EvidenceRecord.objects.values_list("pk", flat=True))
    assert len(evidence) == len(set(evidence))
    _as_if_migrated(unsplit, migrated_postgresql)


def _as_if_migrated(using: str, migrated: str) -> None:
    """The names and definitions are those of a database that the migration split; and then it has nothing to do."""
    del migrated
    assert schema(using)[1:] == schema("postgresql")[1:]
    connections["postgresql"].close()
    assert exchange.state(using) == "swapped"
    exchange.drop(using)
    assert exchange.state(using) == "split"
    before = counts(using)
    call_command("migrate", "bonafide", database=using, verbosity=0)
    assert counts(using) == before
    call_command("migrate", "bonafide", "0002", database=using, verbosity=0)
    assert counts(using) == before


# One at a time ------------------------------------------------------------------------------------


def test_a_change_reaches_the_twin_in_its_own_transaction(unsplit: str) -> None:
    fill(unsplit, 10)
    exchange.prepare(unsplit)
    known = DjangoEnrolmentStore().instance("old3", app=APP, environment=ENVIRONMENT)
    assert known is not None
    assert DjangoEnrolmentStore().renew(renewal(known, 7)) is RenewalOutcome.DONE
    found = partitions.rows(unsplit, "SELECT id, counter FROM bonafide_instance__split")
    assert found == [("old3", 7)]
    with transaction.atomic(using=unsplit):
        Instance.objects.filter(pk="old4").update(counter=9)
        transaction.set_rollback(True, using=unsplit)
    assert partitions.rows(unsplit, "SELECT id, counter FROM bonafide_instance__split") == [("old3", 7)]


def test_a_copy_never_overwrites_what_came_later(unsplit: str) -> None:
    fill(unsplit, 10)
    exchange.prepare(unsplit)
    Instance.objects.filter(pk="old5").update(counter=5)
    copy_all(unsplit)
    Instance.objects.filter(pk="old6").update(counter=6)
    found = dict(partitions.rows(unsplit, "SELECT id, counter FROM bonafide_instance__split WHERE counter > 0"))
    assert found == {"old5": 5, "old6": 6}
    copy_all(unsplit)
    assert differences(unsplit) == [0] * 5


def test_what_is_erased_while_it_is_copied_does_not_come_back(unsplit: str) -> None:
    fill(unsplit, 10)
    exchange.prepare(unsplit)
    record = enrol("a")
    for number, _ in enumerate(exchange.copy(unsplit, batch=5)):
        if number == 0:
            erase(record)
            erase(replace(record, instance="old9"))
    assert differences(unsplit) == [0] * 5
    exchange.swap(unsplit)
    assert not Instance.objects.filter(pk__in=[record.instance, "old9"]).exists()
    assert counts(unsplit)[:4] == [9] * 4


def test_a_key_that_changes_in_place_moves(unsplit: str) -> None:
    """Nothing of ours changes a primary key; a trigger that lost such a row would lose it silently."""
    fill(unsplit, 3)
    exchange.prepare(unsplit)
    copy_all(unsplit)
    SignKey.objects.filter(jkt="jkt2").update(jkt="moved")
    assert differences(unsplit) == [0] * 5


def test_a_row_that_was_written_past_the_triggers_is_found_and_nothing_is_swapped(unsplit: str) -> None:
    fill(unsplit, 10)
    exchange.prepare(unsplit)
    copy_all(unsplit)
    partitions.run(unsplit, ["DELETE FROM bonafide_spentchallenge__split"])
    partitions.run(unsplit, ["COMMENT ON TABLE bonafide_instance__split IS NULL"])
    partitions.run(unsplit, ["UPDATE bonafide_instance__split SET counter = 99 WHERE id = 'old1'"])
    with pytest.raises(NotNow, match="2 rows of bonafide_instance"):
        copy_all(unsplit)
    with pytest.raises(NotNow, match="prepared"):
        exchange.swap(unsplit)
    exchange.abandon(unsplit)
    assert exchange.state(unsplit) == "plain"


def test_what_is_abandoned_leaves_no_trace(unsplit: str) -> None:
    fill(unsplit, 10)
    plain = schema(unsplit)
    exchange.prepare(unsplit)
    copy_all(unsplit)
    exchange.abandon(unsplit)
    assert schema(unsplit) == plain
    names = "SELECT relname FROM pg_class WHERE relname LIKE '%%\\_\\_%%' OR relname LIKE '%%\\_p0%%'"
    assert partitions.rows(unsplit, names) == []
    assert partitions.rows(unsplit, "SELECT proname FROM pg_proc WHERE proname LIKE '%%mirror'") == []
    exchange.prepare(unsplit)  # and may begin again
    copy_all(unsplit)
    exchange.swap(unsplit)
    assert counts(unsplit) == [10] * 5


def test_steps_out_of_order_are_refused(unsplit: str) -> None:
    for step in (copy_all, exchange.swap, exchange.abandon, exchange.drop):
        with pytest.raises(NotNow, match="the tables are plain"):
            step(unsplit)
    exchange.prepare(unsplit)
    for step in (exchange.prepare, exchange.swap, exchange.drop):
        with pytest.raises(NotNow, match="the tables are prepared"):
            step(unsplit)
    copy_all(unsplit)
    assert exchange.state(unsplit) == "copied"
    exchange.swap(unsplit)
    for step in (exchange.prepare, copy_all, exchange.swap, exchange.abandon):
        with pytest.raises(NotNow, match="the tables are swapped"):
            step(unsplit)


def test_who_does_not_get_the_lock_in_time_leaves_everything_as_it_was(
    unsplit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "LOCK_TIMEOUT_S", 0.2)
    plain = schema(unsplit)
    other = connections.create_connection(unsplit)
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT count(*) FROM bonafide_instance")
            with pytest.raises(NotNow, match="lock was not had in time"):
                exchange.prepare(unsplit)
    finally:
        other.close()
    assert schema(unsplit) == plain
    assert exchange.state(unsplit) == "plain"


def test_only_locks_and_deadlocks_are_a_matter_of_repeating(unsplit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OperationalError), exchange._under_lock(unsplit, list(partitions.COLUMNS)):
        raise OperationalError
    exchange.prepare(unsplit)
    causes: list[Exception | None] = [psycopg.errors.DeadlockDetected(), None]
    asked = partitions.rows

    def rows(using: str, sql: str, *params: Any) -> Any:
        if sql.startswith("WITH batch") and causes:
            raise OperationalError from causes.pop(0)
        return asked(using, sql, *params)

    monkeypatch.setattr(exchange, "rows", rows)
    with pytest.raises(OperationalError):
        copy_all(unsplit)
    assert causes == []  # the deadlock was repeated, and then the other error came
    copy_all(unsplit)


def test_a_table_of_somebody_else_that_refers_to_ours_is_named(unsplit: str) -> None:
    partitions.run(unsplit, ["CREATE TABLE shop (instance varchar(22) REFERENCES bonafide_instance (id))"])
    with pytest.raises(NotNow, match="refers to bonafide_instance: shop"):
        exchange.prepare(unsplit)
    call_command("migrate", "bonafide", "0003", database=unsplit, verbosity=0)  # but the migration takes it along
    ((definition,),) = partitions.rows(
        unsplit,
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'shop'::regclass AND conparentid = 0",
    )
    assert definition == "FOREIGN KEY (instance) REFERENCES bonafide_instance(id)"


# The command --------------------------------------------------------------------------------------


def run(step: str, *arguments: str) -> str:
    out = StringIO()
    call_command("bonafide_partition", step, *arguments, stdout=out)
    return out.getvalue()


def test_the_command_takes_the_steps_and_says_where_they_lead(unsplit: str) -> None:
    fill(unsplit, 10)
    assert run("status") == "plain\n"
    assert run("prepare") == "prepared\n"
    assert run("abandon") == "plain\n"
    run("prepare")
    told = run("copy", "--batch", "4").splitlines()
    assert told[:3] == ["bonafide_instance  4", "bonafide_instance  8", "bonafide_instance  12"]
    assert told[-1] == "copied"
    assert run("swap") == "swapped\n"
    assert run("drop") == "split\n"
    with pytest.raises(CommandError, match="the tables are split"):
        run("swap")


@pytest.mark.django_db
def test_on_sqlite_the_command_says_that_there_is_nothing_to_split() -> None:
    with pytest.raises(CommandError, match="only PostgreSQL"):
        run("status")
