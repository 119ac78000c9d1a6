"""One server as this process knows it: its connections, the records of its buckets, and whether it answers."""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import InvalidResponse, ResponseError
from redis.exceptions import TimeoutError as Silent

from bonafide.ports import REPLAY_HORIZON_S, FirstUse
from bonafide.stores.redis import epoch as epochs
from bonafide.stores.redis.link import LOOK, Link

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bonafide.stores.redis.dialer import Command, Wire
    from bonafide.stores.redis.epoch import Epoch
    from bonafide.stores.redis.keyspace import Bucket

    Clock = Callable[[float, float], float]

RETRY_AFTER_S: Final = 0.2
"""So long after a failure everybody is told at once that the server does not answer; then one caller tries."""

_MAX_IDLE: Final = 64
_TRIES: Final = 3


class Resting(Exception):
    """The server failed a moment ago, or somebody is finding out whether it still does."""


class Newest:
    """The newest time that this process saw, on any server whose clock was not apart from its own."""

    __slots__ = ("seen",)

    def __init__(self) -> None:
        self.seen = 0.0


class Server:
    """Threads may share it; a forked process makes its own."""

    def __init__(
        self,
        dial: Callable[[float], Wire],
        buckets: Callable[[], tuple[Bucket, ...]],
        *,
        cluster: bool,
        apart: float,
        clock: Clock,
        newest: Newest,
    ) -> None:
        self._dial = dial
        self._buckets = buckets
        self._cluster = cluster
        self._apart = apart
        self._clock = clock
        self._newest = newest
        self._idle: deque[Link] = deque()
        self._epochs: dict[int, Epoch] = {}
        self._adopted = b""
        self._seen: tuple[float, float] | None = None
        self._failing = False
        self._retry_at = 0.0
        self._trying = threading.Lock()

    def use(self, bucket: Bucket, key: bytes, *, created: int, now: float, deadline: float) -> FirstUse:
        """Record a first use. Raises `Resting`, what redis-py raises, and `ConfigurationError`."""
        trying = self._failing
        if trying and (time.monotonic() < self._retry_at or not self._trying.acquire(blocking=False)):
            raise Resting
        link = None
        try:
            link = self._take(now, deadline)
            answer = self._use(link, bucket, key, created, now, deadline)
        except BaseException as problem:
            if link is not None:
                link.close()
            if isinstance(problem, Disconnected | Silent | OSError):
                self._rest()
            raise
        finally:
            if trying:
                self._trying.release()
        self._failing = False
        self._keep(link)
        return answer

    def open(self, now: float, deadline: float) -> None:
        """Connect, and see whether the server can keep its word. Raises as `use`, but for `Resting`."""
        self._keep(self._take(now, deadline))

    def close(self) -> None:
        """Let go of the connections that nobody uses."""
        while self._idle:
            self._idle.pop().close()

    # Connections ----------------------------------------------------------------------------------

    def _take(self, now: float, deadline: float) -> Link:
        while self._idle:
            try:
                link = self._idle.pop()
            except IndexError:  # another thread was quicker
                break
            if not link.is_stale(time.monotonic()):
                return link
            link.close()
            self._adopted = b""
        connection = self._dial(deadline)
        try:
            link = Link(connection, cluster=self._cluster, deadline=deadline)
            if link.server != self._adopted:
                self._adopt(link, now, deadline)
                self._adopted = link.server
        except BaseException:
            connection.disconnect()
            raise
        return link

    def _keep(self, link: Link) -> None:
        if len(self._idle) < _MAX_IDLE:
            self._idle.append(link)
        else:
            link.close()

    def _rest(self) -> None:
        self._retry_at = time.monotonic() + RETRY_AFTER_S
        self._failing = True
        self._adopted = b""  # connections end when a machine is put back: all records are compared with those of before
        self.close()

    # One use --------------------------------------------------------------------------------------

    def _use(self, link: Link, bucket: Bucket, key: bytes, created: int, now: float, deadline: float) -> FirstUse:
        """Ask in one round trip: the use itself, then the record it stands under, then the time.

        In this order, and without a transaction: a record that is still there *after* the use was there
        before it, so whatever emptied the server in between shows.
        """
        known = self._epochs.get(bucket.number)
        records = known is not None and known.server == link.server and not self._fences(known, created, now, now)
        commands: list[Command] = []
        if records:
            horizon = (created + REPLAY_HORIZON_S) * 1000
            commands.append(("SET", bucket.prefix + key, b"1", "NX", "PXAT", horizon))
        commands += [("GET", bucket.epoch_key), ("TIME",)]
        asked = len(commands)
        if link.look_due(time.monotonic()):
            commands += LOOK
        answers = _granted(link.ask(link.pack(commands), len(commands), deadline))
        if len(commands) > asked:
            link.identify(answers[asked:])
            del answers[asked:]
        clock = self._read_clock(answers.pop(), now)
        epoch = self._remember(bucket, answers.pop())
        if abs(clock - now) > self._apart:
            if clock > now and epoch is not None and epoch.may_have_lost(clock):
                self._sweep(link, deadline, lambda each: _distrusted(each, clock))
            return FirstUse.CLOCK_APART
        self._newest.seen = max(self._newest.seen, clock)
        if epoch is None or epoch.server != link.server or (known and epoch is not known and epoch.precedes(known)):
            self._adopt(link, now, deadline)
            return FirstUse.FENCED
        epoch = self._advance(link, bucket, epoch, clock, deadline)
        if not records or epoch is None or epoch.server != link.server or self._fences(epoch, created, now, clock):
            return FirstUse.FENCED
        return _first_use(answers.pop())

    def _fences(self, epoch: Epoch, created: int, now: float, clock: float) -> bool:
        newest = self._newest.seen
        return epoch.fences(created=created, now=now, clock=clock, newest=newest, apart=self._apart)

    def _read_clock(self, answer: object, now: float) -> float:
        if not isinstance(answer, list) or len(answer) != 2:  # noqa: PLR2004 - seconds and microseconds
            raise InvalidResponse
        return self._clock(int(answer[0]) + int(answer[1]) / 1_000_000, now)

    # Records --------------------------------------------------------------------------------------

    def _remember(self, bucket: Bucket, raw: object) -> Epoch | None:
        """Return the record that was read, and keep it, unless a later one is known: most are the same as last time."""
        known = self._epochs.get(bucket.number)
        if known is not None and known.raw == raw:
            return known
        epoch = epochs.parse(raw)
        if epoch is None:
            self._epochs.pop(bucket.number, None)
        elif known is None or not epoch.precedes(known):
            self._epochs[bucket.number] = epoch
        return epoch

    def _adopt(self, link: Link, now: float, deadline: float) -> None:
        """See that every bucket here has a record of this server; those without one are born.

        All at once: born one by one, at its first use, every bucket would refuse the first proofs that it sees.
        Where one record is older than what was known before it was read, the whole server was put back, and all
        are born. A gate whose clock is off leaves births to others.
        """
        buckets, known = self._buckets(), dict(self._epochs)
        commands: list[Command] = [*(("GET", bucket.epoch_key) for bucket in buckets), ("TIME",), *LOOK]
        answers = link.ask(link.pack(commands), len(commands), deadline)
        raws, (clock, *look) = answers[: len(buckets)], answers[len(buckets) :]
        link.identify(look)
        (clock,) = _granted([clock])
        time_there = self._read_clock(clock, now)
        if abs(time_there - now) > self._apart:
            return
        here = [(bucket, raw) for bucket, raw in zip(buckets, raws, strict=True) if not isinstance(raw, ResponseError)]
        read = [(bucket, self._remember(bucket, raw)) for bucket, raw in here]  # other slots moved: others are asked
        put_back = any(
            epoch is not None and bucket.number in known and epoch.precedes(known[bucket.number])
            for bucket, epoch in read
        )
        unborn = [each for each in read if put_back or each[1] is None or each[1].server != link.server]
        self._bear(link, unborn, max(now, time_there), deadline)

    def _bear(self, link: Link, unborn: list[tuple[Bucket, Epoch | None]], now: float, deadline: float) -> None:
        commands: list[Command] = []
        for bucket, old in unborn:
            birth = newest = now
            if old is None:
                self._newest.seen = now  # an operator who removes a record from the future must not wait for it
            for each in (old, self._epochs.get(bucket.number)):  # the one that is there, and a later one that was
                if old is not None and each is not None:
                    birth, newest = max(birth, each.birth), max(newest, each.newest)
            head = epochs.head(secrets.token_hex(16).encode(), link.server)
            before = b"" if old is None else old.raw
            times = epochs.microseconds(birth), epochs.microseconds(newest)
            commands.append(("EVAL", epochs.BEAR, 1, bucket.epoch_key, before, head, *times))
        self._replace(link, [bucket for bucket, _ in unborn], commands, deadline)

    def _advance(self, link: Link, bucket: Bucket, epoch: Epoch | None, clock: float, deadline: float) -> Epoch | None:
        """Record the newest time before anything is answered under it; return the record as it is then."""
        if self._jumped(clock):
            self._sweep(link, deadline, lambda each: each.with_times(birth=each.birth, newest=clock))
            epoch = self._epochs.get(bucket.number)
        self._seen = (clock, time.monotonic())  # only now: a sweep that failed is made by the next use
        for _ in range(_TRIES):
            if epoch is None or clock < epoch.newest + epochs.RECORD_EVERY_S:
                return epoch
            wanted = epoch.with_times(birth=epoch.birth, newest=clock)
            command: Command = ("EVAL", epochs.REPLACE, 1, bucket.epoch_key, epoch.raw, wanted)
            self._replace(link, [bucket], [command], deadline)
            epoch = self._epochs.get(bucket.number)
        message = "the record changes under every attempt"
        raise InvalidResponse(message)

    def _jumped(self, clock: float) -> bool:
        """Tell whether Redis's clock ran ahead of ours since it was last seen, by more than the fence absorbs.

        Other buckets, which nobody asks meanwhile, would not learn that their keys expired.
        """
        if self._seen is None:
            return False
        before, at = self._seen
        return clock - before > time.monotonic() - at + epochs.SLACK_S - epochs.MAX_APART_S

    def _sweep(self, link: Link, deadline: float, change: Callable[[Epoch], bytes]) -> None:
        """Change the records of all buckets here."""
        buckets = self._buckets()
        answers = link.ask(link.pack([("GET", bucket.epoch_key) for bucket in buckets]), len(buckets), deadline)
        changed, commands = [], []
        for bucket, raw in zip(buckets, answers, strict=True):
            epoch = None if isinstance(raw, ResponseError) else self._remember(bucket, raw)
            if epoch is None or epoch is not self._epochs.get(bucket.number):
                continue  # none, or one that was put back: whoever uses it lets it be born, and sees that by its times
            if (wanted := change(epoch)) != epoch.raw:
                changed.append(bucket)
                commands.append(("EVAL", epochs.REPLACE, 1, bucket.epoch_key, epoch.raw, wanted))
        self._replace(link, changed, commands, deadline)

    def _replace(self, link: Link, buckets: list[Bucket], commands: Sequence[Command], deadline: float) -> None:
        """Run scripts that put records in place of those that were seen, and keep what is there afterwards."""
        if commands:
            answers = _granted(link.ask(link.pack(commands), len(commands), deadline))
            for bucket, raw in zip(buckets, answers, strict=True):
                self._remember(bucket, raw)


def _distrusted(epoch: Epoch, clock: float) -> bytes:
    """Let a bucket be born anew at the last time that was recorded: what was used until then may be forgotten."""
    if not epoch.may_have_lost(clock):
        return epoch.raw
    return epoch.with_times(birth=epoch.newest, newest=epoch.newest)


def _granted(answers: list[object]) -> list[object]:
    for answer in answers:
        if isinstance(answer, ResponseError):
            raise answer
    return answers


def _first_use(answer: object) -> FirstUse:
    """Read Redis's answer to `SET … NX`."""
    if answer is None:
        return FirstUse.REPLAYED
    if answer == b"OK":
        return FirstUse.FIRST
    raise InvalidResponse
