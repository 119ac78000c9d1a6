"""Flask and FastAPI behind a gate, on routes that seal: views that answer in every way that views answer."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import flask
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, RedirectResponse, Response, StreamingResponse

from bonafide.upstream.asgi import BonafideAsgi
from bonafide.upstream.wsgi import BonafideWsgi

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

OPTIONS: Final[dict[str, Any]] = {
    "key_files": [os.environ["UPSTREAM_KEY"]],
    "origins": [os.environ["UPSTREAM_ORIGIN"]],
}
CHUNK: Final = b"0123456789abcdef" * 2048
WANTED: Final = ("accept-encoding", "range", "if-none-match", "if-modified-since")

flask_app = flask.Flask(__name__)
fast_app = FastAPI()


def _seen(fields: Mapping[str, str], body: bytes) -> dict[str, Any]:
    return {"body": body.decode("latin-1"), "names": [name for name in WANTED if name in fields]}


def _chunks(size: int, breaks_at: int | None) -> Iterator[bytes]:
    for begin in range(0, size, len(CHUNK)):
        if breaks_at is not None and begin >= breaks_at:
            raise LookupError
        yield CHUNK[: size - begin]


async def _chunks_async(size: int, breaks_at: int | None) -> AsyncIterator[bytes]:
    for chunk in _chunks(size, breaks_at):
        await asyncio.sleep(0)
        yield chunk


def _lengths(asked: Mapping[str, str]) -> tuple[int, int | None, dict[str, str]]:
    size, breaks_at = int(asked["size"]), asked.get("breaks_at")
    length = {"Content-Length": asked["length"]} if "length" in asked else {}
    return size, None if breaks_at is None else int(breaks_at), length


@flask_app.route("/<_>/echo", methods=["GET", "POST"])
def flask_echo(_: str) -> Any:
    """Say what was asked."""
    answer = flask.jsonify(_seen({name.lower(): "" for name, _ in flask.request.headers}, flask.request.get_data()))
    answer.set_cookie("inner", "secret")
    return answer


@flask_app.get("/<_>/stream")
def flask_stream(_: str) -> Any:
    """Stream so much, with a length or without, and break off."""
    size, breaks_at, length = _lengths(flask.request.args)
    return flask.Response(_chunks(size, breaks_at), headers=length)


@flask_app.get("/<_>/file")
def flask_file(_: str) -> Any:
    """Send this file."""
    return flask.send_file(__file__, conditional=True)


@flask_app.get("/<_>/away")
def flask_away(_: str) -> Any:
    """Redirect."""
    return flask.redirect("/inner/place")


@flask_app.get("/<_>/status/<int:status>")
def flask_status(_: str, status: int) -> Any:
    """Answer with this status, and nothing."""
    return flask.Response(status=status)


@flask_app.get("/<_>/field")
def flask_field(_: str) -> Any:
    """Answer with this field."""
    return flask.Response("x", headers=dict([flask.request.args["is"].split("=")]))


@flask_app.get("/<_>/fail")
def flask_fail(_: str) -> Any:
    """Fail."""
    raise LookupError


@fast_app.api_route("/{_}/echo", methods=["GET", "POST"])
async def fast_echo(_: str, request: Request, response: Response) -> Any:
    """Say what was asked."""
    response.set_cookie("inner", "secret")
    return _seen(request.headers, await request.body())


@fast_app.get("/{_}/stream")
async def fast_stream(_: str, request: Request) -> Any:
    """Stream so much, with a length or without, and break off."""
    size, breaks_at, length = _lengths(request.query_params)
    return StreamingResponse(_chunks_async(size, breaks_at), headers=length)


@fast_app.get("/{_}/file")
async def fast_file(_: str) -> Any:
    """Send this file."""
    return FileResponse(Path(__file__))


@fast_app.get("/{_}/away")
async def fast_away(_: str) -> Any:
    """Redirect."""
    return RedirectResponse("/inner/place")


@fast_app.get("/{_}/status/{status}")
async def fast_status(_: str, status: int) -> Any:
    """Answer with this status, and nothing."""
    return Response(status_code=status)


@fast_app.get("/{_}/field")
async def fast_field(_: str, request: Request) -> Any:
    """Answer with this field."""
    return Response("x", headers=dict([request.query_params["is"].split("=")]))


@fast_app.get("/{_}/fail")
async def fast_fail(_: str) -> Any:
    """Fail."""
    raise LookupError


flask_app.wsgi_app = BonafideWsgi(flask_app.wsgi_app, **OPTIONS)  # type: ignore[method-assign]  # Flask's own way
asgi = BonafideAsgi(fast_app, **OPTIONS)
