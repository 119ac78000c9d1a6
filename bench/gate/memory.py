"""A gate worker's memory when it has much to remember: live nonces in the store, and attestations that it knows."""

from __future__ import annotations

import os
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import redis

from bench.gate.accounting import Memory, family, private_memory
from bench.gate.load import Load
from bench.gate.phones import ISSUING, proven_batch
from bonafide.ports import FirstUse
from bonafide.stores.lmdb import LmdbReplayStore

if TYPE_CHECKING:
    from pathlib import Path

    from bench.gate.contenders import Contender

SPREAD_S: Final = 50
BATCH: Final = 5000
"""How many seconds the live proofs lie apart, and how many requests are signed at once."""

REQUESTS_PER_ATTESTATION: Final = 4
"""So that nearly every worker has seen each attestation."""


def fill_store(directory: Path, live: int) -> None:
    """Put this many live nonces into a store that does not exist yet."""
    store, now = LmdbReplayStore(directory), time.time()
    store.remember(os.urandom(32), created=int(now) - 100, now=now - 100)
    for number in range(live):
        key = sha256(b"live %d" % number).digest()
        answer = store.remember(key, created=int(now) - number % SPREAD_S, now=now)
        if answer is not FirstUse.FIRST:
            message = f"the store answers {answer}"
            raise RuntimeError(message)
    store.close()


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


def redis_bytes(path: Path) -> float:
    """Return what one live nonce takes in a Redis that holds little else."""
    with redis.Redis(unix_socket_path=str(path)) as client:
        return int(client.info("memory")["used_memory_dataset"]) / int(client.dbsize())
