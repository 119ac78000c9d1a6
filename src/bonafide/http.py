"""HTTP messages as values, and the one spelling of a request target that is admitted.

Rules of this file: no framework type enters the core, and nothing here trusts a `Host` header. An
origin is chosen from a closed, configured list; a request target is canonical or refused
(PROTOCOL section 4, "Target").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from bonafide.errors import ConfigurationError, MalformedEvidence
from bonafide.reasons import configuration
from bonafide.reasons import request as reasons

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MAX_HEADER_BYTES: Final = 8 * 1024
"""The largest value of any one header field that the core looks at."""

MAX_TARGET_BYTES: Final = 8 * 1024
"""The largest request target, path and query together."""

METHOD: Final = re.compile(r"[A-Z]{1,16}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A scheme and an authority as the operator configured them, e.g. `https` and `api.example.com`."""

    scheme: str
    authority: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


class HttpRequest(NamedTuple):
    """One request as its adapter received it; nothing in it is proven.

    `method` is upper case. `origin` comes from the configured list, chosen by the adapter. `target`
    is the raw origin-form request target. `headers` maps lower-case field names to the value the
    server joined; a name that held `_` is absent. The body is not part of it: whoever reads the body
    compares it with the covered digest.
    """

    method: str
    origin: Origin
    target: str
    headers: Mapping[str, str]


class Origins:
    """The closed list of origins of one environment; `Host` picks one and never makes one."""

    def __init__(self, origins: Iterable[str]) -> None:
        """Take origins as `scheme://authority`; refuse paths, user info and two schemes for one authority."""
        self._by_authority: dict[str, Origin] = {}
        for text in origins:
            origin = _parse_origin(text)
            if origin.authority in self._by_authority:
                raise ConfigurationError(configuration.ORIGIN_AMBIGUOUS, f"{origin.authority!r} is listed twice")
            self._by_authority[origin.authority] = origin
        if not self._by_authority:
            raise ConfigurationError(configuration.ORIGINS_EMPTY)

    def __iter__(self) -> Iterator[Origin]:
        return iter(self._by_authority.values())

    def pick(self, host: str | None) -> Origin:
        """Return the configured origin that the `Host` header names.

        Raises `MalformedEvidence` (`request.host_unknown`) for every host that is not in the list.
        """
        if host is not None:
            origin = self._by_authority.get(host)  # the spelling that nearly every client sends
            if origin is not None:
                return origin
            for origin in self._by_authority.values():
                if _without_default_port(host.lower(), origin.scheme) == origin.authority:
                    return origin
        raise MalformedEvidence(reasons.HOST_UNKNOWN)


def _parse_origin(text: str) -> Origin:
    match = _ORIGIN.fullmatch(text)
    if match is None or _without_default_port(match["authority"], match["scheme"]) != match["authority"]:
        raise ConfigurationError(configuration.ORIGIN_MALFORMED, repr(text))
    return Origin(scheme=match["scheme"], authority=match["authority"])


def _without_default_port(authority: str, scheme: str) -> str:
    return authority.removesuffix(":443" if scheme == "https" else ":80")


_ORIGIN: Final = re.compile(
    r"(?P<scheme>https?)://(?P<authority>(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:]+\])(?::[1-9][0-9]{0,4})?)"
)

# Octets that must be encoded: space " # < > ? [ ] ^ ` { | } and 0x80-0xFF. What is neither here nor
# literal (controls, / \\ % ;) has no admitted spelling inside a segment.
_ENCODED: Final = "%(?:2[023]|3[CEF]|5[BDE]|60|7[BCD]|[89A-F][0-9A-F])"
_SEGMENT: Final = rf"(?!\.\.?(?:[/?]|\Z))(?:[A-Za-z0-9._~:@!$&'()*+,=-]++|{_ENCODED})++"
_TARGET: Final = re.compile(rf"((?:/{_SEGMENT})+/?|/)(?:\?([!\"$-~]+))?")
_LITERAL: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:@!$&'()*+,=/")


def split_target(target: str) -> tuple[str, str]:
    r"""Split a request target into its path and its `@query` component (`?` and what follows, or a lone `?`).

    Proves that the target is in the one admitted spelling: origin-form, nothing encoded that could
    stand literally, escapes in upper case, no empty segment but the last, no dot segment, no encoded
    or literal `\\`, `;`, `%` or control and no encoded `/`; a query of visible ASCII without `#`; no bare final `?`.
    Does not prove that anything is served there.

    Raises `MalformedEvidence` (`request.target_not_canonical`).
    """
    return _split_short(target) if len(target) <= _SHORT_TARGET else _split(target)


def _split(target: str) -> tuple[str, str]:
    match = _TARGET.fullmatch(target) if len(target) <= MAX_TARGET_BYTES else None
    if match is None:
        raise MalformedEvidence(reasons.TARGET_NOT_CANONICAL)
    path, query = match.groups()
    return path, f"?{query}" if query else "?"


_SHORT_TARGET: Final = 256
_split_short: Final = lru_cache(maxsize=1024)(_split)  # apps ask for few targets, again and again


def encode_target(path: bytes, query: str) -> str:
    r"""Spell a decoded path (WSGI's PATH_INFO) and its raw query canonically.

    Exact where the original was canonical, because a canonical path never encodes `/` or `%`, so
    decoding loses nothing. Where the original was not canonical the result is another target than
    the client signed, or one that `split_target` refuses: `;`, `\\`, `%` and controls stay refused.
    """
    encoded = "".join(chr(octet) if octet in _LITERAL else f"%{octet:02X}" for octet in path)
    return f"{encoded}?{query}" if query else encoded
