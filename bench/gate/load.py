"""A small load generator: a fixed number of kept connections, each with one request on its way.

Requests are octets that were made before, so that hardly anything is done here. A connection that the server
closed after an answer is opened anew; one that breaks before an answer is a failure.
"""

from __future__ import annotations

import selectors
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

CONNECTIONS: Final = 32
"""As many as the lines of `bonafide nginx` keep open to a gate."""

SILENCE_S: Final = 30.0
_END: Final = b"\r\n\r\n"


@dataclass(slots=True)
class Flow:
    """What one batch came to: statuses by number, seconds from first octet to last, each answer's own time."""

    statuses: dict[int, int] = field(default_factory=dict)
    seconds: float = 0.0
    took: list[float] = field(default_factory=list)

    def quantile(self, share: float) -> float:
        """Return the time in milliseconds within which this share of the answers came."""
        ordered = sorted(self.took)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


@dataclass(slots=True, eq=False)
class _Line:
    """One connection."""

    socket: socket.socket
    number: int = -1
    begun: float = 0.0
    answer: bytes = b""


class Load:
    """Sends batches to one place: a port of loopback or the path of a Unix socket."""

    def __init__(self, place: int | str, *, connections: int = CONNECTIONS) -> None:
        """Connect with the first batch."""
        self._place = place
        self._count = connections
        self._selector = selectors.DefaultSelector()
        self._lines: list[_Line] = []

    def send(
        self, requests: Sequence[bytes], *, heard: Callable[[int, int, bytes], bytes | None] | None = None
    ) -> Flow:
        """Send each request once and return when all are answered.

        `heard` is told the number of a request, its status and its whole answer; what it returns is sent next on
        the same connection, before anything else, under the same number.
        """
        flow = Flow()
        numbers = iter(range(len(requests)))
        while len(self._lines) < min(self._count, len(requests)):
            self._lines.append(self._connect())
        begun = time.perf_counter()
        busy = sum(self._next(line, requests, numbers) for line in self._lines)
        while busy:
            ready = self._selector.select(SILENCE_S)
            if not ready:
                message = f"no answer within {SILENCE_S:.0f} s"
                raise TimeoutError(message)
            for key, _ in ready:
                line: _Line = key.data
                status = self._receive(line)
                if status is None:
                    continue
                now = time.perf_counter()
                flow.took.append(now - line.begun)
                flow.statuses[status] = flow.statuses.get(status, 0) + 1
                more = None if heard is None else heard(line.number, status, line.answer)
                self._settle(line)
                if more is not None:
                    self._put(line, more)
                elif not self._next(line, requests, numbers):
                    busy -= 1
        flow.seconds = time.perf_counter() - begun
        return flow

    def close(self) -> None:
        """Close all connections."""
        for line in self._lines:
            self._drop(line)
        self._lines.clear()
        self._selector.close()

    def _next(self, line: _Line, requests: Sequence[bytes], numbers: Iterator[int]) -> bool:
        number = next(numbers, None)
        if number is None:
            return False
        line.number = number
        self._put(line, requests[number])
        return True

    def _put(self, line: _Line, request: bytes) -> None:
        line.answer, line.begun = b"", time.perf_counter()
        line.socket.sendall(request)

    def _receive(self, line: _Line) -> int | None:
        """Take what came; return the status where the answer is whole."""
        more = line.socket.recv(65536)
        line.answer += more
        if not more and not line.answer:
            message = f"the connection ended before request {line.number} was answered"
            raise ConnectionError(message)
        head, found, body = line.answer.partition(_END)
        if not found:
            return None
        status = int(head[9:12])
        if more and not _is_whole(head, body, status):
            return None
        if not more:
            self._again(line)
        return status

    def _settle(self, line: _Line) -> None:
        if line.socket.fileno() >= 0 and b"\r\nconnection: close" in line.answer.partition(_END)[0].lower():
            self._again(line)

    def _connect(self) -> _Line:
        line = _Line(self._open())
        self._selector.register(line.socket, selectors.EVENT_READ, line)
        return line

    def _again(self, line: _Line) -> None:
        self._drop(line)
        line.socket = self._open()
        self._selector.register(line.socket, selectors.EVENT_READ, line)

    def _drop(self, line: _Line) -> None:
        self._selector.unregister(line.socket)
        line.socket.close()

    def _open(self) -> socket.socket:
        if isinstance(self._place, str):
            opened = socket.socket(socket.AF_UNIX)
            opened.connect(self._place)
        else:
            opened = socket.create_connection(("127.0.0.1", self._place))
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.settimeout(SILENCE_S)
        return opened


def _is_whole(head: bytes, body: bytes, status: int) -> bool:
    if status in (204, 304):
        return True
    for line in head.lower().split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return len(body) >= int(value)
        if name == b"transfer-encoding":
            return body.endswith(b"0\r\n\r\n")
    return False  # until the connection ends
