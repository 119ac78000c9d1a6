"""The image holds what it is built from and no secret; its accounts, directories and mounts fit together.

No engine runs here: what is compared is what Dockerfile, .dockerignore and compose.yaml say.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Any, Final

import pytest

from bonafide.django.service import service_file
from bonafide.gate import config as gate_config
from tests.deploy.test_files import DEPLOY, GATES, compose
from tests.house.source import ROOT

NGINX: Final = "101:101"
"""User and group of the official image."""

SECRETS: Final = ("deploy/compose/secrets/sealing.key", "deploy/compose/gate-1/gate.key", "src/a.key", ".git/config")


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory that the image has."""

    path: str
    owner: str
    group: str
    mode: str


def steps() -> list[list[str]]:
    """Return the commands that the Dockerfile runs, as words."""
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line.removeprefix("RUN ") for line in text.splitlines() if line.startswith("RUN ")]
    return [shlex.split(command) for line in lines for command in line.split("&&")]


def option(words: list[str], name: str) -> str:
    return words[words.index(name) + 1]


def directories() -> dict[str, Directory]:
    """Return the directories that the Dockerfile makes for somebody."""
    found = [words for words in steps() if words[:2] == ["install", "--directory"] and "--owner" in words]
    made = [Directory(w[-1], option(w, "--owner"), option(w, "--group"), option(w, "--mode")) for w in found]
    return {each.path: each for each in made}


def accounts() -> dict[str, str]:
    """Return the group of each user, both as numbers, after every group was made."""
    groups = {option(words, "--gid") for words in steps() if words[0] == "groupadd"}
    users = {option(words, "--uid"): option(words, "--gid") for words in steps() if words[0] == "useradd"}
    assert set(users.values()) <= groups
    return users


def containers(kind: str) -> dict[str, Any]:
    return {name: each for name, each in compose()["services"].items() if name.startswith(f"{kind}-")}


def mounts(container: dict[str, Any]) -> dict[str, str]:
    """Return what is mounted where: source by target."""
    return {volume.split(":")[1]: volume.split(":")[0] for volume in container["volumes"]}


def kept_out(path: str) -> bool:
    """Tell whether .dockerignore keeps a path out of the context: the last rule that names it or what it lies in."""
    out = False
    for rule in (DEPLOY.parent / ".dockerignore").read_text().splitlines():
        if not rule or rule.startswith("#"):
            continue
        pattern = rule.removeprefix("!").removeprefix("**/")
        parts = PurePosixPath(path).parts
        prefixes = ["/".join(parts[: n + 1]) for n in range(len(parts))]
        named = list(parts) if "**/" in rule else prefixes
        if any(fnmatch(each, pattern) and (pattern != "*" or "/" not in each) for each in named):
            out = not rule.startswith("!")
    return out


@pytest.mark.parametrize("path", SECRETS)
def test_no_secret_of_a_checkout_goes_to_the_builder(path: str) -> None:
    assert kept_out(path)


def test_what_is_copied_goes_to_the_builder_and_is_what_the_build_needs() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    copied = [word for line in re.findall(r"^COPY (.*)$", text, re.MULTILINE) for word in line.split()[:-1]]
    assert copied == ["LICENSE", "README.md", "pyproject.toml", "src"]
    assert all((ROOT / path).exists() and not kept_out(path) for path in copied)
    assert not kept_out("src/bonafide/__init__.py")


def test_gate_sees_no_secret_and_nothing_of_another_gate() -> None:
    private = {DEPLOY / "compose" / "secrets", *(path.parent for path in GATES)}
    for name, gate in containers("gate").items():
        own = DEPLOY / "compose" / name
        assert not gate.get("secrets")
        for source in mounts(gate).values():
            seen = DEPLOY / source if source.startswith(".") else None
            open_to_it = [
                place for place in private - {own} if seen and (seen in place.parents or place in (seen, *seen.parents))
            ]
            assert not open_to_it, (name, source)
            assert seen or source.startswith(name)


def test_nginx_sees_the_files_and_the_socket_of_its_own_gate() -> None:
    for name, front in containers("nginx").items():
        number = name.removeprefix("nginx-")
        assert set(mounts(front).values()) == {f"./compose/gate-{number}/nginx", f"gate-{number}-socket"}


def test_service_and_gates_are_different_accounts_that_the_image_has() -> None:
    users = {kind: {each["user"] for each in containers(kind).values()} for kind in ("service", "gate")}
    (service,), (gate,) = users["service"], users["gate"]
    assert service != gate
    for account in (service, gate):
        user, group = account.split(":")
        assert accounts()[user] == group


def test_nginx_is_in_the_group_of_the_gate_and_no_worker_of_it_leaves_that() -> None:
    """Of the workers of a first process that is root, Nginx sets the groups anew."""
    (gate,) = {each["user"] for each in containers("gate").values()}
    for front in containers("nginx").values():
        assert front["group_add"] == [gate.split(":")[1]]
        assert front["user"] == NGINX
        assert front["sysctls"] == {"net.ipv4.ip_unprivileged_port_start": "0"}


@pytest.mark.parametrize(("kind", "mode"), [("service", {"0700"}), ("gate", {"0700", "0750"})])
def test_each_volume_is_mounted_over_a_directory_that_belongs_to_who_uses_it(kind: str, mode: set[str]) -> None:
    for each in containers(kind).values():
        named = [target for target, source in mounts(each).items() if not source.startswith(".")]
        found = [directories()[target] for target in named]
        assert {f"{place.owner}:{place.group}" for place in found} == {each["user"]}
        assert {place.mode for place in found} == mode


def test_service_file_lies_in_the_home_that_serve_is_told() -> None:
    for each in containers("service").values():
        home = option(each["command"], "--home")
        assert mounts(each)[f"{home}/{service_file.NAME}"] == f"./compose/{service_file.NAME}"
        assert home in directories()


def test_gates_files_lie_where_its_own_file_looks_for_them() -> None:
    for name, each in containers("gate").items():
        inside = PurePosixPath(option(each["command"], "--config"))
        assert mounts(each)[str(inside.parent)] == f"./compose/{name}"
        config = gate_config.load(DEPLOY / "compose" / name / "gate.toml")
        assert mounts(each)["/etc/bonafide/routes.toml"] == "./compose/routes.toml"
        assert str(config.state_dir) in directories()
        assert config.listen == f"unix:{next(place for place in directories() if place.startswith('/run'))}/gate.sock"
