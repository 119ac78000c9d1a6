"""Reasons of the area `appraisal`: authentic evidence that the identity's policy does not accept, or not fully."""

from __future__ import annotations

from typing import Final

from bonafide.reasons._reason import Action, Reason

_SPEC = "PROTOCOL section 1; RFC 9334 section 8.5"

ENVIRONMENT_REFUSED: Final = Reason(
    code="appraisal.environment_refused",
    meaning="The evidence comes from an environment (`development`, `debug`) that the policy does not admit.",
    honest_cause="A build run from Xcode against this service.",
    likely_attack="A development build, which the attacker can change and sign, used in place of the released app.",
    remedy="Use the staging service; TestFlight builds are production.",
    spec=_SPEC,
    status=403,
)

VALIDATION_CATEGORY_REFUSED: Final = Reason(
    code="appraisal.validation_category_refused",
    meaning="Apple says that the app was installed in a way that the policy does not admit.",
    honest_cause="An ad-hoc, enterprise or development build of the app.",
    likely_attack="The app signed and installed outside the App Store.",
    remedy="Add the category to the identity's policy if such builds are yours.",
    spec=_SPEC,
    status=403,
)

VALIDATION_CATEGORY_MISSING: Final = Reason(
    code="appraisal.validation_category_missing",
    meaning="The evidence does not say how the app was installed, and the policy demands it.",
    honest_cause="iOS 26 or older, or macOS 26 or older: they do not say.",
    likely_attack="An older system, to keep the category from being seen.",
    remedy="Set `validation_category_required` to False to admit older systems.",
    spec=_SPEC,
    status=403,
)

NOT_ATTESTED: Final = Reason(
    code="appraisal.not_attested",
    meaning="The device offers no evidence, and the policy does not admit that.",
    honest_cause="A device without App Attest, or an app extension that cannot attest.",
    likely_attack="A script that enrols a key of its own.",
    remedy="Set `unattested` to True to give such devices the tier `none`, for routes that say so.",
    spec=_SPEC,
    status=403,
)

EVIDENCE_TOO_OLD: Final = Reason(
    code="appraisal.evidence_too_old",
    meaning="The attestation was verified longer ago than the policy's `evidence_max_age`.",
    honest_cause="An app that has been installed for a year.",
    likely_attack="A key attested before a compromise, kept alive by renewals.",
    remedy="The SDK enrols again.",
    spec=_SPEC,
    status=403,
    action=Action.ENROL_AGAIN,
)

APP_VERSION_TOO_OLD: Final = Reason(
    code="appraisal.app_version_too_old",
    meaning="The app's version is below the policy's minimum, or is not a version.",
    honest_cause="An app that has not been updated.",
    likely_attack="An old build with a known hole.",
    remedy="None: the user updates the app.",
    spec=_SPEC,
    status=403,
    action=Action.UPDATE_APP,
)

SDK_VERSION_TOO_OLD: Final = Reason(
    code="appraisal.sdk_version_too_old",
    meaning="The SDK's version is below the policy's minimum, or is not a version.",
    honest_cause="An app that has not been updated.",
    likely_attack="An old SDK with a known hole.",
    remedy="Release the app with a newer SDK; the user updates the app.",
    spec=_SPEC,
    status=403,
    action=Action.UPDATE_APP,
)

OS_VERSION_TOO_OLD: Final = Reason(
    code="appraisal.os_version_too_old",
    meaning="The system's version is below the policy's minimum, or is not a version. A warning: the tier is lowered.",
    honest_cause="An old phone, whose user can do nothing about it.",
    likely_attack="A system version that can be jailbroken.",
    remedy="Routes with the tier `warning` serve such phones; lower the minimum to serve them everywhere.",
    spec=_SPEC,
    status=403,
)
