"""The tool that removes checks removes exactly one, and finds the tests that should notice."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.house.source import ROOT
from tools.remove_raises import TARGETS, Removal, files_wanted, removals

FILES = files_wanted([], changed=False)


def test_every_target_is_there() -> None:
    missing = [path for path in FILES if not (ROOT / path).is_file()]
    assert not missing
    assert len(FILES) >= len(TARGETS)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_each_removal_takes_away_exactly_one_raise_and_leaves_a_program(path: Path) -> None:
    source = (ROOT / path).read_text(encoding="utf-8")
    for removal in removals(path):
        assert _raises(removal.apply(source)) == _raises(source) - 1, removal


def test_columns_are_octets_so_that_text_before_the_statement_may_be_any() -> None:
    source = "def f(): 'é'; raise KeyError; 'è'\n"
    (statement,) = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Raise))
    removal = Removal(
        path=Path("f.py"),
        line=statement.lineno,
        column=statement.col_offset,
        end_line=statement.end_lineno or 0,
        end_column=statement.end_col_offset or 0,
        text="raise KeyError",
    )
    assert removal.apply(source) == "def f(): 'é'; pass; 'è'\n"


def _raises(source: str) -> int:
    return sum(isinstance(node, ast.Raise) for node in ast.walk(ast.parse(source)))
