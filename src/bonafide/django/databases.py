"""What the control plane asks of a database, in one place.

On SQLite several processes enrol at once without an error under these options, and under no weaker ones:

    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": …, "OPTIONS": SQLITE_OPTIONS}}

WAL lets readers read while one process writes. Immediate transactions take the write lock when they
begin; Django's default takes it at the first write, where SQLite cannot wait for another writer and
raises "database is locked" at once. Commits are synced: a ban or a counter survives a power cut.

On PostgreSQL each process keeps a pool of connections, and gives up on a database that does not answer:

    DATABASES = {"default": POSTGRESQL | {"NAME": …, "USER": …, "HOST": …}}

A request that gets no connection, or no answer, is refused with 503 (`store.database_unavailable`) within the sum of
the timeouts below, and the next one tries again: nothing has to be restarted when PostgreSQL was.
"""

from __future__ import annotations

from typing import Any, Final

SQLITE_BUSY_SECONDS: Final = 20
"""How long a process waits for the one that writes; transactions of this package last milliseconds."""

SQLITE_OPTIONS: Final[dict[str, object]] = {
    "transaction_mode": "IMMEDIATE",
    "timeout": SQLITE_BUSY_SECONDS,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL",
}

POOL_CONNECTIONS: Final = 4
"""What one process opens at most; threads beyond it wait in line. Processes times this stay below max_connections."""

POOL_WAIT_S: Final = 1.0
"""How long a request waits for a connection of the pool."""

STATEMENT_TIMEOUT_S: Final = 5
"""How long one statement may run; those of this package take milliseconds. `migrate` and the like may need more."""

POSTGRESQL_OPTIONS: Final[dict[str, Any]] = {
    "pool": {
        "min_size": 1,
        "max_size": POOL_CONNECTIONS,
        "timeout": POOL_WAIT_S,
        "max_waiting": 64,  # beyond it a request is refused at once, and not after waiting
        "max_lifetime": 30 * 60.0,  # a failover, or a new address behind a name, is found in the end
        "max_idle": 5 * 60.0,
        "reconnect_timeout": 2.0,  # the pool's own pauses grow while it fails; the next request begins anew
    },
    "connect_timeout": 2,
    "options": f"-c statement_timeout={STATEMENT_TIMEOUT_S}s -c lock_timeout=3s"
    " -c idle_in_transaction_session_timeout=10s",
    # A host that vanished answers nothing: these notice, where TCP itself would wait for a quarter of an hour.
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 5000,
}

POSTGRESQL: Final[dict[str, Any]] = {
    "ENGINE": "django.db.backends.postgresql",
    "CONN_MAX_AGE": 0,  # the pool keeps connections, so Django must not
    "CONN_HEALTH_CHECKS": True,  # a connection that died with the server is not handed out
    "OPTIONS": POSTGRESQL_OPTIONS,
}
"""Everything of a DATABASES entry but NAME, USER, PASSWORD, HOST and PORT. Needs `bonafide[postgres]`."""
