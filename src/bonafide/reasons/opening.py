"""Reasons of the area `opening`: glass that was broken on purpose."""

from __future__ import annotations

from typing import Final

from bonafide.reasons._reason import Reason

_SPEC = "ARCHITECTURE, one request"

MALFORMED: Final = Reason(
    code="opening.malformed",
    meaning="An opening is not a JWS with exactly the members of its form.",
    honest_cause="A service of another version, or a row that was edited by hand.",
    likely_attack="Writing an opening into the database without the service's key.",
    remedy="Close it, and open again with `bonafide open`.",
    spec=_SPEC,
)

SIGNATURE_INVALID: Final = Reason(
    code="opening.signature_invalid",
    meaning="An opening is not signed by the service key.",
    honest_cause="The service key was replaced while the opening stood.",
    likely_attack="Whoever can write to the database, opening the API without the service's key.",
    remedy="Find out who wrote the row. Close it.",
    spec=_SPEC,
)

ELSEWHERE: Final = Reason(
    code="opening.elsewhere",
    meaning="An opening is for another service or environment.",
    honest_cause="A database that was copied from staging to production.",
    likely_attack="Taking an opening of staging to production.",
    remedy="Close it.",
    spec=_SPEC,
)

TOO_LONG: Final = Reason(
    code="opening.too_long",
    meaning="An opening would stand for no time at all, or for more than 24 h.",
    honest_cause="A slip in `--for`.",
    likely_attack="An opening that nobody remembers.",
    remedy="Open for minutes; open again if need be, or set the route to observe.",
    spec=_SPEC,
)

WITHOUT_CAUSE: Final = Reason(
    code="opening.without_cause",
    meaning="An opening does not say who opens, why, or which route.",
    honest_cause="Haste.",
    likely_attack="None: it is refused before it is signed.",
    remedy="Say `--because`.",
    spec=_SPEC,
)
