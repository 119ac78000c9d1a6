"""One connection to one server: which server that is, and how it is asked.

A command is sent once. A use whose answer was lost may have been recorded: repeated, it would find itself and
be refused as replayed. So it is refused as unavailable, and the app signs anew.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final

from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as Silent

from bonafide.errors import ConfigurationError
from bonafide.reasons import store as reasons

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bonafide.stores.redis.dialer import Command, Wire

CLIENT_NAME: Final = "bonafide"
LOOK_EVERY_S: Final = 1.0
"""A connection looks again when it is used after so long: the server may be another's by then, or a cache."""

_OLDEST: Final = (6, 2)
"""`SET … PXAT` came with Redis 6.2."""

LOOK: Final[tuple[Command, ...]] = (("INFO", "memory"), ("INFO", "stats"), ("INFO", "replication"))
"""What may change under a connection. The policy comes before the count: what is evicted between the two is counted.

Three commands, because Redis 6.2 takes one section at a time."""

_GREETING: Final[tuple[Command, ...]] = (("CLIENT", "SETNAME", CLIENT_NAME), ("INFO", "server"), *LOOK)

_COUNT: Final = re.compile(r"[0-9]{1,20}")


class Link:
    """A connection, and which server it leads to.

    `server` is its run id, its replication id, and how many keys it has evicted: one that threw keys away is not
    the one that took them, also after its policy was set back.
    """

    def __init__(self, connection: Wire, *, cluster: bool, deadline: float) -> None:
        """Read who answers. Nothing is asked of a server that could not keep its word.

        Raises what redis-py raises, and `ConfigurationError` (`store.evicts`, `store.server_unsuited`).
        """
        self._connection: Final = connection
        self._looked_at = time.monotonic()
        self._used_at = self._looked_at
        _, about, *look = self.ask(self.pack(_GREETING), len(_GREETING), deadline)
        server = _info(about)
        _require_suited(server, cluster=cluster)
        self._run_id = server.get("run_id", "")
        self.server = b""
        self.identify(look)

    def pack(self, commands: Sequence[Command]) -> bytes:
        """Spell commands for the wire."""
        return b"".join(self._connection.pack_commands(commands))

    def ask(self, packed: bytes, number: int, deadline: float) -> list[object]:
        """Send commands in one piece and return their answers; those that are refusals, as exceptions.

        Raises what redis-py raises where the connection fails; it is of no use then.
        """
        connection = self._connection
        if not connection.is_connected:  # redis-py would connect anew, to a server that nobody has looked at
            message = "the connection is closed"
            raise Disconnected(message)
        connection.send_packed_command((packed,), check_health=False)
        answers: list[object] = []
        for _ in range(number):
            patience = deadline - time.monotonic()
            if patience <= 0:
                connection.disconnect()
                raise Silent
            try:
                answers.append(connection.read_response(timeout=patience))
            except ResponseError as refusal:
                answers.append(refusal)
        return answers

    def look_due(self, now: float) -> bool:
        """Tell whether `LOOK` must be asked with this use, at `now` on the monotonic clock."""
        return now - self._looked_at > LOOK_EVERY_S

    def identify(self, look: Sequence[object]) -> None:
        """Take who the server is, and that it is no cache, from its answers to `LOOK`.

        Raises a refusal, and `ConfigurationError`: `store.evicts` where it may throw keys away or does not say how many
        it threw away, `store.server_unsuited` where it is no master.
        """
        memory, stats, replication = (_info(answer) for answer in look)
        policy = memory.get("maxmemory_policy", "unknown")
        if policy != "noeviction":  # also where no limit is set: one can be, while gates run
            raise ConfigurationError(reasons.EVICTS, f"maxmemory-policy is {policy}")
        evicted = stats.get("evicted_keys", "")
        if not _COUNT.fullmatch(evicted):
            raise ConfigurationError(reasons.EVICTS, "the server does not say how many keys it evicted")
        if replication.get("role") != "master":
            raise ConfigurationError(reasons.SERVER_UNSUITED, "the server is a replica")
        self.server = f"{self._run_id}:{replication.get('master_replid', '')}:{evicted}".encode()
        self._looked_at = time.monotonic()

    def is_stale(self, now: float) -> bool:
        """Tell whether a connection that was idle for a while was closed by the other side; note that it is used."""
        idle, self._used_at = now - self._used_at, now
        if idle <= LOOK_EVERY_S:
            return False
        try:
            return self._connection.can_read(0)  # nothing is due: what can be read is the end, or no answer of ours
        except (Disconnected, OSError):
            return True

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.disconnect()


def _info(answer: object) -> dict[str, str]:
    """Read a section of INFO. Raises a refusal."""
    if isinstance(answer, ResponseError):
        raise answer
    text = answer.decode("utf-8", errors="replace") if isinstance(answer, bytes) else ""
    pairs = (line.partition(":") for line in text.splitlines() if not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def _require_suited(server: dict[str, str], *, cluster: bool) -> None:
    if (server.get("redis_mode") == "cluster") is not cluster:
        detail = "the server is no node of a cluster" if cluster else "the server is a node of a cluster"
        raise ConfigurationError(reasons.SERVER_UNSUITED, detail)
    version = tuple(int(part) for part in server.get("redis_version", "").split(".") if part.isdigit())
    if version < _OLDEST:
        raise ConfigurationError(reasons.SERVER_UNSUITED, "the server is older than Redis 6.2")
