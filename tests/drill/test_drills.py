"""Two drills are carried through, so that the code of all of them stays true. `make drill` runs the others."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from drill.__main__ import drills, register
from drill.__main__ import main as drill
from drill.told import Told
from drill.world import DRILLS

if TYPE_CHECKING:
    from tests.conftest import RequireProgram


def test_what_drills_claim_holds(require_program: RequireProgram) -> None:
    """But for the claims about time, which a machine that runs other tests meanwhile may miss."""
    for program, apt in (("redis-server", "redis-server"), ("initdb", "postgresql"), ("nginx", "nginx-light")):
        require_program(program, apt=apt)
    register()
    with TemporaryDirectory(prefix="drill-") as place:  # a socket's path has 107 characters at most
        told = drills(["redis-paused", "gate-worker-killed"], Path(place) / "drill")
    assert {claim.drill for claim in told.claims} == {"redis-paused", "gate-worker-killed"}
    assert not [str(claim) for claim in told.claims if not claim.held and not claim.timed]


def test_every_drill_says_what_it_breaks(capsys: pytest.CaptureFixture[str]) -> None:
    assert drill(["--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert len(listed) == len(DRILLS)
    assert all(line[22:].endswith(".") for line in listed)


def test_drill_that_does_not_exist_is_misuse() -> None:
    assert drill(["no-such-drill"]) == 2


def test_nothing_of_nothing_is_no_claim_that_held() -> None:
    told = Told()
    assert not told.held
    told.begin("empty", "nothing is broken.")
    told.none("found", 0, of=0)
    assert not told.held


def test_one_claim_that_does_not_hold_is_enough() -> None:
    told = Told()
    told.begin("two", "something is broken.")
    told.none("found", 0, of=5)
    told.within("back", None, 2.0)
    assert [claim.held for claim in told.claims] == [True, False]
    assert not told.held
    assert not told.claims[-1].timed
    told.end()
    assert "1 of 2 claims held, 1 drills" in told.table()


def test_drill_that_breaks_down_has_shown_nothing() -> None:
    told = Told()
    told.begin("broken", "it is broken itself.")
    told.broke(OSError("no such thing"))
    assert not told.held
    assert "OSError: no such thing" in told.table()


@pytest.mark.parametrize(("seconds", "held"), [(1.99, True), (2.0, True), (2.01, False)])
def test_limit_is_kept_to_the_hundredth(seconds: float, held: bool) -> None:
    told = Told()
    told.within("back", seconds, 2.0)
    assert told.held is held
