"""Reasons of the area `document`: secrets, configuration and pins, as an app opens them and the service gives them."""

from __future__ import annotations

from typing import Final

from bonafide.reasons._reason import Action, Reason

_SPEC = "PROTOCOL section 5; ADR 15"
_ATTACK = "A proxy whose CA the phone trusts, which puts a document of its own in place of the service's."
_SWAPPED = "A genuine document of another device, or from before, swapped in by a proxy."


def _mismatch(name: str, meaning: str, honest_cause: str) -> Reason:
    return Reason(
        code=f"document.{name}_mismatch",
        meaning=meaning,
        honest_cause=honest_cause,
        likely_attack=_SWAPPED,
        remedy="Ask again: the answer to a new question fits it.",
        spec=_SPEC,
    )


MALFORMED: Final = Reason(
    code="document.malformed",
    meaning="The document is not a compact JWS, or not a compact JWS in a compact JWE, in the profile's form.",
    honest_cause="A service of another version.",
    likely_attack=_ATTACK,
    remedy="Run matching versions of service and SDK. The detail names the part.",
    spec=_SPEC,
)

HEADER_REFUSED: Final = Reason(
    code="document.header_refused",
    meaning="A header is not exactly `alg`, `enc`, `epk`, `cty` outside and `alg`, `typ`, `jwk` of this kind inside.",
    honest_cause="A service of another version.",
    likely_attack="A document of another kind, e.g. a session, or a header that steers the client.",
    remedy="Run matching versions of service and SDK.",
    spec=_SPEC + "; RFC 8725 sections 3.1 and 3.11",
)

DECRYPTION_FAILED: Final = Reason(
    code="document.decryption_failed",
    meaning="The document does not open with this device's `agree` key.",
    honest_cause="The app was installed anew and made a new key.",
    likely_attack=_ATTACK,
    remedy="Enrol again with the present key.",
    spec=_SPEC + "; RFC 7516 section 5.2",
    action=Action.RENEW,
)

SERVICE_KEY_NOT_PINNED: Final = Reason(
    code="document.service_key_not_pinned",
    meaning="The key in the document's header has a thumbprint that the app does not carry.",
    honest_cause="A service whose keys were made anew, or an app built for another environment.",
    likely_attack=_ATTACK,
    remedy="Build the app with the thumbprints of this service, or put the service's key files back.",
    spec=_SPEC + "; PROTOCOL section 1",
)

SIGNATURE_INVALID: Final = Reason(
    code="document.signature_invalid",
    meaning="The document's signature does not verify under the pinned service key that it names.",
    honest_cause="None known.",
    likely_attack=_ATTACK,
    remedy="None.",
    spec=_SPEC + "; RFC 7515 section 5.2",
)

CLAIMS_MALFORMED: Final = Reason(
    code="document.claims_malformed",
    meaning="The claims are not exactly those of this kind of document in their forms.",
    honest_cause="A service of another version.",
    likely_attack="A signed document of the other form: the public configuration sealed by a proxy, say.",
    remedy="Run matching versions of service and SDK.",
    spec=_SPEC,
)

APP_MISMATCH: Final = _mismatch("app", "`app` is not the app that asked.", "None known.")

INSTANCE_MISMATCH: Final = _mismatch("instance", "`inst` is not this instance.", "None known.")

JKT_MISMATCH: Final = _mismatch(
    "jkt", "`jkt` is not the thumbprint of this device's `sign` key.", "The key was made anew while the answer came."
)

QUESTION_MISMATCH: Final = _mismatch(
    "question", "`question` is not the digest of the request that asked.", "An answer to an earlier request, late."
)

VERSION_LOWER: Final = Reason(
    code="document.version_lower",
    meaning="`version` is below the highest that this app has taken.",
    honest_cause="A service whose database was put back from an older copy.",
    likely_attack="An earlier document, which names a key or a value that has been withdrawn, played again.",
    remedy="Publish once more: each publication counts on. After an older copy was put back, until it is above.",
    spec=_SPEC,
)

EXPIRED: Final = Reason(
    code="document.expired",
    meaning="`exp` is not ahead of the app's clock.",
    honest_cause="Pins that nobody published again, or an app that was offline for long.",
    likely_attack="An earlier document, kept back until it helps.",
    remedy="Ask again; publish the pins again where they have ended.",
    spec=_SPEC,
)

UNISSUABLE: Final = Reason(
    code="document.unissuable",
    meaning="The program tried to issue a document that no app would take: too long, or out of its form.",
    honest_cause="More or longer values than one document holds.",
    likely_attack="None: only the operator can cause this.",
    remedy="Remove values, or make them shorter. The detail names the part.",
    spec=_SPEC,
    status=500,
)

AGREE_KEY_MISSING: Final = Reason(
    code="document.agree_key_missing",
    meaning="The instance that asks for secrets has no `agree` key, so that nothing can be sealed to it.",
    honest_cause="Android below 12.",
    likely_attack="None known.",
    remedy="None on such a device: have its requests made by a server of yours.",
    spec=_SPEC,
    status=403,
)

PINS_MISSING: Final = Reason(
    code="document.pins_missing",
    meaning="No pins have been published for this app, or those that were have ended.",
    honest_cause="An app that asks before the operator published.",
    likely_attack="None known.",
    remedy="`bonafide pins publish APP --from URL`.",
    spec=_SPEC,
    status=404,
)
