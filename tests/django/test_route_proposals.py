"""A first table observes what it does not know, opens nothing wider than it is, and asks for every reason."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf.urls.static import static
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path, re_path

from bonafide.django.route_proposals import FILL_IN, propose, unservable, write_toml
from bonafide.django.url_inventory import urls
from bonafide.errors import ConfigurationError
from bonafide.routes import Client, Route, RouteTable, parse_toml

pytestmark = pytest.mark.usefixtures("_no_files")


@pytest.fixture
def _no_files(settings: Any) -> None:
    settings.STATIC_URL = settings.MEDIA_URL = None


def view(_request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def proposed(*patterns: Any) -> dict[str, Client]:
    return {proposal.match: proposal.client for proposal in propose(urls(patterns))}


def table(*patterns: Any) -> RouteTable:
    return parse_toml(write_toml(propose(urls(patterns))))


def test_what_is_not_known_is_for_the_app_and_observes() -> None:
    found = table(path("api/orders", view), path("api/orders/<int:pk>", view))
    assert [(route.match, route.client, route.enforced_share) for route in found] == [
        ("/api/orders", Client.APP, 0.0),
        ("/api/orders/*", Client.APP, 0.0),
    ]
    assert not found.enforces


@pytest.mark.parametrize(
    "written", ["health", "healthz", "api/health", "health/live", "readyz", "-/ready", "ping", "status", "x/livez/"]
)
def test_health_is_proposed_open_with_a_reason_to_fill_in(written: str) -> None:
    (proposal,) = propose(urls((path(written, view),)))
    assert proposal.client is Client.OPEN
    assert proposal.because.startswith(FILL_IN)


@pytest.mark.parametrize("written", ["webhook", "hooks/stripe", "stripe/webhooks/", "api/web-hook"])
def test_webhooks_are_proposed_open(written: str) -> None:
    assert proposed(path(written, view)) == {f"/{written}": Client.OPEN}


@pytest.mark.parametrize("written", ["api/healthy-recipes", "shipping", "statuses", "chooks", "api/unhooked"])
def test_a_word_within_a_word_opens_nothing(written: str) -> None:
    assert proposed(path(written, view)) == {f"/{written}": Client.APP}


def test_a_name_counts_as_much_as_a_path() -> None:
    assert proposed(path("k8s", view, name="health")) == {"/k8s": Client.OPEN}


def test_an_open_proposal_is_never_wider_than_its_url() -> None:
    assert proposed(path("health-<int:node>", view)) == {"/*": Client.APP}
    assert proposed(re_path(r"^health", view))["/**"] is Client.APP


def test_of_two_urls_with_one_rule_the_stricter_holds() -> None:
    assert proposed(path("<int:a>", view, name="health"), path("<str:b>", view)) == {"/*": Client.APP}
    assert proposed(path("<str:b>", view), path("<int:a>", view, name="health")) == {"/*": Client.APP}


def test_the_console_is_one_browser_rule() -> None:
    assert proposed(path("console/", admin.site.urls)) == {"/console/**": Client.BROWSER}


@override_settings(DEBUG=True)
def test_files_that_the_urlconf_serves_are_proposed_open(tmp_path: Any) -> None:
    assert proposed(*static("/media/", document_root=tmp_path))["/media/**"] is Client.OPEN


@override_settings(STATIC_URL="/static/", MEDIA_URL="https://cdn.example.com/")
def test_files_of_a_development_server_are_proposed_open_unless_a_url_could_answer_there() -> None:
    assert proposed(path("api", view)) == {"/api": Client.APP, "/static/**": Client.OPEN}
    assert proposed(path("<slug:shop>/<slug:page>", view)) == {"/*/*": Client.APP}


def test_literal_rules_stand_before_wildcards() -> None:
    found = table(
        path("<path:rest>", view), path("<slug:a>/x", view), path("files/<slug:name>", view), path("files/x", view)
    )
    assert [route.match for route in found] == ["/files/x", "/files/*", "/*/x", "/**"]


def test_the_table_covers_every_url_it_was_made_from() -> None:
    from bonafide.django.url_inventory import uncovered

    listed = urls((re_path(r"^a/?$", view), path("b/<int:c>", view), re_path(r"^d", view), path("", view)))
    assert uncovered(parse_toml(write_toml(propose(listed))), listed) == ()


def test_a_proposed_reason_is_a_reason_that_loads() -> None:
    (route,) = table(path("health", view))
    assert route == Route(match="/health", client=Client.OPEN, because=route.because)
    assert FILL_IN in route.because


def test_a_wider_rule_says_so_in_the_file() -> None:
    assert "# Wider than the URL report-<int:year>: " in write_toml(propose(urls((path("report-<int:year>", view),))))


def test_an_url_that_cannot_be_admitted_is_named_and_gets_no_rule() -> None:
    listed = urls((re_path(r"^a;b$", view),))
    assert unservable(listed) == listed
    with pytest.raises(ConfigurationError):
        parse_toml(write_toml(propose(listed)))


def test_quotes_in_a_reason_do_not_end_it() -> None:
    from dataclasses import replace

    (proposal,) = propose(urls((path("health", view),)))
    (route,) = parse_toml(write_toml([replace(proposal, because='say "why" \\ how')]))
    assert route.because == 'say "why" \\ how'
