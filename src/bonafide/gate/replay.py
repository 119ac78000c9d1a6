"""The replay store that a gate's file names, refused where it cannot see every worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bonafide.stores import require_scope
from bonafide.stores.addresses import open_replay_store

if TYPE_CHECKING:
    from bonafide.gate.config import GateConfig
    from bonafide.stores.addresses import OpenedReplayStore


def open_store(config: GateConfig) -> OpenedReplayStore:
    """Open the replay store.

    Raises `ConfigurationError` (`configuration.store_scope` and those of the store).
    """
    store = open_replay_store(config.replay_store, timeout=config.store_timeout)
    require_scope(store, processes=config.workers, hosts=config.hosts)
    return store
