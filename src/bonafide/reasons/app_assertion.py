"""Reasons of the area `app_assertion`: an assertion by an attested App Attest key."""

from __future__ import annotations

from typing import Final

from bonafide.reasons._reason import Action, Reason

_GUIDE = "Apple, Validating apps that connect to your server, Verify the assertion"

OBJECT_MALFORMED: Final = Reason(
    code="app_assertion.object_malformed",
    meaning="The object is not a map of exactly signature and authenticatorData, both byte strings.",
    honest_cause="An attestation sent in place of an assertion.",
    likely_attack="Probing the parser.",
    remedy="Send exactly what generateAssertion returned.",
    spec=_GUIDE,
    status=400,
)

AUTH_DATA_MALFORMED: Final = Reason(
    code="app_assertion.auth_data_malformed",
    meaning="The authenticator data has fewer than 37 octets.",
    honest_cause="An object damaged in transit.",
    likely_attack="Probing the parser.",
    remedy="Compare the object that arrived with the one that the app sent.",
    spec="W3C WebAuthn Level 2 section 6.1",
    status=400,
)

EXTENSIONS_MALFORMED: Final = Reason(
    code="app_assertion.extensions_malformed",
    meaning="What follows the counter is not exactly one map from text, or a known entry has the wrong type.",
    honest_cause="A later iOS with another form of extension data.",
    likely_attack="Octets that the signature covers and that a lenient verifier skips.",
    remedy="Keep the object; if it is genuine, Apple changed the extension data and this verifier must follow.",
    spec="Apple, WWDC26 session 201; W3C WebAuthn Level 2 section 6.1",
    status=400,
)

PUBLIC_KEY_MALFORMED: Final = Reason(
    code="app_assertion.public_key_malformed",
    meaning="The public key given is not an uncompressed point on P-256 (X9.63, 65 octets).",
    honest_cause="A damaged row, or the key in another form: SPKI, compressed, COSE.",
    likely_attack="None: the key comes from the server's own store.",
    remedy="Store the public key that verifying the attestation returned.",
    spec="SEC 1 section 2.3.4",
)

SIGNATURE_INVALID: Final = Reason(
    code="app_assertion.signature_invalid",
    meaning="The signature over SHA-256(authenticatorData, clientDataHash) does not verify under this public key.",
    honest_cause="App and server hash different client data, or the instance has made a new key since.",
    likely_attack="An assertion by another key, for another request, or with edited authenticator data.",
    remedy="Compare the octets of the client data on both sides.",
    spec=_GUIDE + ", steps 1 to 3",
    action=Action.RETRY_WITH_CHALLENGE,
)

APP_ID_MISMATCH: Final = Reason(
    code="app_assertion.app_id_mismatch",
    meaning="The RP ID hash is not SHA-256 of the expected team id and bundle id.",
    honest_cause="A second app of the same team that shares a key, or a changed team id.",
    likely_attack="Another app that got at the key.",
    remedy="Look at the identity that the instance enrolled under.",
    spec=_GUIDE + ", step 4",
    status=403,
)

COUNTER_NOT_INCREASED: Final = Reason(
    code="app_assertion.counter_not_increased",
    meaning="The counter is not greater than the one last accepted from this key.",
    honest_cause="Two assertions made at once that arrived in the other order.",
    likely_attack="A recorded assertion sent again.",
    remedy="The SDK makes one assertion at a time and repeats with a new one.",
    spec=_GUIDE + ", step 5",
    action=Action.RETRY_WITH_CHALLENGE,
)
