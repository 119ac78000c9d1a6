"""Every vector gets its verdict from the public function of its area."""

from __future__ import annotations

from pathlib import Path

import pytest

from bonafide.errors import BonafideError
from bonafide.evidence.app_attest import KnownIntermediates
from bonafide.testing.vectors import ACCEPT, Vector, load
from tests.vectors.judges import JUDGES, judge, judge_attestation

DIRECTORY = Path(__file__).resolve().parents[2] / "vectors"
VECTORS = [vector for area in JUDGES for vector in load(DIRECTORY, area)]
ATTESTATIONS = [vector for vector in VECTORS if vector.area == "app_attest"]


def name(vector: Vector) -> str:
    return vector.name


@pytest.mark.parametrize("vector", VECTORS, ids=name)
def test_every_vector_gets_its_verdict(vector: Vector) -> None:
    if vector.accepted:
        assert judge(vector) == vector.claims
        return
    with pytest.raises(BonafideError) as refused:
        judge(vector)
    assert refused.value.reason.code == vector.expect


def test_a_remembered_intermediate_changes_no_verdict() -> None:
    known = KnownIntermediates()
    for vector in [*ATTESTATIONS, *ATTESTATIONS]:
        try:
            judge_attestation(vector, known)
        except BonafideError as refused:
            verdict = refused.reason.code
        else:
            verdict = ACCEPT
        assert verdict == vector.expect, vector.name
    assert 1 < len(known) <= 16
