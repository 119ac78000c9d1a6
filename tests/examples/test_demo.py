"""The demo holds, whole; and it would not say so if a row were missing, extra, or different in any respect."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from demonstration.report import missing_and_extra
from demonstration.rows import ATTACKS, Row, read_rows
from demonstration.trial import Outcome

from bonafide.reasons import by_code

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import RequireProgram

REQUIRED: dict[str, tuple[str, ...]] = {
    "no attestation": ("no_attestation",),
    "stolen bearer alone": ("stolen_bearer",),
    "stolen attestation without the key": (
        "stolen_attestation",
        "stolen_attestation_and_own_key",
        "stolen_attestation_and_her_key_named",
        "stolen_attestation_in_another_proof",
    ),
    "a whole request replayed: same worker, another worker, after a restart": (
        "replayed_to_the_same_worker",
        "replayed_to_another_worker",
        "replayed_after_a_restart",
    ),
    "method changed": ("method_changed",),
    "path spelling, each kind": (
        "path_changed",
        "path_with_a_doubled_slash",
        "path_with_a_dot_segment",
        "path_with_a_dot_dot_segment",
        "path_with_an_encoded_dot_segment",
        "path_with_an_encoded_letter",
        "path_with_a_lower_case_escape",
        "path_with_an_encoded_slash",
        "path_with_an_encoded_backslash",
        "path_with_a_backslash",
        "path_with_a_semicolon",
        "path_encoded_twice",
        "path_with_an_encoded_control",
        "path_with_a_trailing_slash",
        "path_in_other_case",
        "target_with_a_bare_question_mark",
        "target_with_a_fragment",
        "target_in_absolute_form",
    ),
    "query changed": ("query_changed", "query_added", "query_removed"),
    "body added": ("body_added",),
    "body changed": ("body_changed", "body_cut_short", "body_and_digest_changed"),
    "authorization, cookie, content type or digest changed": (
        "authorization_changed",
        "cookie_changed",
        "content_type_changed",
        "digest_of_another_algorithm",
        "digest_removed",
    ),
    "method override": ("method_override",),
    "fewer, more or reordered components": ("components_fewer", "components_more", "components_reordered"),
    "duplicated and _ headers": (
        "authorization_twice",
        "attestation_twice",
        "signature_twice",
        "signature_input_twice",
        "digest_twice",
        "attestation_with_underscores",
        "signature_input_with_an_underscore",
        "digest_with_an_underscore",
    ),
    "foreign Host": ("host_foreign", "host_of_another_name"),
    "created old or in the future": ("proof_created_long_ago", "proof_created_in_the_future"),
    "expired, foreign-issuer, other-app, other-environment tokens": (
        "token_expired",
        "token_of_a_foreign_issuer",
        "token_of_another_app",
        "token_of_another_environment",
    ),
    "alg none and HS256 confusion": ("token_with_alg_none", "token_with_hs256_by_the_public_key"),
    "foreign kid, embedded jwk": ("token_with_a_foreign_kid", "token_with_an_embedded_jwk"),
    "fresh evidence: too old, or by a session's key": (
        "evidence_of_another_minute",
        "fresh_evidence_and_a_session_proof",
    ),
    "another app's attestation": ("attestation_of_another_app",),
    "attestation under the look-alike root": ("attestation_under_a_look_alike_root",),
    "challenge of another purpose or app": ("challenge_of_another_purpose", "challenge_of_another_app"),
    "challenge spent with another body": ("challenge_spent_with_another_body",),
    "assertion with an old counter": ("assertion_with_an_old_counter",),
    "two assertions racing": ("two_assertions_racing",),
    "debug evidence in production": ("debug_evidence_in_production", "production_told_to_believe_debug_evidence"),
    "another user's bearer from a genuine app": ("another_users_bearer_in_a_genuine_app",),
    "mitmproxy cannot read or replace the session key, nor change or repeat anything": (
        "proxy_reads_the_session",
        "proxy_replaces_the_session",
        "proxy_replaces_the_agree_key",
        "proxy_changes_the_query",
        "proxy_changes_the_body",
        "proxy_changes_the_bearer",
        "proxy_repeats_a_request",
    ),
    "mitmproxy sees ciphertext of sealed answers, and cannot strip, replace, cut, reorder, replay or avoid them": (
        "proxy_reads_a_sealed_answer",
        "proxy_answers_in_clear",
        "proxy_answers_an_error_in_clear",
        "proxy_strips_the_seal",
        "proxy_puts_in_anothers_answer",
        "proxy_replays_a_sealed_answer",
        "proxy_answers_with_another_question",
        "proxy_changes_the_status",
        "proxy_cuts_off_a_record",
        "proxy_cuts_into_a_record",
        "proxy_cuts_a_download",
        "proxy_swaps_records",
        "proxy_asks_for_another_proof",
        "proxy_leads_to_a_route_in_clear",
    ),
    "mitmproxy cannot make pins, nor bring old ones back": (
        "proxy_forges_the_pins",
        "proxy_brings_back_old_pins",
    ),
}
"""What the demo promises to show, and the rows that show it."""

ROW = Row(name="x", what="…", before=200, after=401, reason="proof.replayed", action="sign_again")
HELD = Outcome(
    name="x", before=200, after=401, reason="proof.replayed", action="sign_again", runs=0, control=200, control_runs=1
)


@pytest.fixture(scope="module")
def demo(root: Path) -> dict[str, Any]:
    """Run the demo once, as `make demo` does, and return what it says."""
    return _run(root)


def _run(root: Path, *options: str) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    run = subprocess.run(
        [sys.executable, "examples/django_api/demo.py", "--json", *options],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout, run.stderr
    result: dict[str, Any] = json.loads(run.stdout)
    assert run.returncode == (1 if result["faults"] else 0)
    return result


def test_every_attack_is_refused_for_its_reason_and_every_twin_is_answered(demo: dict[str, Any]) -> None:
    assert demo["faults"] == {}
    assert [outcome["name"] for outcome in demo["outcomes"]] == [row.name for row in read_rows()]


def test_the_same_holds_behind_nginx_and_a_gate(root: Path, require_program: RequireProgram) -> None:
    require_program("nginx", apt="nginx-light")
    said = _run(root, "--behind-nginx")
    assert said["faults"] == {}
    assert [outcome["name"] for outcome in said["outcomes"]] == [row.name for row in read_rows()]


def test_what_nginx_refuses_by_itself_is_little_and_no_row_is_softer_for_it() -> None:
    changed = {row.name for row in read_rows() if row.behind_nginx() != row}
    assert changed == {"path_with_an_encoded_control", "authorization_twice"}
    assert all(row.behind_nginx().after == row.after for row in read_rows())


def test_demo_told_to_run_a_row_that_is_none_fails(root: Path) -> None:
    command = [sys.executable, "examples/django_api/demo.py", "--only", "no_such_row"]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "no row is called no_such_row" in run.stderr


def test_demo_shows_what_it_promises() -> None:
    named = {row.name for row in read_rows()}
    assert {name for names in REQUIRED.values() for name in names} <= named


def test_rows_and_attacks_are_the_same() -> None:
    assert missing_and_extra([row.name for row in read_rows()], list(ATTACKS)) == {}


def test_a_row_without_an_attack_an_attack_without_a_row_and_a_row_twice_are_faults() -> None:
    faults = missing_and_extra(["a", "b", "b"], ["b", "c"])
    assert faults.keys() == {"a", "b", "c"}


@pytest.mark.parametrize("row", read_rows(), ids=lambda row: row.name)
def test_what_a_row_says_is_what_its_reason_says(row: Row) -> None:
    reason = by_code()[row.reason]
    if row.after:
        assert (row.after, row.action) == (reason.status, reason.action)
    else:
        assert not row.action


def test_an_outcome_as_the_row_says_is_no_fault() -> None:
    assert ROW.faults(HELD) == []


@pytest.mark.parametrize(
    "change",
    [
        {"before": 404},
        {"after": 200},
        {"after": 403},
        {"reason": "proof.fenced"},
        {"reason": ""},
        {"action": "renew"},
        {"runs": 1},
        {"control": 401},
        {"control_runs": 0},
    ],
    ids=str,
)
def test_an_outcome_that_differs_in_any_respect_is_a_fault(change: dict[str, Any]) -> None:
    assert len(ROW.faults(replace(HELD, **change))) == 1


def test_the_request_of_a_row_whose_answer_the_app_refuses_is_answered() -> None:
    answered, held = replace(ROW, answered=True), replace(HELD, runs=1)
    assert answered.faults(held) == []
    assert len(answered.faults(HELD)) == 1
