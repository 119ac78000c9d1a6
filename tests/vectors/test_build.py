"""The committed vectors are what the builder makes, and together they reach every refusal."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bonafide import reasons
from bonafide.errors import BonafideError
from tests.vectors import build, page
from tests.vectors.judges import DIRECTORY, JUDGES, judge, vectors

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
VECTORS = [vector for area in JUDGES for vector in vectors(area)]

# Refused before any evidence is looked at, or not by evidence at all: these have tests of their own.
WITHOUT_VECTOR = {"Misuse", "ConfigurationError"}

READ_BY_VECTORS = (
    "src/bonafide/codec/cbor.py",
    "src/bonafide/codec/der.py",
    "src/bonafide/evidence/debug.py",
    "src/bonafide/evidence/app_attest/assertion.py",
    "src/bonafide/evidence/app_attest/attestation.py",
    "src/bonafide/evidence/app_attest/authenticator_data.py",
    "src/bonafide/evidence/app_attest/chain.py",
)


def test_building_again_makes_the_same_octets() -> None:
    texts = build.files()
    committed = {
        path.relative_to(DIRECTORY).as_posix(): path.read_text(encoding="ascii")
        for area in build.AREAS
        for path in (DIRECTORY / area).rglob("*.json")
    }
    assert texts.keys() == committed.keys()
    assert [name for name, text in texts.items() if text != committed[name]] == []
    assert build.files() == texts


def test_every_vector_is_written_as_it_is_read() -> None:
    for vector in VECTORS:
        assert vector.dump() == (DIRECTORY / f"{vector.name}.json").read_text(encoding="ascii")


@pytest.mark.parametrize("area", build.AREAS)
def test_every_reason_of_the_area_has_a_vector(area: str) -> None:
    codes = {code for code in reasons.by_code().keys() - page.SHOWN_ELSEWHERE.keys() if code.startswith(f"{area}.")}
    assert codes - {vector.expect for vector in VECTORS} == set()


@pytest.mark.parametrize(("code", "path"), page.SHOWN_ELSEWHERE.items())
def test_reason_without_a_vector_is_expected_by_the_test_that_the_page_names(code: str, path: str) -> None:
    assert code in reasons.by_code()
    constant = code.partition(".")[2].upper()
    text = (ROOT / path).read_text(encoding="utf-8").replace("\\", "")  # a pattern spells the dot with one before it
    assert constant in text or code in text


def test_every_raise_is_reached_by_a_vector() -> None:
    reached = set(_reached())
    missed = [
        f"{path}:{node.lineno}"
        for path in READ_BY_VECTORS
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name)
        if node.exc.func.id not in WITHOUT_VECTOR
        if not any((path, line) in reached for line in range(node.lineno, (node.end_lineno or node.lineno) + 1))
    ]
    assert missed == []


def _reached() -> Iterator[tuple[str, int]]:
    """Yield where each refusal was raised, those that another refusal was made of included."""
    for vector in VECTORS:
        try:
            judge(vector)
        except BonafideError as refused:
            error: BaseException | None = refused
            while error is not None:
                yield _raised_at(error)
                error = error.__context__


def _raised_at(error: BaseException) -> tuple[str, int]:
    traceback = error.__traceback__
    assert traceback is not None
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    path = Path(traceback.tb_frame.f_code.co_filename)
    return (path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)), traceback.tb_lineno


def test_the_page_of_vectors_says_what_the_vectors_say() -> None:
    assert (ROOT / page.PATH).read_text(encoding="utf-8") == page.text(VECTORS)


def test_no_page_is_written_for_a_reason_without_a_vector() -> None:
    with pytest.raises(ValueError, match=r"app_attest\.nonce_mismatch"):
        page.text([vector for vector in VECTORS if vector.expect != "app_attest.nonce_mismatch"])
