"""One `remember` of the LMDB store, among a thousand live proofs and among a million.

Every store is in its steady state: as many proofs expire as are used, so that forgetting is in the price.
The clock of the store of a thousand runs a thousand times as fast for each use; what it costs to record
the time and to look at the directory is thus charged to the small store more often than to the large.
"""

from __future__ import annotations

import tempfile
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench._rounds import Row, compare, interleave, report
from bonafide.ports import FirstUse
from bonafide.stores.lmdb import LmdbReplayStore
from bonafide.stores.memory import MemoryReplayStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from bonafide.ports import ReplayStore

CALLS: Final = 1000
THOUSAND: Final = 1_000
MILLION: Final = 1_000_000

BIRTH: Final = 1_764_000_000
AGE_S: Final = 290
"""How old each proof is when it is used: it lives 40 s more, and no fence is near."""

LIFE_S: Final = 330 - AGE_S


def run() -> bool:
    """Measure, print, and tell whether every promise holds."""
    with tempfile.TemporaryDirectory(prefix="bonafide-bench-") as directory:
        return report("lmdb_replay", _rows(Path(directory)))


def _rows(directory: Path) -> list[Row]:
    small = _Load(LmdbReplayStore(directory / "small"), live=THOUSAND)
    large = _Load(LmdbReplayStore(directory / "large"), live=MILLION)
    memory = _Load(MemoryReplayStore(), live=THOUSAND)
    cases: dict[str, Callable[[], object]] = {
        "SHA-256 of a replay key": lambda: sha256(b"keyid\0nonce" * 5).digest(),
        "memory, first use, 1 k live": memory.first,
        "lmdb, first use, 1 k live": small.first,
        "lmdb, first use, 1 M live": large.first,
        "lmdb, replay of the last, 1 k live": small.replay,
        "lmdb, replay of the last, 1 M live": large.replay,
        "lmdb, fenced, 1 M live": large.fenced,
    }
    costs = interleave(cases, calls=CALLS)
    first = "lmdb, first use, 1 k live"
    return [
        compare(costs, "memory, first use, 1 k live", versus="SHA-256 of a replay key"),
        compare(costs, first, versus="memory, first use, 1 k live"),
        compare(costs, "lmdb, first use, 1 M live", versus=first, at_most=2),
        compare(costs, "lmdb, replay of the last, 1 k live", versus=first),
        compare(costs, "lmdb, replay of the last, 1 M live", versus="lmdb, replay of the last, 1 k live", at_most=2),
        compare(costs, "lmdb, fenced, 1 M live", versus=first),
    ]


class _Load:
    """A stream of proofs that keeps `live` of them in a store."""

    def __init__(self, store: ReplayStore, *, live: int) -> None:
        self._remember = store.remember
        self._step = LIFE_S / live
        self._now = float(BIRTH)
        self._keys = (sha256(b"%d of %d" % (number, live)).digest() for number in count())
        self._used = next(self._keys)
        self._ask(self._used, FirstUse.FENCED)
        self._now += AGE_S + 10
        for _ in range(live):
            self.first()

    def first(self) -> None:
        """Use a new key; another expires."""
        self._now += self._step
        self._used = next(self._keys)
        self._ask(self._used, FirstUse.FIRST)

    def replay(self) -> None:
        """Use a key again."""
        self._ask(self._used, FirstUse.REPLAYED)

    def fenced(self) -> None:
        """Use what the store cannot vouch for."""
        self._ask(self._used, FirstUse.FENCED, age=AGE_S + 100)

    def _ask(self, key: bytes, expected: FirstUse, *, age: int = AGE_S) -> None:
        answer = self._remember(key, created=int(self._now) - age, now=self._now)
        if answer is not expected:
            message = f"the store answers {answer} where {expected} is due"
            raise AssertionError(message)
