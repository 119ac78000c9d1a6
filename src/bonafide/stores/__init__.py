"""Replay stores, and the start-up rule that no store is asked by workers it cannot see.

`bonafide.stores.memory` serves one process; `bonafide.stores.lmdb`, the default, all processes of one
host; `bonafide.stores.redis` all hosts. `bonafide.stores.addresses` opens any of them. Every store passes the
conformance suite `bonafide.testing.replay_store`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bonafide.errors import ConfigurationError
from bonafide.ports import Scope
from bonafide.reasons import configuration as reasons

if TYPE_CHECKING:
    from bonafide.ports import AsyncReplayStore, FirstUse, ReplayStore

__all__ = ["InlineReplayStore", "require_scope"]


class InlineReplayStore:
    """A `ReplayStore` for an event loop, asked on the loop itself.

    Right for stores that answer in microseconds (memory, LMDB): handing such a call to a thread costs
    some ten times what it does. The loop waits where another worker holds the store's write lock, which
    is for some microseconds too, unless that worker is stopped in the middle of them.
    """

    def __init__(self, store: ReplayStore) -> None:
        """Ask `store`, which must not wait for a network."""
        self._store = store

    @property
    def scope(self) -> Scope:
        """How far the store sees."""
        return self._store.scope

    async def remember(self, key: bytes, *, created: int, now: float) -> FirstUse:
        """As `ReplayStore.remember`."""
        return self._store.remember(key, created=created, now=now)


def require_scope(store: ReplayStore | AsyncReplayStore, *, processes: int, hosts: int) -> None:
    """Refuse to start more workers than the store sees: each unseen one would admit a proof once more.

    `processes` are those on one host, `hosts` those that serve one audience. Both are the operator's
    word; a number below one is no number and is refused.

    Raises `ConfigurationError` (`configuration.store_scope`).
    """
    if processes < 1 or hosts < 1:
        raise ConfigurationError(reasons.STORE_SCOPE, f"{processes} processes on {hosts} hosts")
    if hosts > 1 and store.scope is not Scope.CLUSTER:
        raise ConfigurationError(reasons.STORE_SCOPE, f"{hosts} hosts, and a store for one {store.scope.name.lower()}")
    if processes > 1 and store.scope is Scope.PROCESS:
        raise ConfigurationError(reasons.STORE_SCOPE, f"{processes} processes, and a store for one")
