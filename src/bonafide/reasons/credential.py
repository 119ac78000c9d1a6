"""Reasons of the area `credential`: the user's credential and the key that it is bound to (PROTOCOL section 8)."""

from __future__ import annotations

from typing import Final

from bonafide.reasons._reason import Action, Reason

NOT_BOUND: Final = Reason(
    code="credential.not_bound",
    meaning="The credential is bound to no key, and credentials from before are not accepted.",
    honest_cause="A user who logged in before Bonafide was enforced.",
    likely_attack="A credential stolen before there were bindings.",
    remedy='None: the user logs in again. `BINDING = {"existing": "bind_on_first_use until DATE"}` spares that.',
    spec="PROTOCOL section 8",
)

BOUND_TO_ANOTHER_KEY: Final = Reason(
    code="credential.bound_to_another_key",
    meaning="The credential is bound, and not to the key that signed this request.",
    honest_cause="An app that restored its tokens to a new phone from a backup.",
    likely_attack="A credential lifted by a proxy, in a genuine app on another phone.",
    remedy="None: the user logs in again on this device.",
    spec="PROTOCOL section 8",
)

PROOF_MISSING: Final = Reason(
    code="credential.proof_missing",
    meaning="A bound credential was presented on a request that names no admitted instance.",
    honest_cause="The credential is used on a browser or open route.",
    likely_attack="A stolen credential on a route that asks for no proof.",
    remedy="Make the route an app route, or do not authenticate there with the app's credentials.",
    spec="PROTOCOL section 8",
)

HARDWARE_PROOF_REQUIRED: Final = Reason(
    code="credential.hardware_proof_required",
    meaning="Login, refresh or a change of password came with a session proof.",
    honest_cause="An SDK that was not told about the route.",
    likely_attack="A session key read out of a running app (N4).",
    remedy='Give the route `proof = "hardware"`.',
    spec="PROTOCOL section 8",
    action=Action.SIGN_AGAIN,
)

CONFIRMATION_MISSING: Final = Reason(
    code="credential.confirmation_missing",
    meaning="An access token that must name its key (`cnf` with `jkt`) names none, or in another form.",
    honest_cause="An authorization server that was asked for the token without a DPoP proof.",
    likely_attack="A plain bearer token of the same user, stolen elsewhere.",
    remedy="Have the authorization server bind tokens to the key: DPoP at its token endpoint.",
    spec="RFC 9449 section 6.1; RFC 7800 section 3",
)
