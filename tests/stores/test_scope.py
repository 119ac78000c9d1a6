"""The start-up rule: no store is asked by workers that it cannot see."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from bonafide.errors import ConfigurationError
from bonafide.ports import FirstUse, Scope
from bonafide.reasons import configuration as reasons
from bonafide.stores import InlineReplayStore, require_scope
from bonafide.stores.memory import MemoryReplayStore


@dataclass(frozen=True, slots=True)
class _Store:
    scope: Scope

    def remember(self, key: bytes, *, created: int, now: float) -> FirstUse:
        del key, created, now
        return FirstUse.UNAVAILABLE


@pytest.mark.parametrize(
    ("scope", "processes", "hosts"),
    [
        (Scope.PROCESS, 1, 1),
        (Scope.HOST, 1, 1),
        (Scope.HOST, 64, 1),
        (Scope.CLUSTER, 64, 1),
        (Scope.CLUSTER, 1, 2),
        (Scope.CLUSTER, 64, 64),
    ],
)
def test_a_store_serves_the_workers_it_sees(scope: Scope, processes: int, hosts: int) -> None:
    require_scope(_Store(scope), processes=processes, hosts=hosts)


@pytest.mark.parametrize(
    ("scope", "processes", "hosts", "detail"),
    [
        (Scope.PROCESS, 2, 1, "2 processes, and a store for one"),
        (Scope.PROCESS, 1, 2, "2 hosts, and a store for one process"),
        (Scope.HOST, 1, 2, "2 hosts, and a store for one host"),
        (Scope.HOST, 8, 64, "64 hosts, and a store for one host"),
        (Scope.CLUSTER, 0, 1, "0 processes on 1 hosts"),
        (Scope.CLUSTER, 1, 0, "1 processes on 0 hosts"),
        (Scope.HOST, -1, 1, "-1 processes on 1 hosts"),
        (Scope.PROCESS, 1, -1, "1 processes on -1 hosts"),
    ],
)
def test_and_no_others(scope: Scope, processes: int, hosts: int, detail: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        require_scope(_Store(scope), processes=processes, hosts=hosts)
    assert caught.value.reason is reasons.STORE_SCOPE
    assert caught.value.detail == detail


def test_the_rule_holds_for_a_store_on_an_event_loop() -> None:
    store = InlineReplayStore(MemoryReplayStore())
    assert store.scope is Scope.PROCESS
    require_scope(store, processes=1, hosts=1)
    with pytest.raises(ConfigurationError):
        require_scope(store, processes=2, hosts=1)
