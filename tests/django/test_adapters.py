"""What was sent is read alike from every server, and what could be read in two ways is refused or left out."""

from __future__ import annotations

import io
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import WSGIRequest
from hypothesis import given
from hypothesis import strategies as st

from bonafide.django import adapters
from bonafide.errors import MalformedEvidence
from bonafide.http import Origins
from bonafide.reasons import request as reasons

if TYPE_CHECKING:
    from django.http import HttpRequest

ORIGINS = Origins(("https://api.example.com", "https://other.example.com"))


def wsgi(path: str = "/api/x", **environ: Any) -> WSGIRequest:
    given = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "wsgi.input": io.BytesIO(), "HTTP_HOST": "api.example.com"}
    return WSGIRequest(given | environ)


def asgi(path: str = "/api/x", *headers: tuple[bytes, bytes], **scope: Any) -> ASGIRequest:
    named = [(b"host", b"api.example.com"), *headers]
    given = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": named}
    return ASGIRequest(given | scope, io.BytesIO())


def refused(request: HttpRequest) -> bool:
    with pytest.raises(MalformedEvidence) as caught:
        adapters.read_request(request, ORIGINS)
    return caught.value.reason is reasons.TARGET_NOT_CANONICAL


@pytest.mark.parametrize("name", ["RAW_URI", "REQUEST_URI"])
@pytest.mark.parametrize("raw", ["/api/x?a=1&b=%20", "/api/x?", "/api/%78?a"])
def test_raw_target_is_taken_as_it_came(name: str, raw: str) -> None:
    query = raw.partition("?")[2]
    assert adapters.raw_target(wsgi(QUERY_STRING=query, **{name: raw})) == raw


def test_without_a_raw_target_the_canonical_spelling_is_meant() -> None:
    path = "/api/béb é".encode().decode("latin-1")
    assert adapters.raw_target(wsgi(path, QUERY_STRING="q=1")) == "/api/b%C3%A9b%20%C3%A9?q=1"
    assert adapters.raw_target(asgi("/api/é", query_string=b"q=1")) == "/api/%C3%A9?q=1"


def test_raw_path_of_asgi_gets_its_query_back() -> None:
    assert adapters.raw_target(asgi(raw_path=b"/api/%78", query_string=b"q=%41")) == "/api/%78?q=%41"
    assert adapters.raw_target(asgi(raw_path=b"/api/x")) == "/api/x"


@pytest.mark.parametrize(
    "raw", ["/api/y", "/api/x/", "//api/x", "/api/x?other=1", "http://api.example.com/api/x", "*", "/api/%2578"]
)
def test_target_that_django_would_route_elsewhere_is_refused(raw: str) -> None:
    assert refused(wsgi(RAW_URI=raw))


def test_raw_path_that_the_scope_contradicts_is_refused() -> None:
    assert refused(asgi(raw_path=b"/api/y"))


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_no_raw_target_leads_to_another_path(text: str) -> None:
    raw = "/" + text.encode().decode("latin-1")
    try:
        found = adapters.raw_target(wsgi(RAW_URI=raw))
    except MalformedEvidence:
        return
    assert found.partition("?")[0] in {"/api/x", raw}


def test_mount_is_the_setting_and_never_the_requests(settings: Any) -> None:
    assert refused(wsgi(SCRIPT_NAME="/evil"))
    settings.FORCE_SCRIPT_NAME = "/shop"
    mounted = wsgi(SCRIPT_NAME="/shop", RAW_URI="/shop/api/x")
    assert adapters.raw_target(mounted) == "/shop/api/x"
    assert adapters.raw_target(wsgi(SCRIPT_NAME="/shop", RAW_URI="/api/x")) == "/shop/api/x"
    assert adapters.raw_target(wsgi(SCRIPT_NAME="/shop")) == "/shop/api/x"
    assert refused(wsgi(SCRIPT_NAME="/shop", RAW_URI="/other/api/x"))


def test_host_picks_an_origin_and_makes_none() -> None:
    assert adapters.read_request(wsgi(HTTP_HOST="other.example.com"), ORIGINS).origin.authority == "other.example.com"
    for host in (
        {"HTTP_HOST": "evil.example"},
        {"HTTP_HOST": "evil.example", "HTTP_X_FORWARDED_HOST": "api.example.com"},
    ):
        with pytest.raises(MalformedEvidence) as caught:
            adapters.read_request(wsgi(**host), ORIGINS)
        assert caught.value.reason is reasons.HOST_UNKNOWN


def test_method_is_the_one_that_came() -> None:
    assert adapters.raw_method(wsgi(REQUEST_METHOD="get")) == "get"
    assert adapters.raw_method(asgi(method="get")) == "get"


def test_headers_have_lower_case_names_and_no_pseudo_headers() -> None:
    headers = adapters.read_headers(wsgi(CONTENT_TYPE="a/b", CONTENT_LENGTH="0", HTTP_X_ONE="1", SERVER_NAME="s"))
    assert headers == {"host": "api.example.com", "x-one": "1", "content-type": "a/b", "content-length": "0"}
    assert "content-type" not in adapters.read_headers(wsgi(CONTENT_TYPE="", CONTENT_LENGTH=""))


def test_second_spelling_of_content_headers_counts_for_nothing() -> None:
    headers = adapters.read_headers(wsgi(HTTP_CONTENT_TYPE="x/y", HTTP_CONTENT_LENGTH="9", CONTENT_TYPE="a/b"))
    assert (headers["content-type"], "content-length" in headers) == ("a/b", False)


def test_underscore_names_are_dropped_where_they_can_be_told() -> None:
    headers = adapters.read_headers(asgi("/api/x", (b"x_user", b"admin"), (b"x-user", b"me")))
    assert headers["x-user"] == "me"
    assert not any("_" in name for name in headers)


def test_repeated_headers_are_joined_and_cookies_by_semicolons() -> None:
    sent = [(b"x-a", b"1"), (b"X-A", b"2"), (b"cookie", b"a=1"), (b"cookie", b"b=2")]
    request = asgi("/api/x", *sent)
    headers = adapters.read_headers(request)
    assert (headers["x-a"], headers["cookie"]) == ("1,2", "a=1; b=2")
    adapters.hide_client_claims(request, headers)
    assert request.COOKIES == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("environ", "kept"),
    [
        ({"SERVER_SOFTWARE": "WSGIServer/0.2", "CONTENT_TYPE": "text/plain"}, False),
        ({"SERVER_SOFTWARE": "gunicorn/27", "CONTENT_TYPE": "text/plain"}, True),
        ({"SERVER_SOFTWARE": "WSGIServer/0.2", "CONTENT_TYPE": "text/html"}, True),
        (
            {
                "SERVER_SOFTWARE": "WSGIServer/0.2",
                "CONTENT_TYPE": "text/plain",
                "HTTP_SIGNATURE_INPUT": 'bonafide=("content-type")',
            },
            True,
        ),
    ],
)
def test_content_type_that_wsgiref_invents_is_left_out(environ: dict[str, str], kept: bool) -> None:
    assert ("content-type" in adapters.read_headers(wsgi(**environ))) is kept


def test_what_only_a_gate_may_say_is_hidden_from_the_view() -> None:
    request = wsgi(HTTP_BONAFIDE_INSTANCE="x", HTTP_BONAFIDE="kept", HTTP_X_BONAFIDE_Y="kept")
    adapters.hide_client_claims(request, None)
    assert [name for name in request.META if "BONAFIDE" in name] == ["HTTP_BONAFIDE", "HTTP_X_BONAFIDE_Y"]
    spelt = [(b"bonafide-instance", b"x"), (b"Bonafide_Tier", b"x"), (b"BONAFIDE-App", b"x"), (b"x-other", b"kept")]
    loop = asgi("/api/x", *spelt)
    adapters.hide_client_claims(loop, None)
    assert [name for name, _ in loop.scope["headers"]] == [b"host", b"x-other"]
    assert not any(name.startswith("HTTP_BONAFIDE_") for name in loop.META)


PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", "198.51.100.1", "192.0.2.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", " , ", "10.0.0.1"),
        ("10.0.0.1", "nonsense", "nonsense"),
        ("fd00::1", "2001:db8::1", "2001:db8::1"),
        ("", "198.51.100.1", "198.51.100.1"),
    ],
)
def test_address_is_the_last_that_no_trusted_proxy_has(peer: str, forwarded: str, address: str) -> None:
    meta = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded}
    assert adapters.client_address(meta, PROXIES) == address
    assert adapters.client_address(meta, ()) == peer


def test_address_without_a_header_is_the_peers() -> None:
    assert adapters.client_address({"REMOTE_ADDR": "10.0.0.1"}, PROXIES) == "10.0.0.1"
