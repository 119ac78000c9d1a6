"""Route rules have a closed set of keys; nothing that would weaken a route is ignored."""

from __future__ import annotations

import contextlib
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons
from bonafide.routes import Client, Legacy, parse_rules, parse_toml, parse_version
from bonafide.terms import Platform, ProofKind, Tier

EVERYTHING = """
[[route]]
match = "/api/config"
methods = ["GET"]
client = "app"
because = "shown on the first screen"
proof = "hardware"
tier = "warning"
mode = "25%"
legacy = { until = 2027-03-01, max_share = 0.2 }
seal = false
single_use = false
max_body = "1MiB"
max_age = 300
min_version = "2.3.0"
min_os = "17.0"
platforms = ["ios"]
upgrade = true
"""


def test_every_key_is_read() -> None:
    (route,) = parse_toml(EVERYTHING)
    assert route.match == "/api/config"
    assert route.methods == frozenset(["GET"])
    assert route.client is Client.APP
    assert route.because == "shown on the first screen"
    assert route.proof is ProofKind.HARDWARE
    assert route.tier is Tier.WARNING
    assert route.enforced_share == 0.25
    assert route.legacy == Legacy(until=date(2027, 3, 1), max_share=0.2)
    assert not route.single_use
    assert route.max_body == 2**20
    assert route.max_age == 300
    assert route.min_version == (2, 3)
    assert route.min_os == (17,)
    assert route.platforms == frozenset([Platform.IOS])
    assert route.upgrade


def test_date_may_be_text_because_json_has_no_dates() -> None:
    (route,) = parse_rules([{"match": "/a", "legacy": {"until": "2027-03-01", "max_share": 1}}])
    assert route.legacy == Legacy(until=date(2027, 3, 1), max_share=1.0)


def test_what_is_not_said_is_the_strict_choice() -> None:
    (route,) = parse_toml('[[route]]\nmatch = "/api"')
    assert route.client is Client.APP
    assert route.tier is Tier.AFFIRMING
    assert route.enforced_share == 1
    assert route.single_use
    assert route.max_age == 60
    assert route.legacy is None
    assert not route.upgrade


@pytest.mark.parametrize(("line", "seconds"), [("fresh = 1", 1), ('fresh = 3600\nproof = "hardware"', 3600)])
def test_fresh_demands_a_hardware_proof_whether_or_not_it_says_so(line: str, seconds: int) -> None:
    (route,) = parse_toml(f'[[route]]\nmatch = "/api"\n{line}')
    assert (route.fresh, route.proof) == (seconds, ProofKind.HARDWARE)


def test_route_that_asks_for_no_freshness_asks_for_no_hardware() -> None:
    (route,) = parse_toml('[[route]]\nmatch = "/api"')
    assert (route.fresh, route.proof) == (None, ProofKind.SESSION)


@pytest.mark.parametrize(
    "line",
    [
        'client = "server"',
        "ticket = true",
        'firebase-app-check = "either"',
    ],
)
def test_key_of_a_later_feature_is_refused_in_these_words(line: str) -> None:
    with pytest.raises(ConfigurationError, match="not built yet") as refusal:
        parse_toml(f'[[route]]\nmatch = "/api"\n{line}')
    assert refusal.value.reason is reasons.ROUTE_NOT_BUILT


@pytest.mark.parametrize(
    "line",
    [
        'metods = ["GET"]',
        'methods = "GET"',
        "methods = []",
        'methods = ["get"]',
        'methods = ["GET", "GET"]',
        "methods = [1]",
        'client = "web"',
        'client = "open"',
        'client = "open"\nbecause = "  "',
        "because = 1",
        'proof = "none"',
        'proof = ["dpop"]',
        'tier = "contraindicated"',
        'tier = "high"',
        'mode = "off"',
        'mode = "0%"',
        'mode = "100%"',
        'mode = "5.5%"',
        "mode = 25",
        "mode = true",
        "legacy = true",
        "legacy = { until = 2027-03-01 }",
        "legacy = { until = 2027-03-01, max_share = 0 }",
        "legacy = { until = 2027-03-01, max_share = 1.5 }",
        "legacy = { until = 2027-03-01, max_share = true }",
        'legacy = { until = "2027-3-1", max_share = 0.2 }',
        'legacy = { until = "2027-02-30", max_share = 0.2 }',
        'legacy = { until = "20270301", max_share = 0.2 }',
        "legacy = { until = 2027-03-01T00:00:00Z, max_share = 0.2 }",
        "legacy = { until = 2027-03-01, max_share = 0.2, also = 1 }",
        'seal = "yes"',
        "single_use = false",
        'single_use = false\nmethods = ["GET", "POST"]',
        'single_use = "no"',
        "max_body = 1024",
        'max_body = "1MB"',
        'max_body = "0KiB"',
        "fresh = 0",
        "fresh = 3601",
        "fresh = true",
        "fresh = 30.0",
        'fresh = "30"',
        'fresh = 30\nproof = "session"',
        'fresh = 30\ntier = "none"',
        "fresh = 30\nlegacy = { until = 2027-03-01, max_share = 0.2 }",
        'fresh = 30\nclient = "browser"',
        "max_age = 0",
        "max_age = 301",
        "max_age = true",
        "max_age = 60.0",
        "min_version = 2",
        'min_version = "2.x"',
        'min_os = ""',
        'platforms = ["ios", "symbian"]',
        "platforms = []",
        "upgrade = 1",
    ],
)
def test_what_a_key_does_not_take_is_refused(line: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        parse_toml(f'[[route]]\nmatch = "/api"\n{line}')
    assert refusal.value.reason is reasons.ROUTE_MALFORMED


@pytest.mark.parametrize("client", ["browser", "open"])
@pytest.mark.parametrize(
    "line",
    ['proof = "hardware"', 'tier = "none"', 'mode = "enforce"', "single_use = true", 'min_os = "17"', "max_age = 60"],
)
def test_route_without_proof_cannot_read_as_protected(client: str, line: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        parse_toml(f'[[route]]\nmatch = "/api"\nclient = "{client}"\nbecause = "why"\n{line}')
    assert refusal.value.reason is reasons.ROUTE_MALFORMED


@pytest.mark.parametrize(
    "match",
    [
        "", "api", "/api?x=1", "/api?", "/a//b", "/a/../b", "/a;b", "/%41", "/a*", "/*a", "/**/a", "/a**", "/***",
        "/a b", "*", "https://api.example.com/", "/a/*/**/b", "/a\n",
    ],
)  # fmt: skip
def test_pattern_that_could_never_match_is_refused(match: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        parse_rules([{"match": match}])
    assert refusal.value.reason is reasons.ROUTE_MALFORMED


@pytest.mark.parametrize(
    "text",
    ["not toml", 'title = "x"', "route = 1", "", "route = []", "[route]\nmatch = '/a'", "[[route]]\nmethods = ['GET']"],
)
def test_file_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        parse_toml(text)
    assert refusal.value.reason is reasons.ROUTE_MALFORMED


@pytest.mark.parametrize("rule", [None, 1, "/api", [], {}, {"match": 1}, {"match": "/a", 1: 2}])
def test_rule_of_another_shape_is_refused(rule: object) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        parse_rules([rule])
    assert refusal.value.reason is reasons.ROUTE_MALFORMED


def test_rule_that_stands_twice_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="twice") as refusal:
        parse_rules([{"match": "/a"}, {"match": "/b"}, {"match": "/a"}])
    assert refusal.value.reason is reasons.ROUTE_MALFORMED


def test_versions_drop_trailing_zeros_and_compare_by_number() -> None:
    assert parse_version("2.10") > parse_version("2.9.9")
    assert parse_version("17.0.0") == parse_version("17")
    with pytest.raises(ConfigurationError):
        parse_version("17.0-beta")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(
    [
        "match",
        "methods",
        "client",
        "because",
        "proof",
        "tier",
        "mode",
        "legacy",
        "seal",
        "single_use",
        "fresh",
        "max_body",
        "max_age",
        "min_version",
        "min_os",
        "platforms",
        "upgrade",
        "ticket",
        "other",
    ]
)


@settings(max_examples=10_000, derandomize=True, deadline=None, database=None)
@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_only_configuration_errors_leave_the_parser(rule: dict[str, Any]) -> None:
    with contextlib.suppress(ConfigurationError):
        parse_rules([{"match": "/a", **rule}])
