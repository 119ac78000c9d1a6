"""The demo's world: the shop before and after, its customers with their phones, and the attacker's means."""

from __future__ import annotations

import os
import secrets
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Self

import django
import httpx
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from bonafide.codec import base64url
from bonafide.proof.http_signature import HardwareSigner, SessionSigner
from bonafide.session import mac_key
from bonafide.terms import ProofKind
from bonafide.testing.apple import FakeApple
from bonafide.testing.client import AppClient, Build
from bonafide.testing.iphone import IPhone
from bonafide.testing.simulator import Simulator
from demonstration.guarded import GuardedServer
from demonstration.interception import Proxy, start_proxy
from demonstration.servers import Certificates, Server, make_certificates
from demonstration.trial import NGINX_ITSELF, Outcome, Sending, Trial
from demonstration.wire import Answer, RawRequest, send

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

    from bonafide.evidence.debug import DebugSecret
    from bonafide.testing.device import Device
    from bonafide.testing.hints import Refused

BUILD: Final = Build(app="shop", identity="ABCDE12345.com.example.shop", app_version="2.4", os_version="27.0")
AGE_S: Final = 20.0
CUSTOMERS: Final = ("ada", "grace", "alan", "mallory")


@dataclass(slots=True)
class Person:
    """A customer with the genuine app on a phone, logged in. `mallory` attacks with all of that."""

    name: str
    user_id: int
    phone: IPhone
    client: AppClient
    bearer: str = field(repr=False)

    @property
    def attestation(self) -> str:
        """The client attestation that the phone holds now."""
        enrolled = self.phone.keychain.enrolled
        return enrolled.client_attestation if enrolled is not None else ""

    @property
    def hardware(self) -> HardwareSigner:
        """What the Secure Enclave signs with."""
        return HardwareSigner(self.phone.keychain.sign_key, self.phone.keychain.jkt)

    @property
    def session(self) -> SessionSigner:
        """What the running app signs with."""
        enrolled = self.phone.keychain.enrolled
        if enrolled is None or enrolled.session is None:
            message = f"{self.name} has no session"
            raise RuntimeError(message)
        return SessionSigner(mac_key(enrolled.session.key), base64url.encode(enrolled.session.sid))


class World:
    """Servers, phones and the operator's view, for one run. Use as a context manager."""

    def __init__(self, state: Path, *, behind_nginx: bool = False) -> None:
        """Lay out a run below `state`, an empty directory; the locked API stands alone, or behind Nginx and a gate."""
        self.state = state
        self.apple = FakeApple(seed=secrets.token_bytes(16))
        self.passwords = {name: secrets.token_urlsafe(9) for name in CUSTOMERS}
        self.certificates: Certificates = make_certificates(state)
        self.trust = self.certificates.trust()
        self.open = self._server("settings_open")
        self.guarded = self._guarded() if behind_nginx else None
        self.locked = self.guarded or self._server("settings_test", workers=2)
        self.staging = self._server("settings_staging")
        self.production = self._server("settings_locked")
        self.operator = _operator(self.locked)
        self.proxy: Proxy
        self.debug_secret: DebugSecret
        self.people: dict[str, Person] = {}
        self.users: dict[str, int] = {}
        self.repeats_read = 0
        self._stack = ExitStack()

    def _server(self, settings: str, workers: int = 1) -> Server:
        return Server(settings=settings, state=self.state, certificates=self.certificates, workers=workers)

    def _guarded(self) -> GuardedServer:
        return GuardedServer(
            settings="settings_behind_gate", state=self.state, certificates=self.certificates, workers=2
        )

    def __enter__(self) -> Self:
        """Make the database, start the servers, and let the locked one's replay store come of age."""
        anchor = x509.load_der_x509_certificate(self.apple.root_der)
        (self.state / "fake-apple.pem").write_bytes(anchor.public_bytes(serialization.Encoding.PEM))
        if self.guarded is not None:
            self.guarded.prepare(self.operator.service_keys(self.guarded))
        self.locked.manage("migrate", "--verbosity", "0")
        self.users = self.operator.prepare(self.passwords)
        self.debug_secret = self.operator.debug_secret()
        servers = (self.locked, self.open, self.staging, self.production)
        for server in servers:
            self._stack.callback(server.stop)
            server.start()
        self.proxy = start_proxy(self.state, self.certificates.authority)
        self._stack.callback(self.proxy.stop)
        for server in servers:
            server.wait()
        self.proxy.wait()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everything that runs."""
        self._stack.close()

    def keep(self, stop: Callable[[], object]) -> None:
        """Have `stop` called at the end."""
        self._stack.callback(stop)

    def server_with(self, bonafide: dict[str, object]) -> Server:
        """Return a server, not started, with the production settings and these keys of BONAFIDE besides."""
        name = f"settings_wrong_{secrets.token_hex(4)}"
        lines = ["from settings_locked import *", "from settings_locked import BONAFIDE", f"BONAFIDE |= {bonafide!r}"]
        (self.state / f"{name}.py").write_text("\n".join(lines))
        return self._server(name)

    def come_of_age(self) -> None:
        """Wait until the new replay stores vouch for proofs: each refuses those made in its first seconds."""
        clients = [self.client(self.phone())]
        if self.guarded is not None:  # the gate has a store of its own, and staging uses another
            clients.append(self.client(Simulator(BUILD, self.debug_secret, clock=time.time), self.staging))
        deadline = time.monotonic() + AGE_S
        for client in clients:
            while client.get("/api/config").status_code != httpx.codes.OK:
                if time.monotonic() > deadline:
                    message = "the genuine app is not answered"
                    raise RuntimeError(message)
                time.sleep(0.25)

    # Phones -------------------------------------------------------------------------------------

    def client(self, device: Device, server: Server | None = None, **options: Any) -> AppClient:
        """Start the app on a device, talking to the locked API."""
        server = server or self.locked
        options = {"verify": self.trust, "timeout": 20.0, "hardware": ["/api/login"], **options}
        client = AppClient(device, api=server.origin, service_keys=self.operator.service_keys(server), **options)
        self._stack.callback(client.close)
        return client

    def phone(self, build: Build = BUILD, **options: Any) -> IPhone:
        """Take a phone out of its box and install the app."""
        return IPhone(build, clock=time.time, **({"apple": self.apple} | options))

    def log_in(self, name: str) -> Person:
        """Give a customer a phone and log in on it, as the genuine app does."""
        phone = self.phone()
        client = self.client(phone)
        # A login may be repeated: a new replay store answers `sign_again` in its first seconds.
        answer = client.post(
            "/api/login",
            json={"username": name, "password": self.passwords[name]},
            headers={"Idempotency-Key": secrets.token_urlsafe(8)},
        )
        answer.raise_for_status()
        person = self.people[name] = Person(name, self.users[name], phone, client, answer.json()["token"])
        return person

    def signed(
        self,
        who: Person,
        method: str,
        target: str,
        *,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        bearer: bool = True,
        proof: ProofKind = ProofKind.SESSION,
    ) -> RawRequest:
        """Have the genuine app on somebody's phone sign a request, and take it before it is sent."""
        who.client.make_ready()
        wanted = ({"Authorization": f"Bearer {who.bearer}"} if bearer else {}) | (headers or {})
        request = httpx.Request(method, self.locked.origin + target, content=body, headers=wanted)
        who.client.conversation.sign(request, proof=proof)
        lines = tuple((name.decode(), value.decode()) for name, value in request.headers.raw)
        return RawRequest(method=method, target=request.url.raw_path.decode(), headers=lines, body=body)

    def nonce(self) -> str:
        """Return a nonce that was never used."""
        return secrets.token_urlsafe(16)

    # Sending ------------------------------------------------------------------------------------

    def send(self, request: RawRequest, server: Server | None = None) -> Answer:
        """Send exactly these octets to the locked API."""
        server = server or self.locked
        return send(request, port=server.port, trust=self.trust)

    def send_open(self, request: RawRequest) -> Answer:
        """Send the same to the open API: only the port in Host is another."""
        host = request.find("host")
        if host == self.locked.authority:
            request = request.with_header("Host", self.open.authority)
        return self.send(request.having(target=request.target.replace(self.locked.origin, self.open.origin)), self.open)

    def bearer_alone(self, who: Person, target: str = "/api/me", method: str = "GET") -> RawRequest:
        """Compose what a script sends: an endpoint and a bearer."""
        headers = (("Host", self.locked.authority), ("Authorization", f"Bearer {who.bearer}"))
        return RawRequest(method=method, target=target, headers=headers)

    def trial(self, attack: RawRequest, twin: RawRequest, *, before: RawRequest | None = None) -> Trial:
        """Return the usual trial: the attack is refused, its untouched twin then answered."""
        return Trial(
            before=lambda: self.send_open(before or attack),
            attack=lambda: self.send(attack),
            control=lambda: self.send(twin),
        )

    def judge(self, name: str, trial: Trial) -> Outcome:
        """Run one row: before, attack, control, and what the operator knows of the attack."""
        before = trial.before()
        if trial.control_first:
            (control, control_runs), (attack, runs) = self._counting(trial.control), self._counting(trial.attack)
        else:
            (attack, runs), (control, control_runs) = self._counting(trial.attack), self._counting(trial.control)
        read = trial.reason or self._recorded
        return Outcome(
            name=name,
            before=before.status,
            after=attack.status,
            reason=read(attack),
            action=attack.headers.get("bonafide-action", ""),
            runs=runs,
            control=control.status,
            control_runs=control_runs,
        )

    def _counting(self, sending: Sending) -> tuple[Answer, int]:
        before = self.operator.view_runs()
        answer = sending()
        return answer, self.operator.view_runs() - before

    def _recorded(self, answer: Answer) -> str:
        record = answer.headers.get("bonafide-record", "")
        if self.guarded is None:
            return str(self.operator.reason(record))
        if not record and answer.headers.get("server") == "nginx":
            return NGINX_ITSELF
        return self.guarded.reason(record) or str(self.operator.reason(record))


def _operator(server: Server) -> ModuleType:
    """Set Django up in this process as in the server's, and return what the operator sees and holds."""
    os.environ.update({name: value for name, value in server.environment().items() if name in _OF_THE_SHOP})
    django.setup()
    from demonstration import console  # noqa: PLC0415 - it imports models, which want Django to be set up

    return console


_OF_THE_SHOP: Final = frozenset(["DJANGO_SETTINGS_MODULE", "SHOP_STATE", "SHOP_ORIGIN"])


def answer_of(response: httpx.Response) -> Answer:
    """Return httpx's answer as ours."""
    return Answer(status=response.status_code, headers=dict(response.headers.items()), body=response.content)


def refusal_of(refused: Refused) -> Answer:
    """Return what the service told a phone that it would not enrol."""
    return Answer(
        status=refused.status,
        headers={"bonafide-action": str(refused.action), "bonafide-record": refused.record or ""},
    )


def now() -> datetime:
    """Return the time of this run's world, which is the real one."""
    return datetime.now(UTC)
