"""What may stand in no file: a machine's paths, a registry's address, an open end, an unexplained exemption."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from tests.house.source import ROOT, core, files, listing, texts

MACHINE_PATH: Final = re.compile(r"(^|[^A-Za-z0-9_.])/(home|root|work|farm|Users)/", re.MULTILINE)
REGISTRY: Final = re.compile(
    r"(pypi\.org|pythonhosted\.org|deb\.debian\.org|registry\.npmjs\.org|proxy\.golang\.org)|--(extra-)?index-url|--find-links"
)
OPEN_END: Final = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError|fatalError\(")
BARE_EXEMPTION: Final = re.compile(
    r"#\s*noqa(?!:\s*[A-Z]+[0-9])|#\s*type:\s*ignore(?!\[)|#\s*ruff:\s*noqa|#\s*mypy:\s*ignore"
)
UNEXPLAINED_EXEMPTION: Final = re.compile(
    r"#\s*(?:noqa:\s*[A-Z0-9, ]+|type:\s*ignore\[[a-z0-9, -]+\])\s*$", re.MULTILINE
)
SKIP: Final = re.compile(r"pytest\.(skip|xfail|importorskip)\b|mark\.(skip|skipif|xfail)\b|unittest\.skip")
UNDECIDED: Final = re.compile(r"\bdef (_?(?:validate|check)[a-z_0-9]*)\(")

THIS: Final = Path(__file__).relative_to(ROOT)


def found(pattern: re.Pattern[str], *suffixes: str, beneath: str = "", but: tuple[str, ...] = ()) -> list[str]:
    """Return where `pattern` stands, as path:line, in files of these suffixes (none: in all)."""
    return [
        f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {match.group().strip()}"
        for path, text in texts()
        if path != THIS and str(path) not in but and str(path).startswith(beneath)
        if not suffixes or path.suffix in suffixes
        for match in pattern.finditer(text)
    ]


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    offences = found(MACHINE_PATH)
    assert not offences, listing(offences)


def test_no_file_names_a_package_registry() -> None:
    offences = found(REGISTRY, but=("Makefile",))  # `make lock` tells the resolver to leave addresses out
    assert not offences, listing(offences)


def test_no_lock_holds_an_address() -> None:
    locks = [path for path in files() if path.parts[0] == "requirements"]
    assert {path.name for path in locks} >= {"dev.txt", "mitmproxy.txt"}
    offences = found(re.compile("://"), beneath="requirements/")
    assert not offences, listing(offences)


@pytest.mark.parametrize("lock", ["dev.txt", "mitmproxy.txt"])
def test_every_locked_package_has_one_version_and_a_hash(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text()
    requirements = re.findall(r"^([a-z0-9][a-z0-9._-]*)(.*)((?:\n    --hash=.*)*)", text, re.MULTILINE)
    assert requirements
    offences = [name for name, version, hashes in requirements if "==" not in version or "--hash=sha256:" not in hashes]
    assert not offences, listing(offences)
    names = [name for name, _, _ in requirements]
    assert len(names) == len(set(names))


def test_nothing_is_left_open() -> None:
    offences = found(OPEN_END, ".py", ".toml", ".sh", ".swift")
    assert not offences, listing(offences)


def test_every_exemption_from_a_rule_names_the_rule_and_gives_the_reason() -> None:
    offences = found(BARE_EXEMPTION, ".py") + found(UNEXPLAINED_EXEMPTION, ".py")
    assert not offences, listing(offences)


def test_only_the_three_counted_ways_skip_a_test() -> None:
    """A missing program that BONAFIDE_SKIP names, no Swift toolchain, and absent shared vectors: all in conftest."""
    offences = found(SKIP, ".py", beneath="tests/", but=("tests/conftest.py", "tests/house/test_programs.py"))
    assert not offences, listing(offences)


def test_the_core_parses_verifies_and_appraises_but_does_not_validate_or_check() -> None:
    offences = [f"src/bonafide/{module.path}: {name}" for module in core() for name in UNDECIDED.findall(module.text)]
    assert not offences, listing(offences)


def test_every_dependency_and_every_ignored_rule_says_why() -> None:
    """In pyproject.toml a quoted item of a list of dependencies or of rules stands with a comment, or under one."""
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    item = re.compile(r'^  "(?:[A-Za-z0-9_.\[\]-]+[><=]=[^"]*|[A-Z]+[0-9]*)"')
    offences = [
        f"pyproject.toml:{number}: {line}"
        for number, line in enumerate(lines, 1)
        if item.match(line) and "#" not in line
    ]
    assert not offences, listing(offences)


def test_what_ci_runs_is_a_program() -> None:
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111 == 0o111
