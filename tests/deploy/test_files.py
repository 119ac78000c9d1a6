"""The files for systemd and for containers say what the programs understand today."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import subprocess
from configparser import RawConfigParser
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import pytest

from bonafide import cli
from bonafide.cli import home_options
from bonafide.cli.serve import EXIT_AWAY
from bonafide.django.service import service_file
from bonafide.gate import config as gate_config
from tests.house.source import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import RequireProgram

DEPLOY: Final = ROOT / "deploy"
UNITS: Final = sorted((DEPLOY / "systemd").glob("*.service"))
GATES: Final = sorted((DEPLOY / "compose").glob("gate-*/gate.toml"))
INSTALLED: Final = "/opt/bonafide/bin/bonafide"
EXPOSURE: Final = 20
"""Of 100, by systemd's own reckoning: a service that may do next to nothing."""


def parsed(words: list[str]) -> argparse.Namespace:
    """Parse a command line of `bonafide` by the program's own parser."""
    parser = argparse.ArgumentParser(prog="bonafide")
    commands = parser.add_subparsers(required=True)
    for name in cli.COMMANDS:
        import_module(f"bonafide.cli.{name}").register(commands)
    return parser.parse_args(words)


def unit(path: Path) -> dict[str, str]:
    """Return the settings of a unit; where one stands more than once, the last."""
    reader = RawConfigParser(strict=False, interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    reader.optionxform = str  # type: ignore[assignment,method-assign]  # configparser's documented way to keep case
    reader.read_string(path.read_text())
    return {key: value for section in reader.sections() for key, value in reader[section].items()}


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_unit_starts_a_program_of_ours_with_options_that_it_has(path: Path) -> None:
    program, *words = shlex.split(unit(path)["ExecStart"])
    assert program == INSTALLED
    assert parsed(words).run is not None


def test_there_is_a_unit_for_each_program_that_serves() -> None:
    started = {shlex.split(unit(path)["ExecStart"])[1] for path in UNITS}
    assert started == {"serve", "gate"}


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_unit_is_one_that_systemd_understands_and_calls_safe(
    path: Path, tmp_path: Path, require_program: RequireProgram
) -> None:
    analyze = require_program("systemd-analyze", apt="systemd")
    copy = tmp_path / path.name
    copy.write_text(path.read_text().replace(INSTALLED, shutil.which("true") or "/bin/true"))
    for words in (["verify"], ["security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager"]):
        run = subprocess.run([analyze, *words, copy], capture_output=True, text=True, check=False, timeout=60)
        assert run.returncode == 0, run.stdout + run.stderr
        assert "Unknown" not in run.stderr


def test_gates_unit_makes_the_directories_that_a_gate_uses_by_default() -> None:
    settings = unit(DEPLOY / "systemd" / "bonafide-gate.service")
    assert f"unix:/run/{settings['RuntimeDirectory']}/gate.sock" == gate_config.DEFAULT_LISTEN
    assert settings["StateDirectory"] == "bonafide/gate"
    assert settings["ExecReload"].endswith("-HUP $MAINPID")


def test_gates_unit_lets_it_choose_how_it_is_scheduled_and_nothing_faster() -> None:
    lines = (DEPLOY / "systemd" / "bonafide-gate.service").read_text().splitlines()
    filters = [line for line in lines if line.startswith("SystemCallFilter=")]
    assert filters[-1] == "SystemCallFilter=sched_setscheduler"  # the last one wins; a forbidden call is the gate's end
    assert "RestrictRealtime=yes" in lines


def test_services_unit_waits_longer_than_the_service_does() -> None:
    settings = unit(DEPLOY / "systemd" / "bonafide-service.service")
    stop_within = next(key for key in service_file.own_keys() if key.name == "stop_within")
    assert int(settings["TimeoutStopSec"]) > int(stop_within.default)


def test_service_that_refuses_to_start_is_not_started_again() -> None:
    """Each start tries the PIN of a token; on the exit code that a refusal has."""
    settings = unit(DEPLOY / "systemd" / "bonafide-service.service")
    assert settings["Restart"] == "on-failure"
    kept_from = settings["RestartPreventExitStatus"].split()
    assert kept_from == [str(home_options.EXIT_REFUSED)]
    assert str(EXIT_AWAY) not in kept_from  # what is away comes back, and so must the service


def compose() -> dict[str, Any]:
    """Return compose.yaml, which is JSON below its comments."""
    lines = (DEPLOY / "compose.yaml").read_text().splitlines()
    read: dict[str, Any] = json.loads("\n".join(line for line in lines if not line.startswith("#")))
    return read


def test_containers_of_ours_are_started_with_options_that_they_have() -> None:
    ours = {name: each for name, each in compose()["services"].items() if each["image"] == "bonafide"}
    assert set(ours) == {"service-1", "service-2", "gate-1", "gate-2"}
    for each in ours.values():
        assert parsed(each["command"]).run is not None
        assert each["read_only"]
        assert each["cap_drop"] == ["ALL"]


def test_containers_name_only_what_compose_declares() -> None:
    read = compose()
    for name, each in read["services"].items():
        assert set(each.get("depends_on", [])) <= set(read["services"]), name
        assert set(each.get("secrets", [])) <= set(read["secrets"]), name
        volumes = {volume.split(":")[0] for volume in each.get("volumes", [])}
        assert {volume for volume in volumes if not volume.startswith(".")} <= set(read["volumes"]), name


def test_redis_of_compose_evicts_nothing() -> None:
    command = " ".join(compose()["services"]["redis"]["command"])
    assert "--maxmemory-policy noeviction" in command


@pytest.mark.parametrize("path", GATES, ids=lambda path: path.parent.name)
def test_gates_file_of_compose_is_one_that_a_gate_reads(path: Path) -> None:
    config = gate_config.load(path)
    assert config.name == path.parent.name
    service = compose()["services"][config.name]
    assert service["command"] == ["gate", "--config", f"/etc/bonafide/{config.name}/gate.toml"]
    assert config.hosts == len(GATES)
    number = config.name.removeprefix("gate-")
    assert config.service.startswith(f"http://nginx-{number}:")


def test_services_file_of_compose_is_one_that_a_service_reads() -> None:
    said = service_file.parse((DEPLOY / "compose" / "service.toml").read_text())
    read = compose()
    assert said.database is not None
    assert said.database["HOST"] in read["services"]
    assert said.console_listen.loopback
    subnet = read["networks"]["default"]["ipam"]["config"][0]["subnet"]
    assert said.shared["trusted_proxies"] == [subnet]
    for secret in re.findall(r"/run/secrets/([\w.-]+)", (DEPLOY / "compose" / "service.toml").read_text()):
        assert all(secret in read["services"][f"service-{number}"]["secrets"] for number in (1, 2))


def test_dockerfile_installs_extras_that_exist_and_starts_our_program() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    extras = re.findall(r"/src\[([\w,]+)\]", text)[0].split(",")
    declared = re.findall(r"^([a-z0-9]+) = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert set(extras) <= set(declared)
    assert 'ENTRYPOINT ["bonafide"]' in text
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["10001:10001"]
