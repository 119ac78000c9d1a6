"""What a proxy asks a gate about: the request in hand, in header fields whose names have no second spelling.

    Originalmethod  Originaltarget  Originalhost      as they came
    Originallength  Originalcoding  Originaltrailer   Content-Length, Transfer-Encoding, Trailer
    Originalupgrade Originaladdress                   Upgrade, and where the client connects from

WSGI writes `X-A` and `X_A` alike, and not every proxy drops the latter; a name without either cannot be sent in
another spelling, and under its own the proxy overwrites it, or leaves it out where there is nothing to say. All other
fields pass as the client sent them, but Content-Type and Cookie in one field: of several, a server shows the first.

Granian says '' for a value that is not ASCII. So '' is no absence: it is judged as a field that is there.
Nothing here is proven: that is what the gate is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bonafide.errors import MalformedEvidence
from bonafide.http import HttpRequest
from bonafide.proof.http_signature import FIELDS_READ
from bonafide.reasons import request as reasons

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bonafide.http import Origins

_SAID_BY_THE_PROXY: Final = {"upgrade": "HTTP_ORIGINALUPGRADE", "trailer": "HTTP_ORIGINALTRAILER"}
_KEYS: Final = {"content-type": "CONTENT_TYPE", **_SAID_BY_THE_PROXY}
_FIELDS: Final = tuple((_KEYS.get(name, f"HTTP_{name.upper().replace('-', '_')}"), name) for name in FIELDS_READ)


class Asked(NamedTuple):
    """A request as the proxy describes it. `has_body` is how it is framed, `length` what it announces, if it does."""

    request: HttpRequest
    has_body: bool
    length: int | None


def read_request(environ: Mapping[str, Any], origins: Origins) -> Asked:
    """Return the request that the proxy asks about. Proves nothing.

    Raises `MalformedEvidence` (`request.host_unknown`, `request.target_not_canonical`, `request.body_framing`).
    """
    length, has_body = _framing(environ)
    find = environ.get
    headers = {name: value for key, name in _FIELDS if (value := find(key)) is not None}
    target, method = find("HTTP_ORIGINALTARGET", ""), find("HTTP_ORIGINALMETHOD", "")
    if not target or not method:
        raise MalformedEvidence(reasons.TARGET_NOT_CANONICAL, "the proxy names no method or no target")
    origin = origins.pick(find("HTTP_ORIGINALHOST"))
    return Asked(HttpRequest(method=method, origin=origin, target=target, headers=headers), has_body, length)


def _framing(environ: Mapping[str, Any]) -> tuple[int | None, bool]:
    """Return the announced length, and whether there is a body; refuse what two parties could frame differently."""
    length, coding = environ.get("HTTP_ORIGINALLENGTH"), environ.get("HTTP_ORIGINALCODING")
    if coding is not None and (length is not None or coding.lower() != "chunked"):
        raise MalformedEvidence(reasons.BODY_FRAMING, "Transfer-Encoding")
    if length is None:
        return None, coding is not None
    if not (length.isascii() and length.isdecimal() and len(length) <= _MAX_LENGTH_DIGITS):
        raise MalformedEvidence(reasons.BODY_FRAMING, "Content-Length")
    return int(length), int(length) > 0


_MAX_LENGTH_DIGITS: Final = 15
