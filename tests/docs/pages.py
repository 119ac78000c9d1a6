"""The documentation as tests look at it: pages, headings as GitHub links to them, fenced blocks, what is in code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from tests.house.source import ROOT, files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FENCE: Final = re.compile(r"^(?P<fence>```+)(?P<language>\w*)\n(?P<text>.*?)^(?P=fence)$", re.MULTILINE | re.DOTALL)
HEADING: Final = re.compile(r"^(#+) (.+)$", re.MULTILINE)
CODE: Final = re.compile(r"`([^`\n]+)`")
LINK: Final = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, its text, and the line on which it begins."""

    language: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Page:
    """A page, relative to the top of the repository."""

    path: Path
    text: str

    @property
    def prose(self) -> str:
        """The text without fenced blocks; lines stay where they are."""
        return FENCE.sub(lambda found: "\n" * found.group().count("\n"), self.text)

    @property
    def headings(self) -> list[str]:
        """The headings as they stand, without marks and without code quotes."""
        return [text.replace("`", "") for _, text in HEADING.findall(self.prose)]

    @property
    def blocks(self) -> Iterator[Block]:
        """The fenced blocks in order."""
        for found in FENCE.finditer(self.text):
            yield Block(found["language"], found["text"], self.text.count("\n", 0, found.start()) + 1)

    @property
    def anchors(self) -> set[str]:
        """What a link may name after `#`."""
        found: set[str] = set()
        for heading in self.headings:
            anchor, number = slug(heading), 0
            while anchor in found:
                number += 1
                anchor = f"{slug(heading)}-{number}"
            found.add(anchor)
        return found

    def at(self, position: int) -> str:
        """Say where an offset of the prose or the text is."""
        return f"{self.path}:{self.text.count(chr(10), 0, position) + 1}"


def slug(heading: str) -> str:
    """Return the anchor of a heading: GitHub lowers letters, drops punctuation and writes spaces as hyphens."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")


@cache
def pages() -> tuple[Page, ...]:
    """Return every page of the repository."""
    return tuple(Page(path, (ROOT / path).read_text(encoding="utf-8")) for path in files() if path.suffix == ".md")


def page(path: str) -> Page:
    """Return one page by its path."""
    return next(each for each in pages() if str(each.path) == path)
