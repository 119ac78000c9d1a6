"""A drill's claims do not hold where gates refuse everything, answer something else, or answer late."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Final, cast

import httpx
import pytest

from bonafide.reasons import Action
from drill import __main__ as drill
from drill import keys
from drill.clocks import shifted
from drill.load import FRESH_S, Again, Sent
from drill.stores import ANSWERED_S, claim_refused
from drill.told import Told
from drill.world import World

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from tests.conftest import RequireProgram

REQUEST: Final = httpx.Request("GET", "https://api.example.com/api/thing")


class Seen:
    """What a load saw, without one."""

    gates = (0, 1, 2)

    def __init__(self, *sent: Sent, again: Again | None = None) -> None:
        self.sent = sent
        self.again = again or Again()

    def between(self, begin: float, end: float) -> list[Sent]:
        return [each for each in self.sent if begin <= each.at < end]

    def send_again(self, actions: Collection[str]) -> Again:
        assert Action.SIGN_AGAIN in actions
        return self.again


def answered(status: int, *, after: float = 0.1) -> Sent:
    return Sent(request=REQUEST, gate=0, at=1.0, answered_at=1.0 + after, status=status, action="")


def away(*sent: Sent) -> list[bool]:
    told = Told()
    claim_refused(World(cast("Any", None), told), cast("Any", Seen(*sent)), 0.0, 2.0)
    return [claim.held for claim in told.claims]


def test_a_store_that_is_away_is_answered_503_and_in_time() -> None:
    assert all(away(answered(503), answered(503, after=ANSWERED_S)))


@pytest.mark.parametrize("status", [0, 401, 403, 500, 502, 504])
def test_another_refusal_is_not_what_a_silent_store_is_promised_to_give(status: int) -> None:
    assert not all(away(answered(503), answered(status)))


def test_a_refusal_that_is_late_is_a_claim_about_time_that_does_not_hold() -> None:
    assert away(answered(503), answered(503, after=ANSWERED_S + 0.01)) == [True, True, False]


def twice(again: Again) -> list[bool]:
    told = Told()
    World(cast("Any", None), told).show_nothing_twice(cast("Any", Seen(again=again)))
    return [claim.held for claim in told.claims]


def counted(*answers: tuple[int, str], age: float = 1.0) -> Again:
    again = Again()
    for status, action in answers:
        again.count(status, action, age=age, actions=(Action.SIGN_AGAIN,))
    return again


def test_what_is_sent_again_must_be_refused_as_a_replay() -> None:
    assert twice(counted((401, "sign_again"), (401, "sign_again"))) == [True, True]
    assert twice(counted((401, "sign_again"), (200, ""))) == [False, False]


@pytest.mark.parametrize(
    "answer", [(503, "back_off"), (0, ""), (401, "renew"), (401, "fix_clock"), (403, "sign_again")]
)
def test_gates_that_refuse_everything_have_not_shown_that_they_remember(answer: tuple[int, str]) -> None:
    assert twice(counted((401, "sign_again"), answer)) == [True, False]


def test_a_proof_that_grew_too_old_meanwhile_is_left_out_and_nothing_else_is() -> None:
    again = counted((401, "fix_clock"), age=FRESH_S + 1)
    again.count(401, "sign_again", age=1.0, actions=(Action.SIGN_AGAIN,))
    assert (again.number, again.too_old, again.known) == (2, 1, 1)
    assert twice(again) == [True, True]
    assert twice(counted((401, "fix_clock"), age=FRESH_S + 1)) == [True, False], "nothing was shown"


def test_a_phone_that_was_never_admitted_shows_nothing_by_its_ban(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "phone_sends", lambda *_: 403)
    assert not keys.ban(cast("Any", _Banning()), cast("Any", Seen()), cast("Any", _Phone()), 0).admitted
    answers = iter([200, 200, 200, 403, 403, 403])
    monkeypatch.setattr(keys, "phone_sends", lambda *_: next(answers))
    banned = keys.ban(cast("Any", _Banning()), cast("Any", Seen()), cast("Any", _Phone()), 0)
    assert banned.admitted
    assert len(banned.delays) == len(Seen.gates)


class _Banning:
    def __init__(self) -> None:
        self.cluster = self
        self.services = [self]

    def run(self, *_: str) -> str:
        return ""

    def signed(self, *_: object) -> httpx.Request:
        return REQUEST


class _Phone:
    def __init__(self) -> None:
        self.device = self.keychain = self.enrolled = self
        self.instance = "an instance"


def test_every_claim_is_on_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def drills(names: list[str], _: Path) -> Told:
        told = Told()
        told.begin(names[0], "something is broken.")
        told.none("admitted", 0, of=5)
        told.within("back", 2.5, 2.0)
        told.end()
        return told

    monkeypatch.setattr(drill, "OUTPUT", tmp_path / "output")
    monkeypatch.setattr(drill, "drills", drills)
    assert drill.main(["bans"]) == 1
    said = json.loads((tmp_path / "output" / "drill.json").read_text())
    assert not said["held"]
    assert said["seconds"].keys() == {"bans"}
    assert said["claims"] == [
        {"drill": "bans", "text": "admitted", "measured": "0 of 5", "held": True, "timed": False},
        {"drill": "bans", "text": "back within 2 s", "measured": "2.50 s", "held": False, "timed": True},
    ]


def test_a_program_with_another_clock_sleeps_and_waits_as_before(require_program: RequireProgram) -> None:
    require_program("faketime", apt="faketime")
    told = (
        "import threading, time\nbefore = time.monotonic()\ntime.sleep(0.05)\nthreading.Event().wait(0.05)\n"
        "print(time.time(), time.monotonic() - before)"
    )
    environment = {**os.environ, **shifted({}, 30 * 86_400)}
    ran = subprocess.run([sys.executable, "-c", told], env=environment, capture_output=True, check=True, timeout=60)
    moment, passed = map(float, ran.stdout.split())
    assert moment > time.time() + 29 * 86_400
    assert passed >= 0.1


def test_the_true_clock_comes_back_with_everything_else_as_it_was() -> None:
    before = {"PYTHONPATH": "checkout", "OTHER": "1"}
    assert shifted(shifted(before, 600), 0) == before
    assert shifted(shifted({}, -600), 0) == {}
    assert shifted(shifted(before, 600), -600)["FAKETIME"] == "-600"
