"""Reasons of the area `client_attestation`: the JWT that says which instance this is."""

from __future__ import annotations

from typing import Final

from bonafide.reasons._reason import Action, Reason

_SPEC = "PROTOCOL section 3"

MISSING: Final = Reason(
    code="client_attestation.missing",
    meaning="The request carries no client attestation.",
    honest_cause="A request that did not go through the SDK, or an app from before Bonafide.",
    likely_attack="A script that knows the endpoint.",
    remedy="Send it through the SDK.",
    spec=_SPEC,
    action=Action.RENEW,
)

MALFORMED: Final = Reason(
    code="client_attestation.malformed",
    meaning="The client attestation is not a compact JWS in the profile's form.",
    honest_cause="Another issuer's token in the header.",
    likely_attack="Probing the parser.",
    remedy="None: the SDK sends what the service issued.",
    spec=_SPEC + "; RFC 7515 section 7.1",
    action=Action.RENEW,
)

HEADER_REFUSED: Final = Reason(
    code="client_attestation.header_refused",
    meaning="The JWS header is not exactly `alg` ES256, the profile's `typ`, and a `kid`.",
    honest_cause="None known.",
    likely_attack="`alg` none or HS256 confusion, an embedded `jwk`, `jku`, `x5u`, `x5c` or `crit`.",
    remedy="None: no issuer of ours makes such a header.",
    spec=_SPEC + "; RFC 8725 section 3.1",
)

KEY_UNKNOWN: Final = Reason(
    code="client_attestation.key_unknown",
    meaning="No signing key of this app and environment has the header's `kid`.",
    honest_cause="A gate that has not seen a rotated key yet, or a token of another environment.",
    likely_attack="A token by a foreign issuer.",
    remedy="See that service and gate share their keys.",
    spec=_SPEC,
    action=Action.RENEW,
)

KEY_OF_ANOTHER_APP: Final = Reason(
    code="client_attestation.key_of_another_app",
    meaning="The JWT names one app and is signed by the key of another.",
    honest_cause="Key files that were copied from one app's directory to another's.",
    likely_attack="Who holds one app's signing key, making client attestations of another app of the same service.",
    remedy="Replace the signing key whose id the JWT names: it signs what it must not.",
    spec="PROTOCOL section 1",
    action=Action.RENEW,
)

SIGNATURE_INVALID: Final = Reason(
    code="client_attestation.signature_invalid",
    meaning="The JWS signature does not verify.",
    honest_cause="None known.",
    likely_attack="An edited or forged token.",
    remedy="None.",
    spec="RFC 7515 section 5.2",
    action=Action.RENEW,
)

CLAIMS_MALFORMED: Final = Reason(
    code="client_attestation.claims_malformed",
    meaning="The claims are not exactly those of the profile.",
    honest_cause="A service of another version.",
    likely_attack="None: the signature held.",
    remedy="Run the same version of service and gate.",
    spec=_SPEC,
    action=Action.RENEW,
)

EXPIRED: Final = Reason(
    code="client_attestation.expired",
    meaning="`exp` has passed.",
    honest_cause="An app that was suspended; it renews by itself.",
    likely_attack="A stolen token used late.",
    remedy="The SDK renews.",
    spec=_SPEC + "; RFC 7519 section 4.1.4",
    action=Action.RENEW,
)

ISSUED_IN_FUTURE: Final = Reason(
    code="client_attestation.issued_in_future",
    meaning="`iat` lies more than 5 s ahead of this gate's clock.",
    honest_cause="The service's clock and the gate's differ.",
    likely_attack="None known.",
    remedy="See the time service of both machines.",
    spec=_SPEC,
    action=Action.BACK_OFF,
    status=503,
)

ISSUER_MISMATCH: Final = Reason(
    code="client_attestation.issuer_mismatch",
    meaning="`iss` is not the configured service.",
    honest_cause="The service's URL changed.",
    likely_attack="A token by another service that shares a key.",
    remedy="Set ISSUER alike in service and gate.",
    spec=_SPEC,
    action=Action.RENEW,
)

AUDIENCE_MISMATCH: Final = Reason(
    code="client_attestation.audience_mismatch",
    meaning="`aud` is not this gate's audience.",
    honest_cause="One app that calls two APIs with one token.",
    likely_attack="A token meant for another API.",
    remedy="Ask for a token for this audience.",
    spec=_SPEC,
    action=Action.RENEW,
)

APP_REFUSED: Final = Reason(
    code="client_attestation.app_refused",
    meaning="`sub` is not an app that this gate admits.",
    honest_cause="A second app of the same owner.",
    likely_attack="Another app's genuine token.",
    remedy="Add the app to the gate if it may call this API.",
    spec=_SPEC,
    status=403,
)

ENVIRONMENT_REFUSED: Final = Reason(
    code="client_attestation.environment_refused",
    meaning="The evidence came from an environment (`development`, `debug`) that this gate does not admit.",
    honest_cause="A development build pointed at production.",
    likely_attack="Debug evidence used against production.",
    remedy="Use the staging API; TestFlight builds are production.",
    spec=_SPEC,
    status=403,
)

NOT_FOR_GATES: Final = Reason(
    code="client_attestation.not_for_gates",
    meaning="The token has no `bonafide` claim: it was issued for an authorization server.",
    honest_cause="An app that mixes up its two tokens.",
    likely_attack="A token meant for elsewhere.",
    remedy="Send the token that enrolment or renewal answered with.",
    spec=_SPEC,
    action=Action.RENEW,
)

REVOKED: Final = Reason(
    code="client_attestation.revoked",
    meaning="The instance is banned.",
    honest_cause="A phone that changed hands after a ban.",
    likely_attack="The one that was banned for.",
    remedy="Lift the ban in the admin.",
    spec=_SPEC,
    status=403,
)
