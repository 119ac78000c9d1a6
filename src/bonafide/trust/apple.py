"""Apple's root for App Attest."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Final

from bonafide.trust.anchor import Anchor

APP_ATTESTATION_ROOT: Final = Anchor(
    name="Apple App Attestation Root CA",
    certificate_der=base64.b64decode(
        "MIICITCCAaegAwIBAgIQC/O+DvHN0uD7jG5yH2IXmDAKBggqhkjOPQQDAzBSMSYwJAYDVQQDDB1BcHBsZSBBcHAgQXR0ZXN0"
        "YXRpb24gUm9vdCBDQTETMBEGA1UECgwKQXBwbGUgSW5jLjETMBEGA1UECAwKQ2FsaWZvcm5pYTAeFw0yMDAzMTgxODMyNTNa"
        "Fw00NTAzMTUwMDAwMDBaMFIxJjAkBgNVBAMMHUFwcGxlIEFwcCBBdHRlc3RhdGlvbiBSb290IENBMRMwEQYDVQQKDApBcHBs"
        "ZSBJbmMuMRMwEQYDVQQIDApDYWxpZm9ybmlhMHYwEAYHKoZIzj0CAQYFK4EEACIDYgAERTHhmLW07ATaFQIEVwTtT4dyctdh"
        "NbJhFs/Ii2FdCgAHGbpphY3+d8qjuDngIN3WVhQUBHAoMeQ/cLiP1sOUtgjqK9auYen1mMEvRq9Sk3Jm5X8U62H+xTD3FE9T"
        "gS41o0IwQDAPBgNVHRMBAf8EBTADAQH/MB0GA1UdDgQWBBSskRBTM72+aEH/pwyp5frq5eWKoTAOBgNVHQ8BAf8EBAMCAQYw"
        "CgYIKoZIzj0EAwMDaAAwZQIwQgFGnByvsiVbpTKwSga0kP0e8EeDS4+sQmTvb7vn53O5+FRXgeLhpJ06ysC5PrOyAjEAp5U4"
        "xDgEgllF7En3VcE3iexZZtKeYnpqtijVoyFraWVIyd/dganmrduC1bmTBGwD"
    ),
    sha256="1cb9823ba28ba6ad2d33a006941de2ae4f513ef1d4e831b9f7e0fa7b6242c932",
    spki_sha256="1ae751fd29896d0f1f13fe226c063f445d40d8938acc6245c251ecc0679330bd",
    not_after=datetime(2045, 3, 15, tzinfo=UTC),
    source="https://www.apple.com/certificateauthority/Apple_App_Attestation_Root_CA.pem",
)
"""The one anchor of every App Attest chain since iOS 14."""

BUNDLED: Final = (APP_ATTESTATION_ROOT,)
"""All real anchors for App Attest; `require_bundled` compares with these."""
