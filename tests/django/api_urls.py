"""The API that the tests of the middleware lock: views that say what they saw."""

from __future__ import annotations

import hashlib
import tempfile
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.files.uploadedfile import UploadedFile
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from bonafide.admission import Admitted

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNS: list[str] = []
"""The paths of every view that ran, so that a test can show that a refused request did not."""


def seen(request: HttpRequest, **extra: Any) -> JsonResponse:
    """Answer what the view knows of the request."""
    RUNS.append(request.path)
    verdict = getattr(request, "bonafide", "missing")
    admitted = verdict if isinstance(verdict, Admitted) else None
    return JsonResponse(
        {
            "verdict": type(verdict).__name__,
            "instance": None if admitted is None else admitted.attestation.instance,
            "proof": None if admitted is None else admitted.proof,
            "path": request.path_info,
            "method": request.method,
            "cookies": request.COOKIES,
            "bonafide_headers": sorted(name for name in request.META if name.startswith("HTTP_BONAFIDE")),
            **extra,
        }
    )


@csrf_exempt
def echo(request: HttpRequest, **_: Any) -> HttpResponse:
    """Read the body as raw octets."""
    return seen(request, body=request.body.decode("latin-1"))


@csrf_exempt
def upload(request: HttpRequest) -> HttpResponse:
    """Read a multipart form."""
    files = {}
    for name, file in request.FILES.items():
        assert isinstance(file, UploadedFile)
        sha256 = hashlib.sha256()
        for chunk in file.chunks():
            sha256.update(chunk)
        files[name] = {"size": file.size, "sha256": sha256.hexdigest()}
    return seen(request, post=request.POST.dict(), files=files)


@csrf_exempt
def stream(request: HttpRequest) -> StreamingHttpResponse:
    """Read the body while the answer is already going out."""
    RUNS.append(request.path)

    def chunks() -> Iterator[bytes]:
        while chunk := request.read(65536):
            yield chunk

    return StreamingHttpResponse(chunks())


LARGE_OCTETS = 64 * 2**20


def large(request: HttpRequest) -> FileResponse:
    """Answer with a file of zeros that is on no disk but has its length."""
    RUNS.append(request.path)
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the answer closes it
    file.truncate(LARGE_OCTETS)
    return FileResponse(file, content_type="application/octet-stream")


async def asynchronous(request: HttpRequest) -> HttpResponse:
    """Answer from an asynchronous view."""
    return seen(request)


urlpatterns = [
    path("api/echo", echo),
    path("api/echo/<path:rest>", echo),
    path("api/upload", upload),
    path("api/stream", stream),
    path("api/async", asynchronous),
    path("api/sealed/echo", echo),
    path("api/sealed/large", large),
    path("open/health", seen),
    path("console/", admin.site.urls),
    path("bonafide/v1/", include("bonafide.django.urls")),
]
