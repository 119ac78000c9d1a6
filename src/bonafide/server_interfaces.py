"""What WSGI and ASGI servers hand over, read so that what was signed is what the application will run.

For everybody who stands between a server and an application: Django's middleware and those of `upstream`.

Rules of this file:
- Headers come from what the server put into `environ` or `scope`; names with `_` are dropped where they can
  be told from `-` (ASGI). Under WSGI dropping them is the server's part, and the application reads what was judged.
- The target is the raw one where the server shows it, else the decoded path in its one canonical spelling.
  Either way it must decode to the path that the application routes, or the request is refused: a server, a
  proxy's header or a middleware that moves paths about cannot make one path be signed and another be run.
- The part below which an application is mounted is configured. One that comes with the request is refused,
  because gunicorn takes it from a header of any peer it trusts.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from bonafide.errors import MalformedEvidence
from bonafide.http import encode_target
from bonafide.reasons import request as reasons

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CLIENT_HEADERS_REFUSED: Final = "bonafide-"
"""What begins so is said by a gate, and never by a client: dropped before the application (PROTOCOL section 7)."""

_REFUSED_OCTETS: Final = CLIENT_HEADERS_REFUSED.encode()
_REFUSED_KEYS: Final = "HTTP_BONAFIDE_"
_RAW_TARGETS: Final = ("RAW_URI", "REQUEST_URI")  # gunicorn; uWSGI, mod_wsgi, Werkzeug. No header is called so.
_MAX_LENGTH_DIGITS: Final = 15  # a petabyte; Python refuses to read numbers of thousands of digits
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")

Fields = list[tuple[bytes, bytes]]
"""Header fields as ASGI has them."""


def headers_of_environ(environ: Mapping[str, Any]) -> dict[str, str]:
    """Return the header fields by lower-case name, as the server joined those of one name."""
    headers = {name: value for key, value in environ.items() if key.startswith("HTTP_") and (name := _header_name(key))}
    for key, name in (("CONTENT_TYPE", "content-type"), ("CONTENT_LENGTH", "content-length")):
        if value := environ.get(key):  # servers say '' where there is none
            headers[name] = value
    return headers


@lru_cache(maxsize=512)
def _header_name(key: str) -> str:
    name = key.removeprefix("HTTP_").replace("_", "-").lower()
    return "" if name in {"content-type", "content-length"} else name  # Content_Type, from a server that lets `_` in


def headers_of_scope(fields: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the header fields by lower-case name, several of one name joined by a comma (cookies by `; `)."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in fields:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if "_" in name:
            continue
        if name in headers:
            value = headers[name] + ("; " if name == "cookie" else ",") + value
        headers[name] = value
    return headers


def single_field_of_environ(environ: Mapping[str, Any], name: str) -> str | None:
    """Return the value of a field that was sent once; None where it was not sent, or more than once.

    `name` is in lower case. For fields whose values hold no comma: servers join several of one name by it.
    """
    value = environ.get("HTTP_" + name.upper().replace("-", "_"))
    return value if value and "," not in value else None


def single_field_of_scope(fields: Iterable[tuple[bytes, bytes]], name: str) -> str | None:
    """Return the value of a field that was sent once, and in no spelling with `_`; None otherwise."""
    wanted = name.encode()
    found = [each for each in fields if each[0].lower().replace(b"_", b"-") == wanted]
    return found[0][1].decode("latin-1") if len(found) == 1 and b"_" not in found[0][0] else None


def claims_in_environ(environ: Mapping[str, Any]) -> list[str]:
    """Return the keys of header fields that begin with `bonafide-`, `_` read as `-`."""
    return [key for key in environ if key.startswith(_REFUSED_KEYS)]


def without_claims(fields: Iterable[tuple[bytes, bytes]]) -> Fields:
    """Return the header fields without those that begin with `bonafide-`, `_` read as `-`."""
    return [each for each in fields if not each[0].lower().replace(b"_", b"-").startswith(_REFUSED_OCTETS)]


def raw_target_of_environ(environ: Mapping[str, Any]) -> str | None:
    """Return the target as it was sent, or None where the server (WSGI) shows only the decoded path."""
    return next((str(environ[name]) for name in _RAW_TARGETS if environ.get(name)), None)


def raw_target_of_scope(scope: Mapping[str, Any]) -> str | None:
    """Return the target as it was sent, for HTTP and WebSockets, or None where the server (ASGI) does not show it."""
    raw_path: bytes | None = scope.get("raw_path")
    if not raw_path:
        return None
    query: bytes = scope.get("query_string", b"")
    return (raw_path + (b"?" + query if query else b"")).decode("latin-1")


def agreed_target(raw: str | None, routed: bytes, *, query: str, mounted: str, mount: str) -> str:
    """Return the request target on which server and application agree; see the rules of this file.

    `routed` is the decoded path that the application routes below its mount, `query` what it reads as the query;
    `mounted` is the mount as the request has it, `mount` as it is configured, without a final `/`.
    Raises `MalformedEvidence` (`request.target_not_canonical`). Does not prove that the target is canonical.
    """
    if mounted.rstrip("/") != mount:
        raise MalformedEvidence(reasons.TARGET_NOT_CANONICAL, "the server's mount is not the configured one")
    if raw is None:
        return encode_target(mount.encode() + routed, query)
    raw_path, _, raw_query = raw.partition("?")
    sent = _ESCAPE.sub(_unescape, raw_path.encode("latin-1", "replace"))
    if raw_query == query:
        if sent == mount.encode() + routed:
            return raw
        if sent == routed:  # the proxy in front took the mount off
            return encode_target(mount.encode(), "") + raw
    raise MalformedEvidence(reasons.TARGET_NOT_CANONICAL, "the application would route another path")


def _unescape(found: re.Match[bytes]) -> bytes:
    return bytes([int(found[1], 16)])


def announced_length(length: str, coding: str | None, *, decoded: bool) -> int | None:
    """Return how long a body will be; None where only its end will tell.

    `length` and `coding` are the values of Content-Length ("" where absent) and Transfer-Encoding; `decoded` says
    that the server takes the body's chunks apart, so that it ends by itself. Raises `MalformedEvidence`
    (`request.body_framing`) where two parties could disagree about where the body ends (RFC 9112 section 6).
    """
    if coding is not None and (length or coding.lower() != "chunked" or not decoded):
        raise MalformedEvidence(reasons.BODY_FRAMING, "Transfer-Encoding")
    if length and not (length.isascii() and length.isdecimal() and len(length) <= _MAX_LENGTH_DIGITS):
        raise MalformedEvidence(reasons.BODY_FRAMING, "Content-Length")
    if length:
        return int(length)
    return None if decoded else 0
