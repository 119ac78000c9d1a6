"""Reasons of the area `session`: the nested JWT that brings a device its session key, and what it is derived from."""

from __future__ import annotations

from typing import Final

from bonafide.reasons._reason import Action, Reason

_SPEC = "PROTOCOL section 5"
_ATTACK = "A proxy whose CA the phone trusts, which puts a session of its own in place of the service's."


def _mismatch(name: str, meaning: str, honest_cause: str) -> Reason:
    return Reason(
        code=f"session.{name}_mismatch",
        meaning=meaning,
        honest_cause=honest_cause,
        likely_attack="A genuine session of another device or an earlier enrolment, swapped in by a proxy.",
        remedy="Renew; a session that fits replaces it.",
        spec=_SPEC,
        action=Action.RENEW,
    )


MALFORMED: Final = Reason(
    code="session.malformed",
    meaning="The session is not a compact JWS in a compact JWE in the profile's form.",
    honest_cause="A service of another version.",
    likely_attack=_ATTACK,
    remedy="Run matching versions of service and SDK. The detail names the part.",
    spec=_SPEC,
    action=Action.RENEW,
)

HEADER_REFUSED: Final = Reason(
    code="session.header_refused",
    meaning="A header is not exactly `alg`, `enc`, `epk`, `cty` outside and `alg`, `typ`, `jwk` inside.",
    honest_cause="A service of another version.",
    likely_attack="A header that steers the client: another `alg`, `zip`, `crit`, `p2c`, or a JWT of another type.",
    remedy="Run matching versions of service and SDK.",
    spec=_SPEC + "; RFC 8725 sections 3.1 and 3.11",
    action=Action.RENEW,
)

DECRYPTION_FAILED: Final = Reason(
    code="session.decryption_failed",
    meaning="The session does not open with this device's `agree` key.",
    honest_cause="The app was installed anew and made a new key.",
    likely_attack=_ATTACK,
    remedy="Enrol again with the present key.",
    spec=_SPEC + "; RFC 7516 section 5.2",
    action=Action.RENEW,
)

SERVICE_KEY_NOT_PINNED: Final = Reason(
    code="session.service_key_not_pinned",
    meaning="The key in the session's header has a thumbprint that the app does not carry.",
    honest_cause="A service whose keys were made anew, or an app built for another environment.",
    likely_attack=_ATTACK,
    remedy="Build the app with the thumbprints of this service, or put the service's key files back.",
    spec=_SPEC + "; PROTOCOL section 1",
)

SIGNATURE_INVALID: Final = Reason(
    code="session.signature_invalid",
    meaning="The session's signature does not verify under the pinned service key that it names.",
    honest_cause="None known.",
    likely_attack=_ATTACK,
    remedy="None.",
    spec=_SPEC + "; RFC 7515 section 5.2",
)

CLAIMS_MALFORMED: Final = Reason(
    code="session.claims_malformed",
    meaning="The claims are not exactly `app`, `inst`, `jkt`, `challenge`, `sid`, `key`, `iat`, `exp` in their forms.",
    honest_cause="A service of another version.",
    likely_attack="None: the signature held.",
    remedy="Run matching versions of service and SDK.",
    spec=_SPEC,
    action=Action.RENEW,
)

LIFETIME_REFUSED: Final = Reason(
    code="session.lifetime_refused",
    meaning="`exp` is not after `iat`, or more than 60 minutes after it.",
    honest_cause="A service with a lifetime above the ceiling.",
    likely_attack="None: the signature held.",
    remedy="Set the lifetime of client attestations to 60 minutes or less.",
    spec=_SPEC + "; PROTOCOL section 3",
    action=Action.RENEW,
)

APP_MISMATCH: Final = _mismatch("app", "`app` is not the app that asked.", "None known.")

INSTANCE_MISMATCH: Final = _mismatch(
    "instance", "`inst` is not the instance that the answer, or the renewed instance, names.", "None known."
)

JKT_MISMATCH: Final = _mismatch(
    "jkt", "`jkt` is not the thumbprint of this device's `sign` key.", "The key was made anew while the answer came."
)

CHALLENGE_MISMATCH: Final = _mismatch(
    "challenge",
    "`challenge` is not the one that this request sent.",
    "An answer to an earlier request, delivered late.",
)

DERIVATION_MISUSED: Final = Reason(
    code="session.derivation_misused",
    meaning="The program passed an input of the wrong size to the session's key schedule or its issuer.",
    honest_cause="A programming error.",
    likely_attack="None: only the program can cause this.",
    remedy="Correct the caller. The detail names the input.",
    spec=_SPEC,
    status=500,
)

KEY_MISSING: Final = Reason(
    code="session.key_missing",
    meaning="The key ring has no gate key for this audience and day, or no signing key at all.",
    honest_cause="An audience that was configured after the keys were planned.",
    likely_attack="None: audiences are compared with the configured ones before.",
    remedy="List the audience where the key files are opened.",
    spec="PROTOCOL section 1",
    status=503,
    action=Action.BACK_OFF,
)
