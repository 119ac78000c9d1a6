"""The large tables are split by hash on PostgreSQL, whole and back, and a renewal touches one partition."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connections, transaction

from bonafide.django import partitions
from bonafide.django.enrolment_store import DjangoEnrolmentStore
from bonafide.django.models import EvidenceRecord, Instance, SignKey
from bonafide.ports import InstanceRecord, RenewalOutcome
from bonafide.testing.enrolment_trial import NOW, digest, registration, renewal
from tests.conftest import ROOT
from tests.django.databases import ALIAS, explained
from tests.django.unsplit import BEFORE, fill, fill_bans, unsplit

if TYPE_CHECKING:
    from collections.abc import Iterator


__all__ = ["unsplit"]

OF_CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname, contype::text, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conparentid = 0 AND conrelid::regclass::text = ANY(%s) ORDER BY 1, 2
"""
OF_INDEXES = """
    SELECT c.relname, replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ') FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid::regclass::text = ANY(%s) ORDER BY 1
"""
OF_COLUMNS = """
    SELECT attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull, attidentity::text,
    attcollation FROM pg_attribute WHERE attrelid::regclass::text = ANY(%s) AND attnum > 0 AND NOT attisdropped
    ORDER BY 1, attnum
"""


@pytest.fixture
def split(migrated_postgresql: str, settings: Any, django_db_blocker: Any) -> Iterator[str]:
    """Lead queries to the PostgreSQL that has all migrations, and empty it afterwards."""
    settings.DATABASE_ROUTERS = ["tests.django.databases.ToPostgresql"]
    with django_db_blocker.unblock():
        try:
            yield ALIAS
        finally:
            call_command("flush", database=ALIAS, verbosity=0, interactive=False, inhibit_post_migrate=True)
            connections[ALIAS].close()


def schema(alias: str) -> list[Any]:
    """Return what the tables are made of, but for how they are split."""
    tables = [list(partitions.COLUMNS)]
    return [partitions.rows(alias, query, tables) for query in (OF_COLUMNS, OF_CONSTRAINTS, OF_INDEXES)]


def enrolled(alias: str, name: str = "a") -> InstanceRecord:
    store, new = DjangoEnrolmentStore(using=alias), registration(name)
    store.spend_challenge(new.challenge_digest, body_digest=digest("body"), expires_at=NOW)
    record = store.register(new)
    assert isinstance(record, InstanceRecord)
    return record


def counts(alias: str) -> list[int]:
    return [partitions.rows(alias, f"SELECT count(*) FROM {table}")[0][0] for table in partitions.COLUMNS]


# The migration ------------------------------------------------------------------------------------


def test_every_large_table_is_split_and_no_other(split: str) -> None:
    found = partitions.rows(split, "SELECT relname FROM pg_class WHERE relkind = 'p'")
    assert {name for (name,) in found} == set(partitions.COLUMNS)
    for table in partitions.COLUMNS:
        ((number,),) = partitions.rows(
            split, "SELECT count(*) FROM pg_inherits WHERE inhparent = %s::regclass", [table]
        )
        assert number == partitions.PARTITIONS == 16


def test_a_table_is_the_same_before_and_after(unsplit: str) -> None:
    plain = schema(unsplit)
    for migration in ("0003", BEFORE, "0003"):
        call_command("migrate", "bonafide", migration, database=unsplit, verbosity=0)
        assert schema(unsplit) == plain
        assert partitions.is_split(unsplit, "bonafide_instance") == (migration == "0003")


def test_few_rows_are_kept_there_and_back_and_the_numbers_of_evidence_go_on(unsplit: str) -> None:
    fill(unsplit, 50)
    for number, (migration, name) in enumerate([("0003", "a"), (BEFORE, "b")]):
        call_command("migrate", "bonafide", migration, database=unsplit, verbosity=0)
        assert counts(unsplit) == [50 + number] * 5
        assert Instance.objects.get(pk="old7").claims == {"n": 1}
        record = enrolled(unsplit, name)
        assert counts(unsplit) == [51 + number] * 5
        assert EvidenceRecord.objects.get(instance=record.instance).pk == 51 + number


def test_many_rows_are_refused_before_anything_is_touched(unsplit: str) -> None:
    fill(unsplit, partitions.MOST_ROWS_UNDER_LOCK + 1)
    plain = schema(unsplit)
    with pytest.raises(partitions.TooManyRows, match="bonafide_partition"):
        call_command("migrate", "bonafide", "0003", database=unsplit, verbosity=0)
    assert schema(unsplit) == plain
    assert counts(unsplit) == [partitions.MOST_ROWS_UNDER_LOCK + 1] * 5


def test_on_sqlite_nothing_happens(transactional_db: None) -> None:
    with connections["default"].cursor() as cursor:
        before = connections["default"].introspection.table_names(cursor)
    call_command("migrate", "bonafide", BEFORE, verbosity=0)
    call_command("migrate", "bonafide", verbosity=0)
    with connections["default"].cursor() as cursor:
        assert connections["default"].introspection.table_names(cursor) == before


# The tables ---------------------------------------------------------------------------------------


def test_foreign_keys_hold_over_partitions(split: str) -> None:
    record = enrolled(split)
    orphan = SignKey(jkt="k", app="shop", environment="staging", instance_id="nobody")
    with pytest.raises(IntegrityError), transaction.atomic(using=split):
        SignKey.objects.bulk_create([orphan])
    with pytest.raises(IntegrityError), transaction.atomic(using=split):
        partitions.run(split, [f"DELETE FROM bonafide_instance WHERE id = '{record.instance}'"])


def test_rows_spread_over_all_partitions(split: str) -> None:
    fill(split, 2000)
    for table in partitions.COLUMNS:
        found = partitions.rows(split, f"SELECT count(*) FROM {table} GROUP BY tableoid")
        assert len(found) == partitions.PARTITIONS
        assert all(60 < count < 200 for (count,) in found)


def test_django_sees_each_table_once(split: str) -> None:
    with connections[split].cursor() as cursor:
        names = [name for name in connections[split].introspection.table_names(cursor) if name.startswith("bonafide_")]
    assert len(names) == len(set(names))
    assert not [name for name in names if name.endswith("_p00")]


def test_a_renewal_rewrites_its_row_and_no_index(split: str) -> None:
    """What PostgreSQL calls heap-only: there is room in the page, and nothing that a renewal writes is indexed."""
    store, record = DjangoEnrolmentStore(using=split), enrolled(split)
    for order in range(1, 11):
        assert store.renew(renewal(record, order)) is RenewalOutcome.DONE
    partitions.rows(split, "SELECT pg_stat_force_next_flush()")
    connections[split].close()
    of_instances = "SELECT sum(n_tup_upd), sum(n_tup_hot_upd) FROM pg_stat_user_tables WHERE relname LIKE %s"
    ((rewritten, heap_only),) = partitions.rows(split, of_instances, ["bonafide_instance_p%"])
    assert rewritten >= 10
    assert heap_only == rewritten


# The plan -----------------------------------------------------------------------------------------


def renewal_plan(alias: str) -> list[str]:
    """Return how PostgreSQL runs a renewal among many instances and bans, of its own choice, without its estimates."""
    store, record = DjangoEnrolmentStore(using=alias), enrolled(alias)
    fill(alias, 20_000)
    fill_bans(alias, 20_000)
    partitions.run(alias, ["ANALYZE bonafide_instance", "ANALYZE bonafide_ban"])
    with explained(alias) as plans:
        partitions.run(alias, ["SET enable_seqscan = on"])
        assert store.renew(renewal(record, 1)) is RenewalOutcome.DONE
    (plan,) = plans
    assert plan.startswith("UPDATE ")
    return [re.sub(r"  \(cost=.*\)$", "", line) for line in plan.splitlines()[1:]]


def test_a_renewal_is_one_update_of_one_partition_by_its_primary_key(split: str) -> None:
    plan = renewal_plan(split)
    ((partition,),) = partitions.rows(
        split,
        "SELECT tableoid::regclass::text FROM bonafide_instance WHERE id = %s",
        [registration("a").instance],
    )
    touched = [line.strip().removeprefix("->  ") for line in plan if re.search(r" on bonafide_(?!ban_unique)", line)]
    assert touched == [
        "Update on bonafide_instance",
        f"Update on {partition} bonafide_instance_1",
        f"Index Scan using {partition}_pkey on {partition} bonafide_instance_1",
        "Bitmap Heap Scan on bonafide_ban u0",
    ]
    assert len([line for line in plan if "Bitmap Index Scan on bonafide_ban_unique" in line]) == 3
    assert not [line for line in plan if "Seq Scan" in line]


def test_the_page_shows_the_plan_as_it_is(split: str) -> None:
    shown = (ROOT / "docs/how-to/postgresql.md").read_text()
    assert "\n".join(renewal_plan(split)) in shown
