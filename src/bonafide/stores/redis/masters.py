"""Who serves a bucket now, and how sure that is.

A master that was paused or cut off while another one took its place still answers, and would admit what
its successor has already seen. It does not know; others do. So where there are others, a server is asked only
while they have named it within the last second: the majority of the Sentinels that the address lists, or, in a
cluster, two nodes that agree. Both are asked again after half a second, by the request that happens to come
then, over connections that are kept.

Why that is enough: a successor's records are born when the first gate finds it, and its fence lasts
eight seconds from then. A gate that still uses the old master for a second, on the word of Sentinels that
hear of the change within two, uses it for proofs that the successor fences.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from redis.crc import REDIS_CLUSTER_HASH_SLOTS
from redis.exceptions import RedisError

from bonafide.errors import ConfigurationError
from bonafide.stores.redis.keyspace import WHOLE, Bucket, cluster_buckets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bonafide.stores.redis.dialer import Command, Wire

    Dial = Callable[["Place", float], Wire]

ASK_EVERY_S: Final = 0.5
BELIEVE_S: Final = 1.0
_RETRY_AFTER_S: Final = 0.1
_LEAVE_OUT_S: Final = 10.0
_AGREEING: Final = 2
_NEVER: Final = float("-inf")
_DIGITS: Final = 5

_FAILURES: Final = (RedisError, OSError, ConfigurationError, ValueError)
"""What is wrong with one place, and not with the question: its password file, its name and its octets included."""


class Place(NamedTuple):
    """A server's host and port; the path of its socket, and 0, where it has one."""

    host: str
    port: int


class Lease(NamedTuple):
    """Who serves a bucket, and until when that may be believed, on the monotonic clock."""

    place: Place
    until: float


class Unserved(Exception):
    """Nobody can be named who serves the bucket."""


class Masters(ABC):
    """Names the master of each bucket."""

    buckets: tuple[Bucket, ...]

    @abstractmethod
    def lease(self, bucket: Bucket, deadline: float) -> Lease:
        """Return who serves the bucket. Raises `Unserved`; `configuration.keys_unsafe` where a password kept us off."""

    @abstractmethod
    def buckets_at(self, place: Place) -> tuple[Bucket, ...]:
        """Return the buckets that the place serves, as far as is known now."""

    @abstractmethod
    def places(self, deadline: float) -> tuple[Place, ...]:
        """Return all that serve a bucket. Raises as `lease`."""

    def doubt(self) -> None:  # noqa: B027 - nothing to do where there is nobody to ask
        """Ask anew before the next use: a server has failed, or said that it is not the one."""

    def close(self) -> None:  # noqa: B027 - likewise
        """Let go of connections."""


class OneServer(Masters):
    """The server that the address names. There is nobody who could know of another."""

    buckets = (WHOLE,)

    def __init__(self, place: Place) -> None:
        self._lease = Lease(place, float("inf"))

    def lease(self, bucket: Bucket, deadline: float) -> Lease:
        """Return the one server, for ever."""
        del bucket, deadline
        return self._lease

    def buckets_at(self, place: Place) -> tuple[Bucket, ...]:
        """Return the one bucket."""
        del place
        return self.buckets

    def places(self, deadline: float) -> tuple[Place, ...]:
        """Return the one server."""
        del deadline
        return (self._lease.place,)


class _Asked(Masters):
    """Masters that others name. A view is believed for a second, and renewed after half of one."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._lock = threading.Lock()
        self._known: tuple[Mapping[int, Place], float] = ({}, _NEVER)  # in one piece: threads replace it
        self._failed_at = _NEVER
        self._kept: dict[Place, Wire] = {}
        self._left_out: dict[Place, float] = {}
        self._unsafe: ConfigurationError | None = None

    @abstractmethod
    def _ask(self, deadline: float) -> Mapping[int, Place]:
        """Return who serves each bucket. Raises `Unserved`."""

    def lease(self, bucket: Bucket, deadline: float) -> Lease:
        """Return who serves the bucket, on the word of others that is at most a second old."""
        view, asked_at = self._current(deadline)
        place = view.get(bucket.number)
        if place is None:
            raise Unserved
        return Lease(place, asked_at + BELIEVE_S)

    def buckets_at(self, place: Place) -> tuple[Bucket, ...]:
        """Return the buckets that the last answer gave to this place."""
        view, _ = self._known
        return tuple(bucket for bucket in self.buckets if view.get(bucket.number) == place)

    def places(self, deadline: float) -> tuple[Place, ...]:
        """Return all that serve a bucket."""
        view, _ = self._current(deadline)
        return tuple(dict.fromkeys(view.values()))

    def doubt(self) -> None:
        """Believe the last answer no longer."""
        self._known = (self._known[0], _NEVER)

    def close(self) -> None:
        """Let go of the connections to those who are asked."""
        with self._lock:
            for connection in self._kept.values():
                connection.disconnect()
            self._kept.clear()

    def _current(self, deadline: float) -> tuple[Mapping[int, Place], float]:
        age = time.monotonic() - self._known[1]
        if age > ASK_EVERY_S:
            waits = age > BELIEVE_S
            patience = max(deadline - time.monotonic(), 0)
            if self._lock.acquire(blocking=waits, timeout=patience if waits else -1):
                try:
                    self._renew(deadline)
                finally:
                    self._lock.release()
        view, asked_at = self._known
        if time.monotonic() - asked_at > BELIEVE_S:
            if (unsafe := self._unsafe) is not None:
                raise ConfigurationError(unsafe.reason, unsafe.detail)
            raise Unserved
        return view, asked_at

    def _renew(self, deadline: float) -> None:
        began = time.monotonic()
        if began - self._known[1] <= ASK_EVERY_S or began - self._failed_at < _RETRY_AFTER_S:
            return
        self._unsafe = None
        try:
            self._known = (self._ask(deadline), began)  # when the question left: the answer may be as old as that
        except Unserved:
            self._failed_at = time.monotonic()

    def _answers(self, places: list[Place], commands: list[Command], deadline: float) -> list[_Answer]:
        """Put the same question to several at once; whoever fails is not among the answers, and rests for a while.

        Nothing that was asked stays unread: read as the answer to a later question, it would be old and look new.
        """
        try:
            asked = [place for place in places if self._send(place, commands, deadline)]
            return [answer for place in asked if (answer := self._receive(place, len(commands), deadline))]
        except BaseException:
            for place in places:
                self._hang_up(place)
            raise

    def _send(self, place: Place, commands: list[Command], deadline: float) -> bool:
        try:
            connection = self._connected(place, deadline)
            connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        except _FAILURES as problem:
            if isinstance(problem, ConfigurationError):
                self._unsafe = problem
            self._drop(place)
            return False
        return True

    def _connected(self, place: Place, deadline: float) -> Wire:
        connection = self._kept.get(place)
        if connection is None or not _has_nothing_to_say(connection):
            self._hang_up(place)
            connection = self._kept[place] = self._dial(place, deadline)
        return connection

    def _receive(self, place: Place, number: int, deadline: float) -> _Answer | None:
        connection = self._kept[place]
        try:
            patience = [max(deadline - time.monotonic(), 0.001) for _ in range(number)]
            values = [connection.read_response(timeout=seconds) for seconds in patience]
        except _FAILURES:
            self._drop(place)
            return None
        self._left_out.pop(place, None)
        return _Answer(place, values)

    def _hang_up(self, place: Place) -> None:
        connection = self._kept.pop(place, None)
        if connection is not None:
            connection.disconnect()

    def _drop(self, place: Place) -> None:
        self._hang_up(place)
        self._left_out[place] = time.monotonic() + _LEAVE_OUT_S

    def _rested(self, places: Iterable[Place]) -> list[Place]:
        """Return those first that did not fail of late: one that is silent costs its share of every wait."""
        now = time.monotonic()
        return [place for place in places if self._left_out.get(place, 0) <= now]


def _has_nothing_to_say(connection: Wire) -> bool:
    """Tell whether it is open and nothing is due on it: what came before the question is no answer to it."""
    try:
        return connection.is_connected and not connection.can_read(0)
    except (RedisError, OSError):
        return False


class _Answer(NamedTuple):
    place: Place
    values: list[object]


class BySentinels(_Asked):
    """The master that the majority of the listed Sentinels names."""

    buckets = (WHOLE,)

    def __init__(self, sentinels: tuple[Place, ...], service: str, dial: Dial) -> None:
        super().__init__(dial)
        self._sentinels = sentinels
        self._service = service

    def _ask(self, deadline: float) -> Mapping[int, Place]:
        majority = len(self._sentinels) // 2 + 1
        question: list[Command] = [("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)]
        first = self._rested(self._sentinels)
        half = time.monotonic() + (deadline - time.monotonic()) / 2
        answers = self._answers(first, question, half) if len(first) >= majority else []
        if len(answers) < majority:
            answered = {answer.place for answer in answers}
            rest = [place for place in self._sentinels if place not in answered]
            answers += self._answers(rest, question, half)
        named = Counter(place for answer in answers if (place := _place(answer.values[0])) is not None)
        for place, times in named.most_common(1):
            if times >= majority:
                return {WHOLE.number: place}
        raise Unserved


class ByCluster(_Asked):
    """The masters that two nodes of a cluster agree on, slot by slot."""

    def __init__(self, seeds: tuple[Place, ...], dial: Dial) -> None:
        super().__init__(dial)
        self.buckets = cluster_buckets()
        self._seeds = seeds
        self._turn = 0

    def _ask(self, deadline: float) -> Mapping[int, Place]:
        maps: dict[object, Mapping[int, Place]] = {}
        known = tuple(dict.fromkeys((*self._known[0].values(), *self._seeds)))
        self._turn += 1
        turned = known[self._turn % len(known) :] + known[: self._turn % len(known)]
        rested = self._rested(turned)
        candidates = [*rested, *(place for place in turned if place not in rested)]
        while candidates and len(maps) < _AGREEING and time.monotonic() < deadline:
            asked, candidates = candidates[: _AGREEING - len(maps)], candidates[_AGREEING - len(maps) :]
            half = time.monotonic() + (deadline - time.monotonic()) / 2
            for answer in self._answers(asked, [("CLUSTER", "MYID"), ("CLUSTER", "SLOTS")], half):
                node, slots = answer.values
                found = _slots(slots, answer.place)
                if found is None or not isinstance(node, bytes):  # no answer that can be read: it names nobody
                    self._drop(answer.place)
                    continue
                maps[node] = found
                candidates += [place for place in dict.fromkeys(found.values()) if place not in (*turned, *candidates)]
        if len(maps) < _AGREEING:
            raise Unserved
        one, two = maps.values()
        owners = ((bucket.number, one.get(bucket.slot), two.get(bucket.slot)) for bucket in self.buckets)
        return {number: place for number, place, same in owners if place is not None and place == same}


def _place(answer: object, unnamed: str = "") -> Place | None:
    """Read a pair of host and port, as Sentinels and clusters give it; None where it is none.

    `unnamed` is the host where the answer names none.
    """
    match answer:
        case [bytes() as host, (bytes() | int()) as port, *_] if host:
            host_name = host.decode("ascii", errors="replace")
        case [_, (bytes() | int()) as port, *_]:
            host_name = unnamed
        case _:
            return None
    number = _number(port, 2**16)
    return Place(host_name, number) if host_name and number else None


def _number(answer: object, end: int) -> int | None:
    """Read a number below `end`; None where it is none."""
    if isinstance(answer, bytes) and answer.isdigit() and len(answer) <= _DIGITS:
        answer = int(answer)
    return answer if isinstance(answer, int) and 0 <= answer < end else None


def _slots(answer: object, asked: Place) -> Mapping[int, Place] | None:
    """Read `CLUSTER SLOTS`; None where it is none. A node that does not know its own address is where it was asked."""
    owners: dict[int, Place] = {}
    if not isinstance(answer, list):
        return None
    for entry in answer:
        match entry:
            case [first, last, master, *_]:
                begin, end = _number(first, REDIS_CLUSTER_HASH_SLOTS), _number(last, REDIS_CLUSTER_HASH_SLOTS)
                place = _place(master, unnamed=asked.host)
            case _:
                return None
        if begin is None or end is None or place is None:
            return None
        owners.update(dict.fromkeys(range(begin, end + 1), place))
    return owners
