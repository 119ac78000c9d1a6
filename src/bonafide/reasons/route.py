"""Reasons of the area `route`: the route table says no."""

from __future__ import annotations

from typing import Final

from bonafide.reasons._reason import Action, Reason

NOT_LISTED: Final = Reason(
    code="route.not_listed",
    meaning="No rule of the route table matches this path and method.",
    honest_cause="A new URL that the table does not have yet.",
    likely_attack="Walking the API for forgotten endpoints.",
    remedy="Run `manage.py bonafide_routes` and add the rule.",
    spec="PROTOCOL section 6",
    status=403,
)

TIER_TOO_LOW: Final = Reason(
    code="route.tier_too_low",
    meaning="The instance's tier is below the one that the route demands.",
    honest_cause="A device that cannot attest, or one that appraisal marked with warnings.",
    likely_attack="An enrolment without evidence that reaches for more.",
    remedy="Lower the route's tier if such devices are to be served.",
    spec="PROTOCOL section 6",
    status=403,
)

PROOF_KIND_TOO_WEAK: Final = Reason(
    code="route.proof_kind_too_weak",
    meaning="The route demands a stronger proof: a session proof where hardware is due, or DPoP where it takes none.",
    honest_cause="An SDK that was not told about the route.",
    likely_attack="A session key read out of a running app (N4), or a proof that leaves body and query open.",
    remedy="Mark the route `hardware` in the SDK as well.",
    spec="PROTOCOL section 6",
    action=Action.SIGN_AGAIN,
)

NOT_FRESH: Final = Reason(
    code="route.not_fresh",
    meaning="The instance's last evidence (attestation or assertion) lies further back than the route's `fresh`.",
    honest_cause="An app that has not asserted lately: its SDK renews with an assertion, and repeats the request.",
    likely_attack="A `sign` key used by somebody who cannot have the genuine app assert now.",
    remedy="None, or a longer `fresh`. A device without App Attest and a debug build never come to meet it again.",
    spec="PROTOCOL section 4",
    action=Action.RENEW_WITH_ASSERTION,
)

APP_VERSION_TOO_OLD: Final = Reason(
    code="route.app_version_too_old",
    meaning="The instance's app version is below the route's `min_version`.",
    honest_cause="An app that has not been updated.",
    likely_attack="An old build with a known hole.",
    remedy="None: the user updates the app.",
    spec="PROTOCOL section 6",
    status=403,
    action=Action.UPDATE_APP,
)

OS_VERSION_TOO_OLD: Final = Reason(
    code="route.os_version_too_old",
    meaning="The instance's OS version is below the route's `min_os`.",
    honest_cause="An old phone.",
    likely_attack="A jailbreakable OS version.",
    remedy="Lower `min_os` if such phones are to be served.",
    spec="PROTOCOL section 6",
    status=403,
)

PLATFORM_REFUSED: Final = Reason(
    code="route.platform_refused",
    meaning="The instance's platform is not among the route's `platforms`.",
    honest_cause="A route opened for one platform only.",
    likely_attack="The weaker platform of two.",
    remedy="Add the platform to the route.",
    spec="PROTOCOL section 6",
    status=403,
)

LEGACY_ENDED: Final = Reason(
    code="route.legacy_ended",
    meaning="The date until which unproven requests of old app versions pass is over.",
    honest_cause="An app version from before Bonafide.",
    likely_attack="A script that imitates the old app.",
    remedy="None, or a later `until`.",
    spec="PROTOCOL section 6",
    action=Action.UPDATE_APP,
)

LEGACY_SHARE_EXCEEDED: Final = Reason(
    code="route.legacy_share_exceeded",
    meaning="Unproven requests are a larger share of the route's traffic than `legacy.max_share`.",
    honest_cause="More old apps in the field than was assumed.",
    likely_attack="Scripts that hide among old apps.",
    remedy="Look at observed routes, then raise the share or leave it.",
    spec="PROTOCOL section 6",
    action=Action.UPDATE_APP,
)

HEAD_NOT_SEALED: Final = Reason(
    code="route.head_not_sealed",
    meaning="HEAD on a route with `seal`: an answer without a body cannot be sealed.",
    honest_cause="An HTTP client that looks before it downloads.",
    likely_attack="Fields of the answer in clear.",
    remedy="Ask with GET.",
    spec="PROTOCOL section 5",
    status=400,
)

SESSION_REQUIRED: Final = Reason(
    code="route.session_required",
    meaning="The route's answers are sealed, and the instance has no session under which one could be.",
    honest_cause="A device that has no key for key agreement.",
    likely_attack="A downgrade to answers in clear.",
    remedy="Leave `seal` off the route if such devices are to be served.",
    spec="PROTOCOL section 5",
    status=403,
)
