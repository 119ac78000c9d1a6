"""What stands in a gate's place: the empty 204, and what PyJWT and pydpop do for an `auth_request`.

    python -m bench.gate.endpoints INTERFACE NAME SOCKET [THREADS [WORKERS]]

INTERFACE is `wsgi`, `rsgi`, `asgi` (all granian) or `uvicorn`; NAME is `empty`, `verify`, `bearer`, `dpop` or
`dpop-seen`. Granian runs as `bonafide.gate.serve` runs it.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jwt  # noqa: TID251 - a contender
import pydpop
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from bench.gate.measuring import verifying
from bonafide.proof.http_signature import FIELDS_READ

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    StartResponse = Callable[[str, list[tuple[str, str]]], object]
    WsgiApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

NAME: Final = "BENCH_ENDPOINT"
KEY: Final = "BENCH_ACCESS_KEY"
STATEMENT: Final = "x" * 878
"""As long as what a gate says (`Bonafide-Admission`), to within some octets; see tests/bench."""

TOKEN_LIFE_S: Final = 300
_ADMITTED: Final = "204 No Content"
_REFUSED: Final = "401 Unauthorized"


def wsgi() -> WsgiApp:
    """Make the callable that the environment names."""
    makers: dict[str, Callable[[], WsgiApp]] = {
        "empty": _empty,
        "verify": _verify,
        "bearer": _bearer,
        "dpop": lambda: _dpop(pydpop.MemoryJtiStore()),
        "dpop-seen": lambda: _dpop(_Seen()),
    }
    return makers[os.environ[NAME]]()


def _empty(besides: Callable[[], object] | None = None) -> WsgiApp:
    """Read the fields that a gate reads, and answer as long as it answers."""
    keys = [f"HTTP_{name.upper().replace('-', '_')}" for name in (*sorted(FIELDS_READ), *_ORIGINAL)]

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        read = {key: environ[key] for key in keys if key in environ}
        if besides is not None:
            besides()
        start_response(_ADMITTED if read["HTTP_ORIGINALTARGET"] else _REFUSED, [("Bonafide-Admission", STATEMENT)])
        return (b"",)

    return app


def _verify() -> WsgiApp:
    """Do the same, and verify one raw signature besides: what that costs in a server that is at work."""
    return _empty(verifying())


def _decoder() -> Callable[[str], dict[str, Any]]:
    key: Any = load_pem_public_key(Path(os.environ[KEY]).read_bytes())

    def decode(token: str) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=["ES256"],
            audience="https://api.example.com",
            issuer="https://login.example.com",
        )
        return claims

    return decode


def _bearer() -> WsgiApp:
    """Verify an access token with PyJWT, its key prepared."""
    decode = _decoder()

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        try:
            claims = decode(environ["HTTP_AUTHORIZATION"].removeprefix("Bearer "))
        except (KeyError, jwt.InvalidTokenError):
            start_response(_REFUSED, [("Bonafide-Status", "401")])
            return (b"",)
        start_response(_ADMITTED, [("Bonafide-Admission", claims["sub"])])
        return (b"",)

    return app


class _Seen:
    """First uses in a dictionary that nobody walks through and nothing leaves: the least that a store can cost."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def seen(self, jti: str) -> bool:
        return self._until.get(jti, 0.0) > time.time()

    def add(self, jti: str) -> None:
        self._until[jti] = time.time() + TOKEN_LIFE_S


def _dpop(seen: Any) -> WsgiApp:
    """Verify a token that is bound to a key with PyJWT, and the proof by that key with pydpop (RFC 9449)."""
    decode = _decoder()

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        try:
            token = environ["HTTP_AUTHORIZATION"].removeprefix("DPoP ")
            claims = decode(token)
            proven = pydpop.verify_proof(
                proof=environ["HTTP_DPOP"],
                htm=environ["HTTP_ORIGINALMETHOD"],
                htu=f"https://{environ['HTTP_ORIGINALHOST']}{environ['HTTP_ORIGINALTARGET']}",
                access_token=token,
                jti_store=seen,
            )
            if proven["jwk_thumbprint"] != claims["cnf"]["jkt"]:
                raise pydpop.DPoPError
        except (KeyError, jwt.InvalidTokenError, pydpop.DPoPError):
            start_response(_REFUSED, [("Bonafide-Status", "401")])
            return (b"",)
        start_response(_ADMITTED, [("Bonafide-Admission", claims["sub"])])
        return (b"",)

    return app


_WANTED: Final = frozenset(FIELDS_READ)


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer the empty 204 over ASGI: read the fields that a gate reads."""
    if scope["type"] != "http":
        return
    del receive
    read = {name: value.decode("latin-1") for name, value in _decoded(scope["headers"]) if _is_read(name)}
    status = 204 if "originaltarget" in read else 401
    await send(
        {"type": "http.response.start", "status": status, "headers": [(b"bonafide-admission", STATEMENT.encode())]}
    )
    await send({"type": "http.response.body", "body": b""})


def _decoded(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[str, bytes]]:
    return ((name.decode("latin-1"), value) for name, value in headers)


def _is_read(name: str) -> bool:
    return name in _WANTED or name.startswith("original")


async def rsgi(scope: Any, protocol: Any) -> None:
    """Answer the empty 204 over RSGI: look the fields up that a gate reads."""
    read = {name: value for name in _WANTED if (value := scope.headers.get(name)) is not None}
    for name in _ORIGINAL:
        read[name] = scope.headers.get(name)
    status = 204 if read["originaltarget"] else 401
    protocol.response_empty(status, [("bonafide-admission", STATEMENT)])


_ORIGINAL: Final = (
    "originalmethod",
    "originaltarget",
    "originalhost",
    "originallength",
    "originalcoding",
    "originalupgrade",
    "originaltrailer",
    "originaladdress",
)


def main(interface: str, name: str, path: str, threads: str = "1", workers: str = "1") -> None:
    """Serve one of them on a socket until a signal ends it."""
    os.environ[NAME] = name
    if interface == "uvicorn":
        import uvicorn  # noqa: PLC0415 - only here

        uvicorn.run("bench.gate.endpoints:asgi", uds=path, log_level="warning", access_log=False)
        return
    from bench.gate.serving import serve  # noqa: PLC0415 - not where uvicorn serves

    serve(
        f"bench.gate.endpoints:{interface}", Path(path), interface=interface, threads=int(threads), workers=int(workers)
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
