"""A Django project in a world of tests: what `bonafide.testing.pytest_plugin` does to its settings.

Rule of this file: it adds test trust to one process for the length of one test, and refuses to where the
configuration is production's.
"""

from __future__ import annotations

import secrets
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from bonafide.django import conf, runtime
from bonafide.django.models import App, Identity
from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons
from bonafide.terms import Environment, EvidenceEnvironment
from bonafide.testing.apple import FakeApple
from bonafide.testing.client import AppClient, Build
from bonafide.testing.in_process import InProcess
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
                "BEHIND_GATE": None,  # no gate stands before a test: the project judges, to the same verdicts
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
