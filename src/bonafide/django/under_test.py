"""A Django project in a world of tests: what `bonafide.testing.pytest_plugin` does to its settings.

Rule of this file: it adds test trust to one process for the length of one test, and refuses to where the
configuration is production's.
"""

from __future__ import annotations

import secrets
import sys
import time
from contextlib import ExitStack
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import unquote_to_bytes

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from django.core.signals import got_request_exception
from django.test.client import ClientHandler

from bonafide.django import conf, runtime
from bonafide.django.models import App, Identity
from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons
from bonafide.terms import Environment, EvidenceEnvironment
from bonafide.testing.apple import FakeApple
from bonafide.testing.client import AppClient, Build
from bonafide.testing.iphone import IPhone

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from bonafide.testing.device import Device

IN_PROCESS: Final = "https://testserver"
"""The origin of the project when no server runs; Django's test runner allows this host."""

STORE_AGE_S: Final = 60.0
APP: Final = "app-under-test"
IDENTITY: Final = "TESTTEAM01.com.example.app-under-test"


class ProjectUnderTest:
    """The project's settings with test trust, and devices that are believed under it. A context manager."""

    def __init__(
        self,
        settings: Any,
        directory: Path,
        *,
        app: str | None = None,
        identity: str | None = None,
        app_version: str = "1.0",
        os_version: str = "27.0",
    ) -> None:
        """`settings` is pytest-django's fixture, `directory` an absent one for keys.

        Raises `ConfigurationError` (`configuration.test_trust`) for a production configuration.
        """
        if conf.current().environment is Environment.PRODUCTION:
            detail = 'tests trust a fake Apple: give their settings BONAFIDE["ENVIRONMENT"] = "test"'
            raise ConfigurationError(reasons.TEST_TRUST, detail)
        self._settings = settings
        self._directory = directory
        self._origins = [*conf.current().origins, IN_PROCESS]
        self._build = {"app_version": app_version, "os_version": os_version}
        self._wanted = app, identity
        self._apple = FakeApple()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Set the settings; pytest-django's fixture puts them back."""
        self._directory.mkdir(mode=0o700)
        anchor = x509.load_der_x509_certificate(self._apple.root_der)
        (self._directory / "fake-apple.pem").write_bytes(anchor.public_bytes(Encoding.PEM))
        self._apply()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close what was connected."""
        self._stack.close()

    def phone(self) -> IPhone:
        """Return a phone on which the project's app was just installed."""
        app, identity = self._identity()
        return IPhone(Build(app=app, identity=identity, **self._build), apple=self._apple, clock=time.time)

    def connect(self, api: str | None, *, device: Device, **options: Any) -> AppClient:
        """Return a client of the app on `device`, in this process or at the URL `api`."""
        if api is None:
            options = {"transport": InProcess()} | options
        elif api not in self._origins:
            self._origins.append(api)
            self._apply()
        pinned = runtime.current().keys.service_ring().thumbprints
        client = AppClient(device, api=api or IN_PROCESS, service=_service_path(), service_keys=pinned, **options)
        return self._stack.enter_context(client)

    def _apply(self) -> None:
        given = getattr(self._settings, conf.NAME)
        setattr(
            self._settings,
            conf.NAME,
            given
            | {
                "ORIGINS": self._origins,
                "UNSAFE_TEST_ANCHORS": [str(self._directory / "fake-apple.pem")],
                "KEYS_DIR": str(self._directory / "keys"),
                "REPLAY_STORE": "memory:",
                "PROCESSES": 1,
            },
        )
        # A new store refuses proofs from before its birth. Let this one be older than every proof of the test.
        long_ago = time.time() - STORE_AGE_S
        runtime.current().replay.remember(secrets.token_bytes(32), created=int(long_ago), now=long_ago)

    def _identity(self) -> tuple[str, str]:
        """Return the app and identity that the marker names, or the only one, or one made for the test."""
        app, name = self._wanted
        environment = conf.current().environment
        known = Identity.objects.filter(app__environment=environment).order_by("pk")
        if app is not None:
            known = known.filter(app__name=app)
        if name is not None:
            known = known.filter(name=name)
        found = [each for each in known.select_related("app") if EvidenceEnvironment.PRODUCTION in each.environments]
        if not found:
            row, _ = App.objects.get_or_create(name=app or APP, environment=environment)
            found = [Identity.objects.create(app=row, name=name or IDENTITY)]
        return found[0].app.name, found[0].name


def _service_path() -> str:
    """Return where the project includes the service's endpoints."""
    from django.urls import reverse  # noqa: PLC0415 - the URLconf is the test's

    return reverse("bonafide:challenge").removesuffix("/challenge")


class InProcess(httpx.BaseTransport):
    """Serves httpx's requests by the Django project of this process, octet for octet as a WSGI server would.

    CSRF is enforced, as in production: an app sends no CSRF token.
    """

    def __init__(self) -> None:
        self._handler = ClientHandler(enforce_csrf_checks=True)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Serve one request. An exception of the project is raised here, not turned into a 500."""
        raised: list[BaseException] = []

        def keep(**_: object) -> None:
            raised.extend(error for error in [sys.exception()] if error is not None)

        got_request_exception.connect(keep)
        try:
            answer = self._handler(_environ(request))
        finally:
            got_request_exception.disconnect(keep)
        if raised:
            raise raised[0]
        headers = [(name, value) for name, value in answer.items()]
        headers += [("Set-Cookie", morsel.OutputString()) for morsel in answer.cookies.values()]
        content = b"".join(answer)
        answer.close()
        return httpx.Response(answer.status_code, headers=headers, content=content)


def _environ(request: httpx.Request) -> dict[str, Any]:
    raw = request.url.raw_path.decode("ascii")
    path, _, query = raw.partition("?")
    body = request.read()
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": raw,
        "SERVER_NAME": request.url.host,
        "SERVER_PORT": str(request.url.port or 443),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": request.url.scheme,
        "wsgi.input": BytesIO(body),
        "wsgi.errors": BytesIO(),
        "wsgi.multiprocess": False,
        "wsgi.multithread": False,
        "wsgi.run_once": False,
    }
    for name in dict.fromkeys(request.headers.keys()):
        values = request.headers.get_list(name)
        key = name.upper().replace("-", "_")
        environ[key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"] = ",".join(values)
    return environ
