"""Targets have one spelling, origins come from a list: everything else is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.errors import ConfigurationError, MalformedEvidence
from bonafide.http import MAX_TARGET_BYTES, Origins, encode_target, split_target
from bonafide.reasons import configuration
from bonafide.reasons import request as reasons


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", "?"),
        ("/api/config", "/api/config", "?"),
        ("/api/", "/api/", "?"),
        ("/api?x=1&y=%2f", "/api", "?x=1&y=%2f"),
        ("/a?b?c", "/a", "?b?c"),
        ("/caf%C3%A9", "/caf%C3%A9", "?"),
        ("/~a-b._:@!$&'()*+,=", "/~a-b._:@!$&'()*+,=", "?"),
        ("/a%20b%22%23%3C%3E%3F%5B%5D%5E%60%7B%7C%7D%80%FF", "/a%20b%22%23%3C%3E%3F%5B%5D%5E%60%7B%7C%7D%80%FF", "?"),
        ("/...", "/...", "?"),
        ("/.hidden", "/.hidden", "?"),
        ("/a/..b", "/a/..b", "?"),
        ("/?x", "/", "?x"),
    ],
)
def test_canonical_target_is_split(target: str, path: str, query: str) -> None:
    assert split_target(target) == (path, query)


@pytest.mark.parametrize(
    "target",
    [
        "",
        "api",
        "*",
        "https://api.example.com/api",
        "//",
        "//api",
        "/a//b",
        "/a//",
        "/.",
        "/..",
        "/./a",
        "/../a",
        "/a/.",
        "/a/..",
        "/a/./b",
        "/a/../b",
        "/a/..?x",
        "/a?",
        "/a;b",
        "/a;",
        "/a\\b",
        "/a b",
        "/a%",
        "/a%2",
        "/a%zz",
        "/a%2Fb",
        "/a%2fb",
        "/a%5Cb",
        "/a%25b",
        "/a%3Bb",
        "/a%00",
        "/a%1F",
        "/a%7F",
        "/%41",
        "/%7E",
        "/%2E%2E/a",
        "/caf%c3%a9",
        "/a%3c",
        "/café",
        "/a\x00",
        "/a\n",
        "/a?x\n",
        "/a?x y",
        "/a?é",
        "/a?x#y",
        "/a#y",
        "/a\t",
        "/a<b",
        '/a"b',
        "/a^b",
        "/a`b",
        "/a{b}",
        "/a|b",
        "/a[b]",
    ],
)
def test_every_other_spelling_is_refused(target: str) -> None:
    with pytest.raises(MalformedEvidence) as refusal:
        split_target(target)
    assert refusal.value.reason is reasons.TARGET_NOT_CANONICAL


def test_longest_target_is_split_and_one_octet_more_is_refused() -> None:
    longest = "/" + "a" * (MAX_TARGET_BYTES - 1)
    assert split_target(longest) == (longest, "?")
    with pytest.raises(MalformedEvidence):
        split_target(longest + "a")


def test_refusal_takes_linear_time() -> None:
    with pytest.raises(MalformedEvidence):
        split_target("/" + "a" * (MAX_TARGET_BYTES - 2) + ";")


@settings(max_examples=10_000, derandomize=True, deadline=None, database=None)
@given(st.text(alphabet=st.sampled_from("/.%;\\?#aA2eEfF5cC3b~ \n\x00é"), max_size=24))
def test_what_is_admitted_survives_decoding_and_encoding(target: str) -> None:
    """The property behind PROTOCOL's claim that re-encoding a decoded path is exact."""
    from urllib.parse import unquote_to_bytes

    try:
        path, query = split_target(target)
    except MalformedEvidence:
        return
    decoded = unquote_to_bytes(path)
    assert encode_target(decoded, query[1:]) == target
    segments = decoded.split(b"/")[1:]
    assert not {b".", b".."} & set(segments)
    assert b"" not in segments[:-1]
    assert b"\\" not in decoded
    assert b"%" not in decoded


@pytest.mark.parametrize(("decoded", "refused"), [(b"/a;b", True), (b"/a%b", True), (b"/a\\b", True), (b"/a b", False)])
def test_decoded_path_that_has_no_canonical_spelling_stays_refused(decoded: bytes, *, refused: bool) -> None:
    target = encode_target(decoded, "")
    if refused:
        with pytest.raises(MalformedEvidence):
            split_target(target)
    else:
        assert split_target(target) == ("/a%20b", "?")


ORIGINS = Origins(["https://api.example.com", "http://127.0.0.1:8000", "http://plain.example", "https://[::1]:8443"])


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("api.example.com", "https://api.example.com"),
        ("API.Example.COM", "https://api.example.com"),
        ("api.example.com:443", "https://api.example.com"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("plain.example:80", "http://plain.example"),
        ("[::1]:8443", "https://[::1]:8443"),
    ],
)
def test_host_picks_a_configured_origin(host: str, origin: str) -> None:
    assert str(ORIGINS.pick(host)) == origin


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example",
        "api.example.com.",
        "api.example.com:80",
        "plain.example:443",
        "127.0.0.1",
        "api.example.com:8443",
        " api.example.com",
        "api.example.com,evil.example",
        "user@api.example.com",
    ],
)
def test_no_other_host_makes_an_origin(host: str | None) -> None:
    with pytest.raises(MalformedEvidence) as refusal:
        ORIGINS.pick(host)
    assert refusal.value.reason is reasons.HOST_UNKNOWN


@pytest.mark.parametrize(
    "origin",
    [
        "api.example.com",
        "ftp://api.example.com",
        "https://api.example.com/",
        "https://API.example.com",
        "https://api.example.com:443",
        "http://api.example.com:80",
        "https://user@api.example.com",
        "https://",
        "https://a..b",
    ],
)
def test_malformed_origin_does_not_start(origin: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        Origins([origin])
    assert refusal.value.reason is configuration.ORIGIN_MALFORMED


def test_two_schemes_for_one_authority_do_not_start() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        Origins(["https://api.example.com", "http://api.example.com"])
    assert refusal.value.reason is configuration.ORIGIN_AMBIGUOUS


def test_no_origin_does_not_start() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        Origins([])
    assert refusal.value.reason is configuration.ORIGINS_EMPTY


def test_origins_are_listed_as_configured() -> None:
    assert [str(origin) for origin in Origins(["https://b.example", "https://a.example"])] == [
        "https://b.example",
        "https://a.example",
    ]
