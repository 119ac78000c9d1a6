"""The examples that RFC 9449 and the draft print, read by our parser and verified with their own keys."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bonafide.codec import json
from bonafide.codec.jose import parse_jws, verify_es256
from bonafide.codec.jwk import parse_public, thumbprint
from bonafide.errors import MalformedEvidence, VerificationFailed
from bonafide.http import HttpRequest, Origin
from bonafide.proof import dpop
from bonafide.reasons import dpop as reasons

KEY = {
    "kty": "EC",
    "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
    "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
    "crv": "P-256",
}
_HEAD = (
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQy"
    "VVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19"
)
TOKEN_REQUEST = (  # figure 2
    f"{_HEAD}.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwi"
    "aWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
)
RESOURCE_REQUEST = (  # figure 12
    f"{_HEAD}.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0"
    "ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9"
    ".2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
)
ACCESS_TOKEN = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"


@pytest.mark.parametrize("value", [TOKEN_REQUEST, RESOURCE_REQUEST])
def test_example_is_read_and_its_signature_holds(value: str) -> None:
    read = dpop.parse_proof(value)
    assert read.jws.header == {"typ": "dpop+jwt", "alg": "ES256", "jwk": KEY}
    verify_es256(read.jws, parse_public(KEY))


def test_what_the_examples_say_is_read_as_printed() -> None:
    first, second = dpop.parse_proof(TOKEN_REQUEST), dpop.parse_proof(RESOURCE_REQUEST)
    assert first[1:] == ("POST", "https://server.example.com/token", 1562262616, "-BwC3ESc6acc2lTc", None, None)
    assert (second.method, second.target) == ("GET", "https://resource.example.org/protectedresource")
    assert (second.issued_at, second.identifier) == (1562262618, "e1j3V_bKic8-LAEB")
    assert second.token_hash == dpop.token_hash(ACCESS_TOKEN) == "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"


def test_thumbprint_in_the_confirmation_of_section_6_1_is_that_of_the_examples_key() -> None:
    assert thumbprint(KEY) == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"


def test_example_is_refused_for_its_nonce_alone_at_its_time_and_place() -> None:
    """Everything but what only our gates can have issued holds."""
    asked = HttpRequest(
        method="GET",
        origin=Origin(scheme="https", authority="resource.example.org"),
        target="/protectedresource",
        headers={"authorization": f"DPoP {ACCESS_TOKEN}", "dpop": RESOURCE_REQUEST},
    )
    with pytest.raises((MalformedEvidence, VerificationFailed)) as refusal:
        dpop.verify_proof(
            asked,
            path="/protectedresource",
            key=parse_public(KEY),
            jkt=thumbprint(KEY),
            find_gate_key=lambda _: None,
            now=datetime.fromtimestamp(1562262618, UTC),
        )
    assert refusal.value.reason is reasons.NONCE_MISSING


# draft-ietf-oauth-attestation-based-client-auth, sections 4 and 5.1: the key of the attestation verifies the proof.

ATTESTATION = (
    "eyJ0eXAiOiJvYXV0aC1jbGllbnQtYXR0ZXN0YXRpb24rand0IiwiYWxnIjoiRVMyNTYiLCJraWQiOiIxMSJ9.eyJzdWIiOiJodHRwczovL2NsaWVudC5l"
    "eGFtcGxlLmNvbSIsImlhdCI6MTc3MjQ4NzU5NSwiZXhwIjoyNTI5ODY2Mzk0LCJjbmYiOnsiandrIjp7Imt0eSI6IkVDIiwidXNlIjoic2lnIiwiY3J2"
    "IjoiUC0yNTYiLCJ4IjoiVmNLVk5CWjRJYUJBWVczanhNNHczVEpGVkE3bXllVUdReUd0LWdfeXZwUSIsInkiOiJmLUUtaFlFM1RBV0t3aFZ2OXBlajlO"
    "QUJzOVNYOVhzTk84MHg1N2pGVHlVIn19fQ._TS4d-LAnRlwdN97wiVnl4z7C9gvm45IWr-BvGTzeZaHtZtgNZ88gvzroU3LElUPbgF4kWi_DFORnKzsx5"
    "yu6A"
)
POSSESSION = (
    "eyJ0eXAiOiJvYXV0aC1jbGllbnQtYXR0ZXN0YXRpb24tcG9wK2p3dCIsImFsZyI6IkVTMjU2In0.eyJhdWQiOiJodHRwczovL2FzLmV4YW1wbGUuY29t"
    "IiwianRpIjoiZDI1ZDAwYWItNTUyYi00NmZjLWFlMTktOThmNDQwZjI1MDY0IiwiaWF0IjoxNzcyNDg3NTk1LCJjaGFsbGVuZ2UiOiI1YzFhOWUxMC0y"
    "OWZmLTRjMmItYWU3My01N2MwOTU3YzA5YzQifQ.M4Uc4rWVAqaLlmDDUXQKkKPbAQKj0JrTizLgWhZndmbkvM3VL8y-w_QJr7Z0HZlH94E64cLa8L5fS"
    "jJItYv0jg"
)


def test_drafts_attestation_names_the_key_that_made_its_proof_of_possession() -> None:
    attestation, possession = parse_jws(ATTESTATION), parse_jws(POSSESSION)
    assert attestation.header == {"typ": "oauth-client-attestation+jwt", "alg": "ES256", "kid": "11"}
    said = json.parse_object(attestation.payload)
    key = said["cnf"]["jwk"]  # type: ignore[index]  # as printed
    public = {name: key[name] for name in ("kty", "crv", "x", "y")}
    claims = json.parse_object(verify_es256(possession, parse_public(public)))
    assert claims.keys() == {"aud", "jti", "iat", "challenge"}


def test_drafts_proof_is_no_dpop_proof() -> None:
    with pytest.raises(VerificationFailed) as refusal:
        dpop.parse_proof(POSSESSION)
    assert refusal.value.reason is reasons.HEADER_REFUSED
