"""What servers hand over is read in one way, or refused where application and signature could see two things."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide import server_interfaces as interfaces
from bonafide.errors import MalformedEvidence
from bonafide.http import split_target
from bonafide.reasons import request as reasons

if TYPE_CHECKING:
    from collections.abc import Callable

    from bonafide.reasons import Reason


def refused(act: Callable[[], object]) -> Reason:
    with pytest.raises(MalformedEvidence) as caught:
        act()
    return caught.value.reason


def agreed(raw: str | None, routed: bytes = b"/api/x", *, query: str = "", mounted: str = "", mount: str = "") -> str:
    return interfaces.agreed_target(raw, routed, query=query, mounted=mounted, mount=mount)


def test_fields_of_environ_have_their_names_back() -> None:
    environ = {"HTTP_X_ONE": "1", "CONTENT_TYPE": "a/b", "CONTENT_LENGTH": "", "SERVER_NAME": "s", "wsgi.input": None}
    assert interfaces.headers_of_environ(environ) == {"x-one": "1", "content-type": "a/b"}


def test_content_type_from_a_server_that_lets_underscores_in_is_not_taken_for_the_real_one() -> None:
    environ = {"HTTP_CONTENT_TYPE": "x/y", "HTTP_CONTENT_LENGTH": "9", "CONTENT_TYPE": "a/b"}
    assert interfaces.headers_of_environ(environ) == {"content-type": "a/b"}


def test_fields_of_scope_are_joined_and_those_with_an_underscore_are_left_out() -> None:
    fields = [(b"X-One", b"1"), (b"x-one", b"2"), (b"x_one", b"3"), (b"cookie", b"a=b"), (b"cookie", b"c=d")]
    assert interfaces.headers_of_scope(fields) == {"x-one": "1,2", "cookie": "a=b; c=d"}


def test_field_that_was_sent_once_is_taken_and_no_other() -> None:
    assert interfaces.single_field_of_environ({"HTTP_X_ONE": "1"}, "x-one") == "1"
    assert interfaces.single_field_of_environ({"HTTP_X_ONE": "1,1"}, "x-one") is None
    assert interfaces.single_field_of_environ({"HTTP_X_ONE": ""}, "x-one") is None
    assert interfaces.single_field_of_environ({}, "x-one") is None
    assert interfaces.single_field_of_scope([(b"X-One", b"1"), (b"x-two", b"2")], "x-one") == "1"
    for fields in ([], [(b"x-one", b"1")] * 2, [(b"x_one", b"1")], [(b"x-one", b"1"), (b"x_one", b"2")]):
        assert interfaces.single_field_of_scope(fields, "x-one") is None


@pytest.mark.parametrize("name", ["bonafide-x", "Bonafide-Admission", "bonafide_x", "BONAFIDE_ADMISSION"])
def test_what_a_gate_says_is_found_in_every_spelling(name: str) -> None:
    key = "HTTP_" + name.upper().replace("-", "_")
    assert interfaces.claims_in_environ({key: "1", "HTTP_X": "2"}) == [key]
    assert interfaces.without_claims([(name.encode(), b"1"), (b"x", b"2")]) == [(b"x", b"2")]


def test_what_only_begins_alike_stays() -> None:
    assert interfaces.claims_in_environ({"HTTP_BONAFIDEX": "1", "BONAFIDE_HOME": "2"}) == []
    assert interfaces.without_claims([(b"bonafidex", b"1")]) == [(b"bonafidex", b"1")]


@pytest.mark.parametrize(("name", "raw"), [("RAW_URI", "/a?b"), ("REQUEST_URI", "/a?b")])
def test_raw_target_of_environ_is_shown_where_the_server_shows_it(name: str, raw: str) -> None:
    assert interfaces.raw_target_of_environ({name: raw}) == raw
    assert interfaces.raw_target_of_environ({name: ""}) is None
    assert interfaces.raw_target_of_environ({"HTTP_" + name: raw}) is None


def test_raw_path_of_scope_gets_its_query_back() -> None:
    assert interfaces.raw_target_of_scope({"raw_path": b"/a", "query_string": b"b"}) == "/a?b"
    assert interfaces.raw_target_of_scope({"raw_path": b"/a", "query_string": b""}) == "/a"
    assert interfaces.raw_target_of_scope({"raw_path": b"/a"}) == "/a"
    assert interfaces.raw_target_of_scope({"raw_path": b""}) is None
    assert interfaces.raw_target_of_scope({}) is None


@pytest.mark.parametrize("raw", ["/api/x", "/api/%78", "/%61pi/x"])
def test_raw_target_that_leads_to_the_routed_path_is_taken_as_it_came(raw: str) -> None:
    assert agreed(raw) == raw
    assert agreed(f"{raw}?q=%41", query="q=%41") == f"{raw}?q=%41"


@pytest.mark.parametrize(
    "raw", ["/api/y", "/api/x/", "//api/x", "http://api.example.com/api/x", "*", "/api/%2578", "/api/x?q"]
)
def test_raw_target_that_leads_elsewhere_is_refused(raw: str) -> None:
    assert refused(lambda: agreed(raw)) is reasons.TARGET_NOT_CANONICAL


def test_query_that_is_not_the_one_sent_is_refused() -> None:
    assert refused(lambda: agreed("/api/x?a=1", query="a=2")) is reasons.TARGET_NOT_CANONICAL


def test_decoded_path_is_spelled_canonically() -> None:
    assert agreed(None, "/béb é".encode(), query="q=1") == "/b%C3%A9b%20%C3%A9?q=1"


def test_mount_is_the_configured_one_and_no_other() -> None:
    assert agreed("/shop/api/x", mounted="/shop", mount="/shop") == "/shop/api/x"
    assert agreed("/api/x", mounted="/shop/", mount="/shop") == "/shop/api/x"
    assert agreed(None, mounted="/shop", mount="/shop") == "/shop/api/x"
    assert refused(lambda: agreed("/shop/api/x", mounted="/shop")) is reasons.TARGET_NOT_CANONICAL
    assert refused(lambda: agreed("/api/x", mount="/shop")) is reasons.TARGET_NOT_CANONICAL


@settings(parent=settings.get_profile("bonafide"))
@given(path=st.binary(max_size=24), query=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12))
def test_canonical_target_is_the_same_with_and_without_the_raw_one(path: bytes, query: str) -> None:
    target = agreed(None, b"/" + path, query=query)
    try:
        split_target(target)
    except MalformedEvidence:
        return
    assert agreed(target, b"/" + path, query=query) == target


@settings(parent=settings.get_profile("bonafide"))
@given(raw=st.text(st.characters(max_codepoint=255), max_size=30), routed=st.binary(max_size=12))
def test_no_raw_target_leads_to_another_path(raw: str, routed: bytes) -> None:
    try:
        found = agreed(raw, routed, query=raw.partition("?")[2])
    except MalformedEvidence:
        return
    assert unquote_to_bytes(found.partition("?")[0].encode("latin-1")) == routed


@pytest.mark.parametrize(
    ("length", "coding", "decoded", "announced"),
    [
        ("", None, False, 0),
        ("", None, True, None),
        ("7", None, False, 7),
        ("7", None, True, 7),
        ("0", None, True, 0),
        ("7" * 15, None, True, int("7" * 15)),
        ("", "chunked", True, None),
        ("", "Chunked", True, None),
    ],
)
def test_length_is_announced_or_the_end_tells(
    length: str, coding: str | None, *, decoded: bool, announced: int | None
) -> None:
    assert interfaces.announced_length(length, coding, decoded=decoded) == announced


@pytest.mark.parametrize(
    ("length", "coding", "decoded"),
    [
        ("7", "chunked", True),
        ("", "gzip, chunked", True),
        ("", "identity", True),
        ("", "chunked", False),
        ("", "", True),
        ("-7", None, True),
        ("+7", None, True),
        ("7,7", None, True),
        ("7" * 16, None, True),
        ("7" * 5000, None, True),
        (" 7", None, True),
        ("\N{ARABIC-INDIC DIGIT SEVEN}", None, True),
    ],
)
def test_two_ends_or_none_are_refused(length: str, coding: str | None, *, decoded: bool) -> None:
    act = lambda: interfaces.announced_length(length, coding, decoded=decoded)  # noqa: E731 - named for the line below
    assert refused(act) is reasons.BODY_FRAMING
