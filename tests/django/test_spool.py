"""The body is read once: its digest is known before the view, and the view finds every octet unread."""

from __future__ import annotations

import hashlib
import io
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import WSGIRequest
from hypothesis import given
from hypothesis import strategies as st

from bonafide.django import spool
from bonafide.errors import MalformedEvidence, Misuse
from bonafide.proof.content_digest import digest_of
from bonafide.reasons import misuse
from bonafide.reasons import request as reasons
from bonafide.stores import body_spool
from tests.django.api_urls import RUNS
from tests.django.locked_api import configure, content, reason, rule, signed, unsigned, would_have_refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bonafide.reasons import Reason
    from bonafide.testing.client import AppClient

    Send = Callable[[httpx.Request], httpx.Response]

MEMORY = 1024


def wsgi(body: bytes | io.RawIOBase | io.BytesIO, **environ: Any) -> WSGIRequest:
    """Return a request under WSGI with a Content-Length that is right, unless `environ` has another."""
    stream = io.BytesIO(body) if isinstance(body, bytes) else body
    length = {"CONTENT_LENGTH": str(len(body))} if isinstance(body, bytes) else {}
    return WSGIRequest({"REQUEST_METHOD": "POST", "PATH_INFO": "/", "wsgi.input": stream} | length | environ)


def asgi(body: bytes, *headers: tuple[bytes, bytes]) -> ASGIRequest:
    """Return a request under ASGI, whose body Django has spooled."""
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": list(headers)}
    return ASGIRequest(scope, io.BytesIO(body))


def chunked(body: bytes | io.RawIOBase | io.BytesIO, **environ: Any) -> WSGIRequest:
    """Return a request under WSGI of a server that takes chunks apart."""
    more = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    return wsgi(body, **more | environ)


def read(request: Any, *, max_bytes: int | None = None) -> str:
    return spool.read_digest(request, max_bytes=max_bytes, memory_bytes=MEMORY)


def refused(request: Any, *, max_bytes: int | None = None) -> Reason:
    with pytest.raises(MalformedEvidence) as caught:
        read(request, max_bytes=max_bytes)
    return caught.value.reason


@pytest.fixture(autouse=True)
def _closes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close what the tests of this file spooled without a middleware around them."""
    requests: list[Any] = []
    replace = spool._replace_stream

    def keep(request: Any, *arguments: Any) -> None:
        requests.append(request)
        replace(request, *arguments)

    monkeypatch.setattr(spool, "_replace_stream", keep)
    yield
    for request in requests:
        spool.close(request)


class Trickle(io.RawIOBase):
    """A peer whose octets come one by one, and who may go away."""

    def __init__(self, body: bytes, *, breaks: bool = False) -> None:
        self.rest = body
        self.breaks = breaks
        self.asked = 0

    def read(self, size: int = -1) -> bytes:
        self.asked += 1
        if not self.rest and self.breaks:
            raise ConnectionResetError
        head, self.rest = self.rest[: min(size, 1)], self.rest[min(size, 1) :]
        return head


@given(body=st.binary(max_size=4 * MEMORY), memory=st.sampled_from([0, 1, 100, 10**6]))
def test_view_reads_what_was_digested(body: bytes, memory: int) -> None:
    for make in (wsgi, chunked, asgi):
        request = make(body)
        assert spool.read_digest(request, max_bytes=None, memory_bytes=memory) == digest_of((body,))
        assert not hasattr(request, "_body")
        assert request.body == body
        spool.close(request)


def test_stream_that_trickles_is_read_to_its_end() -> None:
    request = wsgi(Trickle(b"slow" * 50), CONTENT_LENGTH="200")
    assert read(request) == digest_of((b"slow" * 50,))
    assert request.read() == b"slow" * 50


def test_small_reads_and_lines_work_afterwards() -> None:
    request = chunked(b"one\ntwo\n" + b"x" * 5000)
    read(request)
    assert request.readline() == b"one\n"
    assert request.read(4) == b"two\n"
    assert request.read() == b"x" * 5000
    assert request.read() == b""


@pytest.mark.parametrize("make", [wsgi, chunked, asgi])
def test_form_is_parsed_from_the_spool(make: Callable[..., Any]) -> None:
    body = b"a=1&b=2"
    form = "application/x-www-form-urlencoded"
    request = asgi(body, (b"content-type", form.encode())) if make is asgi else make(body, CONTENT_TYPE=form)
    read(request)
    assert request.POST.dict() == {"a": "1", "b": "2"}


@pytest.mark.parametrize("make", [wsgi, chunked, asgi])
def test_limit_is_exact(make: Callable[..., Any]) -> None:
    assert read(make(b"x" * 100), max_bytes=100) == digest_of((b"x" * 100,))
    assert refused(make(b"x" * 101), max_bytes=100) is reasons.BODY_TOO_LARGE


def test_announced_length_above_the_limit_is_refused_before_an_octet_is_read() -> None:
    peer = Trickle(b"x" * 1000)
    assert refused(wsgi(peer, CONTENT_LENGTH="1000"), max_bytes=10) is reasons.BODY_TOO_LARGE
    assert peer.asked == 0


def test_endless_chunks_are_read_no_further_than_the_limit() -> None:
    body = io.BytesIO(b"x" * 10**7)
    assert refused(chunked(body), max_bytes=10) is reasons.BODY_TOO_LARGE
    assert body.tell() <= body_spool.CHUNK_BYTES


@pytest.mark.parametrize("size", [11, body_spool.CHUNK_BYTES + 1, 300_000])
def test_refused_body_is_whole_for_a_route_that_observes(size: int) -> None:
    body = bytes(n % 251 for n in range(size))
    request = chunked(io.BytesIO(body))
    assert refused(request, max_bytes=10) is reasons.BODY_TOO_LARGE
    assert hashlib.sha256(request.read()).digest() == hashlib.sha256(body).digest()


@pytest.mark.parametrize("make", [wsgi, asgi])
def test_body_shorter_than_announced_is_incomplete(make: Callable[..., Any]) -> None:
    request = asgi(b"short", (b"content-length", b"6")) if make is asgi else wsgi(b"short", CONTENT_LENGTH="6")
    assert refused(request) is reasons.BODY_INCOMPLETE


def test_body_longer_than_announced_is_incomplete_under_asgi_and_cut_under_wsgi() -> None:
    assert refused(asgi(b"longer", (b"content-length", b"5"))) is reasons.BODY_INCOMPLETE
    request = wsgi(b"longer", CONTENT_LENGTH="5")
    assert read(request) == digest_of((b"longe",))
    assert request.body == b"longe"


@pytest.mark.parametrize("make", [wsgi, chunked])
def test_peer_that_goes_away_is_incomplete(make: Callable[..., Any]) -> None:
    length = {} if make is chunked else {"CONTENT_LENGTH": "100"}
    assert refused(make(Trickle(b"begun", breaks=True), **length)) is reasons.BODY_INCOMPLETE


@pytest.mark.parametrize(
    "environ",
    [
        {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": "4", "wsgi.input_terminated": True},
        {"HTTP_TRANSFER_ENCODING": "gzip, chunked", "CONTENT_LENGTH": "", "wsgi.input_terminated": True},
        {"HTTP_TRANSFER_ENCODING": "chunked,chunked", "CONTENT_LENGTH": "", "wsgi.input_terminated": True},
        {"HTTP_TRANSFER_ENCODING": "identity", "CONTENT_LENGTH": "", "wsgi.input_terminated": True},
        {"HTTP_TRANSFER_ENCODING": "", "CONTENT_LENGTH": "", "wsgi.input_terminated": True},
        {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""},
        {"CONTENT_LENGTH": "+4"},
        {"CONTENT_LENGTH": "-1"},
        {"CONTENT_LENGTH": " 4"},
        {"CONTENT_LENGTH": "4,4"},
        {"CONTENT_LENGTH": "0x4"},
        {"CONTENT_LENGTH": "4_0"},
        {"CONTENT_LENGTH": "٤"},
        {"CONTENT_LENGTH": "²"},
    ],
)
def test_body_whose_end_could_be_read_in_two_ways_is_refused(environ: dict[str, Any]) -> None:
    assert refused(wsgi(b"body", **environ)) is reasons.BODY_FRAMING


def test_transfer_encoding_is_compared_without_case() -> None:
    assert read(chunked(b"body", HTTP_TRANSFER_ENCODING="Chunked")) == digest_of((b"body",))


@pytest.mark.parametrize("request_", [wsgi(b""), wsgi(b"", CONTENT_LENGTH=""), chunked(b""), asgi(b"")])
def test_empty_body_has_the_digest_of_nothing(request_: Any) -> None:
    assert read(request_) == digest_of(())
    assert request_.body == b""


def test_without_a_length_a_wsgi_body_is_none() -> None:
    stream = io.BytesIO(b"smuggled")
    assert read(wsgi(stream, CONTENT_LENGTH="")) == digest_of(())
    assert stream.tell() == 0


def test_body_that_a_middleware_read_is_digested_from_memory() -> None:
    request = wsgi(b"read before")
    assert request.body == b"read before"
    assert read(request) == digest_of((b"read before",))
    assert refused(request, max_bytes=3) is reasons.BODY_TOO_LARGE


def test_stream_that_a_middleware_began_is_misuse() -> None:
    for work in (read, lambda request: spool.read_short(request, max_bytes=100)):
        request = wsgi(b"half of it")
        request.read(4)
        with pytest.raises(Misuse) as caught:
            work(request)
        assert caught.value.reason is misuse.BODY_READ_EARLY


def test_large_body_goes_to_disk_and_nothing_stays_open() -> None:
    request = wsgi(b"x" * (MEMORY + 1))
    read(request)
    file: Any = request._stream
    assert file._rolled
    assert not file.closed
    spool.close(request)
    spool.close(request)
    assert file.closed


def test_body_within_memory_stays_there() -> None:
    request = wsgi(b"x" * MEMORY)
    read(request)
    assert not request._stream._rolled  # type: ignore[attr-defined]  # of the file that Django calls a stream


def test_close_is_harmless_where_nothing_was_spooled() -> None:
    spool.close(wsgi(b""))


@pytest.mark.parametrize("make", [wsgi, chunked, asgi])
def test_short_body_is_read_up_to_its_limit(make: Callable[..., Any]) -> None:
    assert spool.read_short(make(b"x" * 10), max_bytes=10) == b"x" * 10
    with pytest.raises(MalformedEvidence) as caught:
        spool.read_short(make(b"x" * 11), max_bytes=10)
    assert caught.value.reason is reasons.BODY_TOO_LARGE


@pytest.mark.parametrize("make", [wsgi, asgi])
def test_short_body_that_ends_early_is_incomplete(make: Callable[..., Any]) -> None:
    request = asgi(b"abc", (b"content-length", b"4")) if make is asgi else wsgi(b"abc", CONTENT_LENGTH="4")
    with pytest.raises(MalformedEvidence) as caught:
        spool.read_short(request, max_bytes=10)
    assert caught.value.reason is reasons.BODY_INCOMPLETE


def test_short_body_of_endless_chunks_is_read_no_further() -> None:
    stream = io.BytesIO(b"x" * 1000)
    with pytest.raises(MalformedEvidence):
        spool.read_short(chunked(stream), max_bytes=10)
    assert stream.tell() == 11


def test_only_a_short_body_that_is_here_spares_the_thread() -> None:
    assert spool.is_quick(asgi(b"x" * spool.MAX_INLINE_BYTES))
    assert not spool.is_quick(asgi(b"x" * (spool.MAX_INLINE_BYTES + 1)))
    assert not spool.is_quick(wsgi(b"x"))


# Through the middleware ------------------------------------------------------------------------------

locked = pytest.mark.usefixtures("locked")


@locked
@pytest.mark.parametrize("body", [b"", b"a body", bytes(range(256)) * 8192], ids=["empty", "short", "2 MiB"])
def test_view_finds_the_body(bonafide_client: AppClient, send: Send, body: bytes) -> None:
    said = content(send(signed(bonafide_client, "POST", content=body)))
    assert said["body"].encode("latin-1") == body


@locked
def test_view_finds_the_files(bonafide_client: AppClient, send: Send) -> None:
    photo = bytes(range(256)) * 8192
    request = signed(bonafide_client, "POST", "/api/upload", data={"title": "x"}, files={"photo": ("p", photo)})
    said = content(send(request))
    assert said["post"] == {"title": "x"}
    assert said["files"] == {"photo": {"size": len(photo), "sha256": hashlib.sha256(photo).hexdigest()}}


@locked
def test_streamed_answer_reads_the_body_while_it_goes_out(bonafide_client: AppClient) -> None:
    from tests.django.locked_api import send as wsgi_send

    body = b"0123456789" * 100_000
    assert wsgi_send(signed(bonafide_client, "POST", "/api/stream", content=body)).content == body


@locked
@pytest.mark.parametrize("size", [10, 2 * 1024 * 1024], ids=["short", "2 MiB"])
def test_changed_body_is_refused_before_the_view(bonafide_client: AppClient, send: Send, size: int) -> None:
    request = signed(bonafide_client, "POST", content=b"x" * size)
    changed = httpx.Request("POST", request.url, headers=request.headers, content=b"y" + b"x" * (size - 1))
    assert reason(send(changed)) == "proof.digest_mismatch"
    assert RUNS == []


@locked
def test_body_above_the_routes_limit_is_refused(settings: Any, bonafide_client: AppClient, send: Send) -> None:
    rule(settings, max_body="10B")
    assert content(send(signed(bonafide_client, "POST", content=b"x" * 10)))["body"] == "x" * 10
    RUNS.clear()
    answer = send(signed(bonafide_client, "POST", content=b"x" * 11))
    assert (answer.status_code, reason(answer)) == (413, reasons.BODY_TOO_LARGE.code)
    assert RUNS == []


@locked
def test_limit_holds_for_old_and_exempt_clients_too(settings: Any, bonafide_client: AppClient, send: Send) -> None:
    configure(settings, ROUTES=[{"match": "/api/**", "client": "open", "because": "a test", "max_body": "10B"}])
    assert content(send(unsigned("POST", content=b"x" * 10)))["verdict"] == "Exempt"
    assert reason(send(unsigned("POST", content=b"x" * 11))) == reasons.BODY_TOO_LARGE.code


@locked
@pytest.mark.parametrize("size", [11, 200_000])
def test_observing_loses_no_octet_of_a_body_that_it_would_refuse(
    settings: Any, bonafide_client: AppClient, send: Send, size: int
) -> None:
    rule(settings, max_body="10B", mode="observe")
    body = b"z" * size
    said = content(send(signed(bonafide_client, "POST", content=body)))
    assert said["body"].encode() == body
    assert said["verdict"] == "NoneType"
    assert [each.reason for each in would_have_refused()] == [reasons.BODY_TOO_LARGE.code]


@locked
def test_spool_is_closed_when_the_answer_is_out(bonafide_client: AppClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.django.locked_api import send as wsgi_send

    opened: list[Any] = []

    def keep(*arguments: Any, **options: Any) -> Any:
        opened.append(made(*arguments, **options))
        return opened[-1]

    made = SpooledTemporaryFile
    monkeypatch.setattr(body_spool, "SpooledTemporaryFile", keep)
    content(wsgi_send(signed(bonafide_client, "POST", content=b"x" * 2_000_000)))
    assert [each.closed for each in opened] == [True]
