"""The loader of vectors: a file in another form is an error, not a test that says nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from bonafide.testing.vectors import ACCEPT, Vector, load

if TYPE_CHECKING:
    from pathlib import Path

VECTOR = Vector(
    name="area/folder/one",
    comment="é",
    now=datetime(2026, 11, 1, 12, 0, tzinfo=UTC),
    input={"octets": "AAE=", "number": 1, "texts": ["a"], "flag": True},
    expect=ACCEPT,
    claims={"a": None},
)


def write(directory: Path, name: str, text: str) -> None:
    path = directory / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_what_is_dumped_is_loaded(tmp_path: Path) -> None:
    refused = Vector(name="area/two", comment="", now=None, input={}, expect="proof.replayed", claims=None)
    for vector in (VECTOR, refused):
        write(tmp_path, vector.name, vector.dump())
    assert load(tmp_path, "area") == (VECTOR, refused)
    assert (VECTOR.accepted, refused.accepted) == (True, False)
    assert VECTOR.area == refused.area == "area"
    assert json.loads(VECTOR.dump())["now"] == "2026-11-01T12:00:00Z"


def test_an_area_without_vectors_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="area"):
        load(tmp_path, "area")


@pytest.mark.parametrize("members", [{"extra"}, {"comment"}])
def test_a_file_with_a_member_more_or_less_is_an_error(tmp_path: Path, members: set[str]) -> None:
    fields = json.loads(VECTOR.dump())
    fields = {name: fields.get(name) for name in [*fields, "extra"] if (name in members) != (name in fields)}
    write(tmp_path, "area/one", json.dumps(fields))
    with pytest.raises(ValueError, match="area/one"):
        load(tmp_path, "area")


def test_members_of_the_input_are_read_by_their_type() -> None:
    assert VECTOR.octets("octets") == b"\x00\x01"
    assert VECTOR.number("number") == 1
    assert VECTOR.texts("texts") == ("a",)
    assert VECTOR.text("octets") == "AAE="
    for read, member in (
        (VECTOR.number, "flag"),
        (VECTOR.texts, "octets"),
        (VECTOR.text, "number"),
        (VECTOR.octets, "number"),
    ):
        with pytest.raises(TypeError, match=member):
            read(member)


def test_a_vector_that_judges_no_time_has_none() -> None:
    assert VECTOR.moment().year == 2026
    with pytest.raises(TypeError, match="no time"):
        Vector(name="a/b", comment="", now=None, input={}, expect=ACCEPT, claims=None).moment()
