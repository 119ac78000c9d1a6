"""`bonafide nginx` and `bonafide proxy` write what the gate's file says, and say what is wrong with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bonafide.cli import main
from bonafide.gate.setup import Answers, write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """Write a gate's file as `bonafide gate init` does."""
    path = tmp_path / "gate.toml"
    answers = Answers(
        name="gate-1",
        service="http://127.0.0.1:8600/bonafide/v1",
        issuer="https://api.example.com",
        audience="https://api.example.com",
        environment="production",
        service_keys=("x" * 43,),
        apps=("shop",),
        origins=("https://api.example.com",),
        listen="unix:/run/bonafide/gate.sock",
        replay_store=None,
        upstream="api",
    )
    write(path, answers)
    return path


def run(*words: object) -> int:
    return main([str(word) for word in words])


def test_files_are_written_where_they_are_wanted(
    gate: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    into = tmp_path / "nginx" / "bonafide"
    assert run("nginx", "--gate", gate, "--upstream", "unix:/run/api.sock", "--into", into) == 0
    names = {"http.conf", "tls.conf", "upstream-api.conf", "site.conf.example"}
    assert {path.name for path in into.iterdir()} == names
    assert {line.rpartition("/")[2] for line in capsys.readouterr().out.splitlines()} == names
    assert "server unix:/run/bonafide/gate.sock;" in (into / "http.conf").read_text()
    assert "server unix:/run/api.sock;" in (into / "http.conf").read_text()
    assert f"include {into}/upstream-api.conf;" in (into / "site.conf.example").read_text()


def test_text_is_printed_where_no_directory_is_named(gate: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("nginx", "--gate", gate, "--upstream", "api=127.0.0.1:8000") == 0
    printed = capsys.readouterr().out
    assert "# ---- http.conf" in printed
    assert "server 127.0.0.1:8000;" in printed


@pytest.mark.parametrize(("profile", "protocols"), [("intermediate", "TLSv1.2 TLSv1.3"), ("modern", "TLSv1.3")])
def test_tls_profile_is_the_one_that_was_asked_for(
    gate: Path, capsys: pytest.CaptureFixture[str], profile: str, protocols: str
) -> None:
    assert run("nginx", "--gate", gate, "--upstream", "unix:/run/api.sock", "--tls", profile) == 0
    assert f"ssl_protocols {protocols};" in capsys.readouterr().out


def test_other_proxies_have_their_files(gate: Path, tmp_path: Path) -> None:
    for name, files in (
        ("caddy", {"bonafide.caddy"}),
        ("haproxy", {"bonafide.lua", "bonafide.cfg"}),
        ("envoy", {"envoy-api.json"}),
    ):
        into = tmp_path / name
        assert run("proxy", name, "--gate", gate, "--upstream", "unix:/run/api.sock", "--into", into) == 0
        assert {path.name for path in into.iterdir()} == files
    assert f"lua-load-per-thread {tmp_path}/haproxy/bonafide.lua" in (tmp_path / "haproxy" / "bonafide.cfg").read_text()
    json.loads((tmp_path / "envoy" / "envoy-api.json").read_text())


@pytest.mark.parametrize(
    "upstreams",
    [(), ("--upstream", "unix:/a b"), ("--upstream", "other=unix:/run/api.sock")],
    ids=["none", "malformed", "of another name"],
)
def test_upstream_that_is_missing_or_wrong_is_said(
    gate: Path, capsys: pytest.CaptureFixture[str], upstreams: tuple[str, ...]
) -> None:
    assert run("nginx", "--gate", gate, *upstreams) == 1
    assert capsys.readouterr().err.startswith("bonafide: configuration.setting_malformed: ")


def test_gates_file_that_is_missing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("nginx", "--gate", tmp_path / "none.toml", "--upstream", "unix:/run/api.sock") == 1
    assert "none.toml" in capsys.readouterr().err


def test_directory_that_cannot_be_made_is_said(gate: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert run("nginx", "--gate", gate, "--upstream", "unix:/run/api.sock", "--into", tmp_path / "file" / "x") == 1
    assert "file" in capsys.readouterr().err
