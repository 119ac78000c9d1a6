"""Reasons of the area `enrolment`: what a service refuses when instances enrol and renew.

Four refusals of a renewal look alike outside (status and action are the same), so that nobody learns which
instances exist, which key is theirs, or that one is banned: see `RENEWAL_REFUSED`.
"""

from __future__ import annotations

from typing import Final

from bonafide.reasons._reason import Action, Reason

_SPEC = "PROTOCOL section 2"

CLIENT_DATA_MALFORMED: Final = Reason(
    code="enrolment.client_data_malformed",
    meaning="The client data is not the JSON object, member for member, that this endpoint takes.",
    honest_cause="A client of another protocol version.",
    likely_attack="Probing the parser, or a signature made for another role presented as client data.",
    remedy="Update the SDK. The detail names the member.",
    spec=_SPEC,
    status=400,
    action=Action.UPDATE_APP,
)

EVIDENCE_MALFORMED: Final = Reason(
    code="enrolment.evidence_malformed",
    meaning="`evidence` is not a list of at most one object with the members of its format.",
    honest_cause="A client of another protocol version.",
    likely_attack="Two pieces of evidence, of which the verifier reads one.",
    remedy="Update the SDK. The detail names the member.",
    spec=_SPEC,
    status=400,
    action=Action.UPDATE_APP,
)

FORMAT_UNKNOWN: Final = Reason(
    code="enrolment.format_unknown",
    meaning="The evidence's format is not one that this service verifies.",
    honest_cause="A client of another protocol version, or a platform that is not built yet.",
    likely_attack="Looking for a format with weaker rules.",
    remedy="Update the service.",
    spec=_SPEC,
    status=400,
    action=Action.UPDATE_APP,
)

FORMAT_UNFIT: Final = Reason(
    code="enrolment.format_unfit",
    meaning="The evidence's format does not belong to the platform of the identity, or to what the instance holds.",
    honest_cause="A build that names another identity than its own.",
    likely_attack="The weaker format of two platforms.",
    remedy="Give the build the identity that it is signed as.",
    spec=_SPEC,
    status=403,
)

KEYS_EQUAL: Final = Reason(
    code="enrolment.keys_equal",
    meaning="`sign_jwk` and `agree_jwk` are the same key.",
    honest_cause="None known: the SDK makes two.",
    likely_attack="One key in two roles, so that what it says in one can be used in the other.",
    remedy="None.",
    spec="PROTOCOL section 1",
    status=400,
)

APP_UNKNOWN: Final = Reason(
    code="enrolment.app_unknown",
    meaning="`app` is not an app of this service.",
    honest_cause="An app built for another service or environment.",
    likely_attack="Looking for an app with a weaker policy.",
    remedy="Add the app if it is yours.",
    spec="PROTOCOL section 1",
    status=403,
)

IDENTITY_UNKNOWN: Final = Reason(
    code="enrolment.identity_unknown",
    meaning="`identity` is not, or is no longer, an identity of this app.",
    honest_cause="An App Clip, a white label or a Mac build that was not added; or one that was removed.",
    likely_attack="A repackaged app under its own team and bundle id.",
    remedy="Add the identity to the app if it is yours.",
    spec="PROTOCOL section 1",
    status=403,
)

FAILED_BEFORE: Final = Reason(
    code="enrolment.failed_before",
    meaning="This pair of client data and evidence was refused for good, with a reason not known to this release.",
    honest_cause="A service that went back to an older release.",
    likely_attack="Refused evidence sent again.",
    remedy="The detail names the recorded code. The SDK makes a new key.",
    spec=_SPEC,
    action=Action.RETRY_WITH_CHALLENGE,
)

POOL_FULL: Final = Reason(
    code="enrolment.pool_full",
    meaning="As many certificate chains are being verified as this host verifies at once.",
    honest_cause="A launch, or an update that reaches all phones at once.",
    likely_attack="Exhausting the service with evidence made up for it.",
    remedy="Wait: the SDK repeats the same body, which costs no `attestKey`.",
    spec=_SPEC,
    status=503,
    action=Action.BACK_OFF,
)

BANNED: Final = Reason(
    code="enrolment.banned",
    meaning="The `sign` key or the App Attest key is one that a banned instance holds or held.",
    honest_cause="A phone that changed hands after a ban.",
    likely_attack="The one that was banned for.",
    remedy="Lift the ban in the admin.",
    spec=_SPEC,
    status=403,
)

KEY_ID_TAKEN: Final = Reason(
    code="enrolment.key_id_taken",
    meaning="The App Attest key is another instance's; keys never move.",
    honest_cause="An app that lost its `sign` key and kept its App Attest key.",
    likely_attack="One attested key used to enrol many `sign` keys.",
    remedy="The SDK makes a new App Attest key.",
    spec=_SPEC,
    status=403,
    action=Action.ENROL_AGAIN,
)

SUPERSEDED: Final = Reason(
    code="enrolment.superseded",
    meaning="The instance holds a newer App Attest key than the one of this evidence.",
    honest_cause="An enrolment repeated after the app was installed anew.",
    likely_attack="A recorded enrolment sent again, to bring an old key back.",
    remedy="The SDK makes a new App Attest key.",
    spec=_SPEC,
    action=Action.ENROL_AGAIN,
)

INSTANCE_MISMATCH: Final = Reason(
    code="enrolment.instance_mismatch",
    meaning="The instance in the path is not the one in the client data.",
    honest_cause="None known.",
    likely_attack="A renewal of one instance posted to another.",
    remedy="None.",
    spec=_SPEC,
    status=400,
)

INSTANCE_UNKNOWN: Final = Reason(
    code="enrolment.instance_unknown",
    meaning="This app and environment have no such instance.",
    honest_cause="A service that lost its database, or an app that was moved to another environment.",
    likely_attack="A made-up instance.",
    remedy="The SDK enrols again.",
    spec=_SPEC,
    action=Action.ENROL_AGAIN,
)

KEY_MISMATCH: Final = Reason(
    code="enrolment.key_mismatch",
    meaning="The renewal is not signed by the instance's `sign` key.",
    honest_cause="An app that lost its key and kept its instance id; or a proxy that edits the request.",
    likely_attack="Renewing somebody else's instance.",
    remedy="The SDK enrols again. The detail says what did not agree.",
    spec=_SPEC,
    action=Action.ENROL_AGAIN,
)

INSTANCE_BANNED: Final = Reason(
    code="enrolment.instance_banned",
    meaning="The instance that asks for a renewal is banned.",
    honest_cause="A phone that changed hands after a ban.",
    likely_attack="The one that was banned for.",
    remedy="Lift the ban in the admin.",
    spec=_SPEC,
    action=Action.ENROL_AGAIN,
)

COUNTER_NOT_INCREASED: Final = Reason(
    code="enrolment.counter_not_increased",
    meaning="The assertion's counter is not greater than the one last accepted from the instance's current key.",
    honest_cause="Two renewals at once whose assertions arrived in the other order.",
    likely_attack="A recorded assertion, or two copies of one key.",
    remedy="The SDK makes one assertion at a time.",
    spec=_SPEC,
    action=Action.ENROL_AGAIN,
)

ASSERTION_MISSING: Final = Reason(
    code="enrolment.assertion_missing",
    meaning="The last assertion is older than the policy's `reattest_after`, and the renewal brings no new one.",
    honest_cause="A renewal in the background, where the app cannot assert.",
    likely_attack="A `sign` key at work without the App Attest key beside it.",
    remedy="The SDK renews with an assertion, as soon as it can make one.",
    spec=_SPEC,
    action=Action.RETRY_WITH_CHALLENGE,
)

AUDIENCE_REFUSED: Final = Reason(
    code="enrolment.audience_refused",
    meaning="The renewal asks for an `aud` that the app's list does not name.",
    honest_cause="An authorization server that was not added.",
    likely_attack="A token for a server that was never meant to know this app.",
    remedy="Add the audience to the app if it is yours.",
    spec=_SPEC,
    status=403,
)

STORE_CONTRADICTS: Final = Reason(
    code="enrolment.store_contradicts",
    meaning="The enrolment store answered with another instance than it was asked for, or with claims that are none.",
    honest_cause="A store that does not keep its port's promises, or a row edited by hand.",
    likely_attack="None: no input of a client can cause this.",
    remedy="Run the conformance suite `bonafide.testing.enrolment_store` against the store.",
    spec="ARCHITECTURE, prohibition 5",
    status=500,
)

RENEWAL_REFUSED: Final = (INSTANCE_UNKNOWN, KEY_MISMATCH, INSTANCE_BANNED, COUNTER_NOT_INCREASED)
"""The refusals that are one answer outside: unknown instance, wrong key, banned, wrong counter."""
