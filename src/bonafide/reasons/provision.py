"""Reasons of the area `provision`: what a service tells its gates, and how a gate asks."""

from __future__ import annotations

from typing import Final

from bonafide.reasons._reason import Action, Reason

_SPEC = "PROTOCOL section 3; docs/adr/0011"

ASK_MALFORMED: Final = Reason(
    code="provision.ask_malformed",
    meaning="What a gate asks with is not a JWS with exactly the members of its form.",
    honest_cause="A gate of another version.",
    likely_attack="Probing the service's endpoint for gates.",
    remedy="Run the same version at service and gate.",
    spec=_SPEC,
)

GATE_UNKNOWN: Final = Reason(
    code="provision.gate_unknown",
    meaning="No gate of this name is registered in this environment, or it was retired.",
    honest_cause="A gate that nobody has registered yet.",
    likely_attack="Asking for the keys of gates from outside.",
    remedy="`bonafide gates add NAME --jwk …`.",
    spec=_SPEC,
)

ASK_SIGNATURE_INVALID: Final = Reason(
    code="provision.ask_signature_invalid",
    meaning="The ask is not signed by the key that the gate was registered with.",
    honest_cause="A gate whose key file was made anew.",
    likely_attack="Somebody else asking in a gate's name.",
    remedy="Register the gate's new public key.",
    spec=_SPEC,
)

ASK_ELSEWHERE: Final = Reason(
    code="provision.ask_elsewhere",
    meaning="The ask is for another service or environment.",
    honest_cause="`issuer` or `environment` in the gate's file differ from the service's.",
    likely_attack="An ask that was meant for another service, sent here.",
    remedy="Make both sides say the same.",
    spec=_SPEC,
)

ASK_STALE: Final = Reason(
    code="provision.ask_stale",
    meaning="The ask was signed more than 15 s ago, or ahead of the service's clock.",
    honest_cause="Clocks of gate and service that are apart.",
    likely_attack="An ask that was recorded, sent again.",
    remedy="Mend the time service.",
    spec=_SPEC,
    action=Action.FIX_CLOCK,
)

ANSWER_MALFORMED: Final = Reason(
    code="provision.answer_malformed",
    meaning="The service's answer to a gate is not in its form.",
    honest_cause="A service of another version; a proxy's error page.",
    likely_attack="Somebody between gate and service.",
    remedy="Run the same version at service and gate.",
    spec=_SPEC,
    status=503,
    action=Action.BACK_OFF,
)

ANSWER_NOT_OURS: Final = Reason(
    code="provision.answer_not_ours",
    meaning="The answer does not open with the gate's key, or is not signed by a pinned service key.",
    honest_cause="`service_keys` in the gate's file are not those of this service.",
    likely_attack="Somebody between gate and service, giving the gate keys of their own.",
    remedy="Take the thumbprints that `bonafide serve` prints.",
    spec=_SPEC,
    status=503,
    action=Action.BACK_OFF,
)

ANSWER_ELSEWHERE: Final = Reason(
    code="provision.answer_elsewhere",
    meaning="The answer is for another gate, environment or audience, or to another ask.",
    honest_cause="A gate registered with another audience than its file says.",
    likely_attack="An earlier answer sent again, so that a gate does not learn of a ban.",
    remedy="Make registration and file say the same.",
    spec=_SPEC,
    status=503,
    action=Action.BACK_OFF,
)
