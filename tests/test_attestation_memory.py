"""A memory that is bounded, and that threads may share."""

from __future__ import annotations

import sys
from threading import Thread

from bonafide.attestation_memory import AttestationMemory, KnownAttestation
from tests.gate_world import claims


def known(expires: float) -> KnownAttestation:
    return KnownAttestation(claims(), expires, "")


def test_the_one_remembered_longest_makes_way() -> None:
    memory = AttestationMemory(max_entries=2)
    for name in (b"a", b"b", b"c"):
        memory.keep(name, known(10.0), 1.0)
    assert [memory.find(name) is not None for name in (b"a", b"b", b"c")] == [False, True, True]


def test_two_that_expired_make_way_for_one() -> None:
    memory = AttestationMemory()
    for name in (b"a", b"b", b"c"):
        memory.keep(name, known(10.0), 1.0)
    memory.keep(b"d", known(20.0), 10.0)
    assert [memory.find(name) is not None for name in (b"a", b"b", b"c", b"d")] == [False, False, True, True]


def test_keys_stand_in_no_representation() -> None:
    held = KnownAttestation(claims(), 0.0, "", mac_key=b"mac-mac-mac", seal_response_key=b"seal-seal")
    assert "mac-mac-mac" not in repr(held)
    assert "seal-seal" not in repr(held)


def test_threads_that_keep_and_forget_at_once_raise_nothing_and_stay_near_the_bound() -> None:
    """An exception here would be a request that is answered by nobody."""
    memory, bound, threads = AttestationMemory(max_entries=16), 16, 4
    raised: list[BaseException] = []

    def keep(name: int) -> None:
        try:
            for number in range(20_000):
                memory.keep(b"%d %d" % (name, number), KnownAttestation(claims(), 0.0, ""), 1.0)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it must not be
            raised.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        workers = [Thread(target=keep, args=(name,)) for name in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:
        sys.setswitchinterval(interval)
    assert not raised
    assert len(memory) <= bound + threads
