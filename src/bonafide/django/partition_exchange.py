"""Splitting tables that are in use: a twin beside each, kept equal by triggers, filled in batches, and swapped in.

    prepare   twins, partitioned and empty, and triggers that write every change to both     moments of lock
    copy      what was there before, batch by batch, and a comparison of all rows            no lock but on a batch
    swap      twins take the names, the tables before keep their rows as `…__plain`           moments of lock
    drop      the tables before go

Rules of this file:
- Until the swap nothing reads a twin: `abandon` leaves the database as it was.
- A change and its copy are one transaction. A row is copied with a lock that its writers wait for, and never
  over what a trigger wrote.
- A step that was interrupted is repeated; what was done already is found done.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from django.db import OperationalError, connections, transaction

from bonafide.django.partitions import (
    COLUMNS,
    Constraint,
    added,
    create_like,
    is_split,
    restart_identity,
    rows,
    run,
    structure,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH: Final = 5000
LOCK_TIMEOUT_S: Final = 3
"""How long a step waits for a lock, and so makes others wait behind it, before it gives up."""

_OWNER: Final = next(iter(COLUMNS))  # the table that the others refer to
_CLAIMED: Final = [
    name
    for table in ("spentchallenge", "signkey", "attestkey", "instance", "evidencerecord")
    for name in (f"bonafide_{table}", f"bonafide_{table}__split")
]
_COPIED: Final = "bonafide: copied"
_DEADLOCK: Final = "40P01"
_REPEAT: Final = frozenset(["55P03", _DEADLOCK])  # SQLSTATE: lock not available


class NotNow(Exception):
    """The step cannot be taken: the text says what comes before it."""


def twin(table: str) -> str:
    """Return the name of a table's partitioned twin."""
    return f"{table}__split"


def before(table: str) -> str:
    """Return the name under which a table is kept after the swap."""
    return f"{table}__plain"


def state(using: str) -> str:
    """Return how far it is: `plain`, `prepared`, `copied`, `swapped`, or `split` where nothing is left to do."""
    if not all(is_split(using, table) for table in COLUMNS):
        if not _exists(using, twin(_OWNER)):
            return "plain"
        comment = rows(using, "SELECT obj_description(%s::regclass)", [twin(_OWNER)])
        return "copied" if comment == [(_COPIED,)] else "prepared"
    return "swapped" if any(_exists(using, before(table)) for table in COLUMNS) else "split"


def prepare(using: str) -> None:
    """Make the twins, and write every change to both from now on. Raises `NotNow`."""
    _require(using, "plain")
    outside = [one for one in structure(using, _OWNER).foreign if one.table.strip('"') not in COLUMNS]
    if outside:
        message = f"a table that is not ours refers to {_OWNER}: {outside[0].table}"
        raise NotNow(message)
    with _under_lock(using, list(COLUMNS)):
        for table, column in COLUMNS.items():
            run(using, create_like(using, twin(table), like=table, by=column, parts=table))
            for number, key in enumerate(structure(using, table).keys):
                run(using, [added(using, _quoted(using, twin(table)), key, name=f"{twin(table)}_k{number}")])
        for table in COLUMNS:
            run(using, _indexes(using, table))
            run(using, _references(using, table))
            run(using, _mirror(using, table))


def copy(using: str, *, batch: int = BATCH) -> Iterator[tuple[str, int]]:
    """Copy what was there before, and compare; yield each table and how many of its rows were looked at so far.

    Raises `NotNow`, also where a comparison finds a difference: somebody wrote past the triggers.
    """
    _require(using, "prepared", "copied")
    for table in COLUMNS:
        last, seen = _copy_batch(using, table, None, batch), batch
        while last is not None:
            yield table, seen
            last, seen = _copy_batch(using, table, last, batch), seen + batch
        different = _differences(using, table)
        if different:
            message = f"{different} rows of {table} and of its twin differ; `abandon`, and begin again"
            raise NotNow(message)
    run(using, [f"COMMENT ON TABLE {_quoted(using, twin(_OWNER))} IS '{_COPIED}'"])


def swap(using: str) -> None:
    """Give the twins the names. Raises `NotNow`, also where a lock was not had in time: repeat it."""
    _require(using, "copied")
    with _under_lock(using, [name for table in COLUMNS for name in (table, twin(table))]):
        for table in COLUMNS:
            run(using, _without_mirror(using, table))
            restart_identity(using, twin(table), after=table)
        for table in COLUMNS:
            run(using, _renamed(using, table))
        run(using, [f"COMMENT ON TABLE {_quoted(using, _OWNER)} IS NULL"])


def abandon(using: str) -> None:
    """Remove twins and triggers; the tables in use were never changed. Raises `NotNow`."""
    _require(using, "prepared", "copied")
    with _under_lock(using, list(COLUMNS)):
        for table in COLUMNS:
            run(using, _without_mirror(using, table))
        _drop(using, [twin(table) for table in COLUMNS])


def drop(using: str) -> None:
    """Remove the tables of before the swap, rows and all. Raises `NotNow`."""
    _require(using, "swapped")
    with transaction.atomic(using=using):
        _drop(using, [before(table) for table in COLUMNS])


def _require(using: str, *states: str) -> None:
    found = state(using)
    if found not in states:
        message = f"the tables are {found}, and this step wants them {' or '.join(states)}"
        raise NotNow(message)


@contextmanager
def _under_lock(using: str, tables: list[str]) -> Iterator[None]:
    # In the order in which an enrolment claims its rows, so that the two seldom wait for each other.
    names = ", ".join(_quoted(using, table) for table in sorted(tables, key=_CLAIMED.index))
    try:
        with transaction.atomic(using=using):
            run(
                using, [f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'", f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE"]
            )
            yield
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) not in _REPEAT:
            raise
        message = "the lock was not had in time: somebody was in a transaction. Nothing was changed; repeat it"
        raise NotNow(message) from None


def _columns(using: str, table: str) -> list[str]:
    found = rows(
        using,
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
        " ORDER BY attnum",
        [table],
    )
    return [_quoted(using, name) for (name,) in found]


def _key(using: str, table: str) -> list[str]:
    found = rows(
        using,
        "SELECT a.attname FROM pg_index i, unnest(i.indkey) WITH ORDINALITY k (number, place), pg_attribute a"
        " WHERE i.indrelid = %s::regclass AND i.indisprimary AND a.attrelid = i.indrelid AND a.attnum = k.number"
        " ORDER BY k.place",
        [table],
    )
    return [_quoted(using, name) for (name,) in found]


def _indexes(using: str, table: str) -> Iterator[str]:
    """The same indexes on the twin, under names of their own."""
    for number, (name, definition) in enumerate(structure(using, table).indexes):
        _, _, rest = definition.partition(" USING ")
        unique = "UNIQUE " if definition.startswith("CREATE UNIQUE") else ""
        del name
        yield f"CREATE {unique}INDEX {twin(table)}_i{number} ON {_quoted(using, twin(table))} USING {rest}"


def _references(using: str, table: str) -> Iterator[str]:
    """The foreign keys of a table on its twin, to the twin of what they refer to."""
    to, instead = f" REFERENCES {_OWNER}(", f" REFERENCES {twin(_OWNER)}("
    for number, one in enumerate(_own_references(using, table)):
        definition = one.definition.replace(to, instead)
        yield f"ALTER TABLE {_quoted(using, twin(table))} ADD CONSTRAINT {twin(table)}_f{number} {definition}"


def _own_references(using: str, table: str) -> list[Constraint]:
    return [one for one in structure(using, table).foreign if one.table.strip('"') == table]


def _mirror(using: str, table: str) -> Iterator[str]:
    """The trigger that writes a change to the twin, in the transaction of the change."""
    columns, key, other = _columns(using, table), _key(using, table), _quoted(using, twin(table))
    same = " AND ".join(f"{name} = OLD.{name}" for name in key)
    written = ", ".join(f"{name} = EXCLUDED.{name}" for name in columns if name not in key)
    owner = ""
    for one in _own_references(using, table):
        # The row that it refers to may not have been copied yet.
        column = one.definition.partition("(")[2].partition(")")[0]
        owner += (
            f"INSERT INTO {twin(_OWNER)} SELECT * FROM {_OWNER} WHERE id = NEW.{column}"  # noqa: S608 - names of ours
            " FOR KEY SHARE ON CONFLICT DO NOTHING;\n"
        )
    yield f"""
        CREATE FUNCTION {table}__mirror() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $mirror$
        BEGIN
            IF TG_OP <> 'INSERT' THEN
                IF TG_OP = 'DELETE' OR ({", ".join(f"OLD.{name}" for name in key)})
                    IS DISTINCT FROM ({", ".join(f"NEW.{name}" for name in key)}) THEN
                    DELETE FROM {other} WHERE {same};
                END IF;
                IF TG_OP = 'DELETE' THEN RETURN NULL; END IF;
            END IF;
            {owner}
            INSERT INTO {other} VALUES (NEW.*) ON CONFLICT ({", ".join(key)}) DO UPDATE SET {written};
            RETURN NULL;
        END
        $mirror$
    """  # noqa: S608 - names of ours
    yield (
        f"CREATE TRIGGER {table}__mirror AFTER INSERT OR UPDATE OR DELETE ON {_quoted(using, table)}"
        f" FOR EACH ROW EXECUTE FUNCTION {table}__mirror()"
    )


def _without_mirror(using: str, table: str) -> Iterator[str]:
    yield f"DROP TRIGGER {table}__mirror ON {_quoted(using, table)}"
    yield f"DROP FUNCTION {table}__mirror()"


def _copy_batch(using: str, table: str, last: tuple[object, ...] | None, size: int) -> tuple[object, ...] | None:
    """Copy the rows after `last` in the order of the key; return the last of them, or None where there was none."""
    key, source, target = ", ".join(_key(using, table)), _quoted(using, table), _quoted(using, twin(table))
    after = "" if last is None else f"WHERE ({key}) > ({', '.join(['%s'] * len(last))})"
    sql = (
        f"WITH batch AS (SELECT * FROM {source} {after} ORDER BY {key} LIMIT {size} FOR SHARE),"  # noqa: S608 - names of ours
        f" copied AS (INSERT INTO {target} SELECT * FROM batch ON CONFLICT DO NOTHING)"
        f" SELECT {key} FROM batch ORDER BY {', '.join(f'{name} DESC' for name in key.split(', '))} LIMIT 1"
    )
    while True:
        try:
            with transaction.atomic(using=using):
                run(using, ["SET LOCAL statement_timeout = 0"])
                found = rows(using, sql, last or ())
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) != _DEADLOCK:  # with an enrolment, which repeats itself too
                raise
        else:
            return found[0] if found else None


def _differences(using: str, table: str) -> int:
    """Count the rows that only one of both has. One statement sees both at one moment."""
    one, two = _quoted(using, table), _quoted(using, twin(table))
    with transaction.atomic(using=using):
        run(using, ["SET LOCAL statement_timeout = 0"])
        ((count,),) = rows(
            using,
            f"SELECT count(*) FROM ((SELECT * FROM {one} EXCEPT ALL SELECT * FROM {two})"  # noqa: S608 - names of ours
            f" UNION ALL (SELECT * FROM {two} EXCEPT ALL SELECT * FROM {one})) AS different",
        )
    return int(count)


def _renamed(using: str, table: str) -> Iterator[str]:
    """The table steps aside, with all names that a schema has once, and its twin takes its place and names."""
    parts, foreign = structure(using, table), _own_references(using, table)
    names = [(f"k{number}", key.name) for number, key in enumerate(parts.keys)]
    names += [(f"i{number}", name) for number, (name, _) in enumerate(parts.indexes)]
    yield f"ALTER TABLE {_quoted(using, table)} RENAME TO {before(table)}"
    for short, name in names:
        yield f"ALTER INDEX {_quoted(using, name)} RENAME TO {before(table)}_{short}"
    yield f"ALTER TABLE {twin(table)} RENAME TO {_quoted(using, table)}"
    for short, name in names:
        yield f"ALTER INDEX {twin(table)}_{short} RENAME TO {_quoted(using, name)}"
    for number, one in enumerate(foreign):
        yield (
            f"ALTER TABLE {_quoted(using, table)} RENAME CONSTRAINT {twin(table)}_f{number}"
            f" TO {_quoted(using, one.name)}"
        )


def _drop(using: str, tables: list[str]) -> None:
    present = [_quoted(using, table) for table in tables if _exists(using, table)]
    run(using, [f"DROP TABLE {', '.join(present)}"])  # together: they refer to each other


def _exists(using: str, table: str) -> bool:
    return rows(using, "SELECT to_regclass(%s) IS NOT NULL", [table]) == [(True,)]


def _quoted(using: str, name: str) -> str:
    return connections[using].ops.quote_name(name)
