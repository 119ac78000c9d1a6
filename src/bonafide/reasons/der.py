"""Reasons of the area `der`: the extensions of Apple's leaf certificates."""

from __future__ import annotations

from typing import Final

from bonafide.reasons._reason import Reason

MALFORMED: Final = Reason(
    code="der.malformed",
    meaning="A certificate extension is not the DER structure that its OID stands for.",
    honest_cause="None known: every attestation since iOS 14.0 has the same structure.",
    likely_attack="A certificate with the nonce at an offset where careless verifiers look for it.",
    remedy="Keep the object; if it is genuine, Apple changed the extension and this verifier must follow.",
    spec="ITU-T X.690 sections 8 and 10",
    status=400,
)

TOO_LARGE: Final = Reason(
    code="der.too_large",
    meaning="A certificate extension has more than 4096 octets.",
    honest_cause="None known.",
    likely_attack="Exhausting the verifier.",
    remedy="None: genuine extensions have at most a few hundred.",
    spec="PROTOCOL, preamble",
    status=400,
)
