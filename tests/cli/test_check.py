"""`bonafide check --gate`: a file that differs from a good one in one respect has exactly the finding for it."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from bonafide.cli import findings, gate_findings, main
from bonafide.codec import base64url
from bonafide.codec.jwk import from_public, thumbprint
from bonafide.gate.identity import make_gate_key

if TYPE_CHECKING:
    from pathlib import Path

THUMBPRINTS = [thumbprint(from_public(ec.generate_private_key(ec.SECP256R1()).public_key())) for _ in range(2)]

GOOD: dict[str, Any] = {
    "name": "gate-1",
    "listen": "unix:/run/bonafide/gate.sock",
    "service": "http://127.0.0.1:8600/bonafide/v1",
    "issuer": "https://api.example.com",
    "audience": "https://api.example.com",
    "apps": ["shop"],
    "service_keys": THUMBPRINTS,
    "workers": 1,
}
UPSTREAM: dict[str, Any] = {
    "name": "api",
    "origins": ["https://api.example.com"],
    "routes": "routes.toml",
    "key_file": "api.admission.key",
    "body": "checked",
}
REDIS = "redis://:a-password@10.0.0.5:6379/0"


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run as the owner of the files, who is not root."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BONAFIDE_HOME", raising=False)
    monkeypatch.setattr(findings, "_ROOT", -1)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Return a directory with a gate's keys, 0600, and a route table that enforces."""
    make_gate_key(tmp_path / "gate.key")
    for name in ("api.admission.key", "other.admission.key"):
        (tmp_path / name).write_text(base64url.encode(os.urandom(32)))
        (tmp_path / name).chmod(0o600)
    (tmp_path / "state").mkdir(mode=0o700)
    routes(tmp_path)
    return tmp_path


def routes(place: Path, **rule: Any) -> None:
    (place / "routes.toml").write_text("[[route]]\n" + toml({"match": "/api/**"} | rule))


def toml(values: dict[str, Any]) -> str:
    return "".join(f"{name} = {_value(value)}\n" for name, value in values.items())


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_value(entry)}" for name, entry in value.items()) + " }"
    return json.dumps(value)


def codes(place: Path, *upstreams: dict[str, Any], limits: dict[str, Any] | None = None, **changes: Any) -> list[str]:
    return [found["code"] for found in told(write(place, *upstreams, limits=limits, **changes))]


def write(place: Path, *upstreams: dict[str, Any], limits: dict[str, Any] | None = None, **changes: Any) -> Path:
    text = toml(GOOD | changes)
    text += "" if limits is None else "[limits]\n" + toml(limits)
    for upstream in upstreams or ({},):
        text += "[[upstream]]\n" + toml(UPSTREAM | upstream)
    (place / "gate.toml").write_text(text)
    return place / "gate.toml"


def told(path: Path) -> list[dict[str, str]]:
    from bonafide.gate import config

    return [found.as_json() for found in gate_findings.judge(config.load(path))]


def test_a_good_file_has_no_finding(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--gate", str(write(files))]) == 0
    assert capsys.readouterr().out == "no findings\n"


def test_a_finding_says_what_is_so_what_it_allows_and_what_to_do(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(files, service_keys=THUMBPRINTS[:1])
    assert main(["check", "--gate", str(path)]) == 1
    out = capsys.readouterr().out
    assert out.startswith("gate.no_spare  service_keys pins one key")
    assert "lets an attacker: who steals" in out
    assert "remedy: pin both" in out
    assert out.endswith("1 findings\n")
    assert main(["check", "--json", "--gate", str(path)]) == 1
    assert json.loads(capsys.readouterr().out)["code"] == "gate.no_spare"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"service": "http://10.0.0.1:8600/bonafide/v1"}, "gate.service_plain"),
        ({"service_keys": THUMBPRINTS[:1]}, "gate.no_spare"),
        ({"poll_every": 6}, "gate.polls_slowly"),
        ({"max_stale": 601}, "gate.stale_long"),
        ({"listen": "0.0.0.0:8601"}, "gate.listens_abroad"),
        ({"listen": "[2001:db8::1]:8601"}, "gate.listens_abroad"),
        ({"replay_store": "memory:"}, "gate.store_forgets"),
        ({"replay_store": "nonsense"}, "gate.store_malformed"),
        ({"evidence_environments": ["production", "development"]}, "gate.development_evidence"),
        ({"workers": 2}, "gate.limits_apart"),
    ],
)
def test_each_weakness_of_a_gate_has_its_finding(files: Path, changes: dict[str, Any], code: str) -> None:
    assert codes(files, **changes) == [code]


@pytest.mark.parametrize(
    "changes",
    [
        {"service": "https://api.example.com/bonafide/v1"},
        {"listen": "127.0.0.1:8601"},
        {"listen": "[::1]:8601"},
        {"poll_every": 5},
        {"replay_store": "redis://127.0.0.1:6379/0"},
        {"environment": "staging", "evidence_environments": ["production", "development"]},
        {"workers": 2, "limits": {"store": "redis://127.0.0.1:6379"}},
    ],
)
def test_what_is_no_weakness_has_none(files: Path, changes: dict[str, Any]) -> None:
    assert codes(files, **changes) == []


@pytest.mark.parametrize(
    ("address", "found"),
    [
        (REDIS, ["gate.store_plain", "gate.store_password"]),
        ("redis://10.0.0.5:6379/0", ["gate.store_plain", "gate.store_unlocked"]),
        ("rediss://10.0.0.5:6379/0", ["gate.store_unlocked"]),
        ("rediss://10.0.0.5:6379/0?password_file=/run/password", []),
        ("redis+sentinel://10.0.0.5/main", ["gate.store_plain", "gate.store_unlocked"]),
        ("redis+cluster://10.0.0.5", ["gate.store_plain", "gate.store_unlocked"]),
    ],
)
def test_a_store_on_a_network_wants_tls_and_a_password_in_a_file(files: Path, address: str, found: list[str]) -> None:
    assert codes(files, replay_store=address) == found
    assert "a-password" not in json.dumps(told(files / "gate.toml"))


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("redis://user:a-password@10.0.0.5:6379/0", ["gate.limits_plain", "gate.limits_password"]),
        ("redis://10.0.0.5:6379/0", ["gate.limits_plain"]),
        ("redis+sentinel://127.0.0.1:26379,10.0.0.6:26379/main", ["gate.limits_plain"]),
        ("rediss://10.0.0.5:6379/0", []),
        ("rediss://user@10.0.0.5:6379/0", []),
        ("redis://[::1]:6379/0", []),
        ("redis://localhost:6379", []),
        ("redis+unix:///run/redis.sock", []),
    ],
)
def test_counts_on_a_network_want_tls_and_no_password_in_the_file(files: Path, address: str, found: list[str]) -> None:
    assert codes(files, limits={"store": address}) == found
    assert "a-password" not in json.dumps(told(files / "gate.toml"))


@pytest.mark.parametrize("limit", ["instance", "network", "user"])
def test_a_limit_that_was_taken_away_has_its_finding(files: Path, limit: str) -> None:
    assert codes(files, limits={limit: False}) == ["gate.unlimited"]


@pytest.mark.parametrize(
    ("upstream", "code"),
    [
        ({"body": "unchecked"}, "gate.bodies_unchecked"),
        ({"body": "unchecked", "unchecked_bodies": True}, "gate.bodies_unchecked"),
        ({"origins": ["http://api.example.com"]}, "gate.origin_plain"),
    ],
)
def test_each_weakness_of_an_upstream_has_its_finding(files: Path, upstream: dict[str, Any], code: str) -> None:
    assert codes(files, upstream) == [code]


def test_bodies_that_are_taken_unchecked_are_told_from_those_that_are_refused(files: Path) -> None:
    (refused,) = told(write(files, {"body": "unchecked"}))
    (taken,) = told(write(files, {"body": "unchecked", "unchecked_bodies": True}))
    assert "refused" in refused["attacker"]
    assert "changes what a signed request says" in taken["attacker"]


def test_two_upstreams_have_two_keys(files: Path) -> None:
    other = {"name": "other", "origins": ["https://other.example.com"]}
    assert codes(files, {}, other) == ["gate.key_shared"]
    assert codes(files, {}, other | {"key_file": "other.admission.key"}) == []


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ({"mode": "observe"}, "gate.routes_observe"),
        ({"mode": "50%"}, "gate.routes_share"),
        ({"single_use": False, "methods": ["GET"]}, "gate.routes_repeat"),
        ({"proof": "dpop"}, "gate.routes_dpop"),
    ],
)
def test_each_weakness_of_a_route_table_has_its_finding(files: Path, rule: dict[str, Any], code: str) -> None:
    routes(files, **rule)
    assert codes(files) == [code]


@pytest.mark.parametrize(("mode", "other"), [("observe", "gate.routes_observe"), ("50%", "gate.routes_share")])
def test_a_route_that_seals_and_lets_others_in_has_its_finding(files: Path, mode: str, other: str) -> None:
    routes(files, seal=True, mode=mode)
    assert codes(files, {"seals": True}) == [other, "gate.routes_seal_observed"]
    routes(files, seal=True)
    assert codes(files, {"seals": True}) == []


def test_a_route_that_seals_for_an_upstream_that_does_not_could_not_be_judged(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    routes(files, seal=True)
    path = str(write(files))
    assert main(["check", "--gate", path]) == 2
    assert main(["gate", "--config", path]) == 1
    assert capsys.readouterr().err.count("configuration.upstream_not_sealing") == 2


def test_a_route_that_lets_old_versions_in_has_its_finding(files: Path) -> None:
    (files / "routes.toml").write_text(
        '[[route]]\nmatch = "/api/**"\nlegacy = { until = 2027-03-01, max_share = 0.2 }\n'
    )
    assert codes(files) == ["gate.routes_legacy"]


@pytest.mark.parametrize("name", ["gate.key", "api.admission.key"])
def test_a_key_that_others_may_read_has_its_finding(files: Path, name: str) -> None:
    (files / name).chmod(0o640)
    assert codes(files) == ["gate.files_open", "gate.key_unusable"]


def test_a_state_directory_that_others_may_enter_has_its_finding(files: Path) -> None:
    (files / "state").chmod(0o755)
    assert codes(files) == ["gate.files_open"]


def test_a_key_behind_a_link_has_its_finding(files: Path) -> None:
    (files / "gate.key").rename(files / "elsewhere")
    (files / "gate.key").symlink_to(files / "elsewhere")
    assert codes(files) == ["gate.files_open", "gate.key_unusable"]


@pytest.mark.parametrize("name", ["gate.key", "api.admission.key"])
@pytest.mark.parametrize("content", [None, "nonsense"])
def test_a_key_that_is_missing_or_malformed_has_its_finding(files: Path, name: str, content: str | None) -> None:
    (files / name).unlink()
    if content is not None:
        (files / name).write_text(content)
        (files / name).chmod(0o600)
    assert codes(files) == ["gate.key_unusable"]


def test_root_has_its_finding(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "_ROOT", os.geteuid())
    assert codes(files) == ["gate.as_root"]


def test_files_of_another_account_have_their_finding(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    assert set(codes(files)) == {"gate.files_open", "gate.key_unusable"}


def test_a_file_that_is_no_gates_could_not_be_judged(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "gate.toml").write_text("name = 1")
    assert main(["check", "--gate", str(files / "gate.toml")]) == 2
    assert "configuration.setting_malformed" in capsys.readouterr().err


def test_without_the_extra_the_line_to_type_is_told(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write(files))
    monkeypatch.setitem(sys.modules, "bonafide.gate", None)
    assert main(["check", "--gate", path]) == 2
    assert "pip install 'bonafide[gate]'" in capsys.readouterr().err


def test_without_a_home_there_is_nothing_to_judge(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 2
    assert "there is no home" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("http://10.0.0.1", True),
        ("http://api.example.com", True),
        ("http://127.0.0.2:80", False),
        ("http://localhost:80", False),
        ("http://[::1]:80", False),
        ("https://api.example.com", False),
        ("http://127.0.0.1.example.com", True),
    ],
)
def test_loopback_is_no_network(url: str, plain: bool) -> None:
    assert findings.is_plain_abroad(url) is plain
