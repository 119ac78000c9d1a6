"""One reading per JSON text, within bounds."""

from __future__ import annotations

import json as standard
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.codec import json
from bonafide.errors import MalformedEvidence, Misuse
from bonafide.reasons import jose as reasons

_CHARACTERS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-json.MAX_INTEGER, max_value=json.MAX_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _CHARACTERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_CHARACTERS, inner, max_size=3),
    max_leaves=12,
)
_NEARLY_JSON = st.text(alphabet='{}[]:,"ab\\u0d8-1e9N é', max_size=16)


def _refusal(data: bytes, **bounds: int) -> str:
    with pytest.raises(MalformedEvidence) as refusal:
        json.parse_object(data, **bounds)
    assert refusal.value.reason is reasons.JSON_MALFORMED
    return refusal.value.detail


def _nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


def test_an_object_is_read_with_the_types_of_its_members() -> None:
    data = '{"t":"é","n":-1,"f":1.5,"y":true,"z":null,"l":[{}]}'.encode()
    expected = {"t": "é", "n": -1, "f": 1.5, "y": True, "z": None, "l": [{}]}
    assert json.parse_object(data) == expected
    assert json.dump(expected) == data


def test_the_size_is_bounded_before_anything_is_read() -> None:
    assert json.parse_object(b'{"a":1}', max_bytes=7) == {"a": 1}
    assert _refusal(b'{"a":1}', max_bytes=6) == "longer than 6 octets"
    assert json.parse_object(b"{}" + b" " * 65534) == {}
    assert _refusal(b"{}" + b" " * 65535) == "longer than 65536 octets"


@pytest.mark.parametrize("data", [b'{"a":"\xff"}', '{"a":1}'.encode("utf-16"), b'{"a":"\xed\xa0\x80"}'])
def test_other_encodings_than_utf_8_are_refused(data: bytes) -> None:
    assert _refusal(data) == "not UTF-8"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":1} {}',
        b'{"a":1}x',
        b'{"a":1,}',
        b"{'a':1}",
        b'{"a":01}',
        b'{"a":+1}',
        b'{"a":.5}',
        b'{"a":0x1}',
        b'{"a":"\n"}',
        b'{"a":"\\x41"}',
        b'{"a":"\\u004"}',
        b'{"a":1 /* no */}',
        b'{"a"}',
        b'{"a":"',
        b'{"a":tru}',
        b'{"\xc2\xa0a":1}\xc2\xa0',
    ],
)
def test_what_is_nearly_json_is_refused(data: bytes) -> None:
    assert _refusal(data) == "not JSON"


@pytest.mark.parametrize("data", [b"[]", b'"a"', b"1", b"null", b'[{"a":1}]'])
def test_other_values_than_objects_are_refused(data: bytes) -> None:
    assert _refusal(data) == "not an object"


@pytest.mark.parametrize("data", [b'{"a":1,"a":1}', b'{"b":{"a":1,"a":2}}', b'{"b":[{"a":1,"\\u0061":2}]}'])
def test_a_member_name_that_stands_twice_is_refused_at_every_depth(data: bytes) -> None:
    assert _refusal(data) == "a member name stands twice"


def test_depth_is_bounded_at_sixteen() -> None:
    assert json.parse_object(_nested(16))
    assert _refusal(_nested(17)) == "deeper than 16"
    assert _refusal(b'{"a":' + b"[" * 16 + b"]" * 16 + b"}") == "deeper than 16"
    assert _refusal(b'{"a":' + b"[" * 60000) == "deeper than 16"


def test_depth_counts_nesting_and_not_brackets() -> None:
    assert json.parse_object(b'{"a":[' + b"[],{}," * 40 + b"[]]}")
    assert json.parse_object(b'{"a":"' + b"[{" * 40 + b'\\"[[[["}')


def test_depth_is_the_same_among_many_brackets() -> None:
    many = b"[],{}," * 40
    assert json.parse_object(b'{"a":[' + many + b"[" * 14 + b"]" * 14 + b"]}")
    assert _refusal(b'{"a":[' + many + b"[" * 15 + b"]" * 15 + b"]}") == "deeper than 16"


def test_a_bracket_behind_an_escaped_quote_does_not_hide_depth() -> None:
    assert _refusal(b'{"a\\\\":' + b"[" * 16 + b'"]\\"]"' + b"]" * 16 + b"}") == "deeper than 16"


def test_unfinished_strings_cost_no_more_than_their_length() -> None:
    assert _refusal(b'{"' + b'\\"' * 32000 + b"[" * 17) == "not JSON"
    assert _refusal(b"[" * 17 + b'\\"' * 32000) == "deeper than 16"


@pytest.mark.parametrize("number", [9007199254740991, -9007199254740991])
def test_integers_are_read_as_far_as_every_reader_keeps_them(number: int) -> None:
    assert json.parse_object(b'{"a":%d}' % number) == {"a": number}


@pytest.mark.parametrize("literal", [b"9007199254740992", b"-9007199254740992", b"9" * 60000, b"10000000000000000000"])
def test_integers_beyond_are_refused(literal: bytes) -> None:
    assert _refusal(b'{"a":%s}' % literal) == "an integer beyond 2^53 - 1"


@pytest.mark.parametrize("literal", [b"1e400", b"-1e400", b"1" + b"0" * 400 + b".0"])
def test_numbers_beyond_double_precision_are_refused(literal: bytes) -> None:
    assert _refusal(b'{"a":%s}' % literal) == "a number beyond double precision"


@pytest.mark.parametrize("literal", [b"NaN", b"Infinity", b"-Infinity"])
def test_what_no_json_number_is_is_refused(literal: bytes) -> None:
    assert _refusal(b'{"a":%s}' % literal) == "NaN or Infinity"


@pytest.mark.parametrize("text", ['{"a":"\\ud800"}', '{"\\udfff":1}', '{"a":[{"b":"\\ude00\\ud83d"}]}'])
def test_a_lone_surrogate_is_refused_before_it_can_fail_elsewhere(text: str) -> None:
    assert _refusal(text.encode()) == "a lone surrogate"


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert json.parse_object(b'{"a":"\\ud83d\\ude00"}') == {"a": "\U0001f600"}


@pytest.mark.parametrize("value", [math.nan, math.inf, b"octets", {"a": object()}, "\ud800", {(1, 2): 3}])
def test_a_value_without_json_form_is_the_programs_fault(value: object) -> None:
    with pytest.raises(Misuse) as refusal:
        json.dump(value)
    assert refusal.value.reason is reasons.VALUE_NOT_JSON


def test_a_value_that_holds_itself_is_the_programs_fault() -> None:
    circle: list[object] = []
    circle.append(circle)
    with pytest.raises(Misuse) as refusal:
        json.dump(circle)
    assert refusal.value.reason is reasons.VALUE_NOT_JSON


@given(st.dictionaries(_CHARACTERS, _VALUES, max_size=4))
def test_what_is_written_is_read_again(value: dict[str, object]) -> None:
    assert json.parse_object(json.dump(value)) == value


@settings(parent=settings.get_profile("bonafide"))
@given(_NEARLY_JSON.map(lambda text: ("{" + text + "}").encode()) | st.binary(max_size=40))
def test_any_octets_are_an_object_that_the_standard_library_reads_alike_or_are_refused(data: bytes) -> None:
    try:
        value = json.parse_object(data)
    except MalformedEvidence as refusal:
        if refusal.reason is not reasons.JSON_MALFORMED:
            raise
    else:
        assert value == standard.loads(data)
        assert json.parse_object(json.dump(value)) == value
