"""The large tables of the enrolment path, split by hash on PostgreSQL; on SQLite they are as they are.

What makes a row unique is what its table is split by, or begins with it, so that the statement that finds or
claims a row touches one partition:

    Instance          by its random id           a renewal's UPDATE
    SignKey           by `jkt`                   who enrols a `sign` key first
    AttestKey         by `key_id`                who enrols an App Attest key first
    SpentChallenge    by the challenge's digest  who spends a challenge first
    EvidenceRecord    by its id                  spreads what is only added and purged

`rebuild` does it under lock, for tables that are empty or small: the migration. For live tables see
`partition_exchange`. What a table is made of (constraints, indexes, their names) is read from the
database and never written here a second time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db import connections

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from django.db.backends.base.schema import BaseDatabaseSchemaEditor

PARTITIONS: Final = 16
"""Six million of a hundred million instances in each: small enough to vacuum, few enough to plan over."""

MOST_ROWS_UNDER_LOCK: Final = 10_000
"""Tables with more rows are not rebuilt by a migration: enrolments would wait for minutes."""

COLUMNS: Final[dict[str, str]] = {
    "bonafide_instance": "id",
    "bonafide_signkey": "jkt",
    "bonafide_attestkey": "key_id",
    "bonafide_evidencerecord": "id",
    "bonafide_spentchallenge": "challenge_digest",
}
"""The column that each table is split by. `Instance` is first: the others refer to it."""

FILLED: Final[dict[str, int]] = {"bonafide_instance": 85}
"""Per cent of a page that new rows fill: a renewal rewrites its row in the room that is left, and touches no index."""


class TooManyRows(Exception):
    """A table is too large to be rebuilt while everybody waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """A primary, unique or foreign key: its table, its name, its definition, all as PostgreSQL prints them."""

    table: str
    name: str
    kind: str
    definition: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """What a table has beside its columns and its CHECK constraints, which `LIKE` copies."""

    keys: tuple[Constraint, ...]
    foreign: tuple[Constraint, ...]
    indexes: tuple[tuple[str, str], ...]


def is_split(using: str, table: str) -> bool:
    """Tell whether a table is partitioned."""
    return bool(rows(using, "SELECT 1 FROM pg_class WHERE oid = %s::regclass AND relkind = 'p'", [table]))


def structure(using: str, table: str) -> Structure:
    """Read a table's keys, the foreign keys from it and to it, and its indexes."""
    found = [
        Constraint(table=owner, name=name, kind=kind, definition=definition)
        for owner, name, kind, definition in rows(
            using,
            "SELECT conrelid::regclass::text, conname, contype::text, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE conparentid = 0 AND (conrelid = %s::regclass OR (confrelid = %s::regclass AND contype = 'f'))"
            " ORDER BY conname",
            [table, table],
        )
    ]
    indexes = rows(
        using,
        "SELECT c.relname, pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " WHERE i.indrelid = %s::regclass AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = i.indexrelid"
        " AND contype IN ('p', 'u')) ORDER BY c.relname",
        [table],
    )
    return Structure(
        keys=tuple(one for one in found if one.kind in {"p", "u"}),
        foreign=tuple(one for one in found if one.kind == "f"),
        indexes=tuple((name, definition) for name, definition in indexes),
    )


def create_like(using: str, table: str, *, like: str, by: str | None, parts: str | None = None) -> Iterator[str]:
    """Yield the statements that make an empty `table` with the columns and checks of `like`.

    It is split by the column `by`, if any, into partitions whose names begin with `parts`, by default the table's.
    """
    quote = connections[using].ops.quote_name
    including = "INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING IDENTITY INCLUDING STORAGE INCLUDING COMMENTS"
    split = "" if by is None else f" PARTITION BY HASH ({quote(by)})"
    yield f"CREATE TABLE {quote(table)} (LIKE {quote(like)} {including}){split}"
    if by is None:
        return
    filled = FILLED.get(parts or table, 100)
    for number in range(PARTITIONS):
        part, values = f"{parts or table}_p{number:02}", f"MODULUS {PARTITIONS}, REMAINDER {number}"
        of = f"PARTITION OF {quote(table)} FOR VALUES WITH ({values})"
        yield f"CREATE TABLE {quote(part)} {of} WITH (fillfactor = {filled})"


def rebuild(schema_editor: BaseDatabaseSchemaEditor, *, split: bool, most_rows: int | None) -> None:
    """Make every table partitioned, or plain again, in the transaction of `schema_editor`. Rows are kept.

    A table that is so already stays as it is. Raises `TooManyRows` before anything is changed.
    """
    using = schema_editor.connection.alias
    tables = [table for table in COLUMNS if is_split(using, table) != split]
    if not tables:
        return
    quote = schema_editor.connection.ops.quote_name
    run(using, ["SET LOCAL statement_timeout = 0"])  # what serves requests may have set one
    run(using, [f"LOCK TABLE {', '.join(quote(table) for table in tables)} IN ACCESS EXCLUSIVE MODE"])
    if most_rows is not None:
        _refuse_large(using, tables, most_rows)
    parts = {table: structure(using, table) for table in tables}
    foreign = {(one.table, one.name): one for each in parts.values() for one in each.foreign}.values()
    run(using, [f"ALTER TABLE {one.table} DROP CONSTRAINT {quote(one.name)}" for one in foreign])
    for table in tables:
        run(using, _rebuilt(using, table, parts[table], split=split))
        restart_identity(using, table)
    run(using, [added(using, one.table, one) for one in foreign])


def _rebuilt(using: str, table: str, parts: Structure, *, split: bool) -> Iterator[str]:
    quote = connections[using].ops.quote_name
    old = f"{table}__old"
    yield f"ALTER TABLE {quote(table)} RENAME TO {quote(old)}"
    yield from create_like(using, table, like=old, by=COLUMNS[table] if split else None)
    yield f"INSERT INTO {quote(table)} SELECT * FROM {quote(old)}"  # noqa: S608 - names of ours
    yield f"DROP TABLE {quote(old)}"
    yield from (added(using, quote(table), key) for key in parts.keys)
    yield from (definition for _, definition in parts.indexes)


def added(using: str, table: str, constraint: Constraint, *, name: str | None = None) -> str:
    """Return the statement that adds a constraint to a table, whose name is quoted where it must be."""
    quote = connections[using].ops.quote_name
    return f"ALTER TABLE {table} ADD CONSTRAINT {quote(name or constraint.name)} {constraint.definition}"


def restart_identity(using: str, table: str, *, after: str | None = None) -> None:
    """Let the numbers of `table` begin after the highest that it, or `after`, holds."""
    quote = connections[using].ops.quote_name
    for (column,) in rows(
        using,
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attidentity <> '' AND NOT attisdropped",
        [table],
    ):
        highest = f"SELECT max({quote(column)}) FROM {quote(after or table)}"  # noqa: S608 - names of ours
        rows(
            using,
            f"SELECT setval(pg_get_serial_sequence(%s, %s), coalesce(({highest}), 0) + 1, false)",
            [table, column],
        )


def _refuse_large(using: str, tables: Iterable[str], most: int) -> None:
    quote = connections[using].ops.quote_name
    for table in tables:
        bounded = f"SELECT count(*) FROM (SELECT 1 FROM {quote(table)} LIMIT {most + 1}) AS bounded"  # noqa: S608 - names of ours
        ((count,),) = rows(using, bounded)
        if count > most:
            message = (
                f"{table} has more than {most} rows: enrolments would wait while they are moved. Split the live table "
                "with `manage.py bonafide_partition` (docs/how-to/postgresql.md), then migrate."
            )
            raise TooManyRows(message)


def rows(using: str, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run a query and return its rows."""
    with connections[using].cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())


def run(using: str, statements: Iterable[str]) -> None:
    """Run statements that return nothing, one after another."""
    with connections[using].cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
