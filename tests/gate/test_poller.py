"""What the service sends is read up to a bound, and asked for no more often than the file says.

Silence and lies of a service: tests/gate/test_processes.py.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bonafide.gate import poller
from bonafide.gate.identity import make_gate_key, read_gate_key
from bonafide.gate.poller import Poller, own_state
from bonafide.gate.provisioned import Provisioned
from tests.gate.service import Service
from tests.gate.test_provisioned import CONFIG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Asking = tuple[Service, Provisioned, Callable[..., None]]


def turn(asks: Poller, held: Provisioned, *, every: timedelta | None = None) -> None:
    """Let the poller look once; `every` is how often it is to ask from now on."""
    if every is not None:
        asks._config = replace(asks._config, poll_every=every)
    asks.look(held)


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[Asking]:
    """Start a service, and return it with what a gate holds and one turn of that gate's poller."""
    make_gate_key(tmp_path / "gate.key")
    key = read_gate_key(tmp_path / "gate.key")
    service = Service(gate_key=key.public_key())
    config = replace(CONFIG, service=service.url, state_dir=tmp_path / "state", poll_every=timedelta(0))
    own_state(config)
    held = Provisioned(config, clock=time.time, on_unknown_key=lambda: None)
    asks = Poller(config, key)
    yield service, held, lambda **how: turn(asks, held, **how)
    if asks._client is not None:
        asks._client.close()
    service.stop()


def bounded(service: Service, monkeypatch: pytest.MonkeyPatch, *, spare: int) -> list[str]:
    """Set the bound, at each answer, to its octets and `spare`; return the list of answers."""
    sent: list[str] = []

    def measured(answer: str) -> str:
        sent.append(answer)
        monkeypatch.setattr(poller, "MAX_ANSWER_BYTES", len(answer) + spare)
        return answer

    service.edit = measured
    return sent


def test_an_answer_as_long_as_the_bound_is_taken(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    service, held, look = asking
    service.ban("banned")
    bounded(service, monkeypatch, spare=0)
    look()
    assert held.is_revoked("banned", "x")


def test_a_longer_answer_is_refused_and_what_was_known_stands(
    asking: Asking, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """It is a good answer in every other respect: nothing but its length keeps it out."""
    service, held, look = asking
    service.ban("banned")
    look()
    kept, known = (tmp_path / "state" / "state").read_bytes(), held.tag
    service.state = replace(service.state, revoked_instances=frozenset())
    sent = bounded(service, monkeypatch, spare=-1)
    look()
    assert len(sent) == 1
    assert held.is_revoked("banned", "x")
    assert held.tag == known
    assert (tmp_path / "state" / "state").read_bytes() == kept
    (message,) = caplog.messages
    assert message == f"the service at {service.url} gives no word: provision.answer_malformed too long"


def test_what_a_worker_that_was_killed_left_behind_goes_with_the_next_answer(asking: Asking, tmp_path: Path) -> None:
    _, _, look = asking
    (tmp_path / "state" / ".state.0123.unfinished").write_bytes(b"half of an answer")
    look()
    assert {path.name for path in (tmp_path / "state").iterdir()} == {"state", "asking.lock"}


@dataclass
class Clocks:
    """The module `time` of a machine whose clock is so far ahead of the service's."""

    ahead: float
    elapsed: float = 1000.0

    def time(self) -> float:
        return time.time() + self.ahead

    def monotonic(self) -> float:
        return self.elapsed


@pytest.mark.parametrize("ahead", [0.0, 4.0])
def test_a_service_whose_clock_is_behind_is_asked_as_often_as_another(
    asking: Asking, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    service, held, look = asking
    clocks = Clocks(ahead)
    monkeypatch.setattr(poller, "time", clocks)
    for _ in range(19):
        look(every=timedelta(seconds=3))
        clocks.elapsed += 0.5
    assert not held.is_stale()
    assert service.asks == (1 if ahead == 0 else 4)


def test_who_holds_a_word_from_the_future_is_told_everything_anew(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, held, look = asking
    look()
    service.ban("banned")
    moment = held._clock()
    monkeypatch.setattr(held, "_clock", lambda: moment - 3600)  # what it holds is an hour ahead
    assert held.is_stale()
    look()
    assert (service.asks, service.whole) == (2, 2)
    monkeypatch.setattr(held, "_clock", lambda: moment + 1)
    look()
    assert held.is_revoked("banned", "x")
