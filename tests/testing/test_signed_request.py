"""What is signed is what is sent: one spelling of each target, and every redirect anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.errors import MalformedEvidence
from bonafide.http import split_target
from bonafide.testing.client import ForeignAuthority
from bonafide.testing.signed_request import canonical_target
from tests.testing.app_world import new_world

if TYPE_CHECKING:
    from tests.testing.app_world import World


@pytest.fixture
def world() -> World:
    return new_world()


def test_redirect_on_the_same_authority_is_signed_anew(world: World) -> None:
    client = world.start()
    world.service.script("api", httpx.Response(307, headers={"location": "/api/elsewhere?x=1"}))
    response = client.post("/api/orders", content=b"body")
    assert response.status_code == 200
    first, second = world.service.api_requests
    assert (second.method, second.target) == ("POST", "/api/elsewhere?x=1")
    assert first.headers["signature"] != second.headers["signature"]


def test_see_other_becomes_a_get_without_the_body(world: World) -> None:
    client = world.start()
    world.service.script("api", httpx.Response(303, headers={"location": "/api/orders/1"}))
    client.post("/api/orders", json={})
    follow = world.service.api_requests[1]
    assert (follow.method, "content-type" in follow.headers) == ("GET", False)


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example/api",
        "http://api.example.com/api",
        "//evil.example/",
        "https://api.example.com:444/",
        "https://a:b@api.example.com/",
    ],
)
def test_redirect_to_another_authority_is_not_followed(world: World, location: str) -> None:
    client = world.start(follow_redirects=True)
    world.service.script("api", httpx.Response(302, headers={"location": location}))
    assert client.get("/api/me", follow_redirects=True).status_code == 302
    assert world.service.asked.count("api") == 1


def test_redirects_end(world: World) -> None:
    client = world.start()
    world.service.script("api", *[httpx.Response(302, headers={"location": "/api/me"})] * 9)
    assert client.get("/api/me").status_code == 302
    assert world.service.asked.count("api") == 6


@pytest.mark.parametrize("url", ["https://evil.example/", "http://api.example.com/", "https://a:b@api.example.com/"])
def test_request_to_another_authority_is_neither_signed_nor_sent(world: World, url: str) -> None:
    with pytest.raises(ForeignAuthority):
        world.start().get(url)
    assert world.service.asked == []


def test_other_authentication_is_refused_instead_of_replacing_ours(world: World) -> None:
    with pytest.raises(TypeError):
        world.start().get("/api/me", auth=("a", "b"))


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("/api/me", "/api/me"),
        ("", "/"),
        ("/a?", "/a"),
        ("/%61/b", "/a/b"),
        ("/ü and [x]", "/%C3%BC%20and%20%5Bx%5D"),
        ("/a%c3%bc", "/a%C3%BC"),
        ("/a?q=%c3%bc&r=ü", "/a?q=%c3%bc&r=%C3%BC"),
        ("/a/../b", "/b"),
        ("/user@host:1/(x)!$&'*+,=", "/user@host:1/(x)!$&'*+,="),
    ],
)
def test_urls_are_spelt_in_the_one_admitted_way(world: World, url: str, target: str) -> None:
    client = world.start()
    assert client.get(url).status_code == 200
    assert world.service.api_requests[0].target == target


@pytest.mark.parametrize(
    "url", ["/a%2fb", "/a%2Fb", "/a//b", "/a;b", "/a%3bb", "/a%5cb", "/a%25b", "/a%00b", "/%2e%2e/b"]
)
def test_url_without_an_admitted_spelling_is_not_sent(world: World, url: str) -> None:
    client = world.start()
    client.enrol()
    with pytest.raises(MalformedEvidence, match=r"request\.target_not_canonical"):
        client.get(url)
    assert "api" not in world.service.asked


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=40))
@settings(max_examples=10_000, derandomize=True, deadline=None, database=None)
def test_what_is_signed_is_what_httpx_sends(text: str) -> None:
    try:
        url = httpx.URL("https://api.example.com/").join("/" + text)
        target = canonical_target(url)
    except (httpx.InvalidURL, MalformedEvidence):
        return
    split_target(target)
    assert url.copy_with(raw_path=target.encode()).raw_path.decode() == target
