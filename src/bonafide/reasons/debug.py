"""Reasons of the area `debug`: evidence for simulators and CI, which proves the knowledge of a named secret."""

from __future__ import annotations

from typing import Final

from bonafide.reasons._reason import Action, Reason

_SPEC = "PROTOCOL section 2; ARCHITECTURE, prohibition 4"

NOT_ACCEPTED: Final = Reason(
    code="debug.not_accepted",
    meaning="This service accepts no debug evidence.",
    honest_cause="A simulator or a CI job pointed at production.",
    likely_attack="Debug evidence used against production.",
    remedy="Use staging.",
    spec=_SPEC,
    status=403,
)

EVIDENCE_MALFORMED: Final = Reason(
    code="debug.evidence_malformed",
    meaning="The evidence is not exactly format, name, issued_at and mac, with their types.",
    honest_cause="A client of another version.",
    likely_attack="Probing the parser.",
    remedy="Update the SDK or the CI job.",
    spec=_SPEC,
    status=400,
)

NAME_UNKNOWN: Final = Reason(
    code="debug.name_unknown",
    meaning="No active debug secret of this app has that name.",
    honest_cause="A secret that was revoked.",
    likely_attack="Guessing names, or a leaked secret after its revocation.",
    remedy="Make a new secret for that simulator or job.",
    spec=_SPEC,
    status=403,
)

MAC_INVALID: Final = Reason(
    code="debug.mac_invalid",
    meaning="The MAC over app, name, time and client data hash does not verify under the named secret.",
    honest_cause="A secret that was replaced under the same name, or another app's.",
    likely_attack="Evidence made without the secret, or moved to another request.",
    remedy="Compare the secret that the job has with the configured one.",
    spec="RFC 2104; PROTOCOL section 2",
)

EXPIRED: Final = Reason(
    code="debug.expired",
    meaning="The evidence was issued longer ago than the policy allows (5 min by default).",
    honest_cause="A slow job, or a clock that is behind.",
    likely_attack="Recorded evidence sent later.",
    remedy="Make the evidence when it is sent; see the time service of the job's machine.",
    spec=_SPEC,
    action=Action.FIX_CLOCK,
)

ISSUED_IN_FUTURE: Final = Reason(
    code="debug.issued_in_future",
    meaning="The evidence was issued more than 5 s ahead of this server's clock.",
    honest_cause="A clock that is ahead.",
    likely_attack="Evidence made now for later use.",
    remedy="See the time service of both machines.",
    spec=_SPEC,
    action=Action.FIX_CLOCK,
)
