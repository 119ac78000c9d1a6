"""Every URL is found, however deep it is included, and none without a rule goes unnoticed."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import include, path, re_path
from rest_framework.routers import DefaultRouter
from rest_framework.viewsets import ViewSet

from bonafide.django import url_inventory
from bonafide.django.url_inventory import Url, require_covered, uncovered, urls
from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons
from bonafide.routes import Route, RouteTable, parse_rules


def view(_request: HttpRequest) -> HttpResponse:
    return HttpResponse()


class Orders(ViewSet):
    def list(self, _request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    def retrieve(self, _request: HttpRequest, pk: str) -> HttpResponse:
        return HttpResponse(pk)


def router() -> list[Any]:
    made = DefaultRouter()
    made.register("orders", Orders, basename="orders")
    return list(made.urls)


def matches(*patterns: Any) -> set[str]:
    return {form.match for url in urls(patterns) for form in url.forms}


def test_urls_are_found_through_includes() -> None:
    inside = [path("list", view), re_path(r"^(?P<pk>\d+)/$", view)]
    assert matches(path("", view), path("shop/<slug:shop>/", include(inside))) == {"/", "/shop/*/list", "/shop/*/*/"}


def test_an_include_that_is_a_regular_expression_is_a_prefix() -> None:
    assert matches(re_path(r"^(?:one|two)/", include([path("x", view)]))) == {"/one/x", "/two/x"}
    assert matches(re_path(r"^(?P<version>v\d)/", include([path("x", view)]))) == {"/*/x"}


def test_a_router_of_rest_framework_is_understood_with_its_format_suffixes() -> None:
    found = matches(path("api/", include(router())))
    assert {"/api/orders/", "/api/orders/*/", "/api/*"} <= found  # the last is orders.json, wider than itself


def test_the_services_own_endpoints_need_no_rule() -> None:
    assert matches(path("bonafide/v1/", include("bonafide.django.urls"))) == set()


def test_the_admin_is_known_by_its_namespace() -> None:
    assert all(url.apps == ("admin",) for url in urls((path("console/", admin.site.urls),)))


@override_settings(FORCE_SCRIPT_NAME="/mount/")
def test_rules_are_about_whole_paths_also_below_a_mount() -> None:
    assert matches(path("x", view)) == {"/mount/x"}


def test_language_prefixes_are_one_segment() -> None:
    from django.urls.resolvers import LocalePrefixPattern, URLResolver

    patterns: list[Any] = [path("about", view)]
    assert matches(URLResolver(LocalePrefixPattern(), patterns)) == {"/*/about"}
    both = URLResolver(LocalePrefixPattern(prefix_default_language=False), patterns)
    assert matches(both) == {"/*/about", "/about"}


def test_a_url_says_where_its_view_is_and_how_it_was_written() -> None:
    (url,) = urls((path("shop/", include([path("<int:pk>", view, name="order")])),))
    assert (url.written, url.name, url.module) == ("shop/<int:pk>", "order", __name__)


def inventory(*patterns: Any) -> tuple[Url, ...]:
    return urls(patterns)


def test_a_url_that_no_rule_matches_is_uncovered() -> None:
    listed = inventory(path("a", view), path("b", view))
    assert [url.written for url in uncovered(RouteTable([Route(match="/a")]), listed)] == ["b"]


def test_a_rule_for_some_methods_covers_a_url() -> None:
    table = RouteTable([Route(match="/a", methods=frozenset(["PURGE"]))])
    assert uncovered(table, inventory(path("a", view))) == ()


def test_each_spelling_of_a_url_needs_a_rule() -> None:
    listed = inventory(re_path(r"^a/?$", view))
    assert uncovered(RouteTable([Route(match="/a")]), listed) == listed
    assert uncovered(RouteTable([Route(match="/a"), Route(match="/a/")]), listed) == ()


def test_a_rule_for_one_of_many_does_not_cover_the_many() -> None:
    listed = inventory(path("users/<int:pk>", view), path("files/<path:rest>", view))
    table = RouteTable([Route(match="/users/1"), Route(match="/files/*")])
    assert uncovered(table, listed) == listed


def test_a_url_without_an_admitted_target_needs_no_rule() -> None:
    assert uncovered(RouteTable([Route(match="/a")]), inventory(re_path(r"^a;b$", view))) == ()


def test_a_table_that_leaves_urls_out_is_refused_with_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = inventory(*(path(f"left-out-{number}", view) for number in range(7)))
    monkeypatch.setattr(url_inventory, "urls", lambda: listed)
    with pytest.raises(ConfigurationError) as refusal:
        require_covered(parse_rules([{"match": "/a"}]))
    assert refusal.value.reason is reasons.ROUTE_UNCOVERED
    assert "left-out-0" in refusal.value.detail
    assert "and 2 more" in refusal.value.detail
    require_covered(parse_rules([{"match": "/**"}]))
