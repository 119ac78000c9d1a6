"""Test vectors: one JSON file for each, read by pytest and by swift test.

A file holds one object: `comment` (what is special about it), `now` (RFC 3339, or null where no time is
judged), `input` (named arguments; octets in base64 with padding), `expect` ("accept" or the reason code) and
`claims` (what is proven, null where it is refused). Its path is its name: `app_attest/nonce_mismatch`.
A vector that must be refused differs from one that must be accepted in exactly one respect.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ACCEPT: Final = "accept"

_MEMBERS: Final = ("comment", "now", "input", "expect", "claims")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """One vector. `name` is its path below the directory of all vectors, without the suffix."""

    name: str
    comment: str
    now: datetime | None
    input: Mapping[str, object]
    expect: str
    claims: Mapping[str, object] | None

    @property
    def area(self) -> str:
        """The folder it is in, which says what reads it."""
        return self.name.partition("/")[0]

    @property
    def accepted(self) -> bool:
        """Whether the input must be accepted."""
        return self.expect == ACCEPT

    def text(self, member: str) -> str:
        """Return a text of the input."""
        value = self.input[member]
        if not isinstance(value, str):
            message = f"{self.name}: {member} is not a text"
            raise TypeError(message)
        return value

    def octets(self, member: str) -> bytes:
        """Return octets of the input."""
        return base64.b64decode(self.text(member), validate=True)

    def number(self, member: str) -> int:
        """Return an integer of the input."""
        value = self.input[member]
        if type(value) is not int:
            message = f"{self.name}: {member} is not an integer"
            raise TypeError(message)
        return value

    def texts(self, member: str) -> tuple[str, ...]:
        """Return a list of texts of the input."""
        value = self.input[member]
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            message = f"{self.name}: {member} is not a list of texts"
            raise TypeError(message)
        return tuple(value)

    def moment(self) -> datetime:
        """Return `now`, for vectors that judge a time."""
        if self.now is None:
            message = f"{self.name} has no time"
            raise TypeError(message)
        return self.now

    def dump(self) -> str:
        """Return the file's text. The same vector is the same octets."""
        fields = {
            "comment": self.comment,
            "now": None if self.now is None else self.now.isoformat().replace("+00:00", "Z"),
            "input": self.input,
            "expect": self.expect,
            "claims": self.claims,
        }
        return json.dumps(fields, indent=1, ensure_ascii=True) + "\n"


def load(directory: Path, area: str) -> tuple[Vector, ...]:
    """Return the vectors of one area in the order of their names. None at all is an error: a test must not be empty."""
    vectors = tuple(_read(path, directory) for path in sorted((directory / area).rglob("*.json")))
    if not vectors:
        message = f"no vectors in {area!r}"
        raise FileNotFoundError(message)
    return vectors


def _read(path: Path, directory: Path) -> Vector:
    name = path.relative_to(directory).with_suffix("").as_posix()
    fields = json.loads(path.read_bytes())
    if tuple(fields) != _MEMBERS:
        message = f"{name}: the members are not {', '.join(_MEMBERS)}"
        raise ValueError(message)
    now = fields.pop("now")
    return Vector(name=name, now=None if now is None else datetime.fromisoformat(now), **fields)


def encode(octets: bytes) -> str:
    """Return octets as the vectors spell them."""
    return base64.b64encode(octets).decode("ascii")
