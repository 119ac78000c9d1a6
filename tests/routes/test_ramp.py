"""A rehearsal enforces for the clients that a shared key picks, wherever they are judged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonafide.routes import Route
from bonafide.routes.ramp import is_enforced, network_of

KEY = bytes(range(32))


def share(part: float) -> Route:
    return Route(match="/api/**", enforced_share=part)


@pytest.mark.parametrize(("part", "expected"), [(0.0, False), (1.0, True)])
def test_none_and_all_are_exact(part: float, expected: bool) -> None:
    for n in range(500):
        assert is_enforced(share(part), instance=str(n), network="", key=KEY) is expected


def test_the_same_key_picks_the_same_clients_and_another_key_others() -> None:
    def picked(key: bytes) -> list[bool]:
        return [is_enforced(share(0.5), instance=f"i{n}", network="", key=key) for n in range(200)]

    assert picked(KEY) == picked(KEY)
    assert picked(KEY) != picked(bytes(32))


def test_an_instance_is_picked_wherever_it_sends_from_and_others_by_their_network() -> None:
    for n in range(50):
        assert len({is_enforced(share(0.5), instance=f"i{n}", network=str(net), key=KEY) for net in range(20)}) == 1
    by_network = [is_enforced(share(0.5), instance=None, network=f"n{n}", key=KEY) for n in range(200)]
    assert set(by_network) == {True, False}


def test_instance_and_network_of_one_name_are_two_buckets() -> None:
    differ = [
        is_enforced(share(0.5), instance=f"x{n}", network="", key=KEY)
        != is_enforced(share(0.5), instance=None, network=f"x{n}", key=KEY)
        for n in range(200)
    ]
    assert any(differ)


@given(st.text(max_size=60))
def test_whatever_stands_for_an_address_is_one_network(address: str) -> None:
    assert isinstance(network_of(address), str)
    assert is_enforced(share(1.0), instance=None, network=network_of(address), key=KEY)
