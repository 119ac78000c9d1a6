"""Every vector of what service and app say to each other gets its verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.vectors.judges import assert_verdict, name, vectors

if TYPE_CHECKING:
    from bonafide.testing.vectors import Vector

AREAS = (
    "aes128gcm",
    "challenge",
    "client_attestation",
    "client_data",
    "dpop",
    "key_agreement",
    "key_schedule",
    "proof",
    "request",
    "route",
    "sealed",
    "session",
    "statement",
)


@pytest.mark.parametrize("vector", [vector for area in AREAS for vector in vectors(area)], ids=name)
def test_every_vector_gets_its_verdict(vector: Vector) -> None:
    assert_verdict(vector)
