"""What the enrolment store asks of a database, in one place.

On SQLite several processes enrol at once without an error under these options, and under no weaker ones:

    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": …, "OPTIONS": SQLITE_OPTIONS}}

WAL lets readers read while one process writes. Immediate transactions take the write lock when they
begin; Django's default takes it at the first write, where SQLite cannot wait for another writer and
raises "database is locked" at once. Commits are synced: a ban or a counter survives a power cut.
"""

from __future__ import annotations

from typing import Final

SQLITE_BUSY_SECONDS: Final = 20
"""How long a process waits for the one that writes; transactions of this package last milliseconds."""

SQLITE_OPTIONS: Final[dict[str, object]] = {
    "transaction_mode": "IMMEDIATE",
    "timeout": SQLITE_BUSY_SECONDS,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL",
}
