"""The world of Swift's tests is a real service: a phone enrols, logs in and is refused there as it should be."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from bonafide.codec import base64url
from bonafide.evidence.debug import DebugSecret
from bonafide.terms import EvidenceEnvironment, ProofKind
from bonafide.testing.apple import FakeApple
from bonafide.testing.client import AppClient, Build, Refused
from bonafide.testing.iphone import IPhone
from bonafide.testing.simulator import Simulator
from tests.conftest import ROOT
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bonafide.testing.device import Device

PATIENCE_S = 60.0
LOGIN = "/api/login"


@dataclass(slots=True)
class Child:
    """The running program, as a test in any language has it: a process, two pipes, one line of JSON."""

    process: subprocess.Popen[str]
    temporary: Path
    told: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.told = self.read()

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def do(self, what: str, **more: object) -> dict[str, Any]:
        return self.write(json.dumps({"do": what, **more}))

    def write(self, line: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.read()

    def end(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(PATIENCE_S)

    @property
    def build(self) -> Build:
        return Build(app=self.told["app"], identity=self.told["identity"], os_version="27.0")

    @property
    def apple(self) -> FakeApple:
        return FakeApple(seed=base64.b64decode(self.told["apple"]["seed"]))

    def phone(self, **options: Any) -> IPhone:
        return IPhone(self.build, apple=self.apple, clock=time.time, **options)

    def client(self, device: Device | None = None) -> AppClient:
        return AppClient(
            device or self.phone(),
            api=self.told["origin"],
            service_keys=self.told["service_keys"],
            hardware=[LOGIN],
            timeout=PATIENCE_S,
        )

    def servers(self) -> list[str]:
        """Return the command lines of all processes that serve this world."""
        authority = self.told["origin"].removeprefix("http://")
        lines = []
        for place in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = place.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:  # it ended meanwhile
                continue
            if authority in line:
                lines.append(line)
        return lines


@contextmanager
def world(temporary: Path, *options: str) -> Iterator[Child]:
    """Start the program, and end it by closing its standard input if the test did not."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.swift.world", *options],
        cwd=ROOT,
        env=_environment(temporary),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Child(process, temporary)


def _environment(temporary: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    return kept | {"TMPDIR": str(temporary)}


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    with world(tmp_path_factory.mktemp("world")) as child:
        yield child


def log_in(child: Child, client: AppClient, name: str = "ada") -> dict[str, str]:
    """Log in and return the header that the login gave."""
    body = {"username": name, "password": child.told["users"][name]}
    answer = client.post(child.told["paths"]["login"], json=body, headers={"Idempotency-Key": os.urandom(8).hex()})
    return {"Authorization": f"Bearer {answer.raise_for_status().json()['token']}"}


def test_apple_that_is_told_is_the_one_that_is_believed(child: Child) -> None:
    told, apple = child.told["apple"], child.apple
    assert base64.b64decode(told["intermediate"]) == apple.intermediate_der
    assert base64.b64decode(told["root"]) == apple.root_der
    scalar = apple.intermediate_key.private_numbers().private_value
    assert base64.b64decode(told["intermediate_key"]) == scalar.to_bytes(48)


def test_phone_enrols_logs_in_and_reads_its_orders(child: Child) -> None:
    with child.client() as client:
        bearer = log_in(child, client)
        orders = client.get(child.told["paths"]["orders"], headers=bearer).raise_for_status().json()["orders"]
        profile = client.get(child.told["paths"]["profile"], headers=bearer).raise_for_status().json()
    assert [order["item"] for order in orders] == ["loom", "punched cards"]
    assert profile["name"] == "ada"


def test_bearer_is_bound_to_the_phone_that_logged_in(child: Child) -> None:
    with child.client() as client, child.client() as another:
        answer = another.get(child.told["paths"]["orders"], headers=log_in(child, client))
    assert (answer.status_code, answer.headers["bonafide-action"]) == (401, "give_up")
    assert child.do("reasons")["reasons"][-1] == "credential.bound_to_another_key"


def test_unproven_request_is_refused_and_its_reason_told_once(child: Child) -> None:
    child.do("reasons")
    answer = httpx.get(child.told["origin"] + child.told["paths"]["config"], trust_env=False)
    assert (answer.status_code, answer.headers["bonafide-action"]) == (401, "renew")
    told = child.do("reasons")
    assert told["reasons"] == ["client_attestation.missing"]
    assert [record["record"] for record in told["records"]] == [answer.headers["bonafide-record"]]
    assert child.do("reasons") == {"reasons": [], "records": []}


def test_login_wants_a_hardware_proof(child: Child) -> None:
    with child.client() as client:
        answer = client.post(LOGIN, json={}, extensions={"bonafide_proof": ProofKind.HARDWARE})
        assert answer.status_code == 403  # the view's own word
        client.make_ready()
        request = client.build_request("POST", LOGIN, json={})
        request.read()
        client.conversation.sign(request, proof=ProofKind.SESSION)
        weak = client._transport.handle_request(request)
        assert (weak.status_code, weak.headers["bonafide-action"]) == (401, "sign_again")


def test_development_evidence_is_refused_unless_it_was_asked_for(child: Child) -> None:
    developer = child.phone(environment=EvidenceEnvironment.DEVELOPMENT, validation_category=3)
    with child.client(developer) as client, pytest.raises(Refused, match="give_up"):
        client.enrol()
    assert child.do("reasons")["reasons"][-1] == "app_attest.environment_refused"


def test_instances_are_listed_with_their_keys(child: Child) -> None:
    phone = child.phone()
    with child.client(phone) as client:
        client.enrol()
    (row,) = [row for row in child.do("instances")["instances"] if row["jkt"] == phone.keychain.jkt]
    assert (row["environment"], row["tier"], row["identity"]) == ("production", "affirming", child.told["identity"])
    assert phone.keychain.enrolled is not None
    assert row["instance"] == phone.keychain.enrolled.instance
    assert row["key_id"]


def test_banned_instance_is_refused_at_its_next_request(child: Child) -> None:
    phone = child.phone()
    with child.client(phone) as client:
        assert client.get("/api/config").is_success
        assert phone.keychain.enrolled is not None
        assert child.do("ban", instance=phone.keychain.enrolled.instance) == {"done": "ban"}
        answer = client.get("/api/config")
    assert (answer.status_code, answer.headers["bonafide-action"]) == (403, "give_up")
    assert "error" in child.do("ban", instance="nobody")


def test_forgotten_instance_enrols_again(child: Child) -> None:
    phone = child.phone()
    with child.client(phone) as client:
        client.enrol()
        assert phone.keychain.enrolled is not None
        before = phone.keychain.enrolled.instance
        child.do("reasons")
        assert child.do("forget", instance=before) == {"done": "forget"}
        client.renew()
        assert child.do("reasons")["reasons"] == ["enrolment.instance_unknown"]
        assert phone.keychain.enrolled.instance != before
        assert client.get("/api/config").is_success
    assert "error" in child.do("forget", instance=before)


def test_stopped_server_refuses_connections_and_comes_back_as_it_was(child: Child) -> None:
    with child.client() as client:
        bearer = log_in(child, client, "grace")
        assert child.do("stop_server") == {"done": "stop_server"}
        assert not child.servers()
        with pytest.raises(httpx.ConnectError):
            httpx.get(child.told["origin"], trust_env=False)
        assert child.do("start_server") == child.do("start_server") == {"done": "start_server"}
        eventually(lambda: client.get("/api/orders", headers=bearer).is_success, despite=(httpx.TransportError,))


def test_log_is_told_and_unknown_commands_are_errors(child: Child) -> None:
    assert "gunicorn" in child.do("log")["log"]
    for line in ('{"do": "dance"}', '{"do": []}', "[]", "{", '{"do": "ban"}'):
        assert set(child.write(line)) == {"error"}, line


def test_nothing_is_left_when_standard_input_ends(tmp_path: Path) -> None:
    with world(tmp_path) as child:
        assert len(child.servers()) >= 2
        assert list(tmp_path.iterdir())
        assert child.end() == 0
        assert not child.servers()
        assert not list(tmp_path.iterdir())


def test_nothing_is_left_when_it_is_told_to_end(tmp_path: Path) -> None:
    with world(tmp_path) as child:
        child.process.send_signal(signal.SIGTERM)
        assert child.process.wait(PATIENCE_S) == 0
        assert not child.servers()
        assert not list(tmp_path.iterdir())


def test_no_process_is_left_when_it_is_killed(tmp_path: Path) -> None:
    with world(tmp_path) as child:
        child.process.kill()
        child.process.wait(PATIENCE_S)
        eventually(lambda: not child.servers(), "the end of the server")


def test_options_become_policy(tmp_path: Path) -> None:
    options = ("--lifetime", "30", "--reattest-after", "0", "--route-proof", "hardware:/api/config")
    with world(tmp_path, *options, "--environments", "development", "debug") as child:
        developer = child.phone(environment=EvidenceEnvironment.DEVELOPMENT, validation_category=3)
        with child.client(developer) as client:
            client.enrol()
            assert developer.keychain.enrolled is not None
            session = developer.keychain.enrolled.session
            assert session is not None
            assert session.expires_at - session.issued_at == timedelta(seconds=30)
            client.renew()
            assert child.do("instances")["instances"][0]["counter"] == 1
            assert client.get("/api/config").is_success  # at the second try
            assert child.do("reasons")["reasons"] == ["route.proof_kind_too_weak"]
        secret = child.told["debug"]
        debug = DebugSecret(app="shop", name=secret["name"], secret=base64url.decode(secret["secret"]))
        with child.client(Simulator(child.build, debug, clock=time.time)) as client:
            assert client.get("/api/config").is_success
        with child.client() as client, pytest.raises(Refused, match="give_up"):
            client.enrol()
        assert child.do("reasons")["reasons"][-1] == "app_attest.environment_refused"


def test_start_that_fails_says_why(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.swift.world", "--lifetime", "5"]
    ended = subprocess.run(command, cwd=ROOT, env=_environment(tmp_path), capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "CLIENT_ATTESTATION_LIFETIME" in ended.stderr
    assert not list(tmp_path.iterdir())


def test_secrets_configuration_and_pins_are_set_while_it_runs(child: Child) -> None:
    assert child.do("set_value", kind="secret", name="maps", value='"m"') == {"version": 1}
    assert child.do("set_value", kind="public", name="colour", value='"blue"') == {"version": 1}
    assert child.do("set_value", kind="sealed", name="group", value='{"is": "b"}') == {"version": 2}
    pins = [base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2)]
    published = child.do("publish_pins", host="api.example.com", pins=" ".join(pins), days=30)
    assert published["version"] == 1
    with child.client() as app:
        assert app.secrets().secrets == {"maps": "m"}
        configuration = app.configuration()
        assert configuration.sealed is not None
        assert (configuration.public.values, configuration.sealed.values) == (
            {"colour": "blue"},
            {"group": {"is": "b"}},
        )
        assert app.pins().pins == {"api.example.com": tuple(pins)}
    assert "error" in child.do("set_value", kind="secret", name="maps", value="no JSON")
