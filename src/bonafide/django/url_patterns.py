"""Django's URL patterns as patterns of the route table.

Django matches regular expressions, the table whole segments. The translation never leaves out a path that
Django would route: where it cannot be exact (part of a segment, a group that may hold slashes, a pattern
without an end) it is wider, and says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from re import _constants as sre  # type: ignore[attr-defined]  # the standard library's own parser; no public one exists
from re import _parser  # type: ignore[attr-defined]  # as above
from typing import TYPE_CHECKING, Any, Final

from bonafide.errors import MalformedEvidence
from bonafide.http import encode_target, split_target

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_SPELLINGS: Final = 32
"""How many forms of one pattern are told apart (`/?` doubles them); above it the rest is one wildcard."""

_BEGINNINGS: Final = (sre.AT_BEGINNING, sre.AT_BEGINNING_STRING)
_ENDS: Final = (sre.AT_END, sre.AT_END_STRING)


@dataclass(frozen=True, slots=True)
class Wild:
    """A part of a path that varies; with `slashes` it may go over several segments."""

    slashes: bool


Spelling = tuple["str | Wild", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """One form of a URL: the rule's pattern for it, a path that it stands for, and whether the pattern is exact."""

    match: str
    sample: str
    exact: bool


def spellings(pattern: re.Pattern[str], *, last: bool) -> tuple[Spelling, ...]:
    """Return the forms of one Django pattern. `last` says that nothing follows it (a view, not an include)."""
    parsed = _parser.parse(pattern.pattern, pattern.flags)
    forms = _sequence(parsed)
    if not _begins(parsed) and not (last and pattern.pattern.endswith("$")):  # Django matches the whole of such a one
        forms = forms + tuple((Wild(slashes=True), *form) for form in forms)
    if last and not _ends(parsed):
        forms = tuple((*form, Wild(slashes=True)) for form in forms) + forms
    return forms


def join(before: Iterable[Spelling], after: Sequence[Spelling]) -> tuple[Spelling, ...]:
    """Return every form of `before` followed by every form of `after`."""
    return tuple((*first, *second) for first, second in product(before, after))


def translate(spelling: Spelling) -> Translation | None:
    """Return the rule for one form of a URL; None where no admitted target has that form."""
    segments: list[str] = []
    exact = True
    parts = _segments(spelling)
    for position, (segment, slashes) in enumerate(parts, 1):
        if slashes:
            exact = exact and segment == (Wild(slashes=True),) and position == len(parts)
            return _translation("/".join([*segments, "**"]), exact=exact)
        if any(isinstance(part, Wild) for part in segment):
            exact = exact and len(segment) == 1
            segments.append("*")
        else:
            segments.append(encode_target("".join(map(str, segment)).encode(), ""))
    return _translation("/".join(segments), exact=exact)


def _translation(match: str, *, exact: bool) -> Translation | None:
    sample = match.removesuffix("**").replace("*", "x") + ("x/x" if match.endswith("**") else "")
    try:
        split_target(sample)
    except MalformedEvidence:
        return None
    return Translation(match=match, sample=sample, exact=exact)


def _segments(spelling: Spelling) -> list[tuple[Spelling, bool]]:
    """Cut a form at its slashes; the flag tells a segment in which a part may hold further ones."""
    found: list[list[str | Wild]] = [[]]
    for part in spelling:
        if part == "/":
            found.append([])
        else:
            found[-1].append(part)
    return [(tuple(parts), any(isinstance(part, Wild) and part.slashes for part in parts)) for parts in found]


def _begins(parsed: Any) -> bool:
    """Tell whether the expression begins with the path. Django searches: what does not may match anywhere in it."""
    return bool(len(parsed)) and parsed[0][0] is sre.AT and parsed[0][1] in _BEGINNINGS


def _ends(parsed: Any) -> bool:
    """Tell whether the expression ends with the path. What does not end matches anything after it."""
    return bool(len(parsed)) and parsed[-1][0] is sre.AT and parsed[-1][1] in _ENDS


def _sequence(parsed: Any) -> tuple[Spelling, ...]:
    forms: tuple[Spelling, ...] = ((),)
    for operation, argument in parsed:
        forms = join(forms, _forms(operation, argument))
        if len(forms) > MAX_SPELLINGS:
            return ((Wild(slashes=True), Wild(slashes=True)),)  # twice: no view's argument, and so not exact
    return tuple(dict.fromkeys(forms))


def _forms(operation: Any, argument: Any) -> tuple[Spelling, ...]:
    if operation is sre.LITERAL:
        return ((chr(argument),),)
    if operation in {sre.AT, sre.ASSERT, sre.ASSERT_NOT}:
        return ((),)  # what an assertion forbids is routed nowhere: leaving it out is wider, and harmless
    if operation in {sre.SUBPATTERN, sre.ATOMIC_GROUP}:
        named = operation is sre.SUBPATTERN
        return _group(argument[-1] if named else argument, captured=named and argument[0] is not None)
    if operation is sre.BRANCH:
        return tuple(form for branch in argument[1] for form in _sequence(branch))
    if operation in {sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT}:
        least, most, inner = argument
        repeated: tuple[Spelling, ...] = ((_wild(inner),),) if most != 1 else _sequence(inner)
        return (*repeated, ()) if least == 0 else repeated
    return ((Wild(slashes=_admits_slash(operation, argument)),),)


def _group(inner: Any, *, captured: bool) -> tuple[Spelling, ...]:
    """Return the forms of a group: an argument of the view is one wildcard, anything else what it spells."""
    forms = _sequence(inner)
    if not captured or all(isinstance(part, str) for form in forms for part in form):
        return forms
    wild: tuple[Spelling, ...] = ((_wild(inner),),)
    return (*wild, ()) if inner.getwidth()[0] == 0 else wild


def _wild(inner: Any) -> Wild:
    return Wild(slashes=any(_admits_slash(operation, argument) for operation, argument in inner))


def _admits_slash(operation: Any, argument: Any) -> bool:
    """Tell whether a piece of an expression could match a slash; in doubt it could."""
    slash = ord("/")
    if operation is sre.LITERAL:
        return bool(argument == slash)
    if operation is sre.NOT_LITERAL:
        return bool(argument != slash)
    if operation is sre.IN:
        return _set_admits_slash(argument)
    if operation in {sre.AT, sre.ASSERT, sre.ASSERT_NOT}:
        return False
    if operation is sre.SUBPATTERN:
        return _wild(argument[-1]).slashes
    if operation in {sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT}:
        return _wild(argument[2]).slashes
    if operation is sre.BRANCH:
        return any(_wild(branch).slashes for branch in argument[1])
    return True


def _set_admits_slash(members: Any) -> bool:
    negated, slash = False, ord("/")
    found = False
    for operation, argument in members:
        if operation is sre.NEGATE:
            negated = True
        elif operation is sre.LITERAL:
            found = found or argument == slash
        elif operation is sre.RANGE:
            found = found or argument[0] <= slash <= argument[1]
        else:  # a class: digits, words and spaces hold no slash, their complements do
            found = found or argument in {sre.CATEGORY_NOT_DIGIT, sre.CATEGORY_NOT_SPACE, sre.CATEGORY_NOT_WORD}
    return found != negated
