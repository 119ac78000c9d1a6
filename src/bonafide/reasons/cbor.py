"""Reasons of the area `cbor`: the strict subset of RFC 8949 that App Attest objects are read in."""

from __future__ import annotations

from typing import Final

from bonafide.reasons._reason import Reason

MALFORMED: Final = Reason(
    code="cbor.malformed",
    meaning="The octets are not well-formed CBOR of definite lengths, at most 16 levels deep, without repeated keys.",
    honest_cause="An object cut short in transit, or base64 decoded in the wrong alphabet.",
    likely_attack="Probing the parser: announced lengths that are not there, nesting, indefinite lengths.",
    remedy="Compare the length that arrived with the one that the app sent.",
    spec="RFC 8949 sections 3 and 5.3.1",
    status=400,
)

TOO_LARGE: Final = Reason(
    code="cbor.too_large",
    meaning="The object has more octets than any genuine one.",
    honest_cause="None known.",
    likely_attack="Exhausting the verifier.",
    remedy="None: Apple's objects are a quarter of the limit.",
    spec="PROTOCOL, preamble",
    status=400,
)

TOO_MANY_ITEMS: Final = Reason(
    code="cbor.too_many_items",
    meaning="The object holds more than 1024 data items.",
    honest_cause="None known.",
    likely_attack="Exhausting the verifier with many small items.",
    remedy="None: genuine objects hold about a dozen.",
    spec="PROTOCOL, preamble",
    status=400,
)

TRAILING_DATA: Final = Reason(
    code="cbor.trailing_data",
    meaning="Octets follow the one data item.",
    honest_cause="Two objects sent as one.",
    likely_attack="Two parsers made to see two different objects.",
    remedy="Send exactly what DCAppAttestService returned.",
    spec="RFC 8949 section 5.3.1",
    status=400,
)

TYPE_REFUSED: Final = Reason(
    code="cbor.type_refused",
    meaning="The object holds a tag, a float, a simple value but false, true, null, or another key than text or int.",
    honest_cause="None known.",
    likely_attack="Keys such as 1 and true that some parsers take for the same, or tags with side effects.",
    remedy="None: no genuine object holds one.",
    spec="RFC 8949 sections 3.3, 3.4 and 5.6",
    status=400,
)
