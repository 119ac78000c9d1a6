"""A server that speaks Redis's language and says what a test wants; on loopback, in threads of the test's process."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from tests.stores.redis_servers import HOST

if TYPE_CHECKING:
    from collections.abc import Mapping

_BACKLOG = 16


class Impostor:
    """Answers each command by its first word with the octets that `answers` gives, and everything else with OK."""

    def __init__(self, answers: Mapping[bytes, bytes]) -> None:
        self.answers = dict(answers)
        self._listener = socket.create_server((HOST, 0), backlog=_BACKLOG)
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._listener, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError), connection.makefile("rb") as asked:
            while head := asked.readline():
                words = []
                for _ in range(int(head[1:])):
                    words.append(asked.read(int(asked.readline()[1:])))
                    asked.readline()
                connection.sendall(self.answers.get(b" ".join(words[:2]).upper(), b"+OK\r\n"))
