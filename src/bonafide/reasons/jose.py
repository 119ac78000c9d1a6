"""Reasons of the area `jose`: base64url, JSON, JWK, JWS and JWE as syntax and as signatures.

Callers that know more (a client attestation, a session) map these to reasons of their own area.
"""

from __future__ import annotations

from typing import Final

from bonafide.reasons._reason import Reason

BASE64URL_MALFORMED: Final = Reason(
    code="jose.base64url_malformed",
    meaning="A value is not base64url in its one spelling: unpadded, that alphabet only, unused bits zero.",
    honest_cause="An encoder set to plain base64, or one that pads or wraps lines.",
    likely_attack="Two spellings of one value, to slip past a comparison or a replay record.",
    remedy="Encode as RFC 7515 appendix C shows.",
    spec="RFC 7515 section 2; RFC 4648 sections 3.5 and 5",
    status=400,
)

JSON_MALFORMED: Final = Reason(
    code="jose.json_malformed",
    meaning="The octets are not one JSON object in the admitted form.",
    honest_cause="An encoder that writes a byte order mark, NaN, or integers above 2^53 - 1.",
    likely_attack="Duplicate members that two parsers read differently, or nesting that exhausts one.",
    remedy="Write I-JSON. The detail names the rule that was broken.",
    spec="RFC 8259; RFC 7493 section 2; PROTOCOL, preamble",
    status=400,
)

VALUE_NOT_JSON: Final = Reason(
    code="jose.value_not_json",
    meaning="A value that the program wanted to write as JSON has no JSON form.",
    honest_cause="A programming error: NaN, bytes, or a lone surrogate in a claim.",
    likely_attack="None: no input of a client reaches this unparsed.",
    remedy="Correct the caller.",
    spec="RFC 8259",
    status=500,
)

JWK_MALFORMED: Final = Reason(
    code="jose.jwk_malformed",
    meaning="The JWK is not exactly `kty` EC, `crv` P-256, `x` and `y`, or its point is not on the curve.",
    honest_cause="A JWK with `kid`, `use` or `alg`, or coordinates whose leading zeros were dropped.",
    likely_attack="An invalid-curve point, a private member, or a second form of one key.",
    remedy="Send the four members only, each coordinate 32 octets.",
    spec="RFC 7517 section 4; RFC 7518 section 6.2.1; PROTOCOL section 1",
    status=400,
)

KEY_UNFIT: Final = Reason(
    code="jose.key_unfit",
    meaning="The program passed a key or nonce of the wrong curve or size.",
    honest_cause="A programming error.",
    likely_attack="None: only the program can cause this.",
    remedy="Correct the caller.",
    spec="RFC 7518 sections 3.2, 3.4, 4.6 and 5.3",
    status=500,
)

SIGNATURE_MALFORMED: Final = Reason(
    code="jose.signature_malformed",
    meaning="An ECDSA signature is neither 64 octets nor strict DER with two positive integers of 32 octets at most.",
    honest_cause="An encoder that writes BER, or a signature of another curve.",
    likely_attack="A second spelling of one signature.",
    remedy="Use the form that the field asks for.",
    spec="RFC 7518 section 3.4; RFC 3279 section 2.2.3",
    status=400,
)

JWS_MALFORMED: Final = Reason(
    code="jose.jws_malformed",
    meaning="The token is not a compact JWS: three parts, within the size.",
    honest_cause="A JWE, or a token in the JSON serialization, where a compact JWS belongs.",
    likely_attack="Probing the parser.",
    remedy="Send the compact form.",
    spec="RFC 7515 sections 3.1 and 5.2",
)

HEADER_REFUSED: Final = Reason(
    code="jose.header_refused",
    meaning="A JOSE header has a member that is not admitted, or a value other than the expected one.",
    honest_cause="Another issuer's token.",
    likely_attack="`alg` none, or a `jwk`, `jku`, `x5u`, `x5c`, `crit`, `zip` that steers the verifier.",
    remedy="None: no issuer of ours makes such a header.",
    spec="RFC 7515 section 4.1; RFC 8725 section 3.1",
)

SIGNATURE_INVALID: Final = Reason(
    code="jose.signature_invalid",
    meaning="The JWS signature or MAC does not verify.",
    honest_cause="The verifier holds another key than the signer used.",
    likely_attack="An edited or forged token.",
    remedy="See that both sides share their keys.",
    spec="RFC 7515 section 5.2; RFC 7518 sections 3.2 and 3.4",
)

SIGNER_NOT_PINNED: Final = Reason(
    code="jose.signer_not_pinned",
    meaning="The key that a JWS brings along has a thumbprint which its verifier does not pin.",
    honest_cause="The service's key was replaced, or the verifier was set up for another service.",
    likely_attack="A token by a key of the sender's choice.",
    remedy="Pin the thumbprints of this service's key and of its spare.",
    spec="RFC 7515 section 4.1.3; PROTOCOL section 1",
)

JWE_MALFORMED: Final = Reason(
    code="jose.jwe_malformed",
    meaning="The token is not a compact JWE in our form: five parts, no encrypted key, 12 octets of IV, 16 of tag.",
    honest_cause="A JWS, or a JWE with a wrapped key, where our direct form belongs.",
    likely_attack="Probing the parser, or a shortened tag.",
    remedy="Send the form of the profile.",
    spec="RFC 7516 section 7.1; RFC 7518 sections 4.6 and 5.3; PROTOCOL section 5",
    status=400,
)

DECRYPTION_FAILED: Final = Reason(
    code="jose.decryption_failed",
    meaning="The JWE does not open with this key. Wrong key and altered octets are not told apart.",
    honest_cause="It was sealed to an earlier key of this device.",
    likely_attack="An edited token, or one made for another device.",
    remedy="Renew, so that it is sealed anew.",
    spec="RFC 7516 section 5.2; RFC 7518 section 5.3",
)
