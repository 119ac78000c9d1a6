"""`RedisReplayStore`: the port, over whichever servers the address leads to."""

from __future__ import annotations

import logging
import os
import re
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    ClusterDownError,
    NoPermissionError,
    ReadOnlyError,
    RedisError,
)
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import TimeoutError as Silent

from bonafide.errors import ConfigurationError
from bonafide.ports import FirstUse, Scope
from bonafide.reasons import configuration as configuration_reasons
from bonafide.reasons import store as reasons
from bonafide.stores._fence import require_use
from bonafide.stores.addresses import DEFAULT_TIMEOUT
from bonafide.stores.redis.dialer import Dialer
from bonafide.stores.redis.epoch import MAX_APART_S, NotOurs
from bonafide.stores.redis.keyspace import bucket_of
from bonafide.stores.redis.masters import ByCluster, BySentinels, OneServer, Place, Unserved
from bonafide.stores.redis.server import Newest, Resting, Server

if TYPE_CHECKING:
    from bonafide.stores.addresses import ReplayStoreAddress
    from bonafide.stores.redis.masters import Masters
    from bonafide.stores.redis.server import Clock

_MISPLACED: Final = (AskError, ClusterDownError, ReadOnlyError, Disconnected, Silent, OSError)
"""What says that another server may be the master: the others are asked again at once."""

_CODE: Final = re.compile(r"[A-Z]{2,24}(?= |$)")

_log: Final = logging.getLogger(__name__)


def _redis_time(there: float, now: float) -> float:
    del now
    return there


class RedisReplayStore:
    """Remembers first uses for any number of gates on any number of hosts. Threads may share it.

    Connections are made at the first use in each process, and as many as there are threads that ask at one time.
    """

    scope: Final = Scope.CLUSTER

    def __init__(
        self,
        address: ReplayStoreAddress,
        *,
        timeout: timedelta = DEFAULT_TIMEOUT,
        apart: timedelta = timedelta(seconds=MAX_APART_S),
        clock: Clock = _redis_time,
    ) -> None:
        """Name the servers; nothing is connected to yet.

        `timeout` bounds one use, `apart` is how far clocks may differ. `clock` makes the store's time of what
        Redis says and of the caller's `now`: only tests have a use for it.

        Raises `ConfigurationError` (`configuration.setting_malformed`).
        """
        if timeout <= timedelta(0):
            raise ConfigurationError(configuration_reasons.SETTING_MALFORMED, "a replay store's timeout is positive")
        self._address = address
        self._timeout = timeout.total_seconds()
        self._apart = apart.total_seconds()
        self._clock = clock
        self._begin()
        _STORES.add(self)

    def _begin(self) -> None:
        """Start with no connection, as in a process that was forked a moment ago."""
        self._dialer = Dialer(self._address)
        self._masters = _masters(self._address, self._dialer)
        self._servers: dict[Place, Server] = {}
        self._newest = Newest()
        self._said: set[tuple[Place | None, str]] = set()

    def remember(self, key: bytes, *, created: int, now: float) -> FirstUse:
        """Record the first use of `key`: see `bonafide.ports.ReplayStore.remember`.

        Raises `Misuse` (`store.use_malformed`) where an argument has the wrong form.
        """
        require_use(key, created, now)
        deadline = time.monotonic() + self._timeout
        place = None
        try:
            bucket = bucket_of(key, self._masters.buckets)
            place, until = self._masters.lease(bucket, deadline)
            answer = self._server(place).use(bucket, key, created=created, now=now, deadline=deadline)
        except Resting:
            return FirstUse.UNAVAILABLE
        except (RedisError, OSError, ConfigurationError, NotOurs, Unserved, ValueError) as problem:
            self._give_up(place, problem)
            return FirstUse.UNAVAILABLE
        if time.monotonic() > until:  # what was asked may have been replaced meanwhile
            return FirstUse.UNAVAILABLE
        if self._said:
            self._said = {said for said in self._said if said[0] not in {place, None}}
        return answer

    def require_ready(self, *, now: float) -> None:
        """Refuse to start on servers that may evict keys, or that cannot keep first uses.

        Servers that cannot be reached are logged and not refused.

        Raises `ConfigurationError` (`store.evicts`, `store.server_unsuited`, `configuration.keys_unsafe`).
        """
        deadline = time.monotonic() + self._timeout
        place = None
        try:
            for place in self._masters.places(deadline):
                self._server(place).open(now, deadline)
        except (AuthenticationError, AuthorizationError, NoPermissionError) as refusal:
            detail = f"{_name(place)} refuses the user, the password or a command: {type(refusal).__name__}"
            raise ConfigurationError(reasons.SERVER_UNSUITED, detail) from None
        except (RedisError, OSError, NotOurs, Unserved, ValueError) as problem:
            self._give_up(place, problem)

    def close(self) -> None:
        """Let go of the connections in this process. A later use makes new ones."""
        for server in list(self._servers.values()):
            server.close()
        self._masters.close()

    def _server(self, place: Place) -> Server:
        server = self._servers.get(place)
        if server is None:
            server = Server(
                lambda deadline: self._dialer.server(place, deadline),
                lambda: self._masters.buckets_at(place),
                cluster=self._address.kind == "cluster",
                apart=self._apart,
                clock=self._clock,
                newest=self._newest,
            )
            server = self._servers.setdefault(place, server)
        return server

    def _give_up(self, place: Place | None, problem: Exception) -> None:
        """Say once what is wrong, by kind and without a word that a server or a URL could have put in."""
        if isinstance(problem, _MISPLACED):
            self._masters.doubt()
        kind = _kind(problem)
        if (place, kind) not in self._said:
            self._said = self._said | {(place, kind)}
            _log.error("the replay store at %s does not work (%s); proofs are refused", _name(place), kind)


def _masters(address: ReplayStoreAddress, dialer: Dialer) -> Masters:
    places = tuple(Place(host, port) for host, port in address.hosts)
    if address.kind == "sentinel":
        return BySentinels(places, address.service, dialer.sentinel)
    if address.kind == "cluster":
        return ByCluster(places, dialer.server)
    return OneServer(places[0] if address.path is None else Place(str(address.path), 0))


def _name(place: Place | None) -> str:
    if place is None:
        return "an address whose master nobody names"
    return f"{place.host}:{place.port}" if place.port else place.host


def _kind(problem: Exception) -> str:
    if isinstance(problem, ConfigurationError):
        return str(problem)
    code = _CODE.match(str(problem)) if isinstance(problem, RedisError) else None
    return type(problem).__name__ + (f", {code[0]}" if code else "")


_STORES: Final[WeakSet[RedisReplayStore]] = WeakSet()


def _after_fork() -> None:
    for store in list(_STORES):
        store._begin()  # noqa: SLF001 - a child's end of its parent's connections is closed, never used


os.register_at_fork(after_in_child=_after_fork)
