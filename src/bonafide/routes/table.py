"""Route policy (PROTOCOL section 6): which requests need what, as values that cannot hold nonsense.

Rules of this file: a closed set of keys; a key that is known and not built is refused, never ignored;
first match wins; no match is a refusal. Nothing here looks at a request's headers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import TYPE_CHECKING, Final, NoReturn

from bonafide.errors import ConfigurationError, MalformedEvidence
from bonafide.http import split_target
from bonafide.reasons import configuration as reasons
from bonafide.terms import Platform, ProofKind, Tier

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

MAX_PROOF_AGE_S: Final = 300
"""The most that a route for slow uploads may allow between signing and arrival."""

MAX_FRESH_S: Final = 3600
"""The longest that a route may take evidence for fresh: as long as a client attestation lives at most."""

_WITHOUT_BODY: Final = frozenset(("GET", "HEAD", "OPTIONS", "DELETE"))
_MATCH_CACHE_ENTRIES: Final = 4096
_MATCH_CACHE_PATH_CHARACTERS: Final = 256
_WILDCARDS: Final = re.compile(r"(?<=/)(\*\*\Z|\*(?=/|\Z))")


@unique
class Client(StrEnum):
    """Who a route is for. `app` demands proofs; `browser` and `open` pass without."""

    APP = "app"
    BROWSER = "browser"
    OPEN = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Legacy:
    """Until when, and up to which share of a route's traffic, requests without any proof pass."""

    until: date
    max_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One rule. `enforced_share` is 1 for `enforce`, 0 for `observe`, between them for a rehearsal.

    `methods` is None for every method. `max_body` is in octets, `max_age` and `fresh` in seconds (None asks for no
    freshness). Versions are tuples of numbers. A route never weakens what was proven; it only demands more or nothing.
    """

    match: str
    methods: frozenset[str] | None = None
    client: Client = Client.APP
    because: str = ""
    proof: ProofKind = ProofKind.SESSION
    tier: Tier = Tier.AFFIRMING
    enforced_share: float = 1.0
    legacy: Legacy | None = None
    seal: bool = False
    single_use: bool = True
    max_body: int | None = None
    max_age: int = 60
    fresh: int | None = None
    min_version: tuple[int, ...] = ()
    min_os: tuple[int, ...] = ()
    platforms: frozenset[Platform] | None = None
    upgrade: bool = False
    pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse contradictions: they would read stronger than they are."""
        object.__setattr__(self, "pattern", _compile(self.match))
        if self.seal and (self.client is not Client.APP or self.legacy is not None or self.upgrade):
            refuse(
                self.match, "seal stands beside no legacy, no upgrade and no client but app: they get answers in clear"
            )
        if self.seal and self.proof is ProofKind.DPOP:
            refuse(self.match, 'seal stands beside no proof = "dpop": such a proof has no session to seal under')
        if self.client is Client.OPEN and not self.because.strip():
            refuse(self.match, 'an open route says why: because = "…"')
        if not self.single_use and self.methods != frozenset(["GET"]):
            refuse(self.match, 'single_use = false is for methods = ["GET"] only')
        if not 0 < self.max_age <= MAX_PROOF_AGE_S:
            refuse(self.match, f"max_age is 1 to {MAX_PROOF_AGE_S} seconds")
        if self.fresh is not None:
            self._refuse_stale_contradictions(self.fresh)
        if self.tier is Tier.CONTRAINDICATED:
            refuse(self.match, "tier is affirming, warning or none")
        if self.legacy is not None and not 0 < self.legacy.max_share <= 1:
            refuse(self.match, "legacy.max_share is above 0 and at most 1")
        if self.client is not Client.APP and self.legacy is not None:
            refuse(self.match, "legacy is for app routes")

    @property
    def leaves_bodies_open(self) -> bool:
        """Whether requests that act by their bodies are admitted by a proof that covers none (DPoP)."""
        return not self.proof.covers_body and not (self.methods is not None and self.methods <= _WITHOUT_BODY)

    def _refuse_stale_contradictions(self, fresh: int) -> None:
        if not 0 < fresh <= MAX_FRESH_S:
            refuse(self.match, f"fresh is 1 to {MAX_FRESH_S} seconds")
        if self.proof is not ProofKind.HARDWARE:
            refuse(self.match, "fresh is for hardware proofs: a session key is no fresher than its attestation")
        if self.tier is Tier.NONE:
            refuse(self.match, "fresh asks for evidence, and tier none for none")
        if self.legacy is not None:
            refuse(self.match, "legacy would let in requests that prove nothing, where fresh asks for the most")


class RouteTable:
    """Rules in order. `match` finds the first whose pattern and methods fit; None means refuse."""

    def __init__(self, routes: Iterable[Route]) -> None:
        """Take the rules in order; the same pattern and methods twice is a `ConfigurationError`."""
        self._routes = tuple(routes)
        seen: set[tuple[str, frozenset[str] | None]] = set()
        for route in self._routes:
            if (route.match, route.methods) in seen:
                refuse(route.match, "the rule stands twice; the second would never be read")
            seen.add((route.match, route.methods))
        self._found: dict[tuple[str, str], Route | None] = {}

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

    def __len__(self) -> int:
        return len(self._routes)

    @property
    def enforces(self) -> bool:
        """Whether any rule refuses anything; a table that only observes refuses nothing at all."""
        return any(route.enforced_share > 0 and route.client is Client.APP for route in self._routes)

    def match(self, method: str, path: str) -> Route | None:
        """Return the first rule for this method and canonical path, or None."""
        key = (method, path)
        try:
            return self._found[key]
        except KeyError:
            route = self._search(method, path)
        if len(path) <= _MATCH_CACHE_PATH_CHARACTERS:
            if len(self._found) >= _MATCH_CACHE_ENTRIES:
                self._found.clear()  # a flood of made-up paths costs a search each, and no memory
            self._found[key] = route
        return route

    def _search(self, method: str, path: str) -> Route | None:
        for route in self._routes:
            if (route.methods is None or method in route.methods) and route.pattern.fullmatch(path):
                return route
        return None


def refuse(where: str, why: str) -> NoReturn:
    """Say which rule is wrong, and why. Always raises `ConfigurationError`."""
    raise ConfigurationError(reasons.ROUTE_MALFORMED, f"{where}: {why}")


def _compile(match: str) -> re.Pattern[str]:
    literal = _WILDCARDS.sub("x", match)
    try:
        canonical = "*" not in literal and split_target(literal)[1] == "?"
    except MalformedEvidence:
        canonical = False
    if not canonical or literal.endswith("?"):
        refuse(repr(match), "a pattern is a canonical path; `*` stands for one segment, a final `**` for the rest")
    pieces = _WILDCARDS.split(match)
    return re.compile("".join({"**": ".*", "*": "[^/]+"}.get(piece, re.escape(piece)) for piece in pieces))


OBSERVE_EVERYTHING: Final = RouteTable([Route(match="/**", enforced_share=0.0)])
"""What a first start runs with, before there is a table."""
