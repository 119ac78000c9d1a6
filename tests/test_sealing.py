"""A sealed answer opens for its question and its status, whole; and nothing else opens."""

from __future__ import annotations

import json
import tracemalloc
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide import sealing
from bonafide.errors import MalformedEvidence, Misuse, VerificationFailed
from bonafide.reasons import sealed as reasons
from bonafide.sealing import AnswerKey, Opener, Sealer, answer_key, open_sealed, seal
from bonafide.session import seal_response_key
from tests.vectors.judges import attempt
from tests.vectors.sealed import ROOM, input_key, pattern, plain_records, preface, seal_records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bonafide.reasons import Reason

RESPONSE_KEY = bytes(range(32))
SID = bytes(range(16))
SALT = bytes(range(100, 116))
BASE = b'"@method": GET'
KEY = answer_key(RESPONSE_KEY, sid=SID, base=BASE)
FIELDS = (("content-type", "application/json"),)
BODY = b'{"temperature":21}'
SEALED = b"".join(seal(BODY, KEY, status=200, fields=FIELDS, salt=SALT))
HEADER_OCTETS = 37
MEGABYTE = 2**20

CONTROLS = "".join(map(chr, [*range(32), 127]))

names = st.text("abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+.^_`|~-", min_size=1, max_size=20)
values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=CONTROLS)).map(
    lambda text: text.strip(" ")
)
some_fields = st.lists(st.tuples(names, values), max_size=4)
sizes = st.integers(0, 3 * ROOM + 2) | st.sampled_from([n * ROOM + d for n in (1, 2, 3) for d in range(-60, 3)])
steps = st.integers(1, 400) | st.integers(60_000, 140_000)


def cut(octets: bytes, step: int) -> Iterator[bytes]:
    for at in range(0, len(octets), step):
        yield octets[at : at + step]


def misused(act: Callable[[], object]) -> None:
    with pytest.raises(Misuse) as misuse:
        act()
    assert misuse.value.reason is reasons.KEY_MISUSED


@given(some_fields, st.binary(max_size=100), sizes, steps, steps)
def test_any_cutting_of_any_answer_opens_as_it_was_sealed(
    fields: list[tuple[str, str]], begin: bytes, size: int, sealed_by: int, opened_by: int
) -> None:
    body = begin + pattern(max(size - len(begin), 0))
    sealer = Sealer(KEY, status=200, fields=fields, salt=SALT)
    pieces = [
        sealer.head(),
        *(piece for part in cut(body, max(sealed_by, size // 100)) for piece in sealer.write(part)),
    ]
    octets = b"".join([*pieces, sealer.finish()])
    assert octets == b"".join(seal(body, KEY, status=200, fields=fields, salt=SALT))
    opener = Opener(KEY, status=200)
    opened = [part for chunk in cut(octets, max(opened_by, size // 100)) for part in opener.write(chunk)]
    assert b"".join([*opened, opener.finish()]) == body
    assert opener.fields == tuple(fields)


@given(some_fields, sizes)
def test_size_is_known_before_and_depends_on_the_length_alone(fields: list[tuple[str, str]], size: int) -> None:
    sealer = Sealer(KEY, status=200, fields=fields, salt=SALT)
    octets = b"".join(seal(bytes(size), KEY, status=200, fields=fields, salt=SALT))
    assert sealer.size(size) == len(octets)
    last = (len(octets) - HEADER_OCTETS) % 65536 or 65536
    assert last in {2**power for power in range(5, 17)}
    assert len(octets) <= HEADER_OCTETS + max(32, 2 * (len(preface(tuple(fields))) + size + 17)) + 18 * (size // ROOM)


def test_key_is_another_for_another_question_session_or_response_key() -> None:
    others = [
        answer_key(RESPONSE_KEY, sid=SID, base=BASE + b" "),
        answer_key(bytes(32), sid=SID, base=BASE),
        answer_key(RESPONSE_KEY, sid=SID, base=b""),
    ]
    assert len({key.key for key in [KEY, *others]}) == 4
    assert len({input_key(status=status) for status in range(200, 600)}) == 400
    assert answer_key(RESPONSE_KEY, sid=bytes(16), base=BASE).key == KEY.key


@pytest.mark.parametrize(
    ("key", "status", "reason"),
    [
        (answer_key(RESPONSE_KEY, sid=SID, base=b"another"), 200, reasons.RECORD_INVALID),
        (answer_key(bytes(32), sid=SID, base=BASE), 200, reasons.RECORD_INVALID),
        (answer_key(RESPONSE_KEY, sid=bytes(16), base=BASE), 200, reasons.SESSION_MISMATCH),
        (KEY, 201, reasons.RECORD_INVALID),
        (KEY, 456, reasons.RECORD_INVALID),  # 200 and 256 more: both octets count
    ],
)
def test_answer_opens_for_nothing_else(key: AnswerKey, status: int, reason: Reason) -> None:
    with pytest.raises(VerificationFailed) as refusal:
        open_sealed(SEALED, key, status=status)
    assert refusal.value.reason is reason


def test_every_bit_and_every_end_counts() -> None:
    for at in range(len(SEALED)):
        for bit in range(8):
            edited = bytearray(SEALED)
            edited[at] ^= 1 << bit
            assert attempt(partial(open_sealed, bytes(edited), KEY, status=200))[1] != "accept", (at, bit)
        assert attempt(partial(open_sealed, SEALED[:at], KEY, status=200))[1] != "accept", at
    assert open_sealed(SEALED, KEY, status=200) == (FIELDS, BODY)


def test_key_shows_nothing_of_itself() -> None:
    assert KEY.key.hex() not in repr(KEY)
    assert repr(KEY.key) not in repr(KEY)


@pytest.mark.parametrize(
    "act",
    [
        lambda: answer_key(bytes(31), sid=SID, base=BASE),
        lambda: answer_key(bytes(33), sid=SID, base=BASE),
        lambda: answer_key(bytes(32), sid=b"", base=BASE),
        lambda: AnswerKey(sid=bytes(15), key=bytes(32)),
        lambda: AnswerKey(sid=SID, key=bytes(16)),
        lambda: Sealer(KEY, status=200, fields=(), salt=bytes(15)),
        lambda: Sealer(KEY, status=200, fields=(), salt=bytes(17)),
        lambda: Sealer(KEY, status=199, fields=(), salt=SALT),
        lambda: Sealer(KEY, status=600, fields=(), salt=SALT),
        lambda: Opener(KEY, status=199),
        lambda: Opener(KEY, status=600),
        lambda: Opener(KEY, status=200).fields,
    ],
)
def test_keys_salts_and_states_of_other_sizes_are_the_programs_fault(act: Callable[[], object]) -> None:
    misused(act)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", "x"),
        ("Content-Type", "x"),
        ("a b", "x"),
        ("a\n", "x"),
        ("\u00e4", "x"),
        ("a", " x"),
        ("a", "x\t"),
        ("a", "x\r\nb: y"),
        ("a", "x\n"),
        ("a", "\x00"),
        ("a", "\x7f"),
    ],
)
def test_sealer_takes_no_field_that_no_opener_takes(name: str, value: str) -> None:
    misused(lambda: Sealer(KEY, status=200, fields=[(name, value)], salt=SALT))
    assert not sealing.is_field(name, value)


def test_sealer_takes_32_kib_of_fields_and_no_octet_more() -> None:
    room = 32 * 1024 - len('{"fields":[["x",""]]}')
    octets = b"".join(seal(b"", KEY, status=200, fields=[("x", "a" * room)], salt=SALT))
    assert open_sealed(octets, KEY, status=200).fields == (("x", "a" * room),)
    misused(lambda: Sealer(KEY, status=200, fields=[("x", "a" * (room + 1))], salt=SALT))


def test_body_is_given_out_before_the_end_and_the_end_tells_that_it_was_cut() -> None:
    octets = b"".join(seal(pattern(2 * ROOM), KEY, status=200, fields=FIELDS, salt=SALT))
    opener = Opener(KEY, status=200)
    begin = preface(FIELDS)
    assert b"".join(opener.write(octets[: HEADER_OCTETS + 65536 + 1])) == pattern(ROOM - len(begin))
    assert opener.fields == FIELDS
    with pytest.raises(VerificationFailed) as refusal:
        opener.finish()
    assert refusal.value.reason is reasons.TRUNCATED


def test_no_body_follows_a_refusal_whoever_goes_on() -> None:
    """A first record that is refused for its fields, by a server that errs: the second is no first record."""
    content = b"\0\0\0\x02[]" + pattern(2 * ROOM)
    key = input_key(session_key=RESPONSE_KEY, base="x")
    octets = seal_records(plain_records(content), input_key=key, salt=SALT, key_id=SID)
    opener = Opener(_key_of("x"), status=200)
    with pytest.raises(MalformedEvidence) as refusal:
        list(opener.write(octets[: HEADER_OCTETS + 65536 + 1]))
    assert refusal.value.reason is reasons.FIELDS_MALFORMED
    misused(lambda: list(opener.write(octets[HEADER_OCTETS + 65536 + 1 :])))
    misused(opener.finish)


def _key_of(base: str) -> AnswerKey:
    return answer_key(seal_response_key(RESPONSE_KEY), sid=SID, base=base.encode())


def test_header_in_pieces_is_a_header() -> None:
    opener = Opener(KEY, status=200)
    parts = [part for octet in cut(SEALED, 1) for part in opener.write(memoryview(octet))]
    assert b"".join([*parts, opener.finish()]) == BODY


@settings(parent=settings.get_profile("bonafide"))
@given(
    st.binary(max_size=200)
    | st.binary(max_size=100).map(lambda octets: SEALED[:HEADER_OCTETS] + octets)
    | st.tuples(st.integers(0, len(SEALED)), st.binary(min_size=1, max_size=40)).map(
        lambda edit: SEALED[: edit[0]] + edit[1] + SEALED[edit[0] :]
    )
)
def test_any_octets_are_refused_by_one_of_the_openers_reasons(octets: bytes) -> None:
    opened, code = attempt(lambda: open_sealed(octets, KEY, status=200))
    if opened is None:
        assert code in OPENERS
    else:
        assert octets == SEALED


@settings(parent=settings.get_profile("bonafide"), max_examples=1000)
@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["fields", "a"]), inner, max_size=2)
        ),
        max_leaves=6,
    ).map(lambda value: json.dumps(value).encode()),
    st.integers(-2, 2),
)
def test_any_content_of_who_holds_the_key_is_opened_or_refused(said: bytes, off: int) -> None:
    content = max(len(said) + off, 0).to_bytes(4, "big") + said
    key = input_key(session_key=RESPONSE_KEY, base="x")
    octets = seal_records(plain_records(content), input_key=key, salt=SALT, key_id=SID)
    opened, code = attempt(lambda: open_sealed(octets, _key_of("x"), status=200))
    assert code in {"accept", reasons.FIELDS_MALFORMED.code}
    if opened is not None:
        assert json.loads(content[4 : 4 + len(said) + off]) == {"fields": [list(pair) for pair in opened.fields]}


OPENERS = {
    reason.code
    for reason in (
        reasons.HEADER_REFUSED,
        reasons.SESSION_MISMATCH,
        reasons.RECORD_INVALID,
        reasons.TRUNCATED,
        reasons.PADDING_MALFORMED,
        reasons.FIELDS_MALFORMED,
    )
}
OTHERS = {
    reason.code
    for reason in (
        reasons.NOT_SEALED,
        reasons.UNEXPECTED,
        reasons.TOO_LARGE,
        reasons.KEY_MISUSED,
        reasons.ANSWER_UNFIT,
        reasons.KEY_MISSING,
    )
}


def test_every_reason_is_the_openers_or_of_who_carries_the_answer() -> None:
    every = {value.code for name, value in vars(reasons).items() if name.isupper() and name[0] != "_"}
    assert every == OPENERS | OTHERS


def test_64_mb_take_the_memory_of_one_record_on_both_sides() -> None:
    chunk, size = pattern(MEGABYTE // 4), 0
    tracemalloc.start()
    try:
        sealer, opener = Sealer(KEY, status=200, fields=FIELDS, salt=SALT), Opener(KEY, status=200)
        size += sum(map(len, opener.write(sealer.head())))
        for _ in range(256):
            for record in sealer.write(chunk):
                size += sum(map(len, opener.write(record)))
        size += sum(map(len, opener.write(sealer.finish()))) + len(opener.finish())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size == 64 * MEGABYTE
    assert peak < MEGABYTE


def test_every_wycheproof_key_without_a_salt_is_the_one_we_derive(shared: Path) -> None:
    """As many octets as the case has of our 32: HKDF gives a shorter key as the begin of a longer one."""
    groups: list[Any] = json.loads((shared / "vectors/wycheproof/hkdf_sha256.json").read_text())["testGroups"]
    judged = 0
    for case in (case for group in groups for case in group["tests"]):
        if case["salt"] or case["result"] != "valid":
            continue
        derived = sealing._hkdf(bytes.fromhex(case["ikm"]), bytes.fromhex(case["info"]))
        wanted = bytes.fromhex(case["okm"])[:32]
        assert derived[: len(wanted)] == wanted, case["tcId"]
        judged += 1
    assert judged == 23
