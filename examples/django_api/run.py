#!/usr/bin/env python
"""Leave the demo's API and its console running for a look round, until Ctrl-C.

    python run.py [--port 8000] [--state DIRECTORY]

Plain HTTP on loopback, in the environment `test`: the software iPhone below is believed, Apple's phones too.
State stays in `var/` beside this file unless told otherwise, so that a second start finds what the first left.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import django
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from bonafide.testing.apple import FakeApple

HERE = Path(__file__).resolve().parent
VISIT_EVERY_S = 5.0


def main() -> int:
    """Prepare, start, visit, wait."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--state", type=Path, default=HERE / "var", metavar="DIRECTORY")
    options = parser.parse_args()
    origin, state = f"http://127.0.0.1:{options.port}", options.state.absolute()
    state.mkdir(mode=0o700, exist_ok=True)
    os.environ |= {"DJANGO_SETTINGS_MODULE": "settings_test", "SHOP_STATE": str(state), "SHOP_ORIGIN": origin}
    sys.path.insert(0, str(HERE))
    apple = FakeApple(seed=_seed(state))
    anchor = x509.load_der_x509_certificate(apple.root_der)
    (state / "fake-apple.pem").write_bytes(anchor.public_bytes(Encoding.PEM))
    passwords = prepare()
    # --insecure: serve the console's style sheets without DEBUG, which is what runserver calls so.
    command = [sys.executable, "manage.py", "runserver", "--noreload", "--insecure", origin.removeprefix("http://")]
    server = subprocess.Popen(command, cwd=HERE, start_new_session=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are started deaf to it
    try:
        tell(origin, passwords)
        stop = threading.Event()
        visitor = threading.Thread(target=visit, args=(origin, apple, passwords["ada"], stop), daemon=True)
        visitor.start()
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        server.terminate()
        server.wait()


def _seed(state: Path) -> bytes:
    """Return what makes this checkout's own fake Apple, kept between starts."""
    path = state / "fake-apple.seed"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(secrets.token_bytes(16))
    return path.read_bytes()


def prepare() -> dict[str, str]:
    """Bring the database up to date, and give everybody a new password; none is kept anywhere."""
    django.setup()
    from django.contrib.auth.models import User  # noqa: PLC0415 - wants Django to be set up
    from django.core.management import call_command  # noqa: PLC0415 - likewise
    from shop.seed import CUSTOMERS, seed  # noqa: PLC0415 - likewise

    from bonafide.django.models import App, Identity  # noqa: PLC0415 - likewise

    call_command("migrate", verbosity=0)
    passwords = {name: secrets.token_urlsafe(9) for name in ("operator", *(row[0] for row in CUSTOMERS))}
    User.objects.get_or_create(username="operator", defaults={"is_staff": True, "is_superuser": True})
    seed(passwords)
    for name, password in passwords.items():
        user = User.objects.get(username=name)
        user.set_password(password)
        user.save()
    app, _ = App.objects.get_or_create(name="shop", environment="test", defaults={"title": "Shop"})
    Identity.objects.get_or_create(app=app, name="ABCDE12345.com.example.shop")
    return passwords


def tell(origin: str, passwords: dict[str, str]) -> None:
    """Say what is where."""
    print(
        f"""
The shop's API, answering its own app and nobody else:
  {origin}/api/config        try: curl -i {origin}/api/config
The console, where refusals, routes, instances and bans are:
  {origin}/admin/            operator, with this run's password: {passwords["operator"]}
A software iPhone is ada's, and looks at her orders every {VISIT_EVERY_S:.0f} seconds.
Ctrl-C ends all of it.
""",
        flush=True,
    )


def visit(origin: str, apple: FakeApple, password: str, stop: threading.Event) -> None:
    """Be the genuine app: enrol, log in, and come back now and then."""
    import httpx  # noqa: PLC0415 - only the visitor needs it

    from bonafide.django import runtime  # noqa: PLC0415 - wants Django to be set up
    from bonafide.testing.client import AppClient, Build  # noqa: PLC0415 - needs httpx
    from bonafide.testing.iphone import IPhone  # noqa: PLC0415 - likewise

    phone = IPhone(Build(app="shop", identity="ABCDE12345.com.example.shop"), apple=apple, clock=time.time)
    keys = runtime.current().keys.service_ring().thumbprints
    with AppClient(phone, api=origin, service_keys=keys, hardware=["/api/login"]) as client:
        headers: dict[str, str] = {}
        while not stop.wait(VISIT_EVERY_S):
            try:
                if not headers:
                    body = {"username": "ada", "password": password}
                    answer = client.post("/api/login", json=body, headers={"Idempotency-Key": secrets.token_hex(8)})
                    headers = {"Authorization": f"Bearer {answer.json()['token']}"} if answer.is_success else {}
                else:
                    client.get("/api/orders", headers=headers)
            except httpx.TransportError:
                continue  # the server is starting, or ending


if __name__ == "__main__":
    sys.exit(main())
