"""A gate's file is read as it is meant, or the gate does not start."""

from __future__ import annotations

import re
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from bonafide.errors import ConfigurationError
from bonafide.gate import config, snapshot
from bonafide.gate.config import BodyDigest, GateConfig
from bonafide.reasons import configuration as reasons
from bonafide.terms import Environment, EvidenceEnvironment

THUMBPRINT: Final = "A" * 43
ROUTES: Final = '[[route]]\nmatch = "/api/**"\n'
BASE: Final = Path("/etc/bonafide")
WHOLE: Final[dict[str, Any]] = {
    "name": "gate-1",
    "service": "https://service.example/bonafide/v1",
    "issuer": "https://api.example.com",
    "audience": "https://api.example.com",
    "apps": ["shop"],
    "service_keys": [THUMBPRINT],
    "upstream": [
        {
            "name": "api",
            "origins": ["https://api.example.com"],
            "routes": "routes.toml",
            "key_file": "api.key",
            "body": "checked",
        }
    ],
}


def toml(document: dict[str, Any]) -> str:
    """Spell a document as TOML."""
    tables = {name: value for name, value in document.items() if name in {"upstream", "limits"}}
    lines = [f"{name} = {spell(value)}" for name, value in document.items() if name not in tables]
    for name, value in tables.items():
        for entry in value if isinstance(value, list) else [value]:
            lines.append(f"[[{name}]]" if isinstance(value, list) else f"[{name}]")
            lines += [f"{key} = {spell(inner)}" for key, inner in entry.items()]
    return "\n".join(lines)


def spell(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(spell, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def read(document: dict[str, Any], routes: str = ROUTES) -> GateConfig:
    text = toml(document)
    tomllib.loads(text)
    return config.parse(text, base=BASE, read=lambda _: routes)


def changed(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**WHOLE, **changes}.items() if value is not None}


def upstream(**changes: Any) -> dict[str, Any]:
    entry = {name: value for name, value in {**WHOLE["upstream"][0], **changes}.items() if value is not None}
    return changed(upstream=[entry])


def refused(document: dict[str, Any], reason: object = reasons.SETTING_MALFORMED, routes: str = ROUTES) -> str:
    with pytest.raises(ConfigurationError) as refusal:
        read(document, routes)
    assert refusal.value.reason is reason
    return refusal.value.detail


def test_the_shortest_file_gives_the_safe_gate() -> None:
    gate = read(WHOLE)
    assert gate.environment is Environment.PRODUCTION
    assert gate.evidence_environments == {EvidenceEnvironment.PRODUCTION}
    assert gate.socket == Path("/run/bonafide/gate.sock")
    assert gate.replay_store == "lmdb:/etc/bonafide/state/replay"
    assert gate.store_timeout == timedelta(milliseconds=500)
    assert gate.poll_every <= timedelta(seconds=5)
    assert gate.max_stale == timedelta(minutes=10)
    assert gate.key_file == BASE / "gate.key"
    assert gate.upstreams[0].body is BodyDigest.CHECKED
    assert not gate.upstreams[0].unchecked_bodies
    assert None not in {gate.limits.instance, gate.limits.network, gate.limits.user}


def test_a_worker_judges_several_requests_at_once_only_where_it_waits_for_a_store() -> None:
    assert read(WHOLE).threads == 1
    assert read(changed(workers=1, replay_store="memory:")).threads == 1
    assert read(changed(replay_store="redis://127.0.0.1")).threads == config.THREADS_THAT_WAIT > 1
    assert read(changed(limits={"store": "redis://127.0.0.1"})).threads == config.THREADS_THAT_WAIT
    assert read(changed(replay_store="redis://127.0.0.1", threads=2)).threads == 2


def test_every_key_is_read() -> None:
    gate = read(
        changed(
            listen="127.0.0.1:8601",
            workers=3,
            threads=2,
            state_dir="/srv/state",
            environment="staging",
            key_file="other.key",
            evidence_environments=["development", "debug"],
            replay_store="redis://127.0.0.1",
            hosts=2,
            store_timeout=0.25,
            poll_every=1,
            max_stale=60,
            limits={"store": "memory:", "instance": "5/second", "network": False, "user": "1/minute"},
        )
    )
    assert gate.socket is None
    assert gate.address == ("127.0.0.1", 8601)
    assert (gate.workers, gate.threads, gate.hosts) == (3, 2, 2)
    assert gate.state_dir == Path("/srv/state")
    assert gate.environment is Environment.STAGING
    assert gate.evidence_environments == {EvidenceEnvironment.DEVELOPMENT, EvidenceEnvironment.DEBUG}
    assert gate.store_timeout == timedelta(milliseconds=250)
    assert (gate.poll_every, gate.max_stale) == (timedelta(seconds=1), timedelta(seconds=60))
    assert (gate.limits.instance, gate.limits.network, gate.limits.user) == ("5/second", None, "1/minute")


def test_an_address_of_version_six_is_read() -> None:
    assert read(changed(listen="[::1]:8601")).address == ("::1", 8601)


@pytest.mark.parametrize("name", ["name", "service", "issuer", "audience", "apps", "service_keys", "upstream"])
def test_what_has_no_safe_default_must_be_said(name: str) -> None:
    assert name in refused(changed(**{name: None}))


@pytest.mark.parametrize("name", ["name", "origins", "routes", "key_file", "body"])
def test_an_upstream_must_be_whole(name: str) -> None:
    assert name in refused(upstream(**{name: None}))


@pytest.mark.parametrize(
    "changes",
    [
        {"more": 1},
        {"name": ""},
        {"name": "../gate"},
        {"name": 1},
        {"listen": "unix:relative.sock"},
        {"listen": "example.com:80"},
        {"listen": "127.0.0.1"},
        {"workers": 0},
        {"workers": True},
        {"workers": 1.5},
        {"hosts": 0},
        {"service": "ftp://service.example"},
        {"service": "https://user:password@service.example/"},
        {"service": "https://service.example/?a=b"},
        {"environment": "moon"},
        {"evidence_environments": []},
        {"evidence_environments": ["moon"]},
        {"evidence_environments": [1]},
        {"apps": []},
        {"apps": ["shop", "shop"]},
        {"apps": "shop"},
        {"apps": [" "]},
        {"service_keys": []},
        {"service_keys": ["short"]},
        {"store_timeout": 0},
        {"store_timeout": True},
        {"store_timeout": "1"},
        {"poll_every": 61},
        {"max_stale": 3601},
        {"poll_every": 10, "max_stale": 19},
        {"limits": {"more": 1}},
        {"limits": {"instance": "often"}},
        {"limits": {"instance": True}},
        {"upstream": []},
        {"upstream": [WHOLE["upstream"][0], {**WHOLE["upstream"][0], "origins": ["https://other.example"]}]},
    ],
    ids=str,
)
def test_what_is_not_meant_so_does_not_start(changes: dict[str, Any]) -> None:
    refused(changed(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"more": 1},
        {"body": "maybe"},
        {"unchecked_bodies": "yes"},
        {"name": "a b"},
        {"origins": []},
        {"seals": 1},
        {"seals": True, "body": "unchecked"},
    ],
    ids=str,
)
def test_an_upstream_that_is_not_meant_so_does_not_start(changes: dict[str, Any]) -> None:
    refused(upstream(**changes))


SEALING: Final = ROUTES + 'seal = true\n[[route]]\nmatch = "/plain/**"\n'


def test_a_rule_that_seals_for_an_upstream_that_does_not_does_not_start() -> None:
    detail = refused(upstream(seals=False), reasons.UPSTREAM_NOT_SEALING, SEALING)
    assert "/api/**" in detail
    assert "/plain/**" not in detail
    assert detail == refused(WHOLE, reasons.UPSTREAM_NOT_SEALING, SEALING)


def test_an_upstream_that_seals_may_have_rules_that_do() -> None:
    assert [route.seal for route in read(upstream(seals=True), SEALING).upstreams[0].routes] == [True, False]
    assert read(upstream(seals=True)).upstreams[0].seals
    assert not read(WHOLE).upstreams[0].seals


def test_two_upstreams_cannot_share_an_origin() -> None:
    second = {**WHOLE["upstream"][0], "name": "second"}
    refused(changed(upstream=[WHOLE["upstream"][0], second]), reasons.ORIGIN_AMBIGUOUS)


def test_debug_evidence_in_production_does_not_start() -> None:
    refused(changed(evidence_environments=["production", "debug"]), reasons.TEST_TRUST)


def test_a_value_that_might_be_a_secret_is_not_repeated() -> None:
    assert "hunter2" not in refused(changed(name="hunter2 hunter2"))


def test_a_file_that_is_no_toml_does_not_start() -> None:
    with pytest.raises(ConfigurationError):
        config.parse("name =", base=BASE)


def test_a_table_that_is_none_does_not_start() -> None:
    with pytest.raises(ConfigurationError):
        config.parse("limits = 1", base=BASE)
    with pytest.raises(ConfigurationError):
        config.parse("upstream = 1", base=BASE)


def test_a_file_that_cannot_be_read_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        config.load(tmp_path / "absent.toml")
    assert refusal.value.reason is reasons.SETTING_MALFORMED


def test_every_key_is_on_its_page(root: Path) -> None:
    page = (root / "docs" / "reference" / "gate.md").read_text()
    top, limits, upstreams = page.split("`[limits]`")[0], *page.split("`[limits]`")[1].split("`[[upstream]]`")
    for part, keys in ((top, config.KEYS), (limits, config.LIMITS), (upstreams, config.UPSTREAM)):
        assert set(re.findall(r"^\| `([a-z_]+)` \|", part, re.MULTILINE)) == keys.keys()


# The snapshot -----------------------------------------------------------------------------------------


def written(directory: Path) -> Path:
    (directory / "routes.toml").write_text(ROUTES)
    path = directory / "gate.toml"
    path.write_text(toml(WHOLE))
    return path


def test_a_snapshot_gives_the_gate_that_was_read_though_its_files_are_gone(tmp_path: Path) -> None:
    path = written(tmp_path)
    value, taken = snapshot.take(path)
    path.unlink()
    (tmp_path / "routes.toml").unlink()
    restored = snapshot.restore(taken)
    assert [route.match for route in restored.upstreams[0].routes] == ["/api/**"]
    assert (restored.name, restored.state_dir) == (value.name, value.state_dir)


def test_files_that_no_environment_variable_holds_do_not_start(tmp_path: Path) -> None:
    path = written(tmp_path)
    (tmp_path / "routes.toml").write_text(ROUTES + "# " + "x" * snapshot.MAX_BYTES)
    with pytest.raises(ConfigurationError):
        snapshot.take(path)


@pytest.mark.parametrize("taken", ["", "{}", '{"text":1,"base":"/","tables":{}}', '{"text":"","base":"/","tables":[]}'])
def test_what_is_no_snapshot_starts_no_worker(taken: str) -> None:
    with pytest.raises(ConfigurationError):
        snapshot.restore(taken)


def test_a_snapshot_without_a_table_that_its_file_names_starts_no_worker(tmp_path: Path) -> None:
    _, taken = snapshot.take(written(tmp_path))
    with pytest.raises(ConfigurationError):
        snapshot.restore(taken.replace("routes.toml", "others.toml", 1).replace('"tables":{"', '"tables":{"x'))
