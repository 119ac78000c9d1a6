"""Where a replay store is, as one line of configuration.

    memory:                                               this process only
    lmdb:/var/lib/bonafide/replay                         this host
    redis://10.0.0.5:6379/0                               one Redis server
    unix:///run/redis/redis.sock?db=0                     likewise, by its socket
    redis+sentinel://10.0.0.5,10.0.0.6,10.0.0.7/main/0    the Sentinels' ports default to 26379; `main` is their service
    redis+cluster://10.0.0.5,10.0.0.6                     any nodes of the cluster

`rediss`, `rediss+sentinel` and `rediss+cluster` speak TLS 1.2 or later with the server's certificate and name
verified; `?ca_file=/path` names whom to trust instead of the system's list. A password stands in the address
(`redis://user:password@…`, percent-encoded) or, better, alone in a file of mode 0600: `?password_file=/path`,
read anew for every connection. Sentinels that want one get `?sentinel_password_file=/path`. Nothing here
shows a password: neither `repr`, nor a refusal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons

if TYPE_CHECKING:
    from bonafide.ports import FirstUse, Scope

__all__ = ["DEFAULT_TIMEOUT", "OpenedReplayStore", "ReplayStoreAddress", "open_replay_store", "parse_address"]

DEFAULT_TIMEOUT: Final = timedelta(milliseconds=500)
"""How long a store on the network may be silent before a request is answered 503."""

FORMS: Final = (
    '"memory:", "lmdb:" and an absolute path, or an address that begins with "redis://", "rediss://", '
    '"redis+sentinel://", "redis+cluster://" or "unix://"'
)
"""The forms in words, for documentation and refusals."""

_REDIS_PORT: Final = 6379
_SENTINEL_PORT: Final = 26379
_MAX_DATABASE: Final = 2**16
_HOST: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")
_SERVICE: Final = re.compile(r"[A-Za-z0-9._-]+")

Kind = Literal["memory", "lmdb", "redis", "sentinel", "cluster"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayStoreAddress:
    """One store. `path` is LMDB's directory or Redis's socket; `hosts` are pairs of host and port.

    `service` is what Sentinels call the master. `username`, `password` and the files are None where the
    address names none.
    """

    kind: Kind
    path: Path | None = None
    hosts: tuple[tuple[str, int], ...] = ()
    service: str = ""
    database: int = 0
    tls: bool = False
    ca_file: Path | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    password_file: Path | None = None
    sentinel_password_file: Path | None = None

    @property
    def covers_hosts(self) -> bool:
        """Whether gates on several hosts may share the store."""
        return self.kind not in {"memory", "lmdb"}


class OpenedReplayStore(Protocol):
    """A `ports.ReplayStore` with a beginning and an end."""

    @property
    def scope(self) -> Scope:
        """How far this store sees."""
        ...

    def remember(self, key: bytes, *, created: int, now: float) -> FirstUse:
        """As `ports.ReplayStore.remember`."""
        ...

    def require_ready(self, *, now: float) -> None:
        """Refuse to start on a store that could not keep its word; called once, at start-up.

        A store that cannot be reached is not refused: it answers `UNAVAILABLE` until it can be.

        Raises `ConfigurationError` (`store.evicts`, `store.server_unsuited`).
        """
        ...

    def close(self) -> None:
        """Let go of files and connections in this process. A later use opens them again."""
        ...


def open_replay_store(address: str | ReplayStoreAddress, *, timeout: timedelta = DEFAULT_TIMEOUT) -> OpenedReplayStore:
    """Return the store at this address. Nothing is connected to, and no file opened, before its first use.

    `timeout` bounds one use of a store on the network, connecting included: all addresses of its name together,
    but not the system's search for them.

    Raises `ConfigurationError`: as `parse_address`, as the store's class, and `configuration.setting_malformed`
    where the package that speaks to it is not installed or `timeout` is not positive.
    """
    if isinstance(address, str):
        address = parse_address(address)
    try:
        return _open(address, timeout)
    except ModuleNotFoundError as missing:
        extra = "redis" if address.covers_hosts else "gate"
        detail = f"the replay store needs the package {missing.name}: pip install 'bonafide[{extra}]'"
        raise ConfigurationError(reasons.SETTING_MALFORMED, detail) from None


def _open(address: ReplayStoreAddress, timeout: timedelta) -> OpenedReplayStore:
    # Imported here: a host that uses one kind need not have the packages of the others.
    if address.kind == "memory":
        from bonafide.stores.memory import MemoryReplayStore  # noqa: PLC0415 - see above

        return MemoryReplayStore()
    if address.kind == "lmdb" and address.path is not None:
        from bonafide.stores.lmdb import LmdbReplayStore  # noqa: PLC0415 - see above

        return LmdbReplayStore(address.path)
    from bonafide.stores.redis import RedisReplayStore  # noqa: PLC0415 - see above

    return RedisReplayStore(address, timeout=timeout)


def parse_address(url: str) -> ReplayStoreAddress:
    """Read one line of configuration, as the head of this module spells it.

    Raises `ConfigurationError` (`configuration.setting_malformed`). The detail never repeats the address,
    which may hold a password.
    """
    try:
        return _parse(url)
    except ValueError:
        raise ConfigurationError(reasons.SETTING_MALFORMED, f"a replay store's address is {FORMS}") from None


def _parse(url: str) -> ReplayStoreAddress:
    if url == "memory:":
        return ReplayStoreAddress(kind="memory")
    scheme, _, rest = url.partition(":")
    if scheme == "lmdb":
        return ReplayStoreAddress(kind="lmdb", path=_path(rest))
    if not url.isascii() or any(character <= " " for character in url):
        raise ValueError
    parts = urlsplit(url)
    if parts.fragment or url.endswith(("#", "?")) or not url.startswith(f"{scheme}://"):
        raise ValueError
    if scheme == "unix":
        return _parse_socket(parts)
    kinds: dict[str, Kind] = {"": "redis", "+sentinel": "sentinel", "+cluster": "cluster"}
    tls = scheme.startswith("rediss")
    kind = kinds.get(scheme.removeprefix("rediss" if tls else "redis"))
    if kind is None or not scheme.startswith("redis"):
        raise ValueError
    return _parse_servers(parts, kind, tls=tls)


def _parse_socket(parts: SplitResult) -> ReplayStoreAddress:
    options = _options(parts.query, {"db", "password_file"})
    username, password, host = _credentials(parts.netloc, options)
    if host:
        raise ValueError
    return ReplayStoreAddress(
        kind="redis",
        path=_path(unquote(parts.path, errors="strict")),
        database=_database(options.get("db", "0")),
        username=username,
        password=password,
        password_file=_file(options, "password_file"),
    )


def _parse_servers(parts: SplitResult, kind: Kind, *, tls: bool) -> ReplayStoreAddress:
    known = {"password_file"} | ({"ca_file"} if tls else set())
    options = _options(parts.query, known | ({"sentinel_password_file"} if kind == "sentinel" else set()))
    username, password, hosts = _credentials(parts.netloc, options)
    path = parts.path.removeprefix("/").split("/") if parts.path not in {"", "/"} else []
    service = ""
    if kind == "sentinel":
        service = path.pop(0) if path else ""
        if not _SERVICE.fullmatch(service):
            raise ValueError
    database = _database(path.pop(0)) if path else 0
    if path or (kind == "cluster" and database):  # a cluster has the database 0 and no other
        raise ValueError
    return ReplayStoreAddress(
        kind=kind,
        hosts=_hosts(hosts, port=_SENTINEL_PORT if kind == "sentinel" else _REDIS_PORT, several=kind != "redis"),
        service=service,
        database=database,
        tls=tls,
        ca_file=_file(options, "ca_file"),
        username=username,
        password=password,
        password_file=_file(options, "password_file"),
        sentinel_password_file=_file(options, "sentinel_password_file"),
    )


def _options(query: str, known: set[str]) -> dict[str, str]:
    pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict") if query else []
    options = dict(pairs)
    if len(options) != len(pairs) or set(options) - known:
        raise ValueError
    return options


def _credentials(netloc: str, options: dict[str, str]) -> tuple[str | None, str | None, str]:
    """Split `user:password@hosts`; one password, in one place."""
    userinfo, at, hosts = netloc.rpartition("@")
    username, colon, password = (unquote(part, errors="strict") for part in userinfo.partition(":"))
    if "@" in userinfo or (at and not userinfo) or (colon and (not password or "password_file" in options)):
        raise ValueError
    if username and not colon and "password_file" not in options:
        raise ValueError
    return username or None, password or None, hosts


def _hosts(text: str, *, port: int, several: bool) -> tuple[tuple[str, int], ...]:
    hosts = []
    for part in text.split(","):
        match = _HOST.fullmatch(part)
        if match is None:
            raise ValueError
        number = port if match["port"] is None else int(match["port"])
        if not 0 < number < 2**16:
            raise ValueError
        hosts.append((match["host"].strip("[]"), number))
    if len(set(hosts)) != len(hosts) or (len(hosts) > 1 and not several):
        raise ValueError
    return tuple(hosts)


def _database(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) >= _MAX_DATABASE:
        raise ValueError
    return int(text)


def _file(options: dict[str, str], name: str) -> Path | None:
    return _path(options[name]) if name in options else None


def _path(text: str) -> Path:
    place = Path(text)
    if not place.is_absolute() or "\0" in text:  # relative to what differs between a shell and a server
        raise ValueError
    return place
