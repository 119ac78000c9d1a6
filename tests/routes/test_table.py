"""First match wins, and what no rule names is not found."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration
from bonafide.routes import OBSERVE_EVERYTHING, Client, Legacy, Route, RouteTable, parse_rules, parse_toml


def found(patterns: list[str], path: str, method: str = "GET") -> str | None:
    route = RouteTable(Route(match=pattern) for pattern in patterns).match(method, path)
    return route.match if route else None


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/", "/", True),
        ("/", "/a", False),
        ("/api", "/api", True),
        ("/api", "/api/", False),
        ("/api", "/API", False),
        ("/api", "/apis", False),
        ("/a.b", "/axb", False),
        ("/users/*", "/users/7", True),
        ("/users/*", "/users/", False),
        ("/users/*", "/users/7/orders", False),
        ("/users/*/orders", "/users/7/orders", True),
        ("/users/*/orders", "/users//orders", False),
        ("/static/**", "/static/a/b.css", True),
        ("/static/**", "/static/", True),
        ("/static/**", "/static", False),
        ("/**", "/", True),
        ("/**", "/a/b", True),
        ("/*/**", "/a/b/c", True),
        ("/*/**", "/a", False),
    ],
)
def test_pattern_matches_the_whole_path(pattern: str, path: str, *, matches: bool) -> None:
    assert (found([pattern], path) is not None) is matches


def test_first_match_wins() -> None:
    assert found(["/a/*", "/a/b"], "/a/b") == "/a/*"
    assert found(["/a/b", "/a/*"], "/a/b") == "/a/b"


def test_rule_for_another_method_is_passed_over() -> None:
    table = parse_rules([{"match": "/a", "methods": ["GET"]}, {"match": "/a", "methods": ["POST"], "tier": "none"}])
    post = table.match("POST", "/a")
    assert post is not None
    assert post.methods == frozenset(["POST"])
    assert table.match("HEAD", "/a") is None


def test_nothing_matches_nothing() -> None:
    assert found(["/a"], "/b") is None


def test_answers_do_not_depend_on_what_was_asked_before() -> None:
    """The cache of matches is bounded and emptied under a flood; neither may change an answer."""
    table = RouteTable([Route(match="/a"), Route(match="/b/*")])
    for number in range(5000):
        assert table.match("GET", f"/none/{number}") is None
    assert table.match("GET", "/a") is not None
    assert table.match("GET", "/a") is not None
    assert table.match("GET", "/b/" + "x" * 300) is not None


def test_first_start_observes_everything_and_enforces_nothing() -> None:
    assert not OBSERVE_EVERYTHING.enforces
    route = OBSERVE_EVERYTHING.match("DELETE", "/any/thing")
    assert route is not None
    assert route.enforced_share == 0


@pytest.mark.parametrize(
    ("rule", "enforces"),
    [
        ({"match": "/a"}, True),
        ({"match": "/a", "mode": "1%"}, True),
        ({"match": "/a", "mode": "observe"}, False),
        ({"match": "/a", "client": "browser"}, False),
    ],
)
def test_table_enforces_when_one_app_rule_does(rule: dict[str, object], *, enforces: bool) -> None:
    table = parse_rules([{"match": "/x", "client": "open", "because": "public"}, rule])
    assert table.enforces is enforces
    assert len(table) == 2


SEGMENT = st.sampled_from(["a", "b", "c%20d", ".x"])
PATTERN = st.lists(SEGMENT | st.just("*"), min_size=1, max_size=4)


@settings(max_examples=2_000, derandomize=True, deadline=None, database=None)
@given(pattern=PATTERN, path=st.lists(SEGMENT, min_size=1, max_size=4), rest=st.booleans())
def test_matching_is_segment_by_segment(pattern: list[str], path: list[str], *, rest: bool) -> None:
    text = "/" + "/".join([*pattern, "**"] if rest else pattern)
    if rest:
        expected = len(path) > len(pattern)
        path_head = path[: len(pattern)]
    else:
        expected = len(path) == len(pattern)
        path_head = path
    expected = expected and all(p in ("*", s) for p, s in zip(pattern, path_head, strict=False))
    assert (found([text], "/" + "/".join(path)) is not None) is expected


@pytest.mark.parametrize(
    "more",
    [
        'client = "browser"',
        'client = "open"\nbecause = "public"',
        "upgrade = true",
        "legacy = { until = 2027-03-01, max_share = 0.5 }",
    ],
)
def test_seal_stands_beside_nothing_that_answers_in_clear(more: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        parse_toml(f'[[route]]\nmatch = "/a"\nseal = true\n{more}')
    assert refusal.value.reason is configuration.ROUTE_MALFORMED


@pytest.mark.parametrize(
    ("client", "upgrade", "legacy"),
    [
        (Client.BROWSER, False, None),
        (Client.APP, True, None),
        (Client.APP, False, Legacy(until=date(2027, 3, 1), max_share=0.5)),
    ],
)
def test_route_made_without_the_parser_seals_for_the_app_alone(
    client: Client, upgrade: bool, legacy: Legacy | None
) -> None:
    assert Route(match="/a", seal=True).seal
    with pytest.raises(ConfigurationError) as refusal:
        Route(match="/a", seal=True, client=client, upgrade=upgrade, legacy=legacy)
    assert refusal.value.reason is configuration.ROUTE_MALFORMED
