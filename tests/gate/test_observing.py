"""What is counted is counted once, whoever counts and whoever writes it down."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from bonafide.gate.observing import _Tally


def test_each_is_taken_once() -> None:
    tally = _Tally()
    taken = []
    for added in (3, 0, 2, 1, 0, 0, 5):
        for _ in range(added):
            tally.add()
        taken.append(tally.take())
    assert taken == [3, 0, 2, 1, 0, 0, 5]


def test_none_is_lost_between_threads() -> None:
    tally = _Tally()

    def add() -> int:
        for _ in range(20_000):
            tally.add()
        return 0

    with ThreadPoolExecutor(6) as pool:
        adding = [pool.submit(add) for _ in range(4)]
        taking = [pool.submit(tally.take) for _ in range(500)]
        total = sum(each.result() for each in (*adding, *taking))
    assert total + tally.take() == 80_000
