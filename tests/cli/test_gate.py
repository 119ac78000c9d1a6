"""`bonafide gate init` writes a gate's file once, makes keys that nobody else may read, and shows the public half."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from bonafide.cli import main
from bonafide.codec import jwk
from bonafide.errors import ConfigurationError
from bonafide.gate import config
from bonafide.gate.identity import read_gate_key
from bonafide.reasons import configuration as reasons
from bonafide.stores.admission_keys import read_admission_key

if TYPE_CHECKING:
    from pathlib import Path

ANSWERS = (
    *("--name", "gate-1", "--service", "http://127.0.0.1:8600/bonafide/v1", "--issuer", "https://api.example.com"),
    *("--service-key", "A" * 43, "--service-key", "B" * 43, "--app", "shop", "--origin", "https://api.example.com"),
)


def init(path: Path, *more: str) -> int:
    return main(["gate", "init", "--config", str(path), *more])


def test_the_file_that_is_written_is_one_that_a_gate_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new" / "gate.toml"
    assert init(path, *ANSWERS, "--replay-store", "redis://127.0.0.1:6379/0", "--listen", "127.0.0.1:8601") == 0
    written = config.load(path)
    assert (written.name, written.issuer, written.audience) == ("gate-1", *["https://api.example.com"] * 2)
    assert written.service_keys == {"A" * 43, "B" * 43}
    assert written.replay_store == "redis://127.0.0.1:6379/0"
    assert written.upstreams[0].body is config.BodyDigest.CHECKED
    assert not written.upstreams[0].routes.enforces
    said = capsys.readouterr().out
    shown = re.search(r"bonafide gates add gate-1 --audience https://api.example.com --jwk '(.*)'", said)
    assert shown is not None
    assert json.loads(shown[1]) == jwk.from_public(read_gate_key(written.key_file).public_key())


def test_keys_are_made_once_and_are_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "gate.toml"
    assert init(path, *ANSWERS) == 0
    before = {name: (tmp_path / name).read_bytes() for name in ("gate.key", "api.admission.key", "gate.toml")}
    assert init(path) == 0
    assert before == {name: (tmp_path / name).read_bytes() for name in before}
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in before} == {0o600}
    assert len(read_admission_key(tmp_path / "api.admission.key")) == 32


def test_a_place_that_takes_no_file_is_said_and_is_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert init(tmp_path / "file" / "gate.toml", *ANSWERS) == 1
    assert "gate.toml" in capsys.readouterr().err


def test_the_private_key_is_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init(tmp_path / "gate.toml", *ANSWERS)
    said = capsys.readouterr()
    private = json.loads((tmp_path / "gate.key").read_bytes())
    shared = (tmp_path / "api.admission.key").read_text().strip()
    assert private["d"] not in said.out + said.err
    assert shared not in said.out + said.err


def test_a_file_that_cannot_be_written_for_want_of_answers_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(tmp_path / "gate.toml", "--name", "gate-1") == 2
    assert "--service" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_answer_cannot_become_another_line_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "gate.toml"
    evil = 'shop"\nworkers = 99\nx = "'
    assert init(path, *(evil if word == "shop" else word for word in ANSWERS)) == 0
    assert config.load(path).apps == {evil}


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_debug_evidence_is_for_other_environments_than_production(tmp_path: Path, environment: str) -> None:
    path = tmp_path / "gate.toml"
    assert init(path, *ANSWERS, "--environment", environment) == 0
    assert ("debug" in config.load(path).evidence_environments) is (environment == "staging")


def test_a_file_that_is_wrong_is_refused_with_its_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gate.toml").write_text("nonsense = 1\n")
    assert init(tmp_path / "gate.toml") == 1
    assert main(["gate", "--config", str(tmp_path / "gate.toml")]) == 1
    assert capsys.readouterr().err.count("configuration.setting_malformed") == 2


SPOILED = {
    "empty": b"",
    "no key": b"{}",
    "no scalar": b'{"kty":"EC","crv":"P-256","x":"","y":""}',
    "short scalar": b'{"kty":"EC","crv":"P-256","x":"","y":"","d":"AAAA"}',
    "scalar a number": b'{"kty":"EC","crv":"P-256","x":"","y":"","d":1}',
    "zero": b'{"kty":"EC","crv":"P-256","x":"","y":"","d":"' + b"A" * 43 + b'"}',
    "another's public half": b'{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA","d":"' + b"A" * 42 + b'E"}',
}


@pytest.mark.parametrize("spoiled", SPOILED.values(), ids=SPOILED.keys())
def test_a_key_file_that_holds_no_key_starts_nothing(tmp_path: Path, spoiled: bytes) -> None:
    path = tmp_path / "gate.key"
    path.write_bytes(spoiled)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError) as refusal:
        read_gate_key(path)
    assert refusal.value.reason is reasons.KEYS_UNSAFE


def test_a_key_that_others_may_read_starts_nothing(tmp_path: Path) -> None:
    init(tmp_path / "gate.toml", *ANSWERS)
    (tmp_path / "gate.key").chmod(0o640)
    with pytest.raises(ConfigurationError):
        read_gate_key(tmp_path / "gate.key")


def test_a_key_that_is_a_link_or_absent_starts_nothing(tmp_path: Path) -> None:
    init(tmp_path / "gate.toml", *ANSWERS)
    (tmp_path / "link").symlink_to(tmp_path / "gate.key")
    for path in (tmp_path / "link", tmp_path / "absent"):
        with pytest.raises(ConfigurationError):
            read_gate_key(path)
