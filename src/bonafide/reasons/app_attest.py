"""Reasons of the area `app_attest`: an attestation of a key by Apple's App Attest service."""

from __future__ import annotations

from typing import Final

from bonafide.reasons._reason import Action, Reason

_GUIDE = "Apple, Validating apps that connect to your server, Verify the attestation"

OBJECT_MALFORMED: Final = Reason(
    code="app_attest.object_malformed",
    meaning="The object is not a map of exactly fmt, attStmt {x5c, receipt} and authData, with Apple's types.",
    honest_cause="An assertion sent in place of an attestation.",
    likely_attack="Probing the parser.",
    remedy="Send exactly what attestKey returned.",
    spec=_GUIDE,
    status=400,
)

FORMAT_MISMATCH: Final = Reason(
    code="app_attest.format_mismatch",
    meaning="`fmt` is not apple-appattest.",
    honest_cause="A passkey registration sent in place of an attestation.",
    likely_attack="Another attestation format with weaker rules.",
    remedy="Send exactly what attestKey returned.",
    spec=_GUIDE,
    status=400,
)

CHAIN_LENGTH: Final = Reason(
    code="app_attest.chain_length",
    meaning="`x5c` does not hold exactly a leaf and an intermediate certificate.",
    honest_cause="None known.",
    likely_attack="A longer chain that ends in a certificate of the attacker's.",
    remedy="None: Apple always sends two.",
    spec=_GUIDE + ", step 1",
    status=400,
)

CERTIFICATE_MALFORMED: Final = Reason(
    code="app_attest.certificate_malformed",
    meaning="A certificate of `x5c` is not a readable X.509 v3 certificate; the detail names it.",
    honest_cause="An object damaged in transit.",
    likely_attack="Probing the parser.",
    remedy="Compare the object that arrived with the one that the app sent.",
    spec="RFC 5280 section 4.1",
    status=400,
)

AUTH_DATA_MALFORMED: Final = Reason(
    code="app_attest.auth_data_malformed",
    meaning="`authData` is too short, lacks attested credential data, or its credential id is not 32 octets.",
    honest_cause="An object damaged in transit.",
    likely_attack="Probing the parser.",
    remedy="Compare the object that arrived with the one that the app sent.",
    spec="W3C WebAuthn Level 2 section 6.1",
    status=400,
)

COSE_KEY_MALFORMED: Final = Reason(
    code="app_attest.cose_key_malformed",
    meaning="The public key in `authData` is not a COSE EC2 key for ES256 on P-256 with exactly its five members.",
    honest_cause="None known.",
    likely_attack="A key on another curve or for another algorithm.",
    remedy="None: the Secure Enclave makes no other keys.",
    spec="RFC 9053 sections 2.1 and 7.1.1",
    status=400,
)

EXTENSIONS_MALFORMED: Final = Reason(
    code="app_attest.extensions_malformed",
    meaning="What follows the key in `authData` is not exactly one map from text, or a known entry has the wrong type.",
    honest_cause="A later iOS with another form of extension data.",
    likely_attack="Octets that the nonce covers and that a lenient verifier skips.",
    remedy="Keep the object; if it is genuine, Apple changed the extension data and this verifier must follow.",
    spec="Apple, WWDC26 session 201; W3C WebAuthn Level 2 section 6.1",
    status=400,
)

NONCE_MISSING: Final = Reason(
    code="app_attest.nonce_missing",
    meaning="The leaf certificate has no extension 1.2.840.113635.100.8.2, so nothing binds it to this request.",
    honest_cause="None known.",
    likely_attack="Another kind of certificate from the same authority.",
    remedy="None.",
    spec=_GUIDE + ", step 4",
)

NONCE_MISMATCH: Final = Reason(
    code="app_attest.nonce_mismatch",
    meaning="The nonce in the leaf certificate is not SHA-256(authData, clientDataHash).",
    honest_cause="App and server hash different client data, or one hashes it twice.",
    likely_attack="An attestation made for another challenge, or edited `authData`.",
    remedy="Compare the octets of the client data on both sides.",
    spec=_GUIDE + ", steps 2 to 4",
    action=Action.RETRY_WITH_CHALLENGE,
)

KEY_ID_MISMATCH: Final = Reason(
    code="app_attest.key_id_mismatch",
    meaning="The key id is not SHA-256 of the leaf's public key.",
    honest_cause="A key id kept from before a reinstall.",
    likely_attack="Registering somebody else's key id.",
    remedy="The SDK makes a new key.",
    spec=_GUIDE + ", step 5",
    action=Action.ENROL_AGAIN,
)

APP_ID_MISMATCH: Final = Reason(
    code="app_attest.app_id_mismatch",
    meaning="The RP ID hash is not SHA-256 of the expected team id and bundle id.",
    honest_cause="A second app, an App Clip or another team id that the policy does not list.",
    likely_attack="Another app's genuine attestation, or a repackaged app.",
    remedy="Add the identity if the app is yours; it is TEAMID.bundle-id.",
    spec=_GUIDE + ", step 6",
    status=403,
)

COUNTER_NOT_ZERO: Final = Reason(
    code="app_attest.counter_not_zero",
    meaning="The counter of a new key is not 0.",
    honest_cause="None known.",
    likely_attack="A key that has signed before being registered.",
    remedy="The SDK makes a new key.",
    spec=_GUIDE + ", step 7",
    action=Action.ENROL_AGAIN,
)

AAGUID_UNKNOWN: Final = Reason(
    code="app_attest.aaguid_unknown",
    meaning="The AAGUID names neither Apple's production nor its development service.",
    honest_cause="None known.",
    likely_attack="Another authenticator.",
    remedy="None.",
    spec=_GUIDE + ", step 8",
)

ENVIRONMENT_REFUSED: Final = Reason(
    code="app_attest.environment_refused",
    meaning="The attestation comes from an App Attest environment that this identity does not admit.",
    honest_cause="A build from Xcode pointed at production; TestFlight and App Store builds are production.",
    likely_attack="A development build of a changed app.",
    remedy="Use staging, or set the entitlement appattest-environment to production.",
    spec=_GUIDE + ", step 8",
    status=403,
)

CREDENTIAL_ID_MISMATCH: Final = Reason(
    code="app_attest.credential_id_mismatch",
    meaning="The credential id in `authData` is not the key id.",
    honest_cause="None known.",
    likely_attack="`authData` of one key with the certificate of another.",
    remedy="None.",
    spec=_GUIDE + ", step 9",
)

COSE_KEY_MISMATCH: Final = Reason(
    code="app_attest.cose_key_mismatch",
    meaning="The public key in `authData` is not that of the leaf certificate.",
    honest_cause="None known.",
    likely_attack="Having the server store a key that Apple did not attest.",
    remedy="None.",
    spec="W3C WebAuthn Level 2 section 8.8",
)

CERTIFICATE_PROFILE: Final = Reason(
    code="app_attest.certificate_profile",
    meaning="A certificate is authentic in form and not of the kind that its place demands: CA flag, path length, "
    "key usage, curve, signature algorithm. The detail names it.",
    honest_cause="A new generation of Apple's certificates.",
    likely_attack="A leaf used as an authority to sign further leaves.",
    remedy="Keep the object; if it is genuine, this verifier must follow.",
    spec="RFC 5280 sections 4.2.1.3, 4.2.1.9 and 6.1.4",
)

ISSUER_MISMATCH: Final = Reason(
    code="app_attest.issuer_mismatch",
    meaning="The leaf's issuer is not the subject of the intermediate certificate.",
    honest_cause="None known.",
    likely_attack="A chain put together from parts.",
    remedy="None.",
    spec="RFC 5280 section 6.1.3 (a)(4)",
)

ROOT_UNKNOWN: Final = Reason(
    code="app_attest.root_unknown",
    meaning="No trust anchor has the name that the intermediate certificate gives as its issuer.",
    honest_cause="Evidence of a test world sent to a server that trusts Apple only.",
    likely_attack="A chain of the attacker's own, or of Apple's WebAuthn root.",
    remedy="None in production.",
    spec=_GUIDE + ", step 1",
)

INTERMEDIATE_SIGNATURE_INVALID: Final = Reason(
    code="app_attest.intermediate_signature_invalid",
    meaning="The intermediate certificate is not signed by the trust anchor that it names.",
    honest_cause="None known.",
    likely_attack="A chain under a look-alike root.",
    remedy="None.",
    spec=_GUIDE + ", step 1; RFC 5280 section 6.1.3 (a)(1)",
)

LEAF_SIGNATURE_INVALID: Final = Reason(
    code="app_attest.leaf_signature_invalid",
    meaning="The leaf certificate is not signed by the intermediate certificate.",
    honest_cause="None known.",
    likely_attack="A leaf of the attacker's under Apple's genuine intermediate.",
    remedy="None.",
    spec=_GUIDE + ", step 1; RFC 5280 section 6.1.3 (a)(1)",
)

CERTIFICATE_NOT_YET_VALID: Final = Reason(
    code="app_attest.certificate_not_yet_valid",
    meaning="A certificate of the chain begins to be valid only after this server's time; the detail names it.",
    honest_cause="The server's clock is slow: Apple dates leaves one day back.",
    likely_attack="None known.",
    remedy="See the server's time service.",
    spec="RFC 5280 section 6.1.3 (a)(2)",
    action=Action.BACK_OFF,
)

CERTIFICATE_EXPIRED: Final = Reason(
    code="app_attest.certificate_expired",
    meaning="A certificate of the chain is past its end; the detail names it.",
    honest_cause="An attestation sent days after it was made: many leaves live three days.",
    likely_attack="An old recorded attestation.",
    remedy="The SDK makes a new key. Where the intermediate or the root has ended, update Bonafide.",
    spec="RFC 5280 section 6.1.3 (a)(2)",
    action=Action.ENROL_AGAIN,
)
