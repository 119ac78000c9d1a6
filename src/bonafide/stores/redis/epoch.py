"""The record that says what a bucket of keys may be asked: which server it was born on, when, and the newest time.

Rules of this file: no I/O; everything is a value and arithmetic on times, and the one script that changes
a record. Times are seconds since the epoch by *Redis's* clock, except that a birth is never before
the clock of the gate that saw it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bonafide.ports import NEWEST_FENCE_S, REPLAY_HORIZON_S
from bonafide.stores._fence import fence

MAX_APART_S: Final = 2.0
"""How far the clocks of gates and servers may be from one another."""

RECORD_EVERY_S: Final = 1.0
"""How far the recorded newest time may lie behind the newest one that was seen."""

SLACK_S: Final = REPLAY_HORIZON_S - NEWEST_FENCE_S
"""How far a Redis clock may jump without forgetting anything that the fence would let pass."""

REPLACE: Final = b"""
local held = redis.call('GET', KEYS[1]) or ''
if held ~= ARGV[1] then return held end
redis.call('SET', KEYS[1], ARGV[2])
return ARGV[2]
"""
"""Put a record in place of the one that the caller saw; return what is there afterwards."""

BEAR: Final = b"""
local held = redis.call('GET', KEYS[1]) or ''
if held ~= ARGV[1] then return held end
local time = redis.call('TIME')
local birth = time[1] .. string.format('%06d', time[2])
if tonumber(ARGV[3]) > tonumber(birth) then birth = ARGV[3] end
local record = ARGV[2] .. ' ' .. birth .. ' ' .. ARGV[4]
redis.call('SET', KEYS[1], record)
return record
"""
"""As `REPLACE`, with a birth that is not before the moment in which the script runs.

Read by the caller, the time could be old when the record is written: what was used in between, and lost
since, would not be fenced."""

_FORM: Final = re.compile(
    rb"bonafide-epoch-1 (?P<id>[0-9a-f]{32}) (?P<server>[0-9a-z]{1,64}:[0-9a-f]{40}(?::[0-9]{1,20})?)"
    rb" (?P<birth>[0-9]{1,17}) (?P<newest>[0-9]{1,17})"
)
"""Without the count of evicted keys, a record is of a version that did not look; no server goes by such a name."""

_MICROSECONDS: Final = 1_000_000


class NotOurs(Exception):
    """The record's key holds something else. It is never replaced: it may be a later version's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One bucket's record. `server` is whom it was made on: run id, replication id, count of evicted keys."""

    raw: bytes
    number: bytes
    server: bytes
    birth: float
    newest: float

    def head(self) -> bytes:
        """Return what of the record does not change while it stands."""
        return head(self.number, self.server)

    def with_times(self, *, birth: float, newest: float) -> bytes:
        """Spell this record with other times; neither moves back."""
        later = microseconds(max(birth, self.birth)), microseconds(max(newest, self.newest))
        return b"%b %d %d" % (self.head(), *later)

    def precedes(self, other: Epoch) -> bool:
        """Tell whether this record was there before `other` was: of its times none is later, and one is earlier.

        While a server stands, no time of its record moves back. A record that is read after a later one was seen was
        put back, and so were the keys.
        """
        mine, others = (self.birth, self.newest), (other.birth, other.newest)
        return mine != others and self.birth <= other.birth and self.newest <= other.newest

    def fences(self, *, created: int, now: float, clock: float, newest: float, apart: float) -> bool:
        """Tell whether a proof must be refused, at `now` by the gate's clock and `clock` by Redis's.

        Of the two, the earlier one says what lies ahead. `newest` is the newest time that this process saw.
        `apart` is how far clocks may differ: a birth that another server's clock gave is out by that at most.
        """
        seen = max(self.newest, newest, clock)
        return fence(created=created, now=min(now, clock), birth=self.birth + apart, newest=seen)

    def may_have_lost(self, time: float) -> bool:
        """Tell whether a Redis clock that says `time` expires keys that the newest time does not fence."""
        return time >= self.newest + SLACK_S and self.birth < self.newest


def head(number: bytes, server: bytes) -> bytes:
    """Spell the beginning of a record."""
    return b"bonafide-epoch-1 %b %b" % (number, server)


def parse(raw: object) -> Epoch | None:
    """Read a record as Redis returned it: None where there is none.

    Raises `NotOurs` for anything else.
    """
    if raw is None or raw == b"":
        return None
    match = _FORM.fullmatch(raw) if isinstance(raw, bytes) else None
    if match is None or not isinstance(raw, bytes):
        raise NotOurs
    return Epoch(
        raw=raw,
        number=match["id"],
        server=match["server"],
        birth=int(match["birth"]) / _MICROSECONDS,
        newest=int(match["newest"]) / _MICROSECONDS,
    )


def microseconds(seconds: float) -> int:
    """Round up, so that a time that was written and read again is never earlier."""
    whole = int(seconds * _MICROSECONDS)
    while whole / _MICROSECONDS < seconds:
        whole += 1
    return whole
