"""What a gate knows is its service's word while it is fresh; everything else is unknown, and unknown refuses."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bonafide import opening
from bonafide.errors import VerificationFailed
from bonafide.gate.config import GateConfig
from bonafide.gate.provisioned import Provisioned
from bonafide.keys import PublishedKey
from bonafide.opening import Opening
from bonafide.provision import ASK_LIFETIME_S, Answer, serialise
from bonafide.reasons import opening as opening_reasons
from bonafide.reasons import store as reasons
from bonafide.terms import Environment
from tests.gate.service import AUDIENCE, GATE_KEY_ID, ISSUER, SERVICE_KEY, state
from tests.gate_world import GATE_SECRET, ISSUER_KEY, NOW

CONFIG = GateConfig(
    name="gate-1",
    service="https://service.example",
    issuer=ISSUER,
    audience=AUDIENCE,
    apps=frozenset(["shop"]),
    service_keys=frozenset([SERVICE_KEY.kid]),
    upstreams=(),
    max_stale=timedelta(seconds=60),
    state_dir=Path("state"),
)
STATE = state(NOW)


@dataclass
class Holding:
    """One worker's copy, with a clock to set, one that nobody sets, and a count of calls for help."""

    now: datetime = NOW
    elapsed: float = 1000.0
    hurried: int = 0
    held: Provisioned = field(init=False)

    def __post_init__(self) -> None:
        self.held = Provisioned(CONFIG, clock=self.clock, on_unknown_key=self.hurry, elapsed=lambda: self.elapsed)

    def clock(self) -> float:
        return self.now.timestamp()

    def hurry(self) -> None:
        self.hurried += 1

    def told(self, at: datetime = NOW, *, asked: bool = False, **changes: Any) -> Provisioned:
        known = replace(STATE, **changes)
        self.held.take(Answer(issued_at=at, tag=serialise(known).tag, id="", state=known), asked=asked)
        return self.held


def stale(holding: Holding) -> None:
    held = holding.held
    for ask in (
        lambda: held.find(ISSUER_KEY.kid, NOW),
        lambda: held.secret(GATE_KEY_ID, NOW),
        lambda: held.is_revoked("instance", "jkt"),
    ):
        with pytest.raises(VerificationFailed) as refusal:
            ask()
        assert refusal.value.reason is reasons.COPY_STALE
    assert held.is_stale()


def test_before_the_first_word_everything_is_unknown() -> None:
    stale(Holding())


def test_what_was_told_is_known() -> None:
    held = Holding().told(revoked_instances=frozenset(["banned"]), revoked_jkts=frozenset(["bad-key"]))
    found = held.find(ISSUER_KEY.kid, NOW)
    assert found is not None
    assert found.app == "shop"
    assert held.secret(GATE_KEY_ID, NOW) == GATE_SECRET
    assert held.is_revoked("banned", "x")
    assert held.is_revoked("x", "bad-key")
    assert not held.is_revoked("bad-key", "banned")
    assert held.ramp_key == STATE.ramp_key


def test_a_word_stands_for_as_long_as_the_file_says() -> None:
    holding = Holding()
    holding.told()
    holding.now = NOW + timedelta(seconds=60)
    assert not holding.held.is_revoked("x", "y")
    holding.now = NOW + timedelta(seconds=61)
    stale(holding)


def test_a_word_that_the_service_confirms_stands_on() -> None:
    holding = Holding()
    held = holding.told()
    holding.now = NOW + timedelta(seconds=50)
    held.take(Answer(issued_at=holding.now, tag=held.tag, id="", state=None))
    holding.now = NOW + timedelta(seconds=100)
    assert not held.is_stale()


def test_a_confirmation_of_another_state_confirms_nothing() -> None:
    holding = Holding()
    held = holding.told()
    holding.now = NOW + timedelta(seconds=50)
    held.take(Answer(issued_at=holding.now, tag="another", id="", state=None))
    holding.now = NOW + timedelta(seconds=61)
    stale(holding)


def test_an_older_word_does_not_undo_a_newer_one() -> None:
    """An old answer put back on the gate's disk must not lift a ban."""
    holding = Holding()
    held = holding.told(NOW, revoked_instances=frozenset(["banned"]))
    holding.told(NOW - timedelta(seconds=1), revoked_instances=frozenset())
    assert held.is_revoked("banned", "x")


def test_an_answer_to_the_ask_that_is_outstanding_is_newer_than_what_is_held() -> None:
    """The service's clock was put right in between: what it says now it says last."""
    holding = Holding()
    held = holding.told(NOW + timedelta(seconds=10), revoked_instances=frozenset())
    holding.told(NOW, asked=True, revoked_instances=frozenset(["banned"]))
    assert held.is_revoked("banned", "x")


@pytest.mark.parametrize("asked", [False, True])
def test_a_word_from_the_future_is_none(*, asked: bool) -> None:
    holding = Holding()
    held = holding.told(NOW + timedelta(seconds=ASK_LIFETIME_S + 1), asked=asked)
    stale(holding)
    assert held.tag == ""
    holding.told(NOW + timedelta(seconds=ASK_LIFETIME_S), asked=asked)
    assert not held.is_stale()


def test_a_clock_that_jumped_ahead_and_was_put_right_hides_no_ban() -> None:
    holding = Holding()
    held = holding.told()
    holding.now = NOW + timedelta(days=1)  # service and gate on one host
    held.take(Answer(issued_at=holding.now, tag=held.tag, id="", state=None))
    assert not held.is_stale()
    holding.now = NOW + timedelta(seconds=5)
    stale(holding)
    assert held.tag == ""  # so that the service says all of it again, and workers that start find no future on the disk
    holding.told(holding.now, revoked_instances=frozenset(["banned"]))
    assert held.is_revoked("banned", "x")
    holding.now += timedelta(seconds=61)
    stale(holding)


def test_a_clock_that_is_set_back_does_not_make_a_word_last_longer() -> None:
    holding = Holding()
    holding.told(NOW - timedelta(seconds=20))
    holding.elapsed += 30
    holding.now = NOW - timedelta(seconds=20)  # 30 s ago it was later
    assert not holding.held.is_stale()
    holding.elapsed += 11
    stale(holding)


def test_an_app_that_is_not_admitted_here_has_no_key_here() -> None:
    held = Holding().told(keys=(PublishedKey(app="other", key=ISSUER_KEY.public),))
    assert held.find(ISSUER_KEY.kid, NOW) is None


def test_an_unknown_key_is_asked_for() -> None:
    holding = Holding()
    held = holding.told()
    assert held.find("unknown", NOW) is None
    assert held.secret("unknown", NOW) is None
    assert holding.hurried == 2
    held.find(ISSUER_KEY.kid, NOW)
    assert holding.hurried == 2


def test_a_gate_key_of_another_audience_or_of_the_past_derives_nothing() -> None:
    key = STATE.gate_keys[0]
    assert Holding().told(gate_keys=(replace(key, audience="other"),)).secret(GATE_KEY_ID, NOW) is None
    assert Holding().told(gate_keys=(replace(key, erase_after=NOW),)).secret(GATE_KEY_ID, NOW) is None


OPENED = Opening(
    id="b3BlbmluZy0wMDAwMDAwMQ",
    issuer=ISSUER,
    environment=Environment.PRODUCTION,
    route="/api/**",
    because="the new release signs wrongly",
    by="operator",
    opened_at=NOW.astimezone(UTC),
    until=NOW + timedelta(minutes=5),
)


def test_an_opening_stands_while_it_is_signed_for_here_and_fresh() -> None:
    holding = Holding()
    held = holding.told(openings=(opening.issue(OPENED, service_key=SERVICE_KEY),))
    assert held.opening("/api/**", NOW) == OPENED
    assert held.opening("/other", NOW) is None
    assert held.opening("/api/**", NOW + timedelta(minutes=5)) is None
    assert held.openings(NOW) == (OPENED,)
    holding.now = NOW + timedelta(seconds=61)
    assert held.opening("/api/**", NOW) is None


def test_an_opening_that_nobody_signed_opens_nothing_and_is_told_of() -> None:
    elsewhere = opening.issue(replace(OPENED, environment=Environment.STAGING), service_key=SERVICE_KEY)
    held = Holding().told(openings=("no.open.ing", elsewhere))
    assert held.opening("/api/**", NOW) is None
    assert held.refused_openings == (opening_reasons.MALFORMED, opening_reasons.ELSEWHERE)
