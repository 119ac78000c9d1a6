"""Connections to Redis servers and Sentinels, each made within one deadline: addresses, TLS, password, database.

redis-py has a timeout for every step, and one for every address that a name has: six silent ones cost six
timeouts. So the addresses are dialled here, and the first commands are sent here. Nothing of redis-py that
repeats a command or connects by itself is used.
"""

from __future__ import annotations

import socket
import time
from ssl import TLSVersion
from typing import TYPE_CHECKING, Any, Protocol, cast

from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import InvalidResponse
from redis.exceptions import TimeoutError as Silent
from redis.retry import Retry

from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons
from bonafide.stores import private_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from bonafide.stores.addresses import ReplayStoreAddress
    from bonafide.stores.redis.masters import Place

Command = tuple[object, ...]


class Wire(Protocol):
    """What is used of a redis-py connection."""

    @property
    def is_connected(self) -> bool:
        """Whether it was connected and has not been let go of."""
        ...

    def connect(self) -> None:
        """Connect, and agree on TLS."""
        ...

    def disconnect(self) -> None:
        """Let go of it."""
        ...

    def can_read(self, timeout: float) -> bool:
        """Tell whether something came that nobody asked for. Raises where the other side closed it."""
        ...

    def pack_commands(self, commands: Iterable[Command]) -> list[bytes]:
        """Spell commands for the wire."""
        ...

    def send_packed_command(self, command: Sequence[bytes], *, check_health: bool) -> None:
        """Send what was packed."""
        ...

    def read_response(self, *, timeout: float) -> object:
        """Return the next answer; raise it where it is a refusal."""
        ...


class _Dialled(Connection):
    """A TCP connection that is made until `until`, on the monotonic clock, however many addresses its name has."""

    until: float

    def _connect(self) -> socket.socket:
        """Try the addresses in turn, and leave half of the time for what is to be said.

        Each gets the same share of what is left, and the last one all of it: a silent one must not cost the others
        their turn.
        """
        found = socket.getaddrinfo(self.host, self.port, 0, socket.SOCK_STREAM)
        half = time.monotonic() + _left(self.until) / 2
        problem = OSError("the name has no address")
        for number, (family, kind, protocol, _, address) in enumerate(found):
            dialled = socket.socket(family, kind, protocol)
            try:
                self._reach(dialled, address, _left(half) / (len(found) - number))
            except OSError as failed:
                dialled.close()
                problem = failed
            except BaseException:
                dialled.close()
                raise
            else:
                return dialled
        raise problem

    def _reach(self, dialled: socket.socket, address: Any, patience: float) -> None:
        dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        dialled.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in self.socket_keepalive_options.items():
            dialled.setsockopt(socket.IPPROTO_TCP, option, value)
        dialled.settimeout(patience)
        dialled.connect(address)
        dialled.settimeout(_left(self.until))  # TLS comes next, if it comes


class _DialledByTls(SSLConnection, _Dialled):
    """Likewise; the handshake takes what is left."""


class Dialer:
    """Makes connections to the servers of one address, each within a deadline on the monotonic clock."""

    def __init__(self, address: ReplayStoreAddress) -> None:
        self._address = address

    def server(self, place: Place, deadline: float) -> Wire:
        """Connect to a server that holds keys, say the password and choose the database.

        Raises what redis-py raises, `configuration.keys_unsafe`, and `ValueError` for a name that cannot be one.
        """
        address = self._address
        password = address.password if address.password_file is None else _password(address.password_file)
        commands: list[Command] = []
        if password is not None:
            commands.append(("AUTH", password) if address.username is None else ("AUTH", address.username, password))
        if address.database:
            commands.append(("SELECT", address.database))
        return self._dial(place, deadline, commands)

    def sentinel(self, place: Place, deadline: float) -> Wire:
        """Connect to a Sentinel and say its password. Raises as `server`."""
        file = self._address.sentinel_password_file
        return self._dial(place, deadline, [] if file is None else [("AUTH", _password(file))])

    def _dial(self, place: Place, deadline: float, commands: list[Command]) -> Wire:
        connection = self._unconnected(place, deadline)
        try:
            connection.connect()
            if commands:
                connection.send_packed_command(connection.pack_commands(commands), check_health=False)
            for _ in commands:
                if connection.read_response(timeout=_left(deadline)) != b"OK":
                    raise InvalidResponse
        except BaseException:
            connection.disconnect()
            raise
        return connection

    def _unconnected(self, place: Place, deadline: float) -> Wire:
        patience = _left(deadline)
        options: dict[str, Any] = {
            "socket_timeout": patience,
            "socket_connect_timeout": patience,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,  # no HELLO, which a proxy or an ACL may refuse; nothing of RESP3 is used
            "driver_info": None,
        }
        kind: Callable[..., Any] = _Dialled
        if not place.port:
            kind = UnixDomainSocketConnection
            options["path"] = place.host
        else:
            options |= {"host": place.host, "port": place.port}
            if self._address.tls:
                kind = _DialledByTls
                options |= {"ssl_min_version": TLSVersion.TLSv1_2, "ssl_ca_certs": self._address.ca_file}
        connection = kind(**options)
        connection.until = deadline
        return cast("Wire", connection)


def _left(deadline: float) -> float:
    """Return the seconds until then. Raises redis-py's `TimeoutError` where none are left."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise Silent
    return left


def _password(path: Path) -> str:
    """Read a password, for every connection anew, so that it can be rotated under a running gate.

    Raises `ConfigurationError` (`configuration.keys_unsafe`).
    """
    try:
        text = private_files.read(path)
        password = "" if text is None else text.decode("utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError):
        password = ""
    if not password:
        raise ConfigurationError(reasons.KEYS_UNSAFE, f"{path} holds no password")
    return password
