"""The API that the tests of sealed answers lock: views that answer in every way that views answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.gzip import gzip_page
from rest_framework.decorators import api_view, authentication_classes, permission_classes, renderer_classes
from rest_framework.response import Response

from bonafide.django.contrib.rest_framework import Sealed, SealedJSONRenderer
from bonafide.django.decorators import sealed
from tests.django import locked_api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from rest_framework.request import Request

CANARY: Final = "what-nobody-between-may-read"
CHUNK: Final = b"0123456789abcdef" * 300
CHUNKS: Final = 100
CLOSED: Final[list[str]] = []
"""What was given back when answers had gone out."""

RUNS: Final[list[str]] = []


def lock(settings: Any, **changes: Any) -> None:
    """Make the project of the tests this API: below `/api/` sealed, below `/clear/` as the views say."""
    locked_api.lock(settings)
    settings.ROOT_URLCONF = "tests.django.sealed_api"
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS]
    clear = {"match": "/clear/**"}
    rules = [{"match": "/api/**", "seal": True} | changes, clear, {"match": "/browser/**", "client": "browser"}]
    settings.BONAFIDE = settings.BONAFIDE | {"ROUTES": rules}


@csrf_exempt
def plain(request: HttpRequest) -> HttpResponse:
    """Answer with fields of every kind, and what the view saw of the request."""
    RUNS.append(request.path)
    asked = sorted(name for name in request.META if name.startswith(("HTTP_IF", "HTTP_RANGE", "HTTP_ACCEPT_ENC")))
    response = JsonResponse({"said": CANARY, "asked": asked, "fields": sorted(request.headers)})
    response["X-Thing"] = CANARY
    response["ETag"] = '"1"'
    response["Cache-Control"] = "public"
    response.set_cookie("one", "1")
    response.set_cookie("two", CANARY, httponly=True)
    return response


def sized(_request: HttpRequest, octets: int) -> HttpResponse:
    return HttpResponse(b"x" * octets, content_type="application/octet-stream")


def with_status(_request: HttpRequest, status: int) -> HttpResponse:
    return HttpResponse(CANARY, status=status)


def elsewhere(_request: HttpRequest) -> HttpResponse:
    return HttpResponseRedirect(f"/api/plain?{CANARY}")


def broken(_request: HttpRequest) -> HttpResponse:
    raise ValueError(CANARY)


def streamed(_request: HttpRequest) -> HttpResponseBase:
    return StreamingHttpResponse(_chunks(), content_type="text/csv")


def _chunks() -> Iterator[bytes]:
    try:
        for _ in range(CHUNKS):
            yield CHUNK
    finally:
        CLOSED.append("stream")


async def streamed_later(_request: HttpRequest) -> HttpResponseBase:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(CHUNKS):
            yield CHUNK

    return StreamingHttpResponse(chunks(), content_type="text/csv")


def streamed_until_it_breaks(_request: HttpRequest) -> HttpResponseBase:
    def chunks() -> Iterator[bytes]:
        yield CHUNK * CHUNKS
        raise ValueError(CANARY)

    return StreamingHttpResponse(chunks())


def streamed_with_a_length(_request: HttpRequest, octets: int) -> HttpResponseBase:
    """Announce so many octets, and stream as many as `CHUNKS` chunks have."""
    response = StreamingHttpResponse(_chunks())
    response["Content-Length"] = str(octets)
    return response


def file(_request: HttpRequest) -> HttpResponseBase:
    return FileResponse(Path(__file__).open("rb"), as_attachment=True)


def coded(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(CANARY, headers={"Content-Encoding": "br"})


def events(_request: HttpRequest) -> HttpResponseBase:
    return StreamingHttpResponse(_chunks(), content_type="text/event-stream; charset=utf-8")


def partial(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(CANARY, status=206)


async def later(_request: HttpRequest) -> HttpResponse:
    return JsonResponse({"said": CANARY})


@sealed
def marked(request: HttpRequest) -> HttpResponse:
    RUNS.append(request.path)
    if request.GET:
        raise ValueError(CANARY)
    return JsonResponse({"said": CANARY, "asked": "HTTP_RANGE" in request.META})


@sealed
async def marked_later(_request: HttpRequest) -> HttpResponse:
    return JsonResponse({"said": CANARY})


@sealed(strict=True)
def marked_strictly(request: HttpRequest) -> HttpResponse:
    return marked(request)


@api_view(["GET"])
@authentication_classes([])
@permission_classes([])
@renderer_classes([SealedJSONRenderer])
def rendered(request: Request) -> Response:
    """Ask for sealing by the renderer alone."""
    RUNS.append(request.path)
    return Response({"said": CANARY})


@api_view(["GET"])
@authentication_classes([])
@permission_classes([Sealed])
def permitted(request: Request) -> Response:
    """Ask for sealing by the permission."""
    RUNS.append(request.path)
    return Response({"said": CANARY})


_VIEWS = [
    path("plain", plain),
    path("gzipped", gzip_page(plain)),
    path("sized/<int:octets>", sized),
    path("status/<int:status>", with_status),
    path("elsewhere", elsewhere),
    path("broken", broken),
    path("streamed", streamed),
    path("streamed-later", streamed_later),
    path("streamed-until-it-breaks", streamed_until_it_breaks),
    path("streamed-with-a-length/<int:octets>", streamed_with_a_length),
    path("file", file),
    path("coded", coded),
    path("events", events),
    path("partial", partial),
    path("later", later),
    path("marked", marked),
    path("marked-later", marked_later),
    path("marked-strictly", marked_strictly),
    path("rendered", rendered),
    path("permitted", permitted),
]

urlpatterns = [
    path("api/", include(_VIEWS)),
    path("clear/", include(_VIEWS)),
    path("browser/", include(_VIEWS)),
    path("bonafide/v1/", include("bonafide.django.urls")),
]
