"""What gunicorn, uvicorn and granian are told to serve: Flask and FastAPI behind a gate, that say what they saw."""

from __future__ import annotations

import os
from typing import Any

import flask
from fastapi import FastAPI, Request, WebSocket

from bonafide.upstream.asgi import BonafideAsgi
from bonafide.upstream.wsgi import BonafideWsgi

OPTIONS: dict[str, Any] = {
    "key_files": [os.environ["UPSTREAM_KEY"]],
    "origins": [os.environ["UPSTREAM_ORIGIN"]],
    "max_body": 4 * 2**20,
    "spool_memory": 2**16,
}

flask_app = flask.Flask(__name__)
fast_app = FastAPI()


def _seen(statement: Any, body: bytes, names: list[str], path: str) -> dict[str, Any]:
    return {
        "instance": None if statement.sender is None else statement.sender.instance,
        "body": body.decode("latin-1"),
        "path": path,
        "names": sorted(name.lower() for name in names if "bonafide" in name.lower()),
    }


@flask_app.route("/api/<path:_>", methods=["GET", "POST"])
def flask_echo(_: str) -> Any:
    """Read the body as raw octets."""
    asked = flask.request
    return _seen(asked.environ["bonafide.admission"], asked.get_data(), list(asked.headers.keys()), asked.path)


@flask_app.route("/form", methods=["POST"])
def flask_form() -> Any:
    """Read a multipart form."""
    return {name: len(file.read()) for name, file in flask.request.files.items()} | flask.request.form.to_dict()


@fast_app.api_route("/api/{_:path}", methods=["GET", "POST"])
async def fast_echo(_: str, request: Request) -> Any:
    """Read the body as raw octets."""
    statement = request.scope["bonafide.admission"]
    return _seen(statement, await request.body(), list(request.headers.keys()), request.url.path)


@fast_app.websocket("/talk")
async def fast_talk(socket: WebSocket) -> None:
    """Say who is there."""
    await socket.accept()
    sender = socket.scope["bonafide.admission"].sender
    await socket.send_text("nobody" if sender is None else sender.instance)
    await socket.close()


flask_app.wsgi_app = BonafideWsgi(flask_app.wsgi_app, **OPTIONS)  # type: ignore[method-assign]  # Flask's own way
asgi = BonafideAsgi(fast_app, **OPTIONS)
