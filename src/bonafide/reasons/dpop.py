"""Reasons of the area `dpop`: a DPoP proof of one request (RFC 9449)."""

from __future__ import annotations

from typing import Final

from bonafide.reasons._reason import Action, Reason

MALFORMED: Final = Reason(
    code="dpop.malformed",
    meaning="DPoP is not one compact JWS of JSON objects, or came more than once.",
    honest_cause="A library that sends two proofs, or a proxy that adds to the field.",
    likely_attack="Two proofs, of which the verifier reads one and another party the other.",
    remedy="Send one proof.",
    spec="RFC 9449 section 4.3, checks 1 and 2",
)

HEADER_REFUSED: Final = Reason(
    code="dpop.header_refused",
    meaning="The proof's header is not exactly `typ` dpop+jwt, `alg` ES256 and `jwk` with a public P-256 key.",
    honest_cause="A library set to another algorithm, or one that adds `kid`.",
    likely_attack="`none`, a MAC under a public key, a key fetched from elsewhere, or another kind of JWT as a proof.",
    remedy="Sign with the device's `sign` key, and put nothing else into the header.",
    spec="RFC 9449 section 4.3, checks 4, 5 and 7; RFC 8725 section 3.1",
)

CLAIMS_MALFORMED: Final = Reason(
    code="dpop.claims_malformed",
    meaning="A claim is missing, has another type, or is longer than the profile allows.",
    honest_cause="A library that leaves `jti` out, or writes `iat` with a fraction.",
    likely_attack="Probing the parser.",
    remedy="Send `htm`, `htu`, `iat` and `jti`, and `ath` and `nonce` as they are asked for.",
    spec="RFC 9449 section 4.3, check 3",
)

KEY_MISMATCH: Final = Reason(
    code="dpop.key_mismatch",
    meaning="The proof's `jwk` is not the key that the client attestation names.",
    honest_cause="An OAuth library that makes a DPoP key of its own.",
    likely_attack="A stolen client attestation with somebody else's key.",
    remedy="Give the OAuth library the device's `sign` key: in combined mode the two are one.",
    spec="ABCA section 7.3, check 4; RFC 7800 section 3",
)

SIGNATURE_INVALID: Final = Reason(
    code="dpop.signature_invalid",
    meaning="The proof does not verify under the key in its header.",
    honest_cause="A signature in DER where r and s in 64 octets are wanted.",
    likely_attack="An edited proof, or one made without the key.",
    remedy="None for the client: look at how it signs.",
    spec="RFC 9449 section 4.3, check 6",
)

METHOD_MISMATCH: Final = Reason(
    code="dpop.method_mismatch",
    meaning="`htm` is not the method of this request.",
    honest_cause="A redirect that turned POST into GET.",
    likely_attack="A recorded proof for another method.",
    remedy="Sign each request by itself, after redirects too.",
    spec="RFC 9449 section 4.3, check 8",
)

TARGET_MISMATCH: Final = Reason(
    code="dpop.target_mismatch",
    meaning="`htu` is not this request's scheme, authority and path, without a query.",
    honest_cause="An API that is reached under another name than its origins, or a proxy that rewrites paths.",
    likely_attack="A recorded proof for another endpoint, or a query in `htu` that reads as if it were covered.",
    remedy="Compare the configured origins with the URL that the client calls.",
    spec="RFC 9449 section 4.3, check 9; RFC 3986 section 6.2",
)

ISSUED_TOO_EARLY: Final = Reason(
    code="dpop.issued_too_early",
    meaning="`iat` lies further back than the route allows (60 s by default).",
    honest_cause="A phone whose clock is slow, or a long queue between signing and sending.",
    likely_attack="A recorded request sent late.",
    remedy="The client learns the clock from `Date` and signs again.",
    spec="RFC 9449 section 4.3, check 11",
    action=Action.FIX_CLOCK,
)

ISSUED_IN_FUTURE: Final = Reason(
    code="dpop.issued_in_future",
    meaning="`iat` lies more than 5 s ahead of this server's clock.",
    honest_cause="A phone or a server whose clock is wrong.",
    likely_attack="Proofs signed now for later use.",
    remedy="The client learns the clock from `Date` and signs again; see the server's time service.",
    spec="RFC 9449 section 4.3, check 11",
    action=Action.FIX_CLOCK,
)

SCHEME_REFUSED: Final = Reason(
    code="dpop.scheme_refused",
    meaning="Authorization does not say `DPoP` and one access token.",
    honest_cause="A client that sends its token as `Bearer` beside a proof.",
    likely_attack="A bound token presented as a bearer token, to somebody who then asks for no proof.",
    remedy="Send `Authorization: DPoP <token>`.",
    spec="RFC 9449 sections 7.1 and 7.2",
)

TOKEN_HASH_MISSING: Final = Reason(
    code="dpop.token_hash_missing",
    meaning="Authorization is there and the proof has no `ath`.",
    honest_cause="A client that was not told about the access token.",
    likely_attack="A proof without a token, and somebody else's token beside it.",
    remedy="Put `ath` into every proof that travels with an access token.",
    spec="RFC 9449 section 4.3, check 12",
)

TOKEN_HASH_MISMATCH: Final = Reason(
    code="dpop.token_hash_mismatch",
    meaning="`ath` is not the hash of the access token in Authorization, or there is no Authorization.",
    honest_cause="A token that was refreshed between signing and sending.",
    likely_attack="A proof for one token beside another one.",
    remedy="Sign after the token has been chosen.",
    spec="RFC 9449 section 4.3, check 12",
)

NONCE_MISSING: Final = Reason(
    code="dpop.nonce_missing",
    meaning="The proof has no `nonce`; one goes out with this refusal.",
    honest_cause="The first request of a client: it learns the nonce from the answer.",
    likely_attack="Proofs signed ahead of time by somebody who had the phone for a moment.",
    remedy="None: the client repeats with the nonce of `DPoP-Nonce`.",
    spec="RFC 9449 section 4.3, check 10; section 9",
    action=Action.SIGN_AGAIN,
)

NONCE_UNKNOWN: Final = Reason(
    code="dpop.nonce_unknown",
    meaning="The proof's `nonce` was not issued here, or under a gate key that is gone; a new one goes out.",
    honest_cause="A nonce of another API, or from before a day's key was erased.",
    likely_attack="A nonce that somebody made up.",
    remedy="See that clients keep nonces by origin.",
    spec="RFC 9449 section 4.3, check 10; section 9",
    action=Action.SIGN_AGAIN,
)

NONCE_EXPIRED: Final = Reason(
    code="dpop.nonce_expired",
    meaning="The proof's `nonce` is more than five minutes old; a new one goes out.",
    honest_cause="An app that was asleep.",
    likely_attack="Proofs signed ahead of time.",
    remedy="None: the client repeats with the nonce of `DPoP-Nonce`.",
    spec="RFC 9449 section 4.3, check 10; section 9",
    action=Action.SIGN_AGAIN,
)

BESIDE_ANOTHER_PROOF: Final = Reason(
    code="dpop.beside_another_proof",
    meaning="The request carries a DPoP proof and another proof as well, on a route that takes DPoP.",
    honest_cause="An OAuth library and the SDK both at work on one request.",
    likely_attack="Taking the stronger of two proofs away, and editing what only that one covered.",
    remedy="Sign each request in one way: let the SDK leave such routes to the OAuth library, or the other way round.",
    spec="PROTOCOL section 4, DPoP; ABCA section 7.3, check 1",
)
