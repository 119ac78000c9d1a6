"""A body is digested as it arrives, and held within the bounds that were set."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonafide.errors import MalformedEvidence
from bonafide.proof.content_digest import digest_of
from bonafide.reasons import request as reasons
from bonafide.stores.body_spool import CHUNK_BYTES, BodySpool, read_chunk, require_within

MEMORY = 100


def spooled(body: bytes, length: int | None, *, max_bytes: int | None = None) -> BodySpool:
    spool = BodySpool(memory_bytes=MEMORY, max_bytes=max_bytes)
    try:
        spool.fill(io.BytesIO(body).read, length)
    except MalformedEvidence:
        spool.close()
        raise
    spool.rewind()
    return spool


@given(body=st.binary(max_size=3 * MEMORY))
def test_what_is_held_is_what_was_digested(body: bytes) -> None:
    for length in (None, len(body)):
        spool = spooled(body, length)
        assert (spool.file.read(), spool.size, spool.digest()) == (body, len(body), digest_of((body,)))
        assert spool.needs_disk() == (len(body) > MEMORY)
        spool.close()
        spool.close()


def test_no_octet_beyond_the_announced_length_is_read() -> None:
    source = io.BytesIO(b"bodynext")
    spool = BodySpool(memory_bytes=MEMORY, max_bytes=None)
    spool.fill(source.read, 4)
    assert (spool.digest(), source.read()) == (digest_of((b"body",)), b"next")
    spool.close()


def test_body_that_ends_early_is_refused() -> None:
    with pytest.raises(MalformedEvidence) as caught:
        spooled(b"bod", 4)
    assert caught.value.reason is reasons.BODY_INCOMPLETE


def test_limit_is_exact_and_what_was_one_too_many_is_kept_apart() -> None:
    spooled(b"x" * 10, None, max_bytes=10).close()
    spool = BodySpool(memory_bytes=MEMORY, max_bytes=10)
    spool.write(b"x" * 10)
    with pytest.raises(MalformedEvidence) as caught:
        spool.write(b"y")
    assert caught.value.reason is reasons.BODY_TOO_LARGE
    assert spool.rest == b"y"
    spool.rewind()
    assert spool.file.read() == b"x" * 10
    spool.close()


def test_endless_body_is_read_no_further_than_the_limit() -> None:
    source = io.BytesIO(b"x" * 10 * CHUNK_BYTES)
    spool = BodySpool(memory_bytes=MEMORY, max_bytes=10)
    with pytest.raises(MalformedEvidence):
        spool.fill(source.read, None)
    assert source.tell() <= CHUNK_BYTES
    spool.close()


def test_whatever_a_server_raises_is_a_body_that_did_not_arrive() -> None:
    def broken(size: int) -> bytes:
        raise ConnectionResetError(size)

    with pytest.raises(MalformedEvidence) as caught:
        read_chunk(broken, 1)
    assert caught.value.reason is reasons.BODY_INCOMPLETE


def test_no_limit_refuses_nothing() -> None:
    require_within(10**12, None)
    with pytest.raises(MalformedEvidence) as caught:
        require_within(11, 10)
    assert caught.value.reason is reasons.BODY_TOO_LARGE
