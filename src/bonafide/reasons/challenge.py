"""Reasons of the area `challenge`: the value that makes an enrolment or a renewal this service's own and new."""

from __future__ import annotations

from typing import Final

from bonafide.reasons._reason import Action, Reason

_SPEC = "PROTOCOL section 2"

MALFORMED: Final = Reason(
    code="challenge.malformed",
    meaning="The challenge is not base64url of the length that this service issues.",
    honest_cause="None known: the SDK returns what it was given.",
    likely_attack="Probing the parser.",
    remedy="None.",
    spec=_SPEC,
    action=Action.RETRY_WITH_CHALLENGE,
)

VERSION_UNKNOWN: Final = Reason(
    code="challenge.version_unknown",
    meaning="The challenge begins with a version that this service does not issue.",
    honest_cause="A challenge kept across a change of the service's version.",
    likely_attack="Probing the parser.",
    remedy="The SDK asks for a new challenge.",
    spec=_SPEC,
    action=Action.RETRY_WITH_CHALLENGE,
)

MAC_MISMATCH: Final = Reason(
    code="challenge.mac_mismatch",
    meaning="This service did not issue the challenge for this purpose, app and environment.",
    honest_cause="The challenge key was replaced, or the app speaks to staging with a challenge from production.",
    likely_attack="A made-up challenge, or one of another app, purpose, environment or service.",
    remedy="See that all hosts of one service share one challenge key. The SDK asks for a new challenge.",
    spec=_SPEC,
    action=Action.RETRY_WITH_CHALLENGE,
)

EXPIRED: Final = Reason(
    code="challenge.expired",
    meaning="The challenge's expiry has passed.",
    honest_cause="An app that was suspended between asking for the challenge and using it.",
    likely_attack="Evidence made long ago, kept for later use.",
    remedy="The SDK asks for a new challenge.",
    spec=_SPEC,
    action=Action.RETRY_WITH_CHALLENGE,
)

PURPOSE_UNKNOWN: Final = Reason(
    code="challenge.purpose_unknown",
    meaning="A challenge was asked for another purpose than `enrol` or `renew`.",
    honest_cause="An SDK of another protocol version.",
    likely_attack="Probing the parser.",
    remedy="Update the SDK.",
    spec=_SPEC,
    status=400,
    action=Action.UPDATE_APP,
)

SPENT: Final = Reason(
    code="challenge.spent",
    meaning="Another body has spent this enrolment challenge.",
    honest_cause="An app that made a second key for one challenge, against the SDK's rules.",
    likely_attack="A challenge used twice, to enrol two keys with one throttle slot.",
    remedy="The SDK asks for a new challenge.",
    spec=_SPEC,
    action=Action.RETRY_WITH_CHALLENGE,
)

OVERTAKEN: Final = Reason(
    code="challenge.overtaken",
    meaning="The instance has renewed with this challenge, by another body, or with a later one.",
    honest_cause="An app and its extension that renew at the same time.",
    likely_attack="A recorded renewal sent again.",
    remedy="The SDK asks for a new challenge.",
    spec=_SPEC,
    action=Action.RETRY_WITH_CHALLENGE,
)

GOVERNED: Final = Reason(
    code="challenge.governed",
    meaning="More enrolments of this app are beginning than ENROLMENTS_PER_SECOND allows.",
    honest_cause="The first hours of a release.",
    likely_attack="A farm that enrols.",
    remedy="Let devices come back, or raise ENROLMENTS_PER_SECOND.",
    spec="PROTOCOL section 2",
    status=429,
    action=Action.BACK_OFF,
)
