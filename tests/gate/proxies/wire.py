"""HTTP octet by octet, for both ends of a proxy: what a client bends, and what arrived behind it."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

TIMEOUT_S: Final = 10.0
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True, slots=True)
class Message:
    """A request or an answer as it stood on the wire. `start` is its first line."""

    start: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    @property
    def status(self) -> int:
        """An answer's status."""
        return int(self.start.split(" ")[1])

    @property
    def method(self) -> str:
        """A request's method."""
        return self.start.split(" ")[0]

    @property
    def target(self) -> str:
        """A request's target."""
        return self.start.split(" ")[1]

    def all(self, name: str) -> list[str]:
        """Return every value of a field, whatever its case."""
        return [value for known, value in self.headers if known.lower() == name.lower()]

    def one(self, name: str) -> str:
        """Return a field's one value, or ''; two are a failure."""
        values = self.all(name)
        assert len(values) <= 1, f"{name}: {values}"
        return values[0] if values else ""


class Reader:
    """Reads messages from a socket; None at its end."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = b""

    def message(self, *, has_body: bool = True) -> Message | None:
        """Return the next message."""
        head = self._until(b"\r\n\r\n")
        if head is None:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines if line))
        message = Message(first, headers)
        if not has_body or first.startswith(("HTTP/1.1 204", "HTTP/1.1 304", "HTTP/1.1 1")):
            return message
        return Message(first, headers, self._body(message))

    def _body(self, message: Message) -> bytes:
        if "chunked" in message.one("transfer-encoding").lower():
            return self._chunks()
        length = message.all("content-length")
        if length:
            return self._exactly(int(length[0]))
        return self._rest() if message.start.startswith("HTTP/") else b""

    def _chunks(self) -> bytes:
        body = b""
        while True:
            line = self._until(b"\r\n") or b"0"
            size = int(line.split(b";")[0], 16)
            if size == 0:
                while self._until(b"\r\n"):
                    pass
                return body
            body += self._exactly(size)
            self._exactly(2)

    def _until(self, end: bytes) -> bytes | None:
        while end not in self._buffer:
            more = self._receive()
            if not more:
                return None
            self._buffer += more
        found, _, self._buffer = self._buffer.partition(end)
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            more = self._receive()
            if not more:
                break
            self._buffer += more
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def _rest(self) -> bytes:
        while more := self._receive():
            self._buffer += more
        found, self._buffer = self._buffer, b""
        return found

    def _receive(self) -> bytes:
        try:
            return self._connection.recv(65536)
        except ConnectionError:
            return b""


@dataclass(slots=True)
class Recorder:
    """A server on a unix socket that keeps what it was sent, and answers what it is told to.

    `answer` returns the octets to send; None ends the connection without an answer.
    """

    path: Path
    answer: Callable[[Message], bytes | None] = lambda _: OK
    seen: list[Message] = field(default_factory=list)
    connections: int = 0
    _socket: socket.socket | None = None
    _open: list[socket.socket] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def listen(self) -> None:
        """Begin to answer."""
        self.path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(self.path))
        self._socket.listen(64)
        threading.Thread(target=self._accept, args=(self._socket,), daemon=True).start()

    def close(self) -> None:
        """End all of it."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None
        self.path.unlink(missing_ok=True)
        self.hang_up()

    def reset(self) -> None:
        """Forget what was seen, answer 200, and listen if it does not."""
        self.answer = lambda _: OK
        if self._socket is None:
            self.listen()
        self.seen.clear()

    def hang_up(self) -> None:
        """Close every connection that is open."""
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            reader = Reader(connection)
            while (message := reader.message()) is not None:
                self.seen.append(message)
                answer = self.answer(message)
                if answer is None:
                    return
                connection.sendall(answer)


def send(
    octets: bytes | Iterable[bytes], *, port: int, answers: int = 1, head: bool = False, timeout: float = TIMEOUT_S
) -> list[Message]:
    """Send octets as they are, and return up to `answers` answers; fewer where the connection ended."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        with suppress(ConnectionError):
            for part in [octets] if isinstance(octets, bytes) else octets:
                connection.sendall(part)
        reader = Reader(connection)
        found: list[Message] = []
        while len(found) < answers and (message := reader.message(has_body=not head)) is not None:
            found.append(message)
        return found


# HTTP/2 in clear text, far enough to send what no library would.

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST, _SETTINGS, _GOAWAY, _CONTINUATION = 0, 1, 3, 4, 7, 9
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_MAX_FRAME: Final = 16384
_STATUSES: Final = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return one frame (RFC 9113 section 4.1)."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def compress(fields: Iterable[tuple[str, str]]) -> bytes:
    """Return fields as literals that are never indexed (RFC 7541 section 6.2.3): whatever is in them goes through."""
    block = b""
    for name, value in fields:
        block += b"\x10"
        for text in (name.encode("latin-1"), value.encode("latin-1")):
            block += _integer(len(text)) + text
    return block


def _integer(value: int) -> bytes:
    if value < 127:
        return bytes([value])
    value -= 127
    octets = bytearray([127])
    while value >= 128:
        octets.append(value % 128 | 128)
        value //= 128
    return bytes([*octets, value])


def send_h2(
    fields: Iterable[tuple[str, str]],
    *,
    port: int,
    body: bytes | None = None,
    trailers: Iterable[tuple[str, str]] | None = None,
) -> int:
    """Send one request over HTTP/2 and return its status; 0 where the proxy reset it or hung up."""
    block = compress(fields)
    blocks = [block[at : at + _MAX_FRAME] for at in range(0, len(block), _MAX_FRAME)]
    frames = []
    for index, part in enumerate(blocks):
        flags = _END_HEADERS * (index == len(blocks) - 1) | _END_STREAM * (index == 0 and body is None)
        frames.append(frame(_CONTINUATION if index else _HEADERS, flags, 1, part))
    if body is not None:
        frames.append(frame(_DATA, 0 if trailers else _END_STREAM, 1, body))
    if trailers:
        frames.append(frame(_HEADERS, _END_HEADERS | _END_STREAM, 1, compress(trailers)))
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as connection:
        with suppress(ConnectionError):
            connection.sendall(PREFACE + frame(_SETTINGS, 0, 0, b"") + b"".join(frames))
        try:
            return _status(connection)
        except ConnectionError:
            return 0


def _status(connection: socket.socket) -> int:
    buffer = b""
    while True:
        while len(buffer) < 9 or len(buffer) < 9 + int.from_bytes(buffer[:3], "big"):
            more = connection.recv(65536)
            if not more:
                return 0
            buffer += more
        length, kind, flags = int.from_bytes(buffer[:3], "big"), buffer[3], buffer[4]
        payload, buffer = buffer[9 : 9 + length], buffer[9 + length :]
        if kind == _SETTINGS and not flags & _ACK:
            connection.sendall(frame(_SETTINGS, _ACK, 0, b""))
        if kind in (_RST, _GOAWAY):
            return 0
        if kind == _HEADERS:
            return _status_of(payload)


def _status_of(block: bytes) -> int:
    while block[0] & 0xE0 == 0x20:  # a change of the table's size
        block = block[1:] if block[0] & 0x1F != 0x1F else block[3:]
    if block[0] & 0x80:
        return _STATUSES[block[0] & 0x7F]
    # A literal whose name is in the static table, and whose value is plain or in the code of RFC 7541 appendix B.
    length, text = block[1] & 0x7F, block[2 : 2 + (block[1] & 0x7F)]
    assert block[0] & 0x0F in range(8, 15), block[:4].hex()
    return int(_digits(text) if block[1] & 0x80 else text[:length])


def _digits(coded: bytes) -> str:
    """Decode Huffman's digits: 0 to 2 have five bits, 3 to 9 six."""
    bits = "".join(f"{octet:08b}" for octet in coded)
    codes = {"00000": "0", "00001": "1", "00010": "2"} | {f"{0b011001 + n:06b}": str(3 + n) for n in range(7)}
    found = ""
    while bits and set(bits) != {"1"}:
        size = 5 if bits[:5] in codes else 6
        found, bits = found + codes[bits[:size]], bits[size:]
    return found
