"""The transport hands the project exactly what httpx would have sent, and brings back exactly its answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import re_path

from bonafide.testing.in_process import InProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.django_db
"""Django looks after its database connections around every request."""


def echo(request: HttpRequest) -> HttpResponse:
    return JsonResponse(
        {
            "method": request.method,
            "path": request.path,
            "raw": request.META["RAW_URI"],
            "query": request.META["QUERY_STRING"],
            "host": request.get_host(),
            "secure": request.is_secure(),
            "headers": dict(request.headers.items()),
            "cookies": request.COOKIES,
            "body": request.body.decode(),
        }
    )


def cookies(_request: HttpRequest) -> HttpResponse:
    answer = HttpResponse(status=202)
    answer.set_cookie("a", "1")
    answer.set_cookie("b", "2")
    answer["X-Name"] = "value"
    return answer


def stream(_request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(iter([b"one", b"two"]))


def broken(_request: HttpRequest) -> HttpResponse:
    raise ZeroDivisionError


urlpatterns = [
    re_path("^cookies$", cookies),
    re_path("^stream$", stream),
    re_path("^broken$", broken),
    re_path("", echo),
]


@pytest.fixture
def client(settings: Any) -> Iterator[httpx.Client]:
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = []
    with httpx.Client(transport=InProcess(), base_url="https://testserver") as made:
        yield made


def test_request_arrives_as_it_was_sent(client: httpx.Client) -> None:
    seen = client.post("/a/b?x=%41&y", content=b"body", headers={"Content-Type": "text/plain", "X-Two": "2"}).json()
    assert (seen["method"], seen["path"], seen["query"], seen["body"]) == ("POST", "/a/b", "x=%41&y", "body")
    assert (seen["host"], seen["secure"]) == ("testserver", True)
    assert seen["headers"]["Content-Type"] == "text/plain"
    assert seen["headers"]["X-Two"] == "2"


@pytest.mark.parametrize(
    ("target", "path"), [("/%C3%BC", "/ü"), ("/a%20b", "/a b"), ("/%5Bx%5D", "/[x]"), ("/%2541", "/%41")]
)
def test_path_is_decoded_once_and_kept_raw_beside(client: httpx.Client, target: str, path: str) -> None:
    seen = client.get(target).json()
    assert (seen["path"], seen["raw"]) == (path, target)


def test_headers_of_one_name_are_joined(client: httpx.Client) -> None:
    seen = client.get("/", headers=[("X-Twice", "1"), ("X-Twice", "2")]).json()
    assert seen["headers"]["X-Twice"] == "1,2"


def test_answer_comes_back_whole(client: httpx.Client) -> None:
    answer = client.get("/cookies")
    assert answer.status_code == 202
    assert answer.headers["x-name"] == "value"
    assert dict(client.cookies) == {"a": "1", "b": "2"}
    assert client.get("/").json()["cookies"] == {"a": "1", "b": "2"}


def test_streamed_answer_is_read(client: httpx.Client) -> None:
    assert client.get("/stream").content == b"onetwo"


def test_exception_of_a_view_is_raised_here(client: httpx.Client) -> None:
    with pytest.raises(ZeroDivisionError):
        client.get("/broken")
    assert json.loads(client.get("/").content)["path"] == "/"
