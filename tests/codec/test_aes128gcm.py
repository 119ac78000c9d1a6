"""Records say what was written, in the order in which it was, to the end; whatever else comes is refused."""

from __future__ import annotations

import json
import sys
import tracemalloc
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.codec import base64url
from bonafide.codec.aes128gcm import Header, RecordReader, RecordWriter, parse_header, room
from bonafide.errors import MalformedEvidence, Misuse, VerificationFailed
from bonafide.reasons import sealed as reasons
from tests.vectors.judges import attempt
from tests.vectors.sealed import pattern, seal_records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from bonafide.reasons import Reason

KEY = bytes(range(16))
SALT = bytes(range(50, 66))
HEADER = Header(SALT, 25, b"a1")
MEGABYTE = 2**20


def written(chunks: Iterable[bytes], header: Header = HEADER, *, padding: int = 0) -> bytes:
    writer = RecordWriter(KEY, header)
    records = [record for chunk in chunks for record in writer.write(chunk)]
    return header.dump() + b"".join([*records, writer.write_last(padding)])


def read(octets: bytes, *, step: int = MEGABYTE, key: bytes = KEY) -> bytes:
    header = parse_header(octets)
    assert header is not None
    reader = RecordReader(key, header)
    parts = [part for chunk in cut(octets[header.size :], step) for part in reader.read(chunk)]
    return b"".join([*parts, reader.finish()])


def cut(octets: bytes, step: int) -> Iterator[bytes]:
    for at in range(0, len(octets), step):
        yield octets[at : at + step]


def refused(octets: bytes, reason: Reason) -> None:
    with pytest.raises((MalformedEvidence, VerificationFailed)) as refusal:
        read(octets)
    assert refusal.value.reason is reason


def test_the_first_example_of_rfc_8188_is_written_octet_for_octet() -> None:
    header = Header(base64url.decode("I1BsxtFttlv3u_Oo94xnmw"), 4096, b"")
    writer = RecordWriter(base64url.decode("yqdlZ-tYemfogSmv7Ws5PQ"), header)
    assert writer.write(b"I am the walrus") == []
    octets = header.dump() + writer.write_last()
    assert base64url.encode(octets) == "I1BsxtFttlv3u_Oo94xnmwAAEAAA-NAVub2qFgBEuQKRapoZu-IxkIva3MEB1PD-ly8Thjg"


@given(st.binary(max_size=200), st.integers(1, 60), st.integers(1, 60), st.integers(18, 80), st.binary(max_size=255))
def test_any_cutting_of_what_is_written_and_read_gives_the_same(
    content: bytes, written_by: int, read_by: int, record_octets: int, key_id: bytes
) -> None:
    header = Header(SALT, record_octets, key_id)
    octets = written(cut(content, written_by), header)
    assert octets == written([content], header)
    assert read(octets, step=read_by) == content


@given(st.binary(max_size=200), st.integers(18, 80), st.data())
def test_what_is_written_is_what_the_rfcs_say_by_another_hand(
    content: bytes, record_octets: int, data: st.DataObject
) -> None:
    size = room(record_octets)
    parts = [content[at : at + size] for at in range(0, len(content), size)] or [b""]
    padding = data.draw(st.integers(0, size - len(parts[-1])))
    plain = [part + b"\x01" for part in parts[:-1]] + [parts[-1] + b"\x02" + bytes(padding)]
    header = Header(SALT, record_octets, b"a1")
    octets = seal_records(plain, input_key=KEY, salt=SALT, record_size=record_octets, key_id=b"a1")
    assert written([content], header, padding=padding) == octets


def test_header_is_read_once_all_of_it_is_there() -> None:
    octets = HEADER.dump()
    assert HEADER.size == len(octets)
    assert [parse_header(octets[:size]) for size in range(len(octets))] == [None] * len(octets)
    assert parse_header(octets) == parse_header(octets + b"\0") == HEADER


@pytest.mark.parametrize("record_octets", [0, 17])
def test_record_size_without_room_is_refused_before_its_key_id_came(record_octets: int) -> None:
    with pytest.raises(MalformedEvidence) as refusal:
        parse_header(Header(SALT, record_octets, bytes(255)).dump()[:21])
    assert refusal.value.reason is reasons.HEADER_REFUSED


@pytest.mark.parametrize(
    "header",
    [Header(SALT[:15], 25, b""), Header(SALT + b"\0", 25, b""), Header(SALT, 17, b""), Header(SALT, 2**32, b"")],
)
def test_writer_takes_no_header_that_no_reader_takes(header: Header) -> None:
    with pytest.raises(Misuse) as misuse:
        RecordWriter(KEY, header)
    assert misuse.value.reason is reasons.KEY_MISUSED


@pytest.mark.parametrize("header", [Header(SALT, 18, b""), Header(SALT, 2**32 - 1, b"")])
def test_writer_takes_the_smallest_and_the_largest_record(header: Header) -> None:
    assert read(written([b"a"], header)) == b"a"


@pytest.mark.parametrize(("octets", "padding"), [(8, 1), (0, 9), (3, 6), (3, -1)])
def test_padding_that_does_not_fit_is_the_programs_fault(octets: int, padding: int) -> None:
    with pytest.raises(Misuse) as misuse:
        written([bytes(octets)], padding=padding)
    assert misuse.value.reason is reasons.KEY_MISUSED


def test_padding_that_just_fits_is_not_content() -> None:
    assert read(written([bytes(3)], padding=5)) == bytes(3)


def test_what_is_held_back_of_a_chunk_does_not_hold_the_chunk() -> None:
    writer, chunk = RecordWriter(KEY, HEADER), pattern(1000)
    references = sys.getrefcount(chunk)
    writer.write(chunk)
    assert sys.getrefcount(chunk) == references


@pytest.mark.parametrize("size", [8, 9, 16, 17, 24])
def test_every_bit_and_every_end_of_a_message_counts(size: int) -> None:
    octets = written([pattern(size)])
    for at in range(HEADER.size, len(octets)):
        for bit in range(8):
            edited = bytearray(octets)
            edited[at] ^= 1 << bit
            with pytest.raises((MalformedEvidence, VerificationFailed)):
                read(bytes(edited))
        with pytest.raises((MalformedEvidence, VerificationFailed)):
            read(octets[:at])


@given(st.permutations(range(4)), st.lists(st.integers(0, 3), max_size=5))
def test_records_in_any_other_order_or_number_are_refused(order: list[int], other: list[int]) -> None:
    octets = written([pattern(4 * room(25))])
    records = list(cut(octets[HEADER.size :], 25))
    for chosen in (order, other):
        edited = HEADER.dump() + b"".join(records[index] for index in chosen)
        if chosen == list(range(4)):
            assert read(edited) == pattern(32)
        else:
            with pytest.raises((MalformedEvidence, VerificationFailed)):
                read(edited)


def test_nothing_is_read_behind_a_refusal() -> None:
    octets = written([pattern(32)])
    records = list(cut(octets[HEADER.size :], 25))
    reader = RecordReader(KEY, HEADER)
    with pytest.raises(VerificationFailed) as refusal:
        list(reader.read(bytes(25) + b"\0"))
    assert refusal.value.reason is reasons.RECORD_INVALID
    with pytest.raises(Misuse) as misuse:
        list(reader.read(b"".join(records)))
    assert misuse.value.reason is reasons.KEY_MISUSED
    with pytest.raises(Misuse):
        reader.finish()


def test_nothing_is_read_behind_parts_that_were_not_taken() -> None:
    reader = RecordReader(KEY, HEADER)
    parts = reader.read(written([pattern(32)])[HEADER.size :])
    assert next(parts) == pattern(8)
    with pytest.raises(Misuse):
        reader.finish()


def test_nothing_is_read_behind_the_end() -> None:
    reader = RecordReader(KEY, HEADER)
    assert list(reader.read(written([b"all"])[HEADER.size :])) == []
    assert reader.finish() == b"all"
    with pytest.raises(Misuse):
        list(reader.read(b"more"))
    with pytest.raises(Misuse):
        reader.finish()


@settings(parent=settings.get_profile("bonafide"))
@given(st.binary(max_size=120), st.integers(1, 40))
def test_any_octets_are_refused_by_one_of_the_reasons(octets: bytes, step: int) -> None:
    _, code = attempt(lambda: parse_header(octets) is None or read(octets, step=step))
    refusals = (reasons.HEADER_REFUSED, reasons.RECORD_INVALID, reasons.TRUNCATED)
    assert code in {reason.code for reason in refusals} or parse_header(octets) is None


@settings(parent=settings.get_profile("bonafide"), max_examples=2000)
@given(st.lists(st.binary(min_size=2, max_size=2) | st.binary(max_size=9), max_size=4))
def test_any_plain_text_of_who_holds_the_key_is_read_or_refused(plain: list[bytes]) -> None:
    octets = seal_records(plain, input_key=KEY, salt=SALT, record_size=25, key_id=b"")
    content, code = attempt(lambda: read(octets))
    if content is None:
        refusals = (reasons.PADDING_MALFORMED, reasons.RECORD_INVALID, reasons.TRUNCATED)
        assert code in {reason.code for reason in refusals}
    else:
        stripped = [octets.rstrip(b"\0") for octets in plain]
        assert content == b"".join(octets[:-1] for octets in stripped)
        assert [octets[-1] for octets in stripped] == [1] * (len(plain) - 1) + [2]


def test_a_long_message_takes_the_memory_of_one_record() -> None:
    header = Header(SALT, 65536, b"")
    chunk = pattern(MEGABYTE // 4)
    tracemalloc.start()
    try:
        writer, reader, size = RecordWriter(KEY, header), RecordReader(KEY, header), 0
        for _ in range(256):
            for record in writer.write(chunk):
                size += sum(map(len, reader.read(record)))
        size += sum(map(len, reader.read(writer.write_last())))
        size += len(reader.finish())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size == 64 * MEGABYTE
    assert peak < MEGABYTE


def _wycheproof(shared: Path) -> Iterator[dict[str, Any]]:
    """Yield the cases in our form: 128 bits of key, 96 of nonce, 128 of tag."""
    for group in json.loads((shared / "vectors/wycheproof/aes_gcm.json").read_text())["testGroups"]:
        if (group["keySize"], group["ivSize"], group["tagSize"]) == (128, 96, 128):
            for case in group["tests"]:
                names = ("key", "iv", "aad", "msg", "ct", "tag")
                yield case | {name: bytes.fromhex(case[name]) for name in names}


def test_every_wycheproof_record_verifies_or_not_as_it_says(shared: Path) -> None:
    """Its plain texts end in no delimiter of ours, so what verified is compared as the cipher gives it."""
    judged = []
    for case in _wycheproof(shared):
        if case["aad"]:
            continue  # records have none: the next test takes these
        reader = RecordReader(b"", HEADER)
        reader._keys.cipher, reader._keys._nonce = AESGCM(case["key"]), int.from_bytes(case["iv"], "big")
        opened, code = attempt(partial(reader._open, bytearray(case["ct"] + case["tag"])))
        assert (code != reasons.RECORD_INVALID.code) == (case["result"] == "valid"), case["tcId"]
        if opened is not None:
            assert case["msg"].rstrip(b"\0") == opened[0] + bytes([opened[1]])
        judged.append(case["result"])
    assert (judged.count("valid"), judged.count("invalid")) == (22, 27)


def test_every_wycheproof_case_of_aes_128_gcm_gets_its_verdict(shared: Path) -> None:
    judged = 0
    for case in _wycheproof(shared):
        cipher = AESGCM(case["key"])
        try:
            opened = cipher.decrypt(case["iv"], case["ct"] + case["tag"], case["aad"]) == case["msg"]
        except InvalidTag:
            opened = False
        assert opened == (case["result"] == "valid"), case["tcId"]
        assert not opened or cipher.encrypt(case["iv"], case["msg"], case["aad"]) == case["ct"] + case["tag"]
        judged += 1
    assert judged == 67
