"""The soak holds in small; and it would not say so if something were admitted, refused or answered otherwise."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

from demonstration.trial import read_rows

from bench.gate.accounting import Memory
from soak import __main__ as soak
from soak import memory
from soak.attacks import KINDS, NOT_AT_A_GATE, SAME_ON_THE_WIRE
from soak.memory import LEAST_SAMPLES, MAX_GROWTH_BYTES, Series, slope
from soak.sending import Sender, Tally
from tests.gate.proxies.wire import Message, Recorder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from tests.conftest import RequireProgram

SEED = "1764000000"


def test_some_thousand_requests_with_every_kind_of_attack_are_answered_as_stored(
    require_program: RequireProgram,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    require_program("nginx", apt="nginx-light")
    monkeypatch.setattr(soak, "OUTPUT", tmp_path)
    words = ["--requests", "3000", "--minutes", "0.05", "--attacks", "0.2", "--workers", "1", "--seed", SEED]
    assert soak.main(words) == 0, capsys.readouterr().out
    said = json.loads((tmp_path / "soak.json").read_text())
    assert said["seed"] == SEED
    assert said["kinds"].keys() == set(KINDS)
    assert (said["false_accepts"], said["false_refusals"], said["wrong_refusals"]) == (0, 0, 0)


def test_every_attack_of_the_demo_is_sent_or_named_as_left_to_it() -> None:
    rows = {row.name for row in read_rows()}
    assert rows == set(KINDS) | NOT_AT_A_GATE | SAME_ON_THE_WIRE.keys()
    assert set(SAME_ON_THE_WIRE.values()) <= set(KINDS)
    assert not set(KINDS) & NOT_AT_A_GATE
    assert len(KINDS) > 80


def sending(tmp_path: Path, answer: Callable[[Message], bytes], share: float) -> Tally:
    """Send some requests to a server that answers everything alike."""
    with Recorder(tmp_path / "socket", answer) as recorder:
        sender = Sender(str(recorder.path), seed=SEED, attack_share=share, phones=8)
        try:
            return sender.batch(30)
        finally:
            sender.close()


def admitting(_: Message) -> bytes:
    return b"HTTP/1.1 200 OK\r\nX-Soak-View: somebody\r\nContent-Length: 2\r\n\r\nok"


def refusing(_: Message) -> bytes:
    return b"HTTP/1.1 418 Other\r\nContent-Length: 0\r\n\r\n"


def test_what_should_be_refused_and_is_not_is_a_false_accept(tmp_path: Path) -> None:
    tally = sending(tmp_path, admitting, 1)
    assert tally.false_accepts == tally.attacks == 30
    assert tally.told


def test_a_view_that_ran_for_a_refused_request_is_a_false_accept(tmp_path: Path) -> None:
    tally = sending(tmp_path, lambda _: b"HTTP/1.1 401 No\r\nX-Soak-View: \xff\r\nContent-Length: 0\r\n\r\n", 1)
    assert tally.false_accepts == 30


def test_what_should_be_admitted_and_is_not_is_a_false_refusal(tmp_path: Path) -> None:
    tally = sending(tmp_path, refusing, 0)
    assert (tally.false_refusals, tally.attacks) == (30, 0)


def test_a_view_that_ran_for_somebody_else_is_a_fault(tmp_path: Path) -> None:
    assert sending(tmp_path, admitting, 0).false_refusals == 30


def test_another_refusal_than_the_stored_one_is_a_fault(tmp_path: Path) -> None:
    assert sending(tmp_path, refusing, 1).wrong_refusals == 30


def test_the_seed_gives_the_same_order_again(tmp_path: Path) -> None:
    lock = threading.Lock()

    def lines(seed: str) -> list[str]:
        seen: list[str] = []

        def answer(message: Message) -> bytes:
            with lock:
                seen.append(message.start)
            return refusing(message)

        with Recorder(tmp_path / "socket", answer) as recorder:
            sender = Sender(str(recorder.path), seed=seed, attack_share=0.3, phones=8, connections=1)
            sender.batch(40)
            sender.close()
        return seen

    assert lines("a") == lines("a") != lines("b")


def test_a_line_that_rises_is_no_level_memory() -> None:
    assert slope([(0, 10), (1, 12), (2, 14)]) == 2
    series = Series(samples={7: [(second, 30_000_000 + second * 100_000) for second in range(100)]})
    ((rise, level),) = series.growth().values()
    assert rise > MAX_GROWTH_BYTES
    assert not level
    flat = Series(samples={7: [(second, 30_000_000 + second % 7 * 1000) for second in range(100)]})
    assert all(level for _, level in flat.growth().values())
    assert flat.text().startswith("worker 7: 30.0")


LEVEL = [(float(second), 30_000_000) for second in range(LEAST_SAMPLES)]
RISING = [(float(second), 30_000_000 + second * 1_000_000) for second in range(LEAST_SAMPLES)]


def held(series: Series, *, long: bool) -> list[bool]:
    return [kept for _, kept in series.verdicts(long=long)]


def test_a_worker_that_is_new_does_not_hide_that_another_one_grows() -> None:
    assert held(Series(samples={7: RISING, 8: LEVEL[:2]}), long=False) == [True, False]
    assert held(Series(samples={7: LEVEL, 8: LEVEL[:2]}), long=False) == [True, True]


def test_a_long_run_in_which_somebody_was_not_judged_has_shown_nothing() -> None:
    assert held(Series(samples={7: LEVEL, 8: LEVEL}), long=True) == [True, True]
    assert held(Series(samples={7: LEVEL, 8: LEVEL[:-1]}), long=True) == [True, False]
    assert held(Series(samples={7: LEVEL[:2]}), long=True) == [True, False]
    assert held(Series(), long=True) == [False, False]


def test_a_worker_that_died_is_a_fault_although_its_successor_is_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "private_memory", lambda _: Memory(total=1, anonymous=1))
    series = Series()
    for second in range(LEAST_SAMPLES):
        series.look([7, 8], second)
    assert held(series, long=True) == [True, True]
    series.look([7, 9], LEAST_SAMPLES)
    assert held(series, long=False) == [False, True]


def test_a_worker_that_ends_while_it_is_looked_at_is_a_fault() -> None:
    series = Series()
    series.look([2**30], 0.0)
    assert held(series, long=False) == [False, True]
