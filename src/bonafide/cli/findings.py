"""What `bonafide check` says of a configuration: a code, what is so, what it lets an attacker do, and the remedy.

Codes are append-only, as reasons are: `service.…` of the control plane, `gate.…` of a gate's file, and Django's own
`bonafide.E0xx` and `bonafide.W0xx`.
"""

from __future__ import annotations

import os
import stat
from dataclasses import asdict, dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_ROOT: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a suspicious operator would ask about."""

    code: str
    what: str
    attacker: str
    remedy: str

    def text(self) -> str:
        """As the terminal shows it."""
        return f"{self.code}  {self.what}\n    lets an attacker: {self.attacker}\n    remedy: {self.remedy}"

    def as_json(self) -> dict[str, str]:
        """As one JSON object."""
        return asdict(self)


def private_paths(area: str, paths: Iterable[Path]) -> Iterator[Finding]:
    """Find files and directories that others than this user may touch. What is not there is nothing's fault here."""
    for path in paths:
        try:
            status = path.lstat()
        except OSError:
            continue
        if stat.S_ISLNK(status.st_mode):
            yield _open(area, path, "is a symbolic link")
        elif status.st_uid != os.geteuid():
            yield _open(area, path, "belongs to another user")
        elif status.st_mode & _OTHERS:
            yield _open(area, path, "is open to its group or to others")


def _open(area: str, path: Path, how: str) -> Finding:
    return Finding(
        code=f"{area}.files_open",
        what=f"{path} {how}.",
        attacker="who has another account on this host may read keys, or put others in their place: they issue what "
        "we issue.",
        remedy=f"chown it to the account that runs this, and chmod {'700' if path.is_dir() else '600'}.",
    )


def as_root(area: str) -> Iterator[Finding]:
    """Find that this runs with all rights."""
    if os.geteuid() == _ROOT:
        yield Finding(
            code=f"{area}.as_root",
            what="This runs as root.",
            attacker="who finds a hole in any part of it has the host.",
            remedy="run it under an account of its own; the units in deploy/ do.",
        )


def is_plain_abroad(url: str) -> bool:
    """Tell whether a URL leads over a network without TLS. Loopback is no network."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    """Tell whether a host is this one, by its name or address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
