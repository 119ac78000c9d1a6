"""Django's URL patterns as rules: never narrower than what Django routes, and exact where they can be."""

from __future__ import annotations

import re

import pytest
from django.http import HttpResponse
from django.urls import path, re_path
from django.urls.resolvers import RoutePattern
from hypothesis import given
from hypothesis import strategies as st

from bonafide.django.url_patterns import spellings, translate
from bonafide.errors import MalformedEvidence
from bonafide.http import split_target
from bonafide.routes import Route


def rules(pattern: str, *, flags: int = 0) -> list[tuple[str, bool]]:
    """Return the rules for a regular expression below the root, and whether each is exact."""
    found = [translate(("/", *form)) for form in spellings(re.compile(pattern, flags), last=True)]
    return [(rule.match, rule.exact) for rule in found if rule is not None]


def rules_of_path(route: str) -> list[tuple[str, bool]]:
    return rules(RoutePattern(route, is_endpoint=True).regex.pattern)


@pytest.mark.parametrize(
    ("route", "match", "exact"),
    [
        ("api/orders", "/api/orders", True),
        ("", "/", True),
        ("api/orders/", "/api/orders/", True),
        ("users/<int:pk>", "/users/*", True),
        ("users/<slug:name>/orders/<uuid:order>/", "/users/*/orders/*/", True),
        ("files/<path:rest>", "/files/**", True),
        ("files/<path:rest>/raw", "/files/**", False),
        ("report-<int:year>.pdf", "/*", False),
        ("caf\u00e9/a b", "/caf%C3%A9/a%20b", True),
    ],
)
def test_a_path_becomes_one_rule(route: str, match: str, exact: bool) -> None:
    assert rules_of_path(route) == [(match, exact)]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"^users/(?P<pk>\d+)/$", [("/users/*/", True)]),
        (r"^users/([^/]+)\Z", [("/users/*", True)]),
        (r"^users/(?P<rest>.+)$", [("/users/**", True)]),
        (r"^users/(?P<rest>[a-z/]+)$", [("/users/**", True)]),
        (r"^users/(?P<rest>[^x]+)$", [("/users/**", True)]),
        (r"^users/(?P<rest>\S+)$", [("/users/**", True)]),
        (r"^users/(?P<rest>[,-9]+)$", [("/users/**", True)]),
        (r"^users/(?P<pk>[0-9]{4}-[0-9]{2})$", [("/users/*", True)]),
        (r"^users\.(?P<format>[a-z0-9]+)/?$", [("/*/", False), ("/*", False)]),
        (r"^users/?$", [("/users/", True), ("/users", True)]),
        (r"^users(?:/(?P<pk>\d+))?$", [("/users/*", True), ("/users", True)]),
        (r"^(?:me|you)/x$", [("/me/x", True), ("/you/x", True)]),
        (r"^(?P<who>me|you)/x$", [("/me/x", True), ("/you/x", True)]),
        (r"^(?P<who>me|\d+)/x$", [("/*/x", True)]),
        (r"^(?!internal)(?P<name>\w+)$", [("/*", True)]),
        (r"^a/(?P<empty>\w*)$", [("/a/*", True), ("/a/", True)]),
    ],
)
def test_a_regular_expression_becomes_rules_that_cover_it(pattern: str, expected: list[tuple[str, bool]]) -> None:
    assert rules(pattern) == expected


def test_an_expression_without_an_end_matches_what_follows() -> None:
    assert ("/**", False) in rules(r"^users")
    assert ("/users/**", True) in rules(r"^users/")


def test_an_expression_without_a_beginning_matches_what_goes_before() -> None:
    assert rules(r"users\Z") == [("/users", True), ("/**", False)]
    assert rules(r"users$") == [("/users", True)]  # Django matches this one whole


def test_a_pattern_with_many_spellings_becomes_one_wildcard() -> None:
    assert rules("".join(f"{letter}?" for letter in "abcdefgh") + "/x$") == [("/**", False)]


def test_a_path_that_no_admitted_target_spells_gets_no_rule() -> None:
    assert rules(r"^a;b$") == []
    assert rules(r"^a//b$") == []
    assert rules(r"^a/\.\./b$") == []


_PIECES = st.sampled_from(
    [r"a", r"b/", r"/", r"(?P<n{}>\d+)", r"(\w+)", r"[^/]+", r"(?:c|d/e)", r"f?", r"(?:/g)?", r"\.", r".", r"xx?"]
)


@given(data=st.data(), pieces=st.lists(_PIECES, min_size=1, max_size=5))
def test_whatever_django_routes_falls_under_a_rule(data: st.DataObject, pieces: list[str]) -> None:
    pattern = re.compile("^" + "".join(piece.replace("{}", str(n)) for n, piece in enumerate(pieces)) + r"\Z", re.ASCII)
    target = "/" + data.draw(st.from_regex(pattern, fullmatch=True, alphabet=st.sampled_from("abcdefgx/0.")))
    try:
        split_target(target)
    except MalformedEvidence:
        return
    table = [Route(match=match) for match, _ in rules(pattern.pattern)]
    assert any(route.pattern.fullmatch(target) for route in table), (pattern.pattern, target)


def test_the_translation_reads_what_django_compiles() -> None:
    """Both forms of pattern give a compiled expression; the translation has no other source."""
    for entry in (path("a/<int:b>/", HttpResponse), re_path(r"^a/(\d+)/$", HttpResponse)):
        assert isinstance(entry.pattern.regex, re.Pattern)
