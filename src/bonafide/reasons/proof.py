"""Reasons of the area `proof`: the signature over one request (RFC 9421) and its digest (RFC 9530)."""

from __future__ import annotations

from typing import Final

from bonafide.reasons._reason import Action, Reason

MISSING: Final = Reason(
    code="proof.missing",
    meaning="The request carries no proof: Signature-Input, Signature or Content-Digest is absent.",
    honest_cause="A request that did not go through the SDK.",
    likely_attack="A script with a stolen bearer or a stolen client attestation.",
    remedy="Send it through the SDK.",
    spec="PROTOCOL section 4",
    action=Action.SIGN_AGAIN,
)

INPUT_MALFORMED: Final = Reason(
    code="proof.input_malformed",
    meaning="Signature-Input is not in the profile's one byte form.",
    honest_cause="Another signer's header, or a proxy that rewrites headers.",
    likely_attack="A second member, an unknown parameter or a component with parameters, to confuse the verifier.",
    remedy="Use the profile's form exactly.",
    spec="PROTOCOL section 4; RFC 9421 section 4.1",
)

COMPONENTS_MISMATCH: Final = Reason(
    code="proof.components_mismatch",
    meaning="The covered components are not exactly those that this request must cover, in order.",
    honest_cause="A proxy that added Authorization, Cookie or Content-Type after signing.",
    likely_attack="Leaving a component out so that it can be edited, or adding one after signing.",
    remedy="Find what added the header. The detail shows which components were expected.",
    spec="PROTOCOL section 4; RFC 9421 section 7.2.1",
)

SIGNATURE_MALFORMED: Final = Reason(
    code="proof.signature_malformed",
    meaning="Signature is not one member `bonafide` with the algorithm's number of octets.",
    honest_cause="A DER signature where r and s in 64 octets are wanted.",
    likely_attack="Probing the parser.",
    remedy="Use the profile's form exactly.",
    spec="PROTOCOL section 4; RFC 9421 section 4.2",
)

KEY_MISMATCH: Final = Reason(
    code="proof.key_mismatch",
    meaning="`keyid` is not the key that the client attestation (or the client data) names.",
    honest_cause="An attestation kept from before a reinstall.",
    likely_attack="A stolen client attestation with somebody else's key.",
    remedy="The SDK enrols again.",
    spec="PROTOCOL section 4; RFC 7800 section 3",
    action=Action.RENEW,
)

SIGNATURE_INVALID: Final = Reason(
    code="proof.signature_invalid",
    meaning="The signature does not verify over what arrived.",
    honest_cause="A proxy that edits covered headers or the target.",
    likely_attack="An edited request, or a signature made without the key.",
    remedy="Compare the target and headers that arrived with those that were sent.",
    spec="RFC 9421 section 3.2",
)

SESSION_KEY_UNKNOWN: Final = Reason(
    code="proof.session_key_unknown",
    meaning="The gate key that the client attestation names is not (or no longer) known here.",
    honest_cause="A gate that has not fetched today's key yet.",
    likely_attack="An attestation from another audience.",
    remedy="See that service and gate share their keys.",
    spec="PROTOCOL section 5",
    action=Action.RENEW,
)

CREATED_TOO_OLD: Final = Reason(
    code="proof.created_too_old",
    meaning="`created` lies further back than the route allows (60 s by default).",
    honest_cause="A phone whose clock is slow, or a long queue between signing and sending.",
    likely_attack="A recorded request sent late.",
    remedy="The SDK learns the clock from `Date` and signs again.",
    spec="PROTOCOL section 4, Freshness",
    action=Action.FIX_CLOCK,
)

CREATED_IN_FUTURE: Final = Reason(
    code="proof.created_in_future",
    meaning="`created` lies more than 5 s ahead of this server's clock.",
    honest_cause="A phone or a server whose clock is wrong.",
    likely_attack="Proofs signed now for later use.",
    remedy="The SDK learns the clock from `Date` and signs again; see the server's time service.",
    spec="PROTOCOL section 4, Freshness",
    action=Action.FIX_CLOCK,
)

REPLAYED: Final = Reason(
    code="proof.replayed",
    meaning="This proof has been used before.",
    honest_cause="A proxy or a networking library that repeats requests by itself.",
    likely_attack="A whole recorded request sent again.",
    remedy="The SDK signs again for safe methods; `proxy_next_upstream off` in Nginx.",
    spec="PROTOCOL section 4, Freshness; RFC 9421 section 7.2.2",
    action=Action.SIGN_AGAIN,
)

FENCED: Final = Reason(
    code="proof.fenced",
    meaning="The proof was created before the replay store can vouch for: the store is new, or newer proofs were seen.",
    honest_cause="A restart of the replay store, or a reboot, in the last seconds.",
    likely_attack="Replaying what a lost store has forgotten.",
    remedy="The SDK signs again.",
    spec="PROTOCOL section 4, Freshness",
    action=Action.SIGN_AGAIN,
)

DIGEST_MALFORMED: Final = Reason(
    code="proof.digest_malformed",
    meaning="Content-Digest is not one `sha-256` member of 32 octets.",
    honest_cause="A client that sends sha-512 as well.",
    likely_attack="Two digests, of which the verifier reads one.",
    remedy="Use the profile's form exactly.",
    spec="PROTOCOL section 4; RFC 9530 section 2",
)

DIGEST_MISMATCH: Final = Reason(
    code="proof.digest_mismatch",
    meaning="The body is not the one whose digest was signed.",
    honest_cause="A proxy that rewrites bodies.",
    likely_attack="An edited body, or a body added to a signed request.",
    remedy="Find what rewrites the body.",
    spec="PROTOCOL section 4, Body; RFC 9530 section 2",
)
