"""How replay keys are called in Redis, and how they spread over the slots of a cluster.

A key is a short prefix and the 32 octets of the replay key, as they are: 43 octets at most, which costs
Debian's Redis 7.0 some 120 octets of memory for each live proof, its expiry included. The value is "1",
which Redis shares among all keys. Deployments may share one database: a replay key is a hash over the key
that signed, so two that meet are the same proof.

Every key lies in a *bucket*, and every bucket has one epoch record that lies in the same hash slot. That
is what makes a lost slot show: when a slot is given to a node that does not hold its keys, the record is
missing as well. One Redis server has one bucket. A cluster has 1,024, one in every sixteenth slot, so that a
cluster of two hundred masters is loaded evenly to a fifth; a proof's bucket is told by the first octets of
its key, which is a hash and spreads by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Final

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

CLUSTER_BUCKETS: Final = 1024

_SLOTS_EACH: Final = REDIS_CLUSTER_HASH_SLOTS // CLUSTER_BUCKETS


@dataclass(frozen=True, slots=True)
class Bucket:
    """A share of the keys that lives and dies together: `prefix` of its keys, its record's key, its slot."""

    number: int
    prefix: bytes
    epoch_key: bytes
    slot: int


WHOLE: Final = Bucket(0, b"bf:", b"bf:epoch", 0)
"""The one bucket of a store that is no cluster."""


@cache
def cluster_buckets() -> tuple[Bucket, ...]:
    """Return the buckets of a cluster in the order of their slots, which is the same in every process."""
    tags: dict[int, bytes] = {}
    for number in count():
        tag = b"%x" % number
        tags.setdefault(key_slot(tag) // _SLOTS_EACH, tag)
        if len(tags) == CLUSTER_BUCKETS:
            break
    return tuple(
        Bucket(number, b"bf{%b}" % tag, b"bf{%b}epoch" % tag, key_slot(tag)) for number, tag in sorted(tags.items())
    )


def bucket_of(key: bytes, buckets: tuple[Bucket, ...]) -> Bucket:
    """Return the bucket that a replay key lies in. `buckets` are as many as a power of two, at most 65,536."""
    return buckets[int.from_bytes(key[:2]) % len(buckets)]
