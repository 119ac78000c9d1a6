"""HTTP/1.1 octet by octet over TLS, because a client library would straighten out what an attack bends."""

from __future__ import annotations

import http.client
import socket
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back. `headers` are in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def worker(self) -> str:
        """Which process of the server answered."""
        return self.headers.get("x-worker", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRequest:
    """A request as it will stand on the wire: nothing is added but Content-Length, nothing is corrected."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""

    def octets(self) -> bytes:
        """Return the request on the wire."""
        lines = [f"{self.method} {self.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.body and self.find("content-length") is None:
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + self.body

    def find(self, name: str) -> str | None:
        """Return a header's first value, or None."""
        return next((value for known, value in self.headers if known.lower() == name), None)

    def having(self, **changes: str | bytes) -> RawRequest:
        """Return the request with another `method`, `target` or `body`."""
        return replace(self, **changes)  # type: ignore[arg-type]  # each change has its field's type

    def with_header(self, name: str, value: str) -> RawRequest:
        """Return the request with this header in place of all of the name."""
        return self.without(name).adding(name, value)

    def adding(self, name: str, value: str) -> RawRequest:
        """Return the request with one more header, also where there is one of the name."""
        return replace(self, headers=(*self.headers, (name, value)))

    def without(self, name: str) -> RawRequest:
        """Return the request without the headers of this name."""
        return replace(self, headers=tuple(pair for pair in self.headers if pair[0].lower() != name.lower()))


def send(request: RawRequest, *, port: int, trust: ssl.SSLContext) -> Answer:
    """Send one request over a connection of its own and return the answer."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as plain,
        trust.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        connection.sendall(request.octets())
        return _read(connection, request.method)


def _read(connection: socket.socket, method: str) -> Answer:
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    body = response.read()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(status=response.status, headers=headers, body=body)
