"""A route's pattern as a regular expression that Nginx, Caddy and HAProxy read alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bonafide.routes import Route


def line_of(route: Route) -> str:
    """Return an expression for `METHOD target` as the route table matches them, the query left out.

    The route's own pattern is compared with a path; here a target may go on with `?`, which no path holds.
    """
    methods = "[A-Z]+" if route.methods is None else "|".join(sorted(route.methods))
    path = route.pattern.pattern.replace(".*", "[^?]*").replace("[^/]+", "[^/?]+")
    return rf"^(?:{methods}) {path}(?:\?|$)"
