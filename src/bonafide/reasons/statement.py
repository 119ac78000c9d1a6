"""Reasons of the area `statement`: what a gate tells the API behind it, as that API reads it."""

from __future__ import annotations

from typing import Final

from bonafide.reasons._reason import Action, Reason

_SPEC = "PROTOCOL section 7"

MISSING: Final = Reason(
    code="statement.missing",
    meaning="The request reached the API without exactly one `Bonafide-Admission`.",
    honest_cause="A proxy that asks no gate for this path, or does not pass the gate's header on.",
    likely_attack="Calling the API past the gate, by an address that was meant to be private.",
    remedy="Let nobody but the proxy reach the API, and use the snippet that `bonafide nginx` writes.",
    spec=_SPEC,
    status=403,
)

MALFORMED: Final = Reason(
    code="statement.malformed",
    meaning="The statement is not a JWS with exactly the members of the profile.",
    honest_cause="A gate of another version.",
    likely_attack="A made-up header, sent past the gate.",
    remedy="Run the same version at the gate and beside the API.",
    spec=_SPEC,
    status=403,
)

SIGNATURE_INVALID: Final = Reason(
    code="statement.signature_invalid",
    meaning="The statement was not made with a key that this API shares with a gate.",
    honest_cause="Two key files that differ.",
    likely_attack="A forged statement, or one of a gate in front of another API.",
    remedy="Give gate and API the same key file; list two while you replace it.",
    spec=_SPEC,
    status=403,
)

STALE: Final = Reason(
    code="statement.stale",
    meaning="The statement was made more than 10 s ago, or more than 5 s ahead.",
    honest_cause="Clocks of gate and API that are apart; a request that waited in a queue between them.",
    likely_attack="Sending a statement again that was seen on the way from the gate.",
    remedy="Mend the time service; see what holds requests back.",
    spec=_SPEC,
    status=503,
    action=Action.BACK_OFF,
)

REQUEST_MISMATCH: Final = Reason(
    code="statement.request_mismatch",
    meaning="The statement is about another method, authority or target than the request in hand has.",
    honest_cause="A proxy that rewrites paths or hosts between the gate's question and the API.",
    likely_attack="A request that gate and API read differently, so that one is judged and another is run.",
    remedy="Pass requests on as they came: `proxy_pass` without a URI part, `Host` as it was.",
    spec=_SPEC,
    status=403,
)

ATTESTATION_MISMATCH: Final = Reason(
    code="statement.attestation_mismatch",
    meaning="The client attestation in hand is not the one that the gate verified.",
    honest_cause="A proxy that drops or changes `OAuth-Client-Attestation`.",
    likely_attack="Another instance's attestation put beside a statement.",
    remedy="Pass the header on as it came.",
    spec=_SPEC,
    status=403,
)

ROUTE_MISMATCH: Final = Reason(
    code="statement.route_mismatch",
    meaning="Gate and API have different route tables: the rule that the gate went by is not the API's.",
    honest_cause="A table that was changed in one of the two places.",
    likely_attack="None known.",
    remedy="Give both the same file.",
    spec=_SPEC,
    status=503,
    action=Action.BACK_OFF,
)

ANSWER_KEY_UNOPENED: Final = Reason(
    code="statement.answer_key_unopened",
    meaning="The key that a statement brings for its answer was not sealed for this statement.",
    honest_cause="A gate of another version.",
    likely_attack="Who holds the admission key puts one request's key beside another request.",
    remedy="Run the same version at the gate and beside the API; replace the admission key if versions are alike.",
    spec="PROTOCOL section 7, ADR 15",
    status=403,
)
