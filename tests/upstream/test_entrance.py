"""What cannot be run does not start, and a refusal is written down without believing whom it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bonafide.errors import ConfigurationError, VerificationFailed
from bonafide.reasons import configuration, proof
from bonafide.upstream.entrance import Entrance, refuse
from tests.upstream.word import NOW, ORIGINS, key_file, sender, statement

if TYPE_CHECKING:
    from pathlib import Path

    from bonafide.reasons import Reason


def refused(directory: Path, **options: Any) -> Reason:
    given: dict[str, Any] = {
        "app": object(),
        "key_files": [str(key_file(directory))],
        "origins": ORIGINS,
        "max_body": 0,
        "spool_memory": 0,
        "mount": "",
        "clock": lambda: NOW,
    }
    Entrance(**given)
    with pytest.raises(ConfigurationError) as caught:
        Entrance(**given | options)
    return caught.value.reason


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"max_body": -1}, configuration.SETTING_MALFORMED),
        ({"spool_memory": -1}, configuration.SETTING_MALFORMED),
        ({"mount": "shop"}, configuration.SETTING_MALFORMED),
        ({"origins": []}, configuration.ORIGINS_EMPTY),
        ({"origins": ["api.example.com"]}, configuration.ORIGIN_MALFORMED),
        ({"key_files": []}, configuration.KEYS_UNSAFE),
        ({"key_files": ["absent"]}, configuration.KEYS_UNSAFE),
    ],
)
def test_what_cannot_be_run_does_not_start(tmp_path: Path, options: dict[str, Any], reason: Reason) -> None:
    assert refused(tmp_path, **options) is reason


def test_key_that_others_may_read_does_not_start(tmp_path: Path) -> None:
    path = key_file(tmp_path, "open.key")
    path.chmod(0o644)
    assert refused(tmp_path, key_files=[path]) is configuration.KEYS_UNSAFE


def test_log_names_route_and_instance_only_where_a_gate_has(caplog: pytest.LogCaptureFixture) -> None:
    refusal = VerificationFailed(proof.DIGEST_MISMATCH, "detail")
    problem = refuse(refusal, "GET", statement(sender()))
    assert (problem.status, problem.action) == (proof.DIGEST_MISMATCH.status, proof.DIGEST_MISMATCH.action)
    assert caplog.messages.pop() == (
        f"refused reason=proof.digest_mismatch record={problem.record} method=GET route=/api/** instance=inst-1 "
        "gate_record=gate-record detail=detail"
    )
    refuse(refusal, "GET", statement(None))
    assert "route=/api/** instance= gate_record=gate-record" in caplog.messages[-1]
    refuse(refusal, "evil\nmethod", None)
    assert "method=OTHER route= instance= gate_record= " in caplog.messages[-1]


def test_records_differ() -> None:
    refusal = VerificationFailed(proof.DIGEST_MISMATCH)
    assert len({refuse(refusal, "GET", None).record for _ in range(100)}) == 100
