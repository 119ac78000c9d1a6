"""Connections to Redis servers and Sentinels, as redis-py makes them: TLS, passwords, the database.

Nothing of redis-py that repeats a command or connects by itself is used.
"""

from __future__ import annotations

import time
from ssl import TLSVersion
from typing import TYPE_CHECKING, Any, Protocol, cast

from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.credentials import CredentialProvider
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
        """Connect, say the password and choose the database."""
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


class _PasswordFile(CredentialProvider):
    """Reads the password for every connection, so that it can be rotated under a running gate."""

    def __init__(self, path: Path, username: str | None) -> None:
        self._path = path
        self._username = username

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """Return what AUTH takes. Raises `ConfigurationError` (`configuration.keys_unsafe`)."""
        try:
            text = private_files.read(self._path)
            password = "" if text is None else text.decode("utf-8").removesuffix("\n")
        except (OSError, UnicodeDecodeError):
            password = ""
        if not password:
            raise ConfigurationError(reasons.KEYS_UNSAFE, f"{self._path} holds no password")
        return (password,) if self._username is None else (self._username, password)


class Dialer:
    """Makes connections to the servers of one address, each within a deadline on the monotonic clock."""

    def __init__(self, address: ReplayStoreAddress) -> None:
        self._address = address

    def server(self, place: Place, deadline: float) -> Wire:
        """Connect to a server that holds keys. Raises what redis-py raises, and `configuration.keys_unsafe`."""
        address = self._address
        options: dict[str, Any] = {"db": address.database}
        if address.password_file is not None:
            options["credential_provider"] = _PasswordFile(address.password_file, address.username)
        else:
            options |= {"username": address.username, "password": address.password}
        return self._dial(place, deadline, options)

    def sentinel(self, place: Place, deadline: float) -> Wire:
        """Connect to a Sentinel. Raises as `server`."""
        options: dict[str, Any] = {}
        if self._address.sentinel_password_file is not None:
            options["credential_provider"] = _PasswordFile(self._address.sentinel_password_file, None)
        return self._dial(place, deadline, options)

    def _dial(self, place: Place, deadline: float, options: dict[str, Any]) -> Wire:
        half = max((deadline - time.monotonic()) / 2, 0.001)  # one for the connection, one for the first answer
        options |= {
            "socket_timeout": half,
            "socket_connect_timeout": half,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,  # no HELLO, which a proxy or an ACL may refuse; nothing of RESP3 is used
            "driver_info": None,
        }
        kind: Callable[..., object] = Connection
        if not place.port:
            kind = UnixDomainSocketConnection
            options["path"] = place.host
        else:
            options |= {"host": place.host, "port": place.port}
            if self._address.tls:
                kind = SSLConnection
                options |= {"ssl_min_version": TLSVersion.TLSv1_2, "ssl_ca_certs": self._address.ca_file}
        connection = cast("Wire", kind(**options))
        try:
            connection.connect()
        except BaseException:
            connection.disconnect()
            raise
        return connection
