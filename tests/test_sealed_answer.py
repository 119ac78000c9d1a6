"""What goes inside of a sealed answer, what stands outside, and what cannot be sealed at all."""

from __future__ import annotations

import pytest

from bonafide.errors import Misuse
from bonafide.sealed_answer import OUTSIDE, UNFIT, is_withheld, prepare
from bonafide.sealing import CACHE_CONTROL, CONTENT_TYPE, Sealer, answer_key


def test_outside_stands_the_same_for_every_answer() -> None:
    assert OUTSIDE == (("Content-Type", CONTENT_TYPE), ("Cache-Control", CACHE_CONTROL))
    assert CACHE_CONTROL == "private, no-store, no-transform"


def test_fields_go_inside_in_their_order_and_as_often_as_they_came() -> None:
    fields = [("Set-Cookie", "a=1"), ("X-Thing", " y\t"), ("set-cookie", "b=2"), ("Location", "/x")]
    assert prepare(302, fields).fields == (
        ("set-cookie", "a=1"),
        ("x-thing", "y"),
        ("set-cookie", "b=2"),
        ("location", "/x"),
    )


@pytest.mark.parametrize(
    "name",
    [
        *("Connection", "Keep-Alive", "Transfer-Encoding", "Trailer", "Upgrade", "TE", "Proxy-Connection"),
        *("Content-Length", "Date", "Server", "ETag", "Last-Modified", "Accept-Ranges", "Content-Range"),
        *("Cache-Control", "Expires", "Pragma", "Age"),
    ],
)
def test_fields_of_the_connection_and_of_caches_go_nowhere(name: str) -> None:
    assert prepare(200, [(name, "1"), ("X-Thing", "y")]).fields == (("x-thing", "y"),)


@pytest.mark.parametrize("status", [204, 205, 304])
def test_answers_without_a_body_become_an_empty_200(status: int) -> None:
    prepared = prepare(status, [("X-Thing", "y")])
    assert (prepared.status, prepared.has_body, prepared.fields) == (200, False, (("x-thing", "y"),))


@pytest.mark.parametrize("status", [200, 201, 302, 404, 500, 599])
def test_other_statuses_stay(status: int) -> None:
    assert prepare(status, [])[::2] == (status, True)


@pytest.mark.parametrize(
    ("status", "field"),
    [
        (100, ("X-Thing", "y")),
        (199, ("X-Thing", "y")),
        (206, ("X-Thing", "y")),
        (200, ("Content-Encoding", "gzip")),
        (200, ("content-encoding", "identity, br")),
        (200, ("Content-Type", "text/event-stream")),
        (200, ("Content-Type", "Text/Event-Stream; charset=utf-8")),
        (200, ("X-Thing", "a\nb")),
        (200, ("X-Thing", "a\x00b")),
        (200, ("X Thing", "y")),
        (200, ("X-Thing", "y" * 16_370)),
    ],
)
def test_answer_that_cannot_be_sealed_is_a_mistake(status: int, field: tuple[str, str]) -> None:
    with pytest.raises(Misuse, match=r"sealed\.answer_unfit"):
        prepare(status, [field])


def test_identity_is_no_coding() -> None:
    assert prepare(200, [("Content-Encoding", "identity"), ("Content-Type", "text/plain")]).fields == (
        ("content-type", "text/plain"),
    )


def test_what_was_prepared_can_be_sealed() -> None:
    key = answer_key(bytes(32), sid=bytes(16), base=b"base")
    largest = [("X-Thing", "\xe9" * 16_360)]
    for prepared in (prepare(200, [("X-Thing", "a\tb\xe9"), ("Empty", "")]), prepare(200, largest), UNFIT):
        assert Sealer(key, status=prepared.status, fields=prepared.fields, salt=bytes(16)).head()


@pytest.mark.parametrize(
    ("name", "withheld"),
    [
        *((name, True) for name in ("Range", "If-Range", "If-None-Match", "If-Match", "if_modified_since", "TE")),
        *((name, True) for name in ("Accept-Encoding", "ACCEPT_ENCODING")),
        *((name, False) for name in ("Accept", "Authorization", "Iffy", "X-If-Match", "Content-Type")),
    ],
)
def test_application_does_not_see_what_asks_for_what_is_not_sealed(name: str, *, withheld: bool) -> None:
    assert is_withheld(name) is withheld
