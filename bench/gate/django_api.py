"""Django behind Nginx, bare or with the middleware: the same view, the same server.

python -m bench.gate.django_api prepare DIRECTORY             migrate, name the app, write what phones need
python -m bench.gate.django_api bare|locked DIRECTORY SOCKET  serve
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import django
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path

from bonafide.django.databases import SQLITE_OPTIONS
from bonafide.keys import SigningKey

if TYPE_CHECKING:
    from django.core.handlers.wsgi import WSGIHandler

    from bench.gate.phones import Issuing

DIRECTORY: Final = "BENCH_DJANGO_DIRECTORY"
MIDDLEWARE: Final = "BENCH_DJANGO_MIDDLEWARE"
IDENTITY: Final = "TEAM123456.com.example.shop"
NOTE: Final = "issuing.json"


def _view(request: HttpRequest, rest: str) -> HttpResponse:
    del request, rest
    return HttpResponse(status=204)


urlpatterns = [path("api/<path:rest>", _view)]


def _configure() -> Path:
    """Set Django up once in this process, over the directory that the environment names."""
    directory = Path(os.environ[DIRECTORY])
    if settings.configured:
        return directory
    settings.configure(
        SECRET_KEY="a key of the benchmarks",  # noqa: S106 - of no other use
        INSTALLED_APPS=["django.contrib.contenttypes", "bonafide.django"],
        MIDDLEWARE=[name for name in [os.environ.get(MIDDLEWARE, "")] if name],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": str(directory / "django.sqlite3"),
                "OPTIONS": SQLITE_OPTIONS,
            }
        },
        USE_TZ=True,
        ROOT_URLCONF="bench.gate.django_api",
        ALLOWED_HOSTS=["api.example.com"],
        BONAFIDE={
            "ENVIRONMENT": "test",
            "ORIGINS": ["https://api.example.com"],
            "KEYS_DIR": str(directory / "keys"),
            "REPLAY_STORE": f"lmdb:{directory / 'replay'}",
            "ROUTES": [{"match": "/bonafide/**", "client": "open", "because": "the service"}, {"match": "/api/**"}],
            "PROCESSES": 2,
        },
    )
    django.setup()
    return directory


def application() -> WSGIHandler:
    """Make the callable that granian serves."""
    _configure()
    from django.core.wsgi import get_wsgi_application  # noqa: PLC0415 - after the settings

    return get_wsgi_application()


def prepare() -> None:
    """Make the database, the app and the keys, and write down what a phone's tokens are made with."""
    directory = _configure()
    from django.core.management import call_command  # noqa: PLC0415 - after the settings

    from bonafide.django import runtime  # noqa: PLC0415 - likewise
    from bonafide.django.models import App, Identity  # noqa: PLC0415 - likewise

    call_command("migrate", verbosity=0)
    Identity.objects.create(app=App.objects.create(name="shop", environment="test"), name=IDENTITY)
    now, at = datetime.now(UTC), runtime.current()
    at.replay.remember(bytes(32), created=int(now.timestamp()) - 60, now=now.timestamp() - 60)
    ring = at.keys.ring("shop", now)
    gate_key = ring.gate_key(at.settings.audience, now)
    pem = ring.signing_key(now).private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    note = {
        "issuer": at.settings.issuer,
        "audience": at.settings.audience,
        "gate_key": gate_key.kid,
        "gate_secret": gate_key.secret.hex(),
        "signing_key": pem.decode("ascii"),
    }
    (directory / NOTE).write_text(json.dumps(note), encoding="ascii")


def read_issuing(directory: Path) -> Issuing:
    """Return what `prepare` wrote down."""
    from bench.gate.phones import Issuing  # noqa: PLC0415 - servers do without

    note: dict[str, Any] = json.loads((directory / NOTE).read_text(encoding="ascii"))
    key: Any = load_pem_private_key(note["signing_key"].encode("ascii"), password=None)
    return Issuing(
        issuer=note["issuer"],
        audience=note["audience"],
        app="shop",
        identity=IDENTITY,
        signing_key=SigningKey.of(key),
        gate_key_id=note["gate_key"],
        gate_secret=bytes.fromhex(note["gate_secret"]),
    )


def main(what: str, directory: str, where: str = "", threads: str = "1", workers: str = "1") -> None:
    """Do what the command line says."""
    os.environ[DIRECTORY] = directory
    if what == "prepare":
        sys.modules["bench.gate.django_api"] = sys.modules["__main__"]
        prepare()
        return
    os.environ[MIDDLEWARE] = "bonafide.django.middleware.BonafideMiddleware" if what == "locked" else ""
    from bench.gate.serving import serve  # noqa: PLC0415 - not for `prepare`

    serve("bench.gate.django_api:application", Path(where), threads=int(threads), workers=int(workers))


if __name__ == "__main__":
    main(*sys.argv[1:])
