"""Reason codes are append-only and complete: dashboards, vectors and SDKs name them for ever."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from bonafide import reasons
from bonafide.reasons import Reason
from tests.house.source import ROOT, listing, modules, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

SNAPSHOT: Final = Path(__file__).with_name("reason_codes.txt")
CODE: Final = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*\.[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
CLIENT_STATUSES: Final = frozenset({400, 401, 403, 404, 405, 409, 413, 415, 421, 429, 500, 503})


def test_no_code_that_was_ever_published_has_gone_and_every_new_one_is_recorded() -> None:
    recorded, present = SNAPSHOT.read_text().splitlines(), set(reasons.by_code())
    assert len(recorded) == len(set(recorded)), "a code is recorded twice"
    gone = [
        f"{code}: recorded in {SNAPSHOT.name}, no longer in the catalogue" for code in recorded if code not in present
    ]
    new = [f"{code}: append it to {SNAPSHOT.name} (make docs does)" for code in sorted(present - set(recorded))]
    assert not gone + new, listing(gone + new)


def test_every_area_is_listed_and_every_listed_area_exists() -> None:
    present = {path.stem for path in (ROOT / "src/bonafide/reasons").glob("*.py") if not path.stem.startswith("_")}
    assert present == set(reasons.AREAS)


def test_a_reason_says_everything_an_operator_asks() -> None:
    offences = [
        f"{code}: {field} is {text!r}"
        for code, reason in reasons.by_code().items()
        for field in ("meaning", "honest_cause", "likely_attack", "remedy", "spec")
        if not (text := getattr(reason, field)).strip() or (field != "spec" and not text.endswith("."))
    ]
    assert not offences, listing(offences)


def test_a_reason_is_answered_with_a_status_that_a_client_understands() -> None:
    offences = [
        f"{code}: {reason.status}" for code, reason in reasons.by_code().items() if reason.status not in CLIENT_STATUSES
    ]
    assert not offences, listing(offences)


@pytest.mark.parametrize("area", reasons.AREAS)
def test_a_code_is_the_name_of_its_area_and_of_its_constant(area: str) -> None:
    defined = vars(import_module(f"bonafide.reasons.{area}"))
    offences = [
        f"{area}.{name} is called {reason.code}"
        for name, reason in defined.items()
        if isinstance(reason, Reason)
        if reason.code != f"{area}.{name.lower()}" or not CODE.fullmatch(reason.code)
    ]
    assert not offences, listing(offences)


def test_every_reason_is_used() -> None:
    """A reason that nothing names is a promise in the reference that no code keeps."""
    used = {named for module in modules() if module.room != "reasons" for named in _named(module.tree)}
    offences = [code for code in reasons.by_code() if code not in used]
    assert not offences, listing(offences)


def test_every_reason_is_expected_by_a_test_or_a_vector() -> None:
    expected: set[str] = set()
    for path, text in texts():
        if path.parts[0] in {"tests", "vectors"} and path.name != SNAPSHOT.name:
            expected.update(CODE.findall(text))
            expected.update(_named(ast.parse(text)) if path.suffix == ".py" else ())
    offences = [code for code in reasons.by_code() if code not in expected]
    assert not offences, listing(offences)


def _named(tree: ast.Module) -> Iterator[str]:
    """Yield the code of each reason that a module names as `area.CONSTANT`, however it imports the area."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    areas = {
        alias.asname or alias.name: alias.name
        for node in imports
        if node.module == "bonafide.reasons"
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in areas:
            yield f"{areas[node.value.id]}.{node.attr.lower()}"
