"""What every proxy is told: addresses, names and lists in forms that no configuration file misreads."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bonafide.errors import ConfigurationError
from bonafide.gate.config import BodyDigest, GateConfig, Upstream
from bonafide.gate.proxies import GATE_HEADERS, ORIGINAL_HEADERS, Address, Front, Service, Site, parse_address
from bonafide.gate.proxies.front import SERVICE_PATHS, parse_service, read_config
from bonafide.gate.proxies.patterns import line_of
from bonafide.http import Origins
from bonafide.reasons import configuration as reasons
from bonafide.routes import parse_rules

if TYPE_CHECKING:
    from pathlib import Path

ROUTES = parse_rules([{"match": "/api/**", "max_body": "1KiB"}])
LISTENS = Address(path="/run/api.sock")


def site(**changes: Any) -> Site:
    origins = tuple(Origins(["https://api.example.com"]))
    return replace(Site(name="api", origins=origins, backend=LISTENS, routes=ROUTES), **changes)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("unix:/run/bonafide/gate.sock", Address(path="/run/bonafide/gate.sock")),
        ("127.0.0.1:8601", Address(authority="127.0.0.1:8601")),
        ("[::1]:8601", Address(authority="[::1]:8601")),
        ("http://api.internal", Address(authority="api.internal:80")),
        ("https://api.internal/", Address(authority="api.internal:443", tls=True)),
    ],
)
def test_address_is_read(text: str, found: Address) -> None:
    assert parse_address(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unix:relative",
        "unix:/run/a b.sock",
        "unix:/run/a;.sock",
        "unix:/run/$a",
        "unix:/run/{a}",
        "api.internal:99999999",
        "api.internal:0",
        "a;b:1",
        "http://api.internal/prefix",
        "http://user@api.internal",
        "http://api.internal?x",
        "ftp://api.internal",
        "127.0.0.1:80\n",
    ],
)
def test_address_that_a_file_could_misread_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        parse_address(text)
    assert refusal.value.reason is reasons.SETTING_MALFORMED


def test_host_of_an_address_is_without_its_port() -> None:
    assert parse_address("https://api.internal").host == "api.internal"
    assert LISTENS.host == ""


def test_service_has_a_prefix() -> None:
    found = parse_service("https://id.example.com/bonafide/v1/")
    assert found == Service(address=Address(authority="id.example.com:443", tls=True), prefix="/bonafide/v1")


@pytest.mark.parametrize(
    "url",
    [
        "id.example.com/bonafide",
        "https://id.example.com",
        "https://id.example.com/a/../b",
        "https://id.example.com/a//b",
        "https://id.example.com/.a",
        "https://id.example.com/a;b",
        "https://id.example.com/a b",
    ],
)
def test_service_url_that_is_no_plain_prefix_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_service(url)


@pytest.mark.parametrize("name", ["", "a b", "a;b", "a/b", ".a", "a" * 65, "é"])
def test_name_that_a_file_could_misread_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError):
        site(name=name)


def test_site_without_an_origin_is_refused() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        site(origins=())
    assert refusal.value.reason is reasons.ORIGINS_EMPTY


def test_names_that_a_proxy_cannot_tell_apart_are_refused() -> None:
    with pytest.raises(ConfigurationError):
        Front(gate=LISTENS, service=None, sites=(site(name="api-1"), site(name="API.1")))
    with pytest.raises(ConfigurationError):
        Front(gate=LISTENS, service=None, sites=())
    for ours in ("gate", "Service", "refused", "silent"):
        with pytest.raises(ConfigurationError):
            Front(gate=LISTENS, service=None, sites=(site(name=ours),))


@pytest.mark.parametrize("deadline", [timedelta(0), timedelta(seconds=61)])
def test_deadline_is_bounded(deadline: timedelta) -> None:
    with pytest.raises(ConfigurationError):
        Front(gate=LISTENS, service=None, sites=(site(),), deadline=deadline)


def test_hosts_are_the_origins_with_and_without_the_default_port_alone() -> None:
    origins = tuple(Origins(["https://api.example.com", "http://localhost:8000", "http://[::1]"]))
    found = site(origins=origins)
    assert set(found.hosts) == {"api.example.com", "api.example.com:443", "localhost:8000", "[::1]", "[::1]:80"}
    assert found.server_names == ("api.example.com", "localhost", "[::1]")


@pytest.mark.parametrize(
    ("bounds", "largest", "streams"),
    [
        (["1KiB", "64KiB"], 65536, False),
        (["65537B"], 65537, True),
        (["1KiB", "10MiB"], 10 * 1024 * 1024, True),
        (["1KiB", None], None, True),
    ],
)
def test_largest_body_decides_whether_bodies_are_gathered_first(
    bounds: list[str | None], largest: int | None, streams: bool
) -> None:
    rules = [
        {"match": f"/{number}"} | ({} if bound is None else {"max_body": bound}) for number, bound in enumerate(bounds)
    ]
    found = site(routes=parse_rules(rules))
    assert (found.max_body, found.streams_bodies) == (largest, streams)


@pytest.mark.parametrize(
    ("match", "line", "matches"),
    [
        ("/ws/*", "GET /ws/a", True),
        ("/ws/*", "GET /ws/a?x=/b", True),
        ("/ws/*", "GET /ws/a/b", False),
        ("/ws/*", "GET /ws/?a", False),
        ("/ws/*", "get /ws/a", False),
        ("/ws/**", "POST /ws/a/b?c", True),
        ("/ws/**", "GET /wsx", False),
        ("/a.b/$'c", "GET /a.b/$'c", True),
        ("/a.b/$'c", "GET /axb/$'c", False),
    ],
)
def test_a_routes_expression_matches_what_the_table_matches(match: str, line: str, matches: bool) -> None:
    (route,) = parse_rules([{"match": match}])
    assert bool(re.search(line_of(route), line)) is matches
    path = line.split(" ")[1].partition("?")[0]
    if line.split(" ", maxsplit=1)[0].isupper():
        assert (route.pattern.fullmatch(path) is not None) is matches


def config(tmp_path: Path, *, service: str, **upstream: Any) -> GateConfig:
    """Return a gate's file as it is read."""
    api = Upstream(
        name="api",
        origins=("https://api.example.com",),
        routes_file=tmp_path / "routes.toml",
        routes=ROUTES,
        key_file=tmp_path / "api.key",
        body=BodyDigest.CHECKED,
    )
    return GateConfig(
        name="gate-1",
        service=service,
        issuer="https://api.example.com",
        audience="https://api.example.com",
        apps=frozenset(["shop"]),
        service_keys=frozenset(["x" * 43]),
        upstreams=(replace(api, **upstream),),
        listen="unix:/run/gate.sock",
    )


def test_front_follows_from_the_gates_file(tmp_path: Path) -> None:
    front = read_config(config(tmp_path, service="http://127.0.0.1:8600/bonafide/v1"), {"api": LISTENS})
    assert front.gate == Address(path="/run/gate.sock")
    assert front.service == Service(address=Address(authority="127.0.0.1:8600"), prefix="/bonafide/v1")
    assert front.deadline == timedelta(seconds=1)
    assert front.sites == (site(),)


@pytest.mark.parametrize("url", ["https://api.example.com/bonafide/v1", "https://api.example.com:443/bonafide/v1"])
def test_service_that_is_the_apis_own_is_asked_where_the_api_listens(tmp_path: Path, url: str) -> None:
    front = read_config(config(tmp_path, service=url), {"api": LISTENS})
    assert front.service == Service(address=LISTENS, prefix="/bonafide/v1")


@pytest.mark.parametrize(
    ("body", "unchecked_bodies", "takes"),
    [
        (BodyDigest.CHECKED, False, True),
        (BodyDigest.UNCHECKED, False, False),
        (BodyDigest.UNCHECKED, True, True),
    ],
)
def test_bodies_that_nobody_compares_pass_only_where_that_was_said(
    tmp_path: Path, body: BodyDigest, unchecked_bodies: bool, takes: bool
) -> None:
    changed = config(tmp_path, service="http://x/y", body=body, unchecked_bodies=unchecked_bodies)
    assert read_config(changed, {"api": LISTENS}).sites[0].takes_bodies is takes


@pytest.mark.parametrize("backends", [{}, {"other": LISTENS}, {"api": LISTENS, "other": LISTENS}])
def test_every_upstream_has_an_address_and_nothing_else_has(tmp_path: Path, backends: dict[str, Address]) -> None:
    with pytest.raises(ConfigurationError):
        read_config(config(tmp_path, service="http://x/y"), backends)


def test_fields_that_are_taken_out_are_those_of_the_protocol(root: Path) -> None:
    page = (root / "docs" / "reference" / "protocol.md").read_text()
    named = set(re.findall(r"\bBonafide-[A-Z][a-z]+", page)) - {"Bonafide-Gate"}  # that is a scheme of Authorization
    assert named == set(GATE_HEADERS)


def test_fields_that_are_taken_out_are_those_of_the_shared_page(shared: Path) -> None:
    page = (shared / "design" / "PROTOCOL.md").read_text()
    assert set(re.findall(r"\bBonafide-[A-Z][a-z]+", page)) == set(GATE_HEADERS)


def test_gate_reads_what_proxies_tell(root: Path) -> None:
    text = (root / "src" / "bonafide" / "gate" / "asked.py").read_text()
    assert set(re.findall(r"\bHTTP_(ORIGINAL[A-Z]+)", text)) | {"ORIGINALADDRESS"} == {
        name.upper() for name in ORIGINAL_HEADERS
    }
    assert not [name for name in ORIGINAL_HEADERS if "-" in name or "_" in name]


def test_what_the_service_serves_to_the_public_is_listed_and_what_it_tells_gates_is_not() -> None:
    from bonafide.django.urls import urlpatterns

    public = {str(url.pattern).replace("<slug:instance>", "aB-_9") for url in urlpatterns}
    listed = {path for path in public if any(re.fullmatch(pattern, path) for pattern in SERVICE_PATHS)}
    assert public - listed == {"gate"}
