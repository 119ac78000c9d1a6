"""Reason codes are append-only and complete: dashboards, vectors and SDKs name them for ever."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Final

import pytest

from bonafide import reasons
from bonafide.reasons import Reason
from tests.house.source import ROOT, listing, modules
from tools.reference import CODE, PAGES, named_reasons, places, split_demand

SNAPSHOT: Final = Path(__file__).with_name("reason_codes.txt")
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
    used = {code for module in modules() if module.room != "reasons" for code in named_reasons(module.tree)}
    offences = [code for code in reasons.by_code() if code not in used]
    assert not offences, listing(offences)


def test_every_reason_is_expected_by_a_test_or_a_vector() -> None:
    expected = places("tests", "vectors")
    offences = [code for code in reasons.by_code() if code not in expected]
    assert not offences, listing(offences)


def test_the_generated_pages_say_what_the_code_says() -> None:
    stale = [str(path) for path, page in PAGES.items() if path.suffix == ".md" and (ROOT / path).read_text() != page()]
    assert not stale, f"{listing(stale)}\nType: make docs"


@pytest.mark.parametrize(
    ("demand", "standard", "section"),
    [
        ("RFC 9421 section 3.2", "RFC 9421", "section 3.2"),
        ("PROTOCOL section 4, Body", "PROTOCOL", "section 4, Body"),
        ("PROTOCOL, preamble", "PROTOCOL", "preamble"),
        ("RFC 8259", "RFC 8259", "whole"),
    ],
)
def test_a_demand_is_split_into_standard_and_section(demand: str, standard: str, section: str) -> None:
    assert split_demand(demand) == (standard, section)
