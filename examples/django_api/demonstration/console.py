"""What the shop's operator sees and holds: the records behind refusals, the views' counters, the keys.

Somebody with a shell on the host: this process reads the same database and key files as the servers. Django
is set up before this module is imported.
"""

from __future__ import annotations

import os
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.utils import timezone
from shop.models import ViewRun
from shop.seed import seed

from bonafide.codec import base64url
from bonafide.django import conf, debug_secrets
from bonafide.django.models import App, Identity, Refusal
from bonafide.evidence.debug import DebugSecret
from bonafide.stores.key_files import KeyFiles, ServiceKeyFile
from bonafide.terms import Environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bonafide.keys import SigningKey
    from demonstration.servers import Server

APP: Final = "shop"
IDENTITY: Final = "ABCDE12345.com.example.shop"
RECORD_S: Final = 5.0
SECRET_LIFE: Final = timedelta(hours=1)
ENVIRONMENTS: Final = {
    "settings_test": Environment.TEST,
    "settings_behind_gate": Environment.TEST,
    "settings_staging": Environment.STAGING,
    "settings_locked": Environment.PRODUCTION,
}


def prepare(passwords: Mapping[str, str]) -> dict[str, int]:
    """Seed the shop, and name its app in each environment of this run; return the customers' ids."""
    for environment in set(ENVIRONMENTS.values()):
        app = App.objects.create(name=APP, environment=environment, title="Shop")
        believed = "debug" if environment is Environment.STAGING else "production"
        Identity.objects.create(app=app, name=IDENTITY, environments=[believed])
    partner = App.objects.create(name="partner", environment=Environment.TEST, title="Another app")
    Identity.objects.create(app=partner, name="ABCDE12345.com.example.partner")
    return seed(dict(passwords))


def debug_secret() -> DebugSecret:
    """Make a debug secret for the staging deployment."""
    app = App.objects.get(name=APP, environment=Environment.STAGING)
    now, name = timezone.now(), f"demo-{os.urandom(4).hex()}"
    text = debug_secrets.create(app, name, by="demo", now=now, expires_at=now + SECRET_LIFE, random=os.urandom)
    return DebugSecret(app=APP, name=name, secret=base64url.decode(text))


def service_keys(server: Server) -> tuple[str, str]:
    """Return the thumbprints that the app is built with."""
    directory = server.state / "bonafide" / "keys"
    return ServiceKeyFile(directory, environment=ENVIRONMENTS[server.settings]).current().thumbprints


def signing_key() -> SigningKey:
    """Return the key that signs client attestations now, as only the operator can."""
    settings = conf.current()
    files = KeyFiles(settings.keys_dir, app=APP, environment=settings.environment, audiences=[settings.audience])
    now = timezone.now()
    return files.current(now).signing_key(now)


def view_runs() -> int:
    """Return how often the shop's views ran, all together, by their own count."""
    return sum(ViewRun.objects.values_list("runs", flat=True))


def reason(record: str) -> str:
    """Return the reason that stands under a record id, as the admin shows it; "" where none does."""
    deadline = time.monotonic() + RECORD_S
    while record and time.monotonic() < deadline:
        found = Refusal.objects.filter(pk=record).values_list("reason", flat=True).first()
        if found is not None:
            return str(found)
        time.sleep(0.02)
    return ""
