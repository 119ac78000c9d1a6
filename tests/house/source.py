"""The repository's own files, as the tests of this directory look at them.

Files are those that Git knows or would add: what `.gitignore` names is not part of the house.
"""

from __future__ import annotations

import ast
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGE: Final = ROOT / "src" / "bonafide"

ABOVE_THE_CORE: Final = frozenset({"cli", "django", "gate", "upstream", "audit", "stores", "testing"})
"""Rooms at or above `stores` in the import order; every other module of the package is core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One Python file of the package: its path below `src/bonafide`, its text and its syntax tree."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def room(self) -> str:
        """The top-level module or package that it belongs to; the package's own face is "bonafide"."""
        first = self.path.parts[0].removesuffix(".py")
        return "bonafide" if first == "__init__" else first

    @property
    def core(self) -> bool:
        """Whether it lies below `stores`."""
        return self.room not in ABOVE_THE_CORE

    def at(self, node: ast.AST) -> str:
        """Say where `node` is, as an editor understands it."""
        return f"src/bonafide/{self.path}:{getattr(node, 'lineno', 1)}"


@cache
def files() -> tuple[Path, ...]:
    """Return every file of the repository, relative to its top."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    return tuple(sorted(Path(name) for name in set(listed.split("\0")) if name and (ROOT / name).is_file()))


@cache
def texts() -> tuple[tuple[Path, str], ...]:
    """Return every file that is text, with its text."""
    return tuple(_texts())


def _texts() -> Iterator[tuple[Path, str]]:
    for path in files():
        content = (ROOT / path).read_bytes()
        if b"\0" not in content:
            yield path, content.decode("utf-8", errors="surrogateescape")


@cache
def modules() -> tuple[Module, ...]:
    """Return every module of the package, migrations left out: Django writes those."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if "migrations" not in path.parts and "__pycache__" not in path.parts:
            text = path.read_text(encoding="utf-8")
            found.append(Module(path=path.relative_to(PACKAGE), text=text, tree=ast.parse(text)))
    return tuple(found)


def core() -> tuple[Module, ...]:
    """Return the modules below `stores`."""
    return tuple(module for module in modules() if module.core)


def listing(offences: list[str]) -> str:
    """Spell offences one to a line, for an assertion's message."""
    return "\n  ".join(["", *offences])
