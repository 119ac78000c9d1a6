"""Which answers are sealed and opened as vectors: every size at which something changes, every part that can differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bonafide.codec import base64url
from bonafide.testing.vectors import ACCEPT, Vector, encode
from tests.vectors.sealed import (
    BASE,
    HEADER_OCTETS,
    JSON_FIELD,
    ROOM,
    SALT,
    SID,
    good,
    input_key,
    pattern,
    plain_records,
    preface,
    refused,
    refused_pieces,
    seal_records,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


RECORD: Final = 65536
KEY: Final = input_key()
BODY: Final = b'{"temperature":21}'
CONTENT: Final = preface(JSON_FIELD) + BODY
PLAIN: Final = plain_records(CONTENT)[0]
SEALED: Final = seal_records([PLAIN], input_key=KEY)
MANY: Final = (
    ("set-cookie", "a=1; Path=/"),
    ("set-cookie", "b=2"),
    ("location", "/elsewhere"),
    ("x-empty", ""),
    ("x-tab", "a\tb"),
    ("x-text", "caf\u00e9 \u20ac \U0001f512"),
    ("x-latin-1", "\u00c3\u0085"),
    ("bonafide-action", "none"),
    ("!#$%&'*+.^_`|~-09az", "every character of a token"),
)
LONGEST: Final = (("x", "a" * (32768 - len('{"fields":[["x",""]]}'))),)


def build() -> Iterator[Vector]:
    """Yield every vector of both areas."""
    yield from _sealed()
    yield from _sizes()
    yield from _other_questions()
    yield from _headers()
    yield from _edited()
    yield from _records()
    yield from _paddings()
    yield from _fields()
    yield from _rfc_8188()


def _sealed() -> Iterator[Vector]:
    yield good("", "PROTOCOL section 5, ADR 15", body=BODY)
    yield good("_no_fields", "No inner field at all", body=BODY, fields=())
    yield good("_fields", "Fields in their order, one of them twice", body=BODY, fields=MANY)
    yield good("_fields_longest", "32 KiB of fields", body=BODY, fields=LONGEST)
    yield good("_not_found", "An error of the application", body=b"{}", status=404)
    yield good("_599", "The last status there is", body=b"{}", status=599)
    yield good("_other_session", "Another session key, another K", body=BODY, session_key=bytes(32))
    yield good("_other_question", "One octet of the signature base differs", body=BODY, base=BASE.replace("GET", "PUT"))
    yield good("_body_of_zeros", "What looks like padding and is none", body=bytes(20))
    yield good("_body_of_delimiters", "What looks like delimiters and is none", body=b"\x02\x01\x02\x00\x02\x00")


def _sizes() -> Iterator[Vector]:
    begin = len(preface(()))
    for size in (0, 1, 47 - begin, 48 - begin, 111 - begin, 112 - begin, 1024, 10_000):
        yield good(f"_{size}", f"{size} octets", body=size, fields=())
    for records in (1, 2, 3):
        for more in (-1, 0, 1, 15, 16):
            size = records * ROOM - begin + more
            comment = f"The content of {records} records{f', {more:+} octets' if more else ''}"
            yield good(f"_{records}_records_{size}", comment, body=size, fields=())
    yield good("_1_mb", "1 MB", body=2**20)
    yield good("_64_mb", "64 MB", body=2**26)


def _other_questions() -> Iterator[Vector]:
    other = encode(bytes(32))
    yield refused("question_other", "The answer to another question", "record_invalid", SEALED, base=BASE + " ")
    yield refused("status_other", "Another status", "record_invalid", SEALED, status=201)
    yield refused("session_key_other", "Another session key", "record_invalid", SEALED, session_key=other)
    yield refused("sid_other", "Another session", "session_mismatch", SEALED, sid=encode(bytes(16)))


def _headers() -> Iterator[Vector]:
    def sealed(**how: object) -> bytes:
        return seal_records([PLAIN], input_key=KEY, **how)  # type: ignore[arg-type]  # one of its named arguments

    for name, size in (("smaller", 4096), ("larger", RECORD + 1), ("17", 17), ("none", 0), ("largest", 2**32 - 1)):
        yield refused(f"record_size_{name}", f"rs {size}", "header_refused", sealed(record_size=size))
    for name, key_id in (("empty", b""), ("short", SID[:15]), ("long", SID + b"\0"), ("text", b"session")):
        yield refused(f"key_id_{name}", f"A key id of {len(key_id)} octets", "header_refused", sealed(key_id=key_id))
    for name, octets in (("empty", b""), ("salt", SEALED[:16]), ("header_less", SEALED[: HEADER_OCTETS - 1])):
        yield refused(f"truncated_{name}", f"{len(octets)} octets", "truncated", octets)
    yield refused("truncated_header", "The header alone", "truncated", SEALED[:HEADER_OCTETS])
    yield refused("truncated_16", "A record that is shorter than any", "truncated", SEALED[: HEADER_OCTETS + 16])


def _edited() -> Iterator[Vector]:
    last = len(SEALED) - 1
    for name, at, expect in (
        ("salt", 0, "record_invalid"),
        ("record_size", 19, "header_refused"),
        ("key_id_length", 20, "header_refused"),
        ("key_id", 21, "session_mismatch"),
        ("length", HEADER_OCTETS + 3, "record_invalid"),
        ("fields", HEADER_OCTETS + 10, "record_invalid"),
        ("body", HEADER_OCTETS + len(CONTENT) - 1, "record_invalid"),
        ("delimiter", HEADER_OCTETS + len(CONTENT), "record_invalid"),
        ("padding", HEADER_OCTETS + len(CONTENT) + 1, "record_invalid"),
        ("tag", last - 15, "record_invalid"),
        ("tag_end", last, "record_invalid"),
    ):
        octets = SEALED[:at] + bytes([SEALED[at] ^ 1]) + SEALED[at + 1 :]
        yield refused(f"edited_{name}", "One bit", expect, octets)
    yield refused("truncated_octet", "The last octet is missing", "record_invalid", SEALED[:-1])
    yield refused("truncated_half", "Half a record", "record_invalid", SEALED[: HEADER_OCTETS + 64])
    yield refused("appended_octet", "An octet follows", "record_invalid", SEALED + b"\0")
    yield refused("appended_itself", "The record again", "record_invalid", SEALED + SEALED[HEADER_OCTETS:])
    yield refused("appended_answer", "The answer again", "record_invalid", SEALED + SEALED)


def _records() -> Iterator[Vector]:
    """Put an answer of three records together in other ways."""
    body = 2 * ROOM + 1000 - len(preface(()))
    answer = {"salt": encode(SALT), "fields": [], "body_size": body}
    records = plain_records(preface(()) + pattern(body))
    sealed = seal_records(records, input_key=KEY)
    header, first, second, end = 0, HEADER_OCTETS, HEADER_OCTETS + RECORD, len(sealed)
    third, flipped = second + RECORD, bytes([sealed[second + 5] ^ 1])
    empty = seal_records([*records[:2], plain_records(b"")[0]], input_key=KEY)[third:]
    for name, comment, expect, pieces in (
        ("truncated_1", "The first of three records", "truncated", [[header, second]]),
        ("truncated_2", "Two of three records", "truncated", [[header, third]]),
        ("truncated_2_more", "Two of three records, and 16 octets", "truncated", [[header, third + 16]]),
        ("truncated_in_2", "Cut within the second record", "record_invalid", [[header, second + 100]]),
        ("truncated_in_3", "Cut within the last record", "record_invalid", [[header, end - 1]]),
        ("dropped_1", "Without the first record", "record_invalid", [[header, first], [second, end]]),
        ("dropped_2", "Without the second record", "record_invalid", [[header, second], [third, end]]),
        ("only_3", "The last record alone", "record_invalid", [[header, first], [third, end]]),
        (
            "swapped", "Two records swapped", "record_invalid",
            [[0, first], [second, third], [first, second], [third, end]],
        ),
        ("repeated_1", "The first record twice", "record_invalid", [[header, second], [first, end]]),
        ("repeated_3", "The last record twice", "record_invalid", [[header, end], [third, end]]),
        ("edited_2", "One bit of the second record", "record_invalid", [[0, second + 5], flipped, [second + 6, end]]),
        ("appended_3", "An octet after three records", "record_invalid", [[header, end], b"\0"]),
        ("empty_last", "The end in a record of its own", "padding_malformed", [[header, third], empty]),
    ):  # fmt: skip
        yield refused_pieces(name, comment, expect, answer, pieces)
    for name, comment, ending in (
        ("last_in_the_middle", "A last record with one after it", records[0][-2:-1] + b"\x02"),
        ("padded_in_the_middle", "A record with less than fits, and one after it", b"\x01\x00"),
        ("delimiter_3_in_the_middle", "Delimiter 3", records[0][-2:-1] + b"\x03"),
    ):
        other = seal_records([records[0][:-2] + ending, *records[1:]], input_key=KEY)
        yield refused_pieces(
            name, comment, "padding_malformed", answer,
            [[header, second - 18], other[second - 18 : second], [second, end]],
        )  # fmt: skip


def _one(plain: bytes) -> bytes:
    return seal_records([plain], input_key=KEY)


def _paddings() -> Iterator[Vector]:
    zeros = len(PLAIN) - len(CONTENT) - 1
    for name, comment, expect, plain in (
        ("padding_edited", "One octet of padding is not zero", "truncated", PLAIN[:-1] + b"\x01"),
        ("padding_none", "No padding", "padding_malformed", CONTENT + b"\x02"),
        ("padding_less", "An octet less", "padding_malformed", PLAIN[:-1]),
        ("padding_more", "An octet more", "padding_malformed", PLAIN + b"\0"),
        ("padding_double", "The next power of two", "padding_malformed", PLAIN + bytes(len(PLAIN) + 16)),
        ("delimiter_none", "Zeros alone", "padding_malformed", bytes(len(PLAIN))),
        ("delimiter_1", "A record that is not the last, and the last", "truncated", CONTENT + b"\x01" + bytes(zeros)),
        ("delimiter_3", "Delimiter 3", "truncated", CONTENT + b"\x03" + bytes(zeros)),
    ):
        yield refused(name, comment, expect, _one(plain))
    short = plain_records(preface(()) + pattern(30))[0]
    halved = preface(()) + pattern(31) + b"\x02"
    yield refused("padding_too_short", "49 octets and a tag are not 64", "padding_malformed", _one(halved))
    yield refused("padding_power_below", "Half of what it takes", "record_invalid", _one(short)[: HEADER_OCTETS + 32])


def _fields() -> Iterator[Vector]:
    def malformed(name: str, comment: str, said: bytes, length: int | None = None) -> Vector:
        content = (len(said) if length is None else length).to_bytes(4, "big") + said
        return refused(f"fields_{name}", comment, "fields_malformed", _one(plain_records(content)[0]))

    good_fields = b'{"fields":[["a","b"]]}'
    yield malformed("length_more", "The length is one too much", good_fields, len(good_fields) + 1)
    yield malformed("length_less", "The length is one too little", good_fields, len(good_fields) - 1)
    yield malformed("length_zero", "No object at all", good_fields, 0)
    yield malformed("length_huge", "A length that wraps round in 32 bits", good_fields, 2**32 - 1)
    for size in (0, 3, 4):
        octets = _one(plain_records(bytes(size))[0])
        yield refused(f"fields_none_{size}", f"{size} octets of content", "fields_malformed", octets)
    for name, comment, text in (
        ("not_json", "Not JSON", '{"fields":[["a","b"]}'),
        ("not_utf_8", "Not UTF-8", '{"fields":[["a","\udcff"]]}'),
        ("surrogate", "Half a surrogate pair", '{"fields":[["a","\\ud800"]]}'),
        ("array", "No object", '[["a","b"]]'),
        ("two_members", "Two members", '{"fields":[["a","b"]],"body":0}'),
        ("member_twice", "The member twice", '{"fields":[],"fields":[["a","b"]]}'),
        ("member_other", "Another member", '{"headers":[["a","b"]]}'),
        ("member_none", "No member", "{}"),
        ("object", "An object of fields", '{"fields":{"a":"b"}}'),
        ("null", "No fields", '{"fields":null}'),
        ("flat", "No pairs", '{"fields":["a","b"]}'),
        ("text_of_two", "A text for a pair", '{"fields":["ab"]}'),
        ("pair_of_one", "A name alone", '{"fields":[["a"]]}'),
        ("pair_of_three", "Three in a pair", '{"fields":[["a","b","c"]]}'),
        ("pair_empty", "Nothing in a pair", '{"fields":[[]]}'),
        ("pair_object", "A pair in another form", '{"fields":[{"a":"b"}]}'),
        ("name_number", "A name that is a number", '{"fields":[[1,"b"]]}'),
        ("name_empty", "An empty name", '{"fields":[["","b"]]}'),
        ("name_upper", "A name with a capital", '{"fields":[["A","b"]]}'),
        ("name_space", "A space in a name", '{"fields":[["a ","b"]]}'),
        ("name_colon", "A colon in a name", '{"fields":[["a:","b"]]}'),
        ("name_line", "A line feed behind a name", '{"fields":[["a\\n","b"]]}'),
        ("name_not_ascii", "A name beyond ASCII", '{"fields":[["\u00e4","b"]]}'),
        ("value_number", "A value that is a number", '{"fields":[["a",1]]}'),
        ("value_null", "A value that is null", '{"fields":[["a",null]]}'),
        ("value_nul", "A NUL", '{"fields":[["a","b\\u0000c"]]}'),
        ("value_line", "A line feed in a value", '{"fields":[["a","b\\nc"]]}'),
        ("value_line_end", "A line feed behind a value", '{"fields":[["a","b\\n"]]}'),
        ("value_return", "A carriage return in a value", '{"fields":[["a","b\\rc"]]}'),
        ("value_delete", "DEL in a value", '{"fields":[["a","b\u007fc"]]}'),
        ("value_space_before", "A space before a value", '{"fields":[["a"," b"]]}'),
        ("value_space_behind", "A space behind a value", '{"fields":[["a","b "]]}'),
        ("value_tab_behind", "A tab behind a value", '{"fields":[["a","b\\t"]]}'),
        ("value_space", "A space for a value", '{"fields":[["a"," "]]}'),
    ):
        yield malformed(name, comment, text.encode("utf-8", "surrogateescape"))
    yield from _fields_of_records()


def _fields_of_records() -> Iterator[Vector]:
    """Edit the first record's plain text in two places; a stream cipher shows it in these two and the tag."""
    answer: dict[str, object] = {"salt": encode(SALT), "fields": [list(pair) for pair in LONGEST], "body": encode(b"}")}
    content = preface(LONGEST) + b"}"
    longer = content[:3] + b"\x01" + content[4:-2] + b" }"
    other, size = seal_records(plain_records(longer), input_key=KEY), HEADER_OCTETS + RECORD
    at = HEADER_OCTETS + len(content) - 2
    yield refused_pieces(
        "fields_too_long", "32 KiB of fields and an octet", "fields_malformed", answer,
        [[0, 40], other[40:41], [41, at], other[at : at + 1], [at + 1, size - 16], other[-16:]],
    )  # fmt: skip


def _rfc_8188() -> Iterator[Vector]:
    key = base64url.decode("yqdlZ-tYemfogSmv7Ws5PQ")
    octets = base64url.decode("I1BsxtFttlv3u_Oo94xnmwAAEAAA-NAVub2qFgBEuQKRapoZu-IxkIva3MEB1PD-ly8Thjg")
    key_2 = base64url.decode("BO3ZVPxUlnLORbVGMpbT1Q")
    octets_2 = base64url.decode(
        "uNCkWiNYzKTnBN9ji3-qWAAAABkCYTHOG8chz_gnvgOqdGYovxyjuqRyJFjEDyoF1Fvkj6hQPdPHI51OEUKEpgz3SsLWIqS_uA"
    )
    for name, comment, example, with_key, size, key_id in (
        ("good", "RFC 8188 section 3.1", octets, key, 4096, b""),
        ("good_two_records", "RFC 8188 section 3.2", octets_2, key_2, 25, b"a1"),
    ):
        yield _message(
            name, comment, with_key, example,
            claims={
                "salt": encode(example[:16]), "record_size": size, "key_id": encode(key_id),
                "content": encode(b"I am the walrus"),
            },
        )  # fmt: skip
    small = octets[:16] + (17).to_bytes(4, "big") + octets[20:]
    edited = octets[:30] + bytes([octets[30] ^ 1]) + octets[31:]
    for name, comment, with_key, message, expect in (
        ("key_other", "Another key", key_2, octets, "record_invalid"),
        ("record_size_17", "No room for anything", key, small, "header_refused"),
        ("edited", "One bit", key, edited, "record_invalid"),
        ("truncated_header", "20 octets", key, octets[:20], "truncated"),
        ("truncated_key_id", "Half a key id", key_2, octets_2[:22], "truncated"),
        ("truncated_record", "An octet is missing", key, octets[:-1], "record_invalid"),
        ("truncated", "One of two records", key_2, octets_2[: 23 + 25], "truncated"),
        ("dropped", "The second of two records", key_2, octets_2[:23] + octets_2[48:], "record_invalid"),
        ("appended", "An octet after two records", key_2, octets_2 + b"\0", "padding_malformed"),
    ):
        yield _message(name, comment, with_key, message, expect=f"sealed.{expect}")
    for name, comment, plain, expect in (
        ("delimiter_none", "No delimiter", bytes(9), "padding_malformed"),
        ("delimiter_1", "No last record", b"a\x01", "truncated"),
        ("delimiter_other", "Delimiter 3", b"a\x03", "truncated"),
    ):
        message = seal_records([plain], input_key=key, record_size=25, key_id=b"a1")
        yield _message(name, comment, key, message, expect=f"sealed.{expect}")
    early = seal_records([b"I am th\x02\x00", b"e walrus\x02"], input_key=key, record_size=25, key_id=b"")
    yield _message("delimiter_early", "A last record before the last", key, early, expect="sealed.padding_malformed")


def _message(
    name: str, comment: str, key: bytes, octets: bytes, *, expect: str = ACCEPT, claims: dict[str, object] | None = None
) -> Vector:
    given = {"key": encode(key), "octets": encode(octets)}
    return Vector(name=f"aes128gcm/{name}", comment=comment, now=None, input=given, expect=expect, claims=claims)
