"""PostgreSQL is killed, or has no connection left. No gate asks it anything; enrolments wait."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import psycopg

from drill.world import World, drill

if TYPE_CHECKING:
    from drill.load import Load

AWAY_S: Final = 4.0
ENROLMENTS_BACK_S: Final = 10.0
ANSWERED_S: Final = 0.5


@drill
def postgresql_killed(world: World) -> None:
    """PostgreSQL is killed where it stands, and comes back after four seconds from its log."""
    with world.load() as load:
        broken = time.monotonic()
        world.cluster.postgresql.process.kill()
        time.sleep(AWAY_S)
        world.cluster.postgresql.start()
        claim_untouched(world, load, broken)


@drill
def postgresql_exhausted(world: World) -> None:
    """The services' connections are cut, and somebody else takes all there are for four seconds."""
    with world.load() as load:
        hogs = take_all(world)
        broken = time.monotonic()
        world.told.claim("connections that somebody else took", len(hogs), held=len(hogs) > 1)
        time.sleep(AWAY_S)
        for hog in hogs:
            hog.close()
        claim_untouched(world, load, broken)


def take_all(world: World) -> list[psycopg.Connection[Any]]:
    """Take connections until there are none, also those that the services had."""
    postgresql = world.cluster.postgresql
    hogs = [postgresql.connect()]
    ends = time.monotonic() + AWAY_S
    while time.monotonic() < ends:
        hogs[0].execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND application_name <> 'hog'"
        )
        try:
            while True:
                hog = postgresql.connect()
                hog.execute("SET application_name = 'hog'")
                hogs.append(hog)
        except psycopg.OperationalError:  # there are none, for them and for everybody
            left = (
                hogs[0]
                .execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' "
                    "AND application_name <> 'hog' AND pid <> pg_backend_pid()"
                )
                .fetchone()
            )
            if left is not None and left[0] == 0:
                break
    return hogs


def claim_untouched(world: World, load: Load, broken: float) -> None:
    """Claim that good requests were admitted throughout, and that enrolments came back."""
    mended = time.monotonic()
    while time.monotonic() < mended + ENROLMENTS_BACK_S and not any(at > mended for at in load.enrolled_at):
        time.sleep(0.05)
    meanwhile = load.between(broken, mended)
    world.told.all("good requests admitted meanwhile", sum(each.good for each in meanwhile), of=len(meanwhile))
    enrolled = sum(broken + ANSWERED_S < at < mended for at in load.enrolled_at)
    world.told.claim("enrolled meanwhile, where that could not be", enrolled, held=enrolled == 0)
    back = min((at - mended for at in load.enrolled_at if at > mended), default=None)
    world.told.within("enrolments back", back, ENROLMENTS_BACK_S)
