"""The pure part of every store: what it may vouch for, and what it may be asked."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.errors import Misuse
from bonafide.ports import REPLAY_HORIZON_S
from bonafide.reasons import store as reasons
from bonafide.stores._fence import fence, require_use

NOW = 1_764_000_000
OLD = NOW - 10_000

MOMENTS = st.integers(0, 20_000).map(lambda quarters: OLD + quarters / 4)


@pytest.mark.parametrize(
    ("created", "birth", "newest", "fenced"),
    [
        (NOW, OLD, NOW, False),
        (NOW + 5, OLD, NOW, False),
        (NOW + 6, OLD, NOW, True),
        (NOW - 300, OLD, NOW, False),
        (NOW - 301, OLD, NOW, True),
        (NOW - 300, OLD, NOW + 0.5, True),
        (NOW, NOW - 6, NOW, False),
        (NOW, NOW - 5.5, NOW, True),
        (NOW, NOW + 3600, NOW, True),
        (NOW, OLD, NOW + 300, False),
        (NOW, OLD, NOW + 301, True),
    ],
)
def test_each_fence_stands_at_its_second(created: int, birth: float, newest: float, *, fenced: bool) -> None:
    assert fence(created=created, now=NOW, birth=birth, newest=newest) is fenced


@settings(max_examples=2000)
@given(created=st.integers(OLD, NOW), behind=st.integers(0, 1000), later=MOMENTS, now=MOMENTS)
def test_what_may_be_forgotten_is_fenced_for_ever_whatever_the_clock_says(
    created: int, behind: int, later: float, now: float
) -> None:
    """The safety argument of the module: a newest time at which a key may go, and any clock after it."""
    forgotten_at = created + REPLAY_HORIZON_S + behind / 4
    assert fence(created=created, now=now, birth=0, newest=max(forgotten_at, later, now))


@settings(max_examples=2000)
@given(admitted_at=MOMENTS, shift=st.integers(-310, 10), wait=st.integers(0, 40), now=MOMENTS)
def test_what_a_lost_store_admitted_its_successor_fences(admitted_at: float, shift: int, wait: int, now: float) -> None:
    created = int(admitted_at) + shift
    birth = admitted_at + wait / 4
    admitted = not fence(created=created, now=admitted_at, birth=0, newest=admitted_at)
    assert not admitted or fence(created=created, now=now, birth=birth, newest=max(birth, now))


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), bytearray(32), "a" * 32, None])
def test_a_key_is_32_octets(key: bytes) -> None:
    with pytest.raises(Misuse) as caught:
        require_use(key, NOW, NOW)
    assert caught.value.reason is reasons.USE_MALFORMED
    assert "32 octets" in caught.value.detail


@pytest.mark.parametrize("created", [float(NOW), True, "1764000000", None])
def test_created_is_a_whole_number(created: int) -> None:
    with pytest.raises(Misuse) as caught:
        require_use(bytes(32), created, NOW)
    assert caught.value.reason is reasons.USE_MALFORMED
    assert "created" in caught.value.detail


@pytest.mark.parametrize("now", [math.nan, math.inf, -math.inf, -0.1, 2.0**39])
def test_now_is_a_time(now: float) -> None:
    with pytest.raises(Misuse) as caught:
        require_use(bytes(32), NOW, now)
    assert caught.value.reason is reasons.USE_MALFORMED
    assert "now" in caught.value.detail


@pytest.mark.parametrize("now", [0, 0.0, NOW, NOW + 0.25, 2.0**39 - 1])
def test_the_first_and_the_last_second_are_times(now: float) -> None:
    require_use(bytes(32), NOW, now)
