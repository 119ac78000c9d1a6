"""The migrations make the models' tables, whole and back, on SQLite and PostgreSQL."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connections

from bonafide.django.models.fields import IdentifierField

if TYPE_CHECKING:
    from tests.django.databases import Database

MODELS = [model for model in apps.get_app_config("bonafide").get_models() if not model._meta.proxy]


def tables(alias: str) -> set[str]:
    connection = connections[alias]
    with connection.cursor() as cursor:
        return {name for name in connection.introspection.table_names(cursor) if name.startswith("bonafide_")}


def constraints(alias: str, table: str) -> Any:
    connection = connections[alias]
    with connection.cursor() as cursor:
        return connection.introspection.get_constraints(cursor, table)


@pytest.mark.django_db
def test_no_model_differs_from_its_migrations() -> None:
    call_command("makemigrations", "bonafide", check=True, dry_run=True, verbosity=0)


def test_the_migrations_run_forwards_and_back(database: Database) -> None:
    expected = {model._meta.db_table for model in MODELS}
    assert tables(database.alias) == expected
    try:
        call_command("migrate", "bonafide", "zero", database=database.alias, verbosity=0)
        assert tables(database.alias) == set()
    finally:
        call_command("migrate", "bonafide", database=database.alias, verbosity=0)
    assert tables(database.alias) == expected


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_index_and_constraint_of_a_model_is_in_the_database_and_no_other(database: Database, model: Any) -> None:
    options = model._meta
    found = constraints(database.alias, options.db_table)
    indexes = {name for name, one in found.items() if one["index"] and not one["unique"] and not one["primary_key"]}
    declared = {index.name for index in options.indexes}
    # A foreign key has an index only where a query goes that way.
    foreign = {field.column for field in options.local_fields if field.is_relation and field.db_index}
    extra = [found[name]["columns"] for name in indexes - declared]
    assert indexes >= declared
    assert sorted(extra) == sorted([column] for column in foreign)
    unique = {tuple(one["columns"]) for one in found.values() if one["unique"] and not one["primary_key"]}
    assert unique == {
        tuple(options.get_field(name).column for name in constraint.fields)
        for constraint in options.constraints
        if hasattr(constraint, "fields")
    }


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_what_must_be_unique_can_be_split_over_partitions(model: Any) -> None:
    """A partitioned table's unique columns include those that it is split by: one key, and no other unique one."""
    large = {"Instance", "SignKey", "AttestKey", "SpentChallenge", "CredentialBinding", "Refusal"}
    if model.__name__ in large:
        assert not [one for one in model._meta.constraints if hasattr(one, "fields")]
        assert not [field for field in model._meta.local_fields if field.unique and not field.primary_key]


def test_identifiers_compare_as_octets_on_postgresql(migrated_postgresql: str, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock(), connections["postgresql"].cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name, collation_name FROM information_schema.columns"
            " WHERE table_name LIKE 'bonafide_%%' AND data_type = 'character varying'"
        )
        collations = {(table, column): collation for table, column, collation in cursor.fetchall()}
    connections["postgresql"].close()
    for model in MODELS:
        for field in model._meta.local_fields:
            if isinstance(field, IdentifierField):
                assert collations[model._meta.db_table, field.column] == "C", field


def test_the_sql_for_postgresql_builds_no_index_for_like(migrated_postgresql: str, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock():
        for alias in ("default", "postgresql"):
            out = io.StringIO()
            call_command("sqlmigrate", "bonafide", "0001", database=alias, stdout=out)
            assert "pattern_ops" not in out.getvalue()
            assert "bonafide_instance" in out.getvalue()
        connections["postgresql"].close()
