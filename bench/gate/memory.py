"""A gate worker's memory when it has much to remember: live nonces in the store, and attestations that it knows."""

from __future__ import annotations

import os
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import lmdb
import redis

from bench.gate.accounting import Memory, family, private_memory
from bench.gate.load import Load
from bench.gate.phones import ISSUING, proven_batch
from bonafide.ports import FirstUse
from bonafide.stores.lmdb import LmdbReplayStore

if TYPE_CHECKING:
    from pathlib import Path

    from bench.gate.contenders import Contender

SPREAD_S: Final = 250
"""How many seconds the live proofs lie apart: they end one after another, as those of a gate at work do."""

LASTING_S: Final = 75.0
"""How much longer a nonce lives that is counted: for a round, or until memory is looked at."""

NONCE_OCTETS: Final = 32
BATCH: Final = 5000
"""How many requests are signed at once."""

REQUESTS_PER_ATTESTATION: Final = 4
"""So that nearly every worker has seen each attestation."""


def fill_store(directory: Path, live: int) -> int:
    """See that a store remembers so many nonces for a while yet; return how many were added.

    A nonce is remembered for 330 s at most, and a run takes longer: what expires soon counts as gone. Gates may have
    the store open meanwhile, for it is any number of processes'.
    """
    now = time.time()
    missing, new = live - live_nonces(directory, at=now + LASTING_S), not directory.exists()
    store, salt = LmdbReplayStore(directory), os.urandom(16)
    if new:
        store.require_ready(now=now - SPREAD_S - 50)  # so that it is older than its fence
    for number in range(missing):
        key = sha256(b"%b %d" % (salt, number)).digest()
        answer = store.remember(key, created=int(now) - number % SPREAD_S, now=now)
        if answer is not FirstUse.FIRST:
            message = f"the store answers {answer}"
            raise RuntimeError(message)
    store.close()
    return max(missing, 0)


def live_nonces(directory: Path, *, at: float) -> int:
    """Count the nonces that a store remembers at this time; 0 where there is no store."""
    path = directory / "replay.mdb"
    if not path.exists():
        return 0
    with (
        lmdb.open(str(path), subdir=False, readonly=True, lib_version=0) as opened,
        opened.begin() as transaction,
        transaction.cursor() as cursor,
    ):
        # Of the two kinds of records, a nonce's key has 32 octets and its value is the second until which it is kept.
        return sum(len(key) == NONCE_OCTETS and int.from_bytes(until) > at for key, until in cursor.iternext())


def require_live(directory: Path, live: int) -> int:
    """Count what is remembered now. Raises `RuntimeError` where it is less than what is claimed."""
    found = live_nonces(directory, at=time.time())
    if found < live:
        message = f"{found} nonces are live, and {live} are claimed"
        raise RuntimeError(message)
    return found


def fill_gate(contender: Contender, attestations: int) -> None:
    """Send requests under so many attestations that have not been seen."""
    load, left = Load(contender.port), attestations * REQUESTS_PER_ATTESTATION
    while left > 0:
        load.send(proven_batch(ISSUING, min(BATCH, left), hardware=False, per_phone=REQUESTS_PER_ATTESTATION))
        left -= BATCH
    load.close()


def largest_worker(parent: int) -> Memory:
    """Return the private memory of the worker that has most; a gate's parent is none."""
    return max((private_memory(pid) for pid in family(parent)[1:]), key=lambda memory: memory.total)


def redis_used(path: Path) -> int:
    """Return all memory that a Redis has allocated."""
    with redis.Redis(unix_socket_path=str(path)) as client:
        return int(client.info("memory")["used_memory"])


def redis_bytes(path: Path, *, empty: int) -> float:
    """Return what one nonce takes in a Redis that took `empty` octets before the first: dictionaries and all.

    `used_memory_dataset` would leave out the dictionaries' own tables.
    """
    used = redis_used(path) - empty
    with redis.Redis(unix_socket_path=str(path)) as client:
        return used / int(client.dbsize())
