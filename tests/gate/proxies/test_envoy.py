"""Envoy's configuration is JSON that says what the gate needs. Nobody here has run it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bonafide.errors import ConfigurationError
from bonafide.gate.proxies import ORIGINAL_HEADERS, Address, Front, Site, envoy
from bonafide.http import Origins
from bonafide.routes import parse_rules

SITE = Site(
    name="api",
    origins=tuple(Origins(["https://api.example.com"])),
    backend=Address(authority="api.internal:8080"),
    routes=parse_rules([{"match": "/api/**"}]),
)
FRONT = Front(gate=Address(path="/run/gate.sock"), service=None, sites=(SITE,))


@pytest.fixture
def read() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(envoy.configuration(FRONT, SITE))
    return document


def test_filters_stand_in_the_order_that_asks_before_it_routes(read: dict[str, Any]) -> None:
    names = [entry["name"].rpartition(".")[2] for entry in read["http_filters"]]
    assert names == ["lua", "ext_authz", "router"]


def test_gate_that_does_not_answer_is_a_refusal(read: dict[str, Any]) -> None:
    authz = read["http_filters"][1]["typed_config"]
    assert authz["failure_mode_allow"] is False
    assert authz["status_on_error"] == {"code": "ServiceUnavailable"}
    assert authz["http_service"]["server_uri"]["timeout"] == "1.000s"


def test_target_is_behind_a_question_mark_so_that_the_gate_sees_its_own_path(read: dict[str, Any]) -> None:
    assert read["http_filters"][1]["typed_config"]["http_service"]["path_prefix"] == "/admit?"


def test_only_the_admission_goes_on_to_the_api(read: dict[str, Any]) -> None:
    answered = read["http_filters"][1]["typed_config"]["http_service"]["authorization_response"]
    assert answered["allowed_upstream_headers"] == {"patterns": [{"exact": "bonafide-admission"}]}


def test_gate_is_told_every_original_field_and_clients_say_none(read: dict[str, Any]) -> None:
    text = read["http_filters"][0]["typed_config"]["default_source_code"]["inline_string"]
    for name in ORIGINAL_HEADERS:
        assert f'tell("{name.lower()}"' in text
    assert 'name:sub(1, 8) == "original"' in text
    assert 'name:sub(1, 9) == "bonafide-"' in text
    assert '["api.example.com"] = true' in text


def test_clusters_are_where_gate_and_api_listen(read: dict[str, Any]) -> None:
    gate, api = (cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0] for cluster in read["clusters"])
    assert gate["endpoint"]["address"] == {"pipe": {"path": "/run/gate.sock"}}
    assert api["endpoint"]["address"] == {"socket_address": {"address": "api.internal", "port_value": 8080}}


def test_deadline_is_the_gates(read: dict[str, Any]) -> None:
    slow = replace(FRONT, deadline=FRONT.deadline * 2)
    document = json.loads(envoy.configuration(slow, SITE))
    assert document["http_filters"][1]["typed_config"]["http_service"]["server_uri"]["timeout"] == "2.000s"


def test_api_behind_tls_is_spoken_to_in_tls_and_verified() -> None:
    site = replace(SITE, backend=Address(authority="api.internal:443", tls=True))
    gate, api = json.loads(envoy.configuration(FRONT, site))["clusters"]
    assert "transport_socket" not in gate
    context = api["transport_socket"]["typed_config"]
    assert context["sni"] == "api.internal"
    trusted = context["common_tls_context"]["validation_context"]
    assert trusted["match_typed_subject_alt_names"] == [{"san_type": "DNS", "matcher": {"exact": "api.internal"}}]
    assert trusted["trusted_ca"]["filename"]


def test_api_that_takes_no_bodies_is_refused_since_envoy_would_hand_them_on() -> None:
    with pytest.raises(ConfigurationError):
        envoy.configuration(FRONT, replace(SITE, takes_bodies=False))
