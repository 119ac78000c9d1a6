"""The how-to for several machines locks an API behind two of each kind when it is followed to the letter."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from deploy.postgresql import PostgreSql
from tests.docs.pages import page
from tests.docs.terminals import Terminals

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import RequireProgram

PAGE: Final = "docs/how-to/several-machines.md"
SOCKET: Final = "/run/postgresql"


class Machines(Terminals):
    """One program may run on several machines: only the same command once more ends what it started before."""

    def _leave(self, command: str, where: str) -> None:
        started = tuple(command.split())
        program = started[:2]
        if started in self._left:
            self._left[program] = self._left.pop(started)
        super()._leave(command, where)
        self._left[started] = self._left.pop(program)


def test_following_the_page_locks_the_api(tmp_path: Path, require_program: RequireProgram) -> None:
    for program, apt in (("nginx", "nginx-light"), ("curl", "curl"), ("redis-server", "redis-server")):
        require_program(program, apt=apt)
    require_program("initdb", apt="postgresql")
    postgresql = PostgreSql()
    try:
        postgresql.start()
        with postgresql.connect() as connection:
            connection.execute("CREATE DATABASE bonafide")
        text = page(PAGE).text
        assert SOCKET in text
        shown = replace(page(PAGE), text=text.replace(SOCKET, str(postgresql.directory)))
        with Machines(shown, tmp_path) as reader:
            reader.run()
    finally:
        postgresql.remove()
