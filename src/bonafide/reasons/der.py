"""Reasons of the area `der`: Apple's certificates and the extensions in them."""

from __future__ import annotations

from typing import Final

from bonafide.reasons._reason import Reason

MALFORMED: Final = Reason(
    code="der.malformed",
    meaning="A certificate, or one of Apple's extensions in it, is not the DER structure that it should be.",
    honest_cause="None known: every attestation since iOS 14.0 has the same structure.",
    likely_attack="A certificate with the nonce at an offset where careless verifiers look for it.",
    remedy="Keep the object; if it is genuine, Apple changed the extension and this verifier must follow.",
    spec="ITU-T X.690 sections 8 and 10",
    status=400,
)

TOO_LARGE: Final = Reason(
    code="der.too_large",
    meaning="A certificate has more than 16 KiB, or one of Apple's extensions in it more than 4 KiB.",
    honest_cause="None known.",
    likely_attack="Exhausting the verifier.",
    remedy="None: genuine certificates have about 1,000 octets.",
    spec="PROTOCOL, preamble",
    status=400,
)
