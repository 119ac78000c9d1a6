"""A first route table for a project: what its URLconf says, as TOML that somebody will read and correct.

Rules of this file: what is not known is an app route, which asks for a proof, and observes. Only what names itself
(the console, files, health, webhooks) is proposed to pass without, each with a reason to be filled in;
and never by a pattern wider than its URL.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.conf import settings

from bonafide.routes import Client, Route, RouteTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bonafide.django.url_inventory import Url

FILL_IN: Final = "FILL IN:"
"""What a proposed reason begins with; a system check (bonafide.W104) asks for it until somebody has written one."""

_HEADER: Final = """\
# What each URL demands. First match wins, and what no rule names is refused as soon as one rule enforces.
# `*` stands for one segment, a final `**` for the rest. Every key: docs/reference/routes.md
#
# App routes observe: refusals are recorded and let through. Release the app, look at the observed routes in the
# admin, then write mode = "10%", and mode = "enforce".
"""
_HEALTH: Final = re.compile(r"(?:^|[/_-])(?:health|healthz|livez?|readyz?|liveness|readiness|ping|status)(?:[/_.-]|$)")
_WEBHOOK: Final = re.compile(r"(?:^|[/_-])(?:web)?hooks?(?:[/_.-]|$)")
_FILE_VIEWS: Final = ("django.views.static", "django.contrib.staticfiles.views")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One rule to write. `because` is set where the client is `open`; `notes` become comments above the rule."""

    match: str
    client: Client
    because: str = ""
    notes: tuple[str, ...] = ()


def propose(inventory: Iterable[Url]) -> tuple[Proposal, ...]:
    """Return the rules for these URLs, in an order in which none hides another that asks for less."""
    found: dict[str, Proposal] = {}
    listed = tuple(_from_urls(inventory))
    for proposal in (*listed, *_from_files(listed)):
        known = found.get(proposal.match)
        if known is None or (known.client is not Client.APP and proposal.client is Client.APP):
            found[proposal.match] = proposal  # one pattern for two URLs: the stricter holds
    return tuple(sorted(found.values(), key=_order))


def unservable(inventory: Iterable[Url]) -> tuple[Url, ...]:
    """Return the URLs to which no admitted target leads: their paths hold `;`, a control or an empty segment."""
    return tuple(url for url in inventory if not url.forms)


def write_toml(proposals: Iterable[Proposal]) -> str:
    """Return the table as TOML."""
    return "\n".join([_HEADER, *(_rule(proposal) for proposal in proposals)])


def _from_urls(inventory: Iterable[Url]) -> Iterator[Proposal]:
    consoles: set[str] = set()
    for url in inventory:
        if "admin" in url.apps:
            # The admin's own catch-all view tells where it begins; everything below is the console's.
            consoles.update(form.match for form in url.forms if form.match.endswith("/**") and form.exact)
            continue
        for form in url.forms:
            client, because = _client_of(url) if form.exact else (Client.APP, "")
            wider = () if form.exact else (f"Wider than the URL {url.written}: a rule matches whole segments.",)
            yield Proposal(match=form.match, client=client, because=because, notes=wider)
    yield from (
        Proposal(match=match, client=Client.BROWSER, notes=("The console: browsers, and its own login.",))
        for match in _widest(consoles)
    )


def _client_of(url: Url) -> tuple[Client, str]:
    words = f"{url.written} {url.name}".lower().replace(" ", "/")
    if url.module in _FILE_VIEWS:
        return Client.OPEN, f"{FILL_IN} why may anybody read these files?"
    if _HEALTH.search(words):
        return Client.OPEN, f"{FILL_IN} who asks, and does the answer tell nothing?"
    if _WEBHOOK.search(words):
        return Client.OPEN, f"{FILL_IN} which partner calls, and how does the view verify its signature?"
    return Client.APP, ""


def _from_files(listed: Iterable[Proposal]) -> Iterator[Proposal]:
    """Propose what development servers serve without the URLconf, unless one of its URLs could answer there."""
    table = RouteTable(Route(match=match) for match in dict.fromkeys(proposal.match for proposal in listed))
    for setting in ("STATIC_URL", "MEDIA_URL"):
        url = getattr(settings, setting, None) or ""
        if len(url) > 1 and url[0] == url[-1] == "/" and table.match("GET", f"{url}x") is None:
            yield Proposal(
                match=f"{url}**", client=Client.OPEN, because=f"{FILL_IN} why may anybody read the files of {setting}?"
            )


def _widest(matches: set[str]) -> list[str]:
    prefixes = sorted(matches)
    return [
        match
        for match in prefixes
        if not any(match != other and match.startswith(other.removesuffix("**")) for other in prefixes)
    ]


def _order(proposal: Proposal) -> tuple[bool, tuple[tuple[int, str], ...]]:
    """Sort literal segments before wildcards, place by place; app rules that are catch-alls come last."""
    weights = {"*": 1, "**": 2}
    segments = tuple((weights.get(part, 0), part) for part in proposal.match.split("/"))
    return (proposal.match == "/**", segments)


def _rule(proposal: Proposal) -> str:
    lines = [f"# {note}" for note in proposal.notes]
    lines += ["[[route]]", f"match = {_quote(proposal.match)}"]
    if proposal.client is Client.APP:
        lines.append('mode = "observe"')
    else:
        lines.append(f"client = {_quote(proposal.client)}")
    if proposal.because:
        lines.append(f"because = {_quote(proposal.because)}")
    return "\n".join([*lines, ""])


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
