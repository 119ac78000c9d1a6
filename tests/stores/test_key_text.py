"""A key file is exactly one of three forms."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.codec import base64url
from bonafide.errors import ConfigurationError
from bonafide.keys import GateKey, ScheduledKey, ServiceKey, ServiceRing, SigningKey
from bonafide.reasons import configuration as reasons
from bonafide.stores import key_text

if TYPE_CHECKING:
    from collections.abc import Callable

_NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
_FIRST, _SECOND, _THIRD = (ec.derive_private_key(number, ec.SECP256R1()) for number in (7, 8, 9))
_SIGNING = (
    ScheduledKey(key=SigningKey.of(_FIRST), signs_from=_NOON),
    ScheduledKey(key=SigningKey.of(_SECOND), signs_from=_NOON + timedelta(days=30)),
)
_GATE = tuple(
    GateKey(
        kid=f"2026110{day}-a",
        secret=bytes([day]) * 32,
        audience="api",
        not_before=_NOON + timedelta(days=day),
        erase_after=_NOON + timedelta(days=day + 1),
    )
    for day in range(2)
)
_SERVICE = ServiceRing(key=ServiceKey.of(_FIRST), spare=ServiceKey.of(_SECOND).kid)
_SIGNING_TEXT = key_text.dump_signing_keys(_SIGNING)
_GATE_TEXT = key_text.dump_gate_keys(_GATE)
_SERVICE_TEXT = key_text.dump_service_key(_SERVICE, spare=_SECOND)
_PARSERS: dict[str, tuple[Callable[[bytes, str], object], bytes]] = {
    "signing": (key_text.parse_signing_keys, _SIGNING_TEXT),
    "gate": (key_text.parse_gate_keys, _GATE_TEXT),
    "service": (key_text.parse_service_key, _SERVICE_TEXT),
}


def _refused(name: str, data: bytes) -> str:
    with pytest.raises(ConfigurationError) as refusal:
        _PARSERS[name][0](data, "the file")
    assert refusal.value.reason is reasons.KEYS_UNSAFE
    assert refusal.value.detail.startswith("the file: ")
    return refusal.value.detail


def _changed(name: str, change: dict[str, Any], *, entry: int | None = None) -> bytes:
    """Return the good file with members replaced, added, or (None) removed, in the document or one of its keys."""
    document = json.loads(_PARSERS[name][1])
    target = document if entry is None else document["keys"][entry]
    target.update(change)
    for member in [member for member, value in change.items() if value is None]:
        del target[member]
    return json.dumps(document).encode()


def test_what_is_written_is_read_again() -> None:
    signing = key_text.parse_signing_keys(_SIGNING_TEXT, "")
    assert key_text.dump_signing_keys(signing) == _SIGNING_TEXT
    assert [(scheduled.key.kid, scheduled.signs_from) for scheduled in signing] == [
        (scheduled.key.kid, scheduled.signs_from) for scheduled in _SIGNING
    ]
    assert key_text.parse_gate_keys(_GATE_TEXT, "") == _GATE
    ring = key_text.parse_service_key(_SERVICE_TEXT, "")
    assert ring.thumbprints == _SERVICE.thumbprints
    assert ring.key.private_key.private_numbers() == _FIRST.private_numbers()


def test_the_forms_do_not_move() -> None:
    assert _SIGNING_TEXT == (
        b'{"form":"bonafide-signing-keys-1",'
        b'"keys":[{"kid":"ccgscWSOWNe7zfELCIRHTdb7JkVy_Eo2vg371C5rplY",'
        b'"signs_from":1793534400,'
        b'"private":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAc"},'
        b'{"kid":"dua6RYkNcqxX7xRiMQ5XZyMedBizg7y9jkqbcMKgldM",'
        b'"signs_from":1796126400,'
        b'"private":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAg"}]}'
    )
    assert _GATE_TEXT == (
        b'{"form":"bonafide-gate-keys-1",'
        b'"keys":[{"kid":"20261100-a",'
        b'"audience":"api",'
        b'"not_before":1793534400,'
        b'"erase_after":1793620800,'
        b'"secret":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},'
        b'{"kid":"20261101-a",'
        b'"audience":"api",'
        b'"not_before":1793620800,'
        b'"erase_after":1793707200,'
        b'"secret":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"}]}'
    )
    assert _SERVICE_TEXT == (
        b'{"form":"bonafide-service-key-1",'
        b'"kid":"ccgscWSOWNe7zfELCIRHTdb7JkVy_Eo2vg371C5rplY",'
        b'"private":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAc",'
        b'"spare":"dua6RYkNcqxX7xRiMQ5XZyMedBizg7y9jkqbcMKgldM",'
        b'"spare_private":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAg"}'
    )


def test_a_gate_file_without_keys_is_read_and_a_signing_file_without_keys_is_not() -> None:
    assert key_text.parse_gate_keys(_changed("gate", {"keys": []}), "") == ()
    assert "no key" in _refused("signing", _changed("signing", {"keys": []}))


def test_a_spare_that_was_taken_out_is_known_by_its_thumbprint() -> None:
    ring = key_text.parse_service_key(_changed("service", {"spare_private": None}), "")
    assert ring.thumbprints == _SERVICE.thumbprints


@pytest.mark.parametrize("name", list(_PARSERS))
@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"form":1}', b'{"a":1,"a":2}'])
def test_what_is_no_strict_object_of_a_known_form_is_refused(name: str, data: bytes) -> None:
    _refused(name, data)


@pytest.mark.parametrize("name", list(_PARSERS))
def test_a_file_in_the_place_of_another_is_refused(name: str) -> None:
    for other in _PARSERS:
        if other != name:
            assert "not the form" in _refused(name, _PARSERS[other][1])


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("signing", {"more": 1}),
        ("signing", {"keys": {}}),
        ("signing", {"keys": None}),
        ("signing", {"keys": [1]}),
        ("signing", {"form": "bonafide-signing-keys-2"}),
        ("gate", {"more": 1}),
        ("gate", {"keys": {}}),
        ("gate", {"keys": [[]]}),
        ("service", {"more": 1}),
        ("service", {"kid": None}),
        ("service", {"spare": None}),
        ("service", {"private": None}),
        ("service", {"spare": 1}),
        ("service", {"kid": "a"}),
        ("service", {"spare": "a"}),
        ("service", {"spare": ServiceKey.of(_FIRST).kid, "spare_private": None}),
        ("service", {"spare_private": base64url.encode((9).to_bytes(32, "big"))}),
        ("service", {"private": base64url.encode(bytes(32))}),
    ],
)
def test_another_document_is_refused(name: str, change: dict[str, Any]) -> None:
    _refused(name, _changed(name, change))


def test_a_spare_that_is_the_key_itself_is_refused() -> None:
    same = ServiceRing(key=ServiceKey.of(_FIRST), spare=ServiceKey.of(_FIRST).kid)
    _refused("service", key_text.dump_service_key(same, spare=_FIRST))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("signing", {"more": 1}),
        ("signing", {"kid": None}),
        ("signing", {"kid": ServiceKey.of(_THIRD).kid}),
        ("signing", {"signs_from": "1"}),
        ("signing", {"signs_from": True}),
        ("signing", {"signs_from": 1.5}),
        ("signing", {"signs_from": -1}),
        ("signing", {"signs_from": 253370764801}),
        ("signing", {"private": 1}),
        ("signing", {"private": base64url.encode(bytes(31))}),
        ("signing", {"private": base64url.encode(bytes(32))}),
        ("signing", {"private": base64url.encode(b"\xff" * 32)}),
        ("signing", {"private": "="}),
        ("gate", {"more": 1}),
        ("gate", {"audience": None}),
        ("gate", {"audience": 1}),
        ("gate", {"kid": 1}),
        ("gate", {"kid": "20261100-a", "secret": base64url.encode(bytes(31))}),
        ("gate", {"secret": base64url.encode(bytes(33))}),
        ("gate", {"secret": None}),
        ("gate", {"not_before": None}),
        ("gate", {"not_before": "1"}),
        ("gate", {"erase_after": 2**50}),
    ],
)
def test_another_key_is_refused(name: str, change: dict[str, Any]) -> None:
    _refused(name, _changed(name, change, entry=1))


def test_two_gate_keys_of_one_id_are_refused() -> None:
    assert "twice" in _refused("gate", _changed("gate", {"kid": _GATE[0].kid}, entry=1))


@pytest.mark.parametrize("earlier", [timedelta(0), timedelta(seconds=1)])
def test_signing_keys_out_of_order_are_refused(earlier: timedelta) -> None:
    moment = int((_NOON - earlier).timestamp())
    assert "order" in _refused("signing", _changed("signing", {"signs_from": moment}, entry=1))


@pytest.mark.parametrize("moment", [0, 253370764800])
def test_times_are_taken_up_to_the_year_9999(moment: int) -> None:
    (key, _) = key_text.parse_gate_keys(_changed("gate", {"not_before": moment}, entry=0), "")
    assert key.not_before.timestamp() == moment


def test_no_refusal_repeats_a_secret() -> None:
    for name in ("signing", "gate"):
        for octet in range(0, len(_PARSERS[name][1]), 7):
            data = _PARSERS[name][1]
            try:
                _PARSERS[name][0](data[:octet] + b"!" + data[octet + 1 :], "the file")
            except ConfigurationError as refusal:
                shown = f"{refusal}{refusal.__context__}"
                if base64url.encode(_GATE[1].secret) in shown or base64url.encode((7).to_bytes(32, "big")) in shown:
                    raise


@settings(parent=settings.get_profile("bonafide"))
@given(
    st.sampled_from(sorted(_PARSERS)),
    st.integers(min_value=0),
    st.binary(max_size=2),
)
def test_any_octets_are_a_key_file_or_refused(name: str, position: int, octets: bytes) -> None:
    parse, data = _PARSERS[name]
    position %= len(data)
    try:
        parse(data[:position] + octets + data[position + 1 :], "the file")
    except ConfigurationError as refusal:
        if refusal.reason is not reasons.KEYS_UNSAFE:
            raise
