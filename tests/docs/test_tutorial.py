"""The tutorial is run from top to bottom, against a real server, and prints what it shows."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from tests.docs.pages import page, pages
from tests.docs.walkthrough import Walkthrough, commands, matches
from tests.house.source import ROOT, listing

if TYPE_CHECKING:
    from pathlib import Path

TUTORIAL: Final = "docs/tutorial/lock-your-django-api.md"


def test_tutorial_does_what_it_shows(tmp_path: Path) -> None:
    with Walkthrough(page(TUTORIAL), tmp_path) as reader:
        reader.run()
        with httpx.Client(base_url=reader.origin) as browser:
            log_in(browser, "operator", "for-this-page-only")
            assert "/api/**" in browser.get("/admin/bonafide/observedroute/").text
            assert "proof.replayed" in browser.get("/admin/bonafide/refusal/").text
            assert "affirming" in browser.get("/admin/bonafide/instance/").text
            assert "ABCDE12345.com.example.shop" in browser.get("/admin/bonafide/app/1/change/").text


def log_in(browser: httpx.Client, name: str, password: str) -> None:
    """Log in at the console that the page opens last, as a browser does."""
    browser.get("/admin/login/")
    form = {"username": name, "password": password, "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
    assert browser.post("/admin/login/?next=/admin/", data=form).status_code == 302


def test_every_extra_that_a_page_installs_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    offences = [
        f"{each.path}: {extra}"
        for each in pages()
        for named in re.findall(r"bonafide\[([^\]]+)\]", each.text)
        for extra in named.split(",")
        if extra not in extras
    ]
    assert not offences, listing(offences)


def test_commands_are_told_from_what_they_print() -> None:
    assert list(commands("$ one \\\n    --two\nthree\n\nfour\n$ five\n")) == [
        ("one --two", "three\n\nfour"),
        ("five", ""),
    ]


@pytest.mark.parametrize(
    ("wanted", "printed", "same"),
    [
        ("a", "a\n", True),
        ("a…c", "abbc", True),
        ("a\n…\nd", "a\nb\nc\nd", True),
        ("a…c", "a\nc", False),
        ("a", "a\nb", False),
        ("a.c", "abc", False),
    ],
)
def test_what_is_shown_is_compared_to_the_letter_but_for_dots(wanted: str, printed: str, same: bool) -> None:
    assert matches(wanted, printed) is same
