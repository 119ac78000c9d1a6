"""PostgreSQL on a Unix socket, with a directory of its own."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any, Final

import psycopg

from deploy.processes import Process, find, run

USER: Final = "bonafide"
NAME: Final = "postgres"


class PostgreSql:
    """One server. Its data and its socket's directory stay over restarts; `remove` takes them away."""

    def __init__(self, *, max_connections: int = 60) -> None:
        """Make the data directory; nothing is started yet.

        It lies in the system's directory for temporary files, because PostgreSQL refuses to run as root, and
        another account could not enter a private directory. A socket's path is also at most 107 octets long.
        """
        initdb, server = find("initdb", apt="postgresql"), find("postgres", apt="postgresql")
        self.directory: Final = Path(tempfile.mkdtemp(prefix="bonafide-pg-"))
        owner: dict[str, Any] = {}
        if os.geteuid() == 0:
            owner = {"user": "nobody", "group": "nogroup", "extra_groups": []}
            shutil.chown(self.directory, "nobody", "nogroup")
        data = self.directory / "data"
        options = ["--auth=trust", f"--username={USER}", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        run(initdb, *options, "-D", data, cwd=self.directory, **owner)
        settings = [
            "listen_addresses=",
            f"unix_socket_directories={self.directory}",
            f"max_connections={max_connections}",
        ]
        # Written to disk as in operation: a drill ends this server without warning.
        command: list[str | Path] = [server, "-D", data, *(part for setting in settings for part in ("-c", setting))]
        log = self.directory / "postgresql.log"
        log.touch()
        self.process: Final = Process(
            name="postgresql", command=command, directory=self.directory, ready=self._answers, options=owner
        )

    @property
    def url(self) -> str:
        """What `database` of service.toml says."""
        return f"postgresql://{USER}@/{NAME}?host={self.directory}"

    def connect(self) -> psycopg.Connection[Any]:
        """Return a connection of the operator's own."""
        return psycopg.connect(host=str(self.directory), user=USER, dbname=NAME, autocommit=True, connect_timeout=5)

    def start(self) -> None:
        """Start it."""
        self.process.start()

    def stop(self) -> None:
        """End it fast: clients are not waited for, and nothing that was committed is lost."""
        self.process.stop(signal.SIGINT)

    def remove(self) -> None:
        """End it and take its directory away."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True
