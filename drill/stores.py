"""The replay store is killed, silent, emptied, failed over, or full."""

from __future__ import annotations

import os
import shutil
import signal
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, cast

import httpx

from bonafide.stores.lmdb import MAX_BYTES
from deploy.processes import Failed, run
from drill.load import STEADY
from drill.world import World, drill
from tests.stores.redis_servers import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deploy.cluster import RedisServers
    from deploy.machines import GateMachine
    from drill.load import Load
    from tests.stores.redis_servers import ClusterGroup, RedisServer, SentinelGroup

AWAY_S: Final = 3.0
AHEAD_S: Final = 1.2
DISK_BYTES: Final = MAX_BYTES + 16 * 2**20
MARGIN_BYTES: Final = 4 * 2**20
"""Room for what a gate writes besides: its counters, and the service's last word."""

BORN_AGAIN_S: Final = 12.0
"""A store that was emptied fences what was created until 8 s after its birth; a phone's clock is up to 1 s late."""

FAILED_OVER_S: Final = 10.0
"""From the moment that a successor is named: its fence of 8 s, and up to a second because a proof's time is whole."""

KILLED_S: Final = 12.0
"""From the kill. Sentinels and nodes here miss a master after half a second; what they take to agree, to promote and to
tell is a second and a half, which no setting of theirs shortens."""

STORE_TIMEOUT_S: Final = 0.5
ANSWERED_S: Final = STORE_TIMEOUT_S + 0.5
"""A gate's default deadline, and what the way through Nginx and back may take on a machine that does all of this."""

ONLY: Final = (2,)
"""The gate with a store of its own: what it admits, no other gate would know."""


def single(world: World) -> RedisServer:
    """Return the one server that the gates use between drills."""
    return cast("RedisServer", world.cluster.redis)


def claim_refused(world: World, load: Load, begin: float, end: float) -> None:
    """Claim that with the store away each request was answered 503 in good time, as its sender sees it."""
    sent = load.between(begin, end)
    world.told.none("admitted while the store was away", sum(each.good for each in sent), of=len(sent))
    refused = sum(each.status == httpx.codes.SERVICE_UNAVAILABLE for each in sent)
    world.told.all("answered 503 while the store was away", refused, of=len(sent))
    slowest = max((each.answered_at - each.at for each in sent), default=None)
    limits = f"`store_timeout` is {STORE_TIMEOUT_S:g} s"
    world.told.within(f"the slowest of these answers came ({limits})", slowest, ANSWERED_S)


@drill
def redis_killed(world: World) -> None:
    """Redis is killed (SIGKILL), and comes back empty after three seconds."""
    redis = single(world)
    with world.load() as load:
        redis.kill()
        away = time.monotonic()
        time.sleep(AWAY_S)
        claim_refused(world, load, away + 0.5, time.monotonic() - 0.5)
        redis.start()
        back = load.back_after(time.monotonic())
        world.told.within("good traffic back after the restart, the fence of a new store included,", back, BORN_AGAIN_S)


@drill
def redis_paused(world: World) -> None:
    """Redis stands still (SIGSTOP) for three seconds, and goes on (SIGCONT)."""
    redis = single(world)
    with world.load() as load:
        redis.pause()
        away = time.monotonic()
        time.sleep(AWAY_S)
        claim_refused(world, load, away + 0.5, time.monotonic() - 0.5)
        mended = time.monotonic()
        redis.resume()
        world.told.within("good traffic back after SIGCONT", load.back_after(mended), 2.0)


@drill
def redis_emptied(world: World) -> None:
    """Somebody types FLUSHALL."""
    redis = single(world)
    with world.load() as load:
        emptied = time.monotonic()
        redis.command("FLUSHALL")
        # The last answers from before may still come in: a fence shows first as a refusal.
        time.sleep(1)
        back = load.back_after(emptied)
        world.told.within("good traffic back, the fence of an emptied store included,", back, BORN_AGAIN_S)


@contextmanager
def another_store(world: World, store: str) -> Iterator[RedisServers]:
    """Have all gates use another form of Redis, and go back to the one server afterwards."""
    servers = world.cluster.start_redis(store)
    world.cluster.use_store(servers.url)
    try:
        yield servers
    finally:
        single(world).command("FLUSHALL")  # it has not seen what the other one has
        world.cluster.use_store(single(world).url)
        servers.stop()


@drill
def sentinel_failover(world: World) -> None:
    """The master is killed after its replicas lost touch: the one that takes its place has not seen the last writes."""
    with another_store(world, "sentinel") as servers, world.load() as load:
        group = cast("SentinelGroup", servers)
        old = group.master
        replicas = [server for server in group.servers if server is not old]
        lost = kill_ahead_of(world, old, replicas)
        killed = time.monotonic()
        group.wait_for_another_master(old)
        claim_failed_over(world, load, lost=lost, killed=killed, steady=STEADY)


@drill
def cluster_node_lost(world: World) -> None:
    """One of the three masters of a Redis cluster is killed, ahead of its replica, which takes its slots."""
    with another_store(world, "cluster") as servers, world.load() as load:
        group = cast("ClusterGroup", servers)
        old = group.master_of(0)
        lost = kill_ahead_of(world, old, [server for server in group.servers if server is not old])
        killed = time.monotonic()
        eventually(lambda: group.master_of(0) is not old, "another master of slot 0")
        claim_failed_over(world, load, lost=lost, killed=killed, steady=3 * STEADY)  # two in three keys lie elsewhere


def claim_failed_over(world: World, load: Load, *, lost: int, killed: float, steady: int) -> None:
    """Claim, as soon as a successor serves, that it lost writes and that good traffic is back in time."""
    failed_over = time.monotonic()
    world.told.claim("first uses that the successor has not seen", lost, held=lost > 0)
    world.told.note(f"a successor serves {failed_over - killed:.2f} s after the kill")
    back = load.back_after(failed_over, steady=steady)
    world.told.within("good traffic back after the failover, the successor's fence included,", back, FAILED_OVER_S)
    total = None if back is None else back + failed_over - killed
    world.told.within("good traffic back after the kill", total, KILLED_S)


def kill_ahead_of(world: World, master: RedisServer, others: list[RedisServer]) -> int:
    """Cut a master's replicas off, let it go on for a moment, and kill it; return how many keys it was ahead.

    A replica that says a password to a master without one is turned away, and comes back in vain.
    """
    replicas = [each for each in others if each.client().info("replication").get("master_port") == master.port]
    for replica in replicas:
        replica.command("CONFIG", "SET", "masterauth", "wrong")
    master.command("CLIENT", "KILL", "TYPE", "replica")
    time.sleep(AHEAD_S)
    ahead = int(master.command("DBSIZE")) - max(int(replica.command("DBSIZE")) for replica in replicas)
    master.kill()
    for replica in replicas:
        replica.command("CONFIG", "SET", "masterauth", "")
    world.told.note(f"{master.port} is killed, {ahead} keys ahead of its replicas")
    return ahead


@drill
def lmdb_disk_full(world: World) -> None:
    """The disk under a gate's state directory is full: while its LMDB store is at work, and when one is to be made."""
    machine = world.cluster.gates[ONLY[0]]
    with small_disk(machine.directory / "disk") as disk, on_disk(machine, disk):
        with world.load(gates=ONLY, enrols=False) as before:
            filler = fill(disk)
            full = time.monotonic()
            time.sleep(AWAY_S / 2)
            os.kill(machine.gate.workers[0], signal.SIGKILL)
            time.sleep(AWAY_S)
            sent = before.between(full, time.monotonic() - 0.5)
            world.told.note(f"at {len(sent) - sum(each.good for each in sent)} of {len(sent)} requests something else")
            world.told.within("good traffic, a worker killed meanwhile, back", before.back_after(full), 5.0)
            filler.unlink()
        machine.gate.stop()
        shutil.rmtree(disk / "state" / "replay")
        filler = fill(disk, leave=MARGIN_BYTES)
        machine.gate.start()
        with world.load(gates=ONLY, enrols=False, calm=False) as load:
            time.sleep(AWAY_S)
            sent = load.between(0, time.monotonic())
            world.told.none("admitted without room for a store", sum(each.good for each in sent), of=len(sent))
            mended = time.monotonic()
            filler.unlink()
            world.told.within("good traffic back, a new store's fence included,", load.back_after(mended), BORN_AGAIN_S)
            # What the store that is gone had seen: nobody knows it any more, and nobody may admit it.
            world.show_nothing_twice(before, when=" after the store's rebirth")


@contextmanager
def on_disk(machine: GateMachine, disk: Path) -> Iterator[None]:
    """Have a gate keep everything on this disk, and go back to what it had afterwards."""
    settings, store = machine.settings, machine.replay_store
    machine.settings = {**settings, "state_dir": str(disk / "state")}
    machine.replay_store = f"lmdb:{disk / 'state' / 'replay'}"
    machine.write()
    machine.gate.restart()
    try:
        yield
    finally:
        machine.gate.stop()
        machine.settings, machine.replay_store = settings, store
        machine.write()
        machine.gate.start()


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """Mount a file system of a few megabytes. Raises `Failed` where that is not allowed."""
    if os.geteuid() != 0:
        message = "a full disk needs root: it mounts a small file system"
        raise Failed(message)
    place.mkdir()
    run("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "tmpfs", place)
    try:
        yield place
    finally:
        run("umount", "--lazy", place)


def fill(disk: Path, *, leave: int = 0) -> Path:
    """Write a file until there is no space left but `leave` octets; return it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    if leave:
        os.truncate(filler, max(0, filler.stat().st_size - leave))
    return filler
