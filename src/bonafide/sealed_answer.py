"""What of an application's answer goes into a sealed one, and which answers cannot be sealed (PROTOCOL section 5).

For whoever stands beside the body: Django's middleware, and those for WSGI and ASGI. An application knows nothing of
sealing; what it says in fields goes inside, and outside stands the same for every answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from bonafide.errors import Misuse
from bonafide.reasons import sealed as reasons
from bonafide.sealing import CACHE_CONTROL, CONTENT_TYPE, MAX_FIELDS_OCTETS, Fields, is_field

if TYPE_CHECKING:
    from collections.abc import Iterable

OUTSIDE: Final[Fields] = (("Content-Type", CONTENT_TYPE), ("Cache-Control", CACHE_CONTROL))
"""The fields of every sealed answer, beside Content-Length where it is known."""

UNFIT_STATUS: Final = 500
"""What an answer that cannot be sealed is replaced by: this status, sealed, with nothing inside."""

_AROUND: Final = len('["",""],')
_MOST_OCTETS: Final = 2
"""Of one character as JSON spells it: latin-1 in UTF-8, and what is escaped."""

_BODILESS: Final = frozenset([204, 205, 304])
_OK: Final = 200
_PARTIAL: Final = 206
_DROPPED: Final = frozenset(
    (
        # of the connection (RFC 9110 section 7.6.1) or of whoever holds it
        *("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
        *("content-length", "date", "server"),
        # what would be asked for by half, or kept
        *("accept-ranges", "age", "cache-control", "content-encoding", "content-range", "etag", "expires"),
        *("last-modified", "pragma"),
    )
)
_WITHHELD: Final = frozenset(["accept-encoding", "range", "te"])


class PreparedAnswer(NamedTuple):
    """How an answer is sealed: under this status, with these fields inside, and with its body or an empty one."""

    status: int
    fields: Fields
    has_body: bool


UNFIT: Final = PreparedAnswer(UNFIT_STATUS, (), has_body=False)


def prepare(status: int, fields: Iterable[tuple[str, str]]) -> PreparedAnswer:
    """Return how an application's answer is sealed. Names in any case; values as the application gave them.

    Raises `Misuse` (`sealed.answer_unfit`) for a part (206), an interim answer, a content coding, an event stream, a
    value with a control in it, and more than about 16 KiB of fields.
    """
    lowered = [(name.lower(), value.strip(" \t")) for name, value in fields]
    for name, value in lowered:
        if name == "content-encoding" and value.lower() not in {"", "identity"}:
            raise Misuse(reasons.ANSWER_UNFIT, "a content coding")
        if name == "content-type" and value.lower().startswith("text/event-stream"):
            raise Misuse(reasons.ANSWER_UNFIT, "an event stream")
    if status < _OK or status == _PARTIAL:
        raise Misuse(reasons.ANSWER_UNFIT, f"status {status}")
    inside = tuple((name, value) for name, value in lowered if name not in _DROPPED)
    if not all(is_field(name, value) for name, value in inside):
        raise Misuse(reasons.ANSWER_UNFIT, "a field")
    if sum(len(name) + len(value) + _AROUND for name, value in inside) > MAX_FIELDS_OCTETS // _MOST_OCTETS:
        raise Misuse(reasons.ANSWER_UNFIT, "more fields than there is room for")
    if status in _BODILESS:
        return PreparedAnswer(_OK, inside, has_body=False)
    return PreparedAnswer(status, inside, has_body=True)


def is_withheld(name: str) -> bool:
    """Tell whether the application must not see this field of a request (any case): it asks for what is not sealed."""
    lowered = name.lower().replace("_", "-")
    return lowered in _WITHHELD or lowered.startswith("if-")
