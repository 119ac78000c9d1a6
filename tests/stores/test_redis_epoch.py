"""The record of a bucket as a value: how it is spelt, what it fences, and that its times only grow."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.stores.redis.epoch import Epoch, NotOurs, head, microseconds, parse

SERVER = b"0" * 40 + b":" + b"1" * 40 + b":0"
NUMBER = b"a" * 32
BIRTH, NEWEST = 1_764_000_000, 1_764_001_000
RAW = b"bonafide-epoch-1 %b %b %d000000 %d000000" % (NUMBER, SERVER, BIRTH, NEWEST)
TIMES = st.floats(min_value=0, max_value=2**33, allow_nan=False)  # until the year 2242


def record(birth: float = BIRTH, newest: float = NEWEST) -> Epoch:
    return Epoch(raw=b"", number=NUMBER, server=SERVER, birth=birth, newest=newest)


def fences(*, created: int, now: float = NEWEST, clock: float = NEWEST, newest: float = 0, apart: float = 2) -> bool:
    return record().fences(created=created, now=now, clock=clock, newest=newest, apart=apart)


def test_a_record_is_read_as_it_was_written() -> None:
    epoch = parse(RAW)
    assert epoch == Epoch(raw=RAW, number=NUMBER, server=SERVER, birth=BIRTH, newest=NEWEST)
    assert epoch is not None
    assert epoch.with_times(birth=BIRTH, newest=NEWEST) == RAW
    assert epoch.head() == head(NUMBER, SERVER) == RAW[: len(epoch.head())]


def test_a_record_without_a_count_of_evicted_keys_is_of_a_server_that_nobody_is() -> None:
    """An earlier version wrote it. It is replaced by a birth, and not refused."""
    epoch = parse(RAW.replace(b":0 ", b" "))
    assert epoch is not None
    assert epoch.server == SERVER.removesuffix(b":0")


@pytest.mark.parametrize(
    ("birth", "newest", "before"),
    [(0, 0, False), (0, -1, True), (-1, 0, True), (-1, -1, True), (1, -1, False), (-1, 1, False), (0, 1, False)],
)
def test_a_record_was_there_before_another_one_if_no_time_of_it_is_later(
    birth: int, newest: int, *, before: bool
) -> None:
    assert record(BIRTH + birth, NEWEST + newest).precedes(record()) is before


@pytest.mark.parametrize("raw", [None, b""])
def test_nothing_is_no_record(raw: object) -> None:
    assert parse(raw) is None


@pytest.mark.parametrize(
    "raw",
    [
        RAW.decode(),
        1,
        RAW + b"\n",
        RAW + b" 1",
        b" " + RAW,
        RAW.replace(b"-1 ", b"-2 "),
        RAW.replace(b"a" * 32, b"a" * 31),
        RAW.replace(b"a" * 32, b"A" * 32),
        RAW.replace(b":", b" "),
        RAW.replace(b":0 ", b": "),
        RAW.replace(b":0 ", b":x "),
        RAW.replace(b":0 ", b":%b " % (b"0" * 21)),
        RAW.replace(b":0 ", b":0:0 "),
        RAW.replace(b"1" * 40, b"1" * 39),
        RAW.replace(b"17", b"-17", 1),
        RAW.replace(b" ", b"  "),
        RAW[:-16],
    ],
)
def test_anything_else_is_not_ours(raw: object) -> None:
    with pytest.raises(NotOurs):
        parse(raw)


@settings(parent=settings.get_profile("bonafide"))
@given(birth=TIMES, newest=TIMES, other=TIMES, another=TIMES)
def test_times_never_move_back_nor_lose_by_being_written(
    birth: float, newest: float, other: float, another: float
) -> None:
    written = parse(record(birth, newest).with_times(birth=other, newest=another))
    assert written is not None
    assert written.birth >= max(birth, other)
    assert written.newest >= max(newest, another)
    assert written.birth - max(birth, other) < 0.001
    again = parse(written.with_times(birth=0, newest=0))
    assert again is not None
    assert (again.birth, again.newest) == (written.birth, written.newest)


@given(TIMES)
def test_microseconds_are_rounded_up(seconds: float) -> None:
    assert microseconds(seconds) / 1_000_000 >= seconds


def test_a_birth_fences_six_seconds_and_what_clocks_may_differ() -> None:
    late = {"now": BIRTH + 60, "clock": BIRTH + 60}
    young = record(newest=BIRTH)
    for apart, first in ((0, 6), (2, 8)):
        fenced = [
            young.fences(created=BIRTH + age, newest=0, apart=apart, **late) for age in (first - 1, first, first + 1)
        ]
        assert fenced == [True, False, False]


def test_the_record_the_process_and_the_server_each_say_what_is_newest() -> None:
    assert not fences(created=NEWEST - 300)
    assert fences(created=NEWEST - 301)
    assert fences(created=NEWEST - 300, newest=NEWEST + 1)
    assert fences(created=NEWEST - 300, clock=NEWEST + 1)
    assert fences(created=NEWEST - 101, now=NEWEST - 400, clock=NEWEST - 400)


def test_what_lies_ahead_of_either_clock_is_fenced() -> None:
    """A later birth may be by the clock that was behind."""
    assert not fences(created=NEWEST + 5)
    assert fences(created=NEWEST + 6)
    assert fences(created=NEWEST + 5, now=NEWEST - 1)
    assert fences(created=NEWEST + 5, clock=NEWEST - 1)
    assert fences(created=NEWEST + 6, now=NEWEST + 2)
    assert fences(created=NEWEST + 6, clock=NEWEST + 2)


@pytest.mark.parametrize(
    ("birth", "clock", "lost"),
    [
        (BIRTH, NEWEST + 29.9, False),
        (BIRTH, NEWEST + 30, True),
        (NEWEST - 1, NEWEST + 600, True),
        (NEWEST, NEWEST + 600, False),
        (NEWEST + 1, NEWEST + 600, False),
    ],
)
def test_a_clock_loses_what_330_seconds_hold_and_300_do_not_fence(birth: float, clock: float, *, lost: bool) -> None:
    assert record(birth).may_have_lost(clock) is lost
