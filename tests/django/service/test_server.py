"""`bonafide serve` as a program: what it makes, what it serves, and how it ends."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import stat
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from bonafide.cli.home_options import EXIT_REFUSED
from bonafide.cli.serve import EXIT_AWAY
from tests.canaries import plant, told
from tests.django.service.running import ANSWER_S, BUNDLE, START_S, STOP_S, TEAM, AskingGate, RunningService
from tests.stores.sealing_keys.soft_hsm import TOKEN, soft_hsm
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.stores.sealing_keys.soft_hsm import SoftHsm

__all__ = ["soft_hsm"]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(home=tmp_path_factory.mktemp("serve") / "home")
    running.init()
    running.start()
    try:
        yield running
    finally:
        running.kill()


def test_a_phone_enrols_and_renews(service: RunningService) -> None:
    with service.phone() as phone:
        phone.enrol()
        first = phone.device.keychain.enrolled
        phone.renew()
        second = phone.device.keychain.enrolled
    assert first is not None
    assert second is not None
    assert first.instance == second.instance
    assert first.client_attestation != second.client_attestation
    assert len(service.get("/bonafide/v1/jwks.json").json()["keys"]) == 2


def test_a_ban_is_in_the_very_next_answer_to_a_gate(service: RunningService) -> None:
    with service.phone() as phone:
        phone.enrol()
        enrolled = phone.device.keychain.enrolled
    assert enrolled is not None
    gate = AskingGate.registered(service, "gate-ban")
    before = gate.ask()
    assert before.state is not None
    assert enrolled.instance not in before.state.revoked_instances
    assert gate.ask(have=before.tag).state is None
    service.run("ban", "--instance", enrolled.instance, "--because", "a test")
    after = gate.ask(have=before.tag)
    assert after.state is not None
    assert enrolled.instance in after.state.revoked_instances
    service.run("unban", "--instance", enrolled.instance, "--because", "a test")
    lifted = gate.ask(have=after.tag)
    assert lifted.state is not None
    assert enrolled.instance not in lifted.state.revoked_instances


def test_a_retired_gate_is_told_nothing_more(service: RunningService) -> None:
    gate = AskingGate.registered(service, "gate-retired")
    assert gate.ask().state is not None
    service.run("gates", "retire", "gate-retired")
    assert gate.send().status_code == 401


def test_an_opening_reaches_gates_at_once_and_ends_when_it_is_closed(service: RunningService) -> None:
    gate = AskingGate.registered(service, "gate-open")
    service.run("open", "--route", "/api/**", "--for", "30m", "--because", "Apple is away")
    opened = gate.ask()
    assert opened.state is not None
    assert len(opened.state.openings) == 1
    assert service.metric("bonafide_openings") == 1
    assert "/api/**" in service.run("open", "--list", code=1)
    service.run("open", "--close")
    closed = gate.ask(have=opened.tag)
    assert closed.state is not None
    assert not closed.state.openings
    assert service.metric("bonafide_openings") == 0


# Starting -----------------------------------------------------------------------------------------------


def test_a_first_start_prints_where_it_is_and_what_to_do(tmp_path: Path) -> None:
    running = RunningService(home=tmp_path / "home")
    printed = running.run("serve", "--init", "--origin", "https://api.example.com")
    for line in (
        f"home      {running.home}",
        "service   http://127.0.0.1:8600/bonafide/v1",
        "console   http://127.0.0.1:8602/admin/",
        "bonafide admin create",
        "bonafide apps add",
        "bonafide apps identity add",
        "bonafide gates add",
        "BonafideMiddleware",
        "proxy_pass http://127.0.0.1:8600;",
        '"ORIGINS": ["https://api.example.com"]',
    ):
        assert line in printed
    for thumbprint in running.thumbprints():
        assert f'"{thumbprint}"' in printed
    again = running.run("serve", "--init")
    assert running.thumbprints() == [line.strip(' "') for line in again.splitlines() if line.startswith('  "')][:2]


@pytest.mark.parametrize("words", [["--origin", "https://other.example.com"], ["--environment", "production"]])
def test_a_later_start_does_not_pretend_to_change_what_the_file_says(service: RunningService, words: list[str]) -> None:
    assert "says otherwise" in service.run("serve", "--init", *words, code=2)


def test_a_key_that_is_unknown_does_not_start(tmp_path: Path) -> None:
    running = RunningService(home=tmp_path / "home")
    running.run("serve", "--init")
    running.say("debug = true")
    assert "service.toml has no key debug" in running.run("serve", "--init", code=1)


def test_production_without_tls_does_not_start(tmp_path: Path) -> None:
    running = RunningService(home=tmp_path / "home")
    words = ["serve", "--init", "--environment", "production", "--origin", "http://api.example.com"]
    assert "bonafide.E004" in running.run(*words, code=1)


def test_a_wrong_option_of_a_first_start_costs_nothing(tmp_path: Path) -> None:
    running = RunningService(home=tmp_path / "home")
    assert "bonafide.E004" in running.run("serve", "--init", "--environment", "production", code=1)
    words = ["--environment", "production", "--origin", "https://api.example.com"]
    assert "In another terminal:" in running.run("serve", *words, "--init")


def test_a_token_that_is_away_does_not_start_and_says_so_in_plain_words(tmp_path: Path, soft_hsm: SoftHsm) -> None:
    running = RunningService(home=tmp_path / "home")
    running.make()
    words = {"module": soft_hsm.module, "token": "away", "label": "sealing-1", "pin_file": soft_hsm.pin_file}
    told = ", ".join(f'{name} = "{value}"' for name, value in words.items())
    running.say('key_storage = "database"', f"sealing_key = {{ pkcs11 = {{ {told} }} }}")
    printed = running.run("serve", "--init", code=EXIT_AWAY)
    assert "bonafide serve: store.sealing_key_unavailable: " in printed
    assert "NoSuchToken" in printed
    assert "Traceback" not in printed


def test_a_pin_that_a_token_refuses_ends_with_the_code_after_which_nobody_tries_again(
    tmp_path: Path, soft_hsm: SoftHsm
) -> None:
    running = RunningService(home=tmp_path / "home")
    running.make()
    wrong = tmp_path / "pin"
    wrong.write_text("wrong-pin")
    wrong.chmod(0o600)
    words = {"module": soft_hsm.module, "token": TOKEN, "label": "sealing-1", "pin_file": wrong}
    told = ", ".join(f'{name} = "{value}"' for name, value in words.items())
    running.say('key_storage = "database"', f"sealing_key = {{ pkcs11 = {{ {told} }} }}")
    printed = running.run("serve", "--init", code=EXIT_REFUSED)
    assert "the token refused the PIN" in printed
    assert "wrong-pin" not in printed


def test_a_database_that_is_not_there_does_not_start_and_its_password_is_not_told(tmp_path: Path) -> None:
    running = RunningService(home=tmp_path / "home")
    running.make(database="postgresql://ann:open-sesame@127.0.0.1:1/bonafide")
    printed = running.run("serve", "--init", code=EXIT_AWAY)
    assert "the database: OperationalError" in printed
    assert "open-sesame" not in printed
    assert "Traceback" not in printed


def test_an_address_that_is_taken_does_not_start(service: RunningService, tmp_path: Path) -> None:
    other = RunningService(home=tmp_path / "home", port=service.port)
    other.launch()
    assert other.process is not None
    try:
        assert other.process.wait(START_S) == 1
    finally:
        other.kill()
    assert f"cannot listen on http://127.0.0.1:{service.port}: Address already in use" in other.said()


def test_two_that_start_at_once_make_one_home_and_both_serve(tmp_path: Path) -> None:
    racers = [RunningService(home=tmp_path / "home") for _ in range(2)]
    try:
        for racer in racers:
            racer.launch("--workers", "1")
        for racer in racers:
            racer.wait()
        firsts = [racer.said().count("In another terminal:") for racer in racers]
        assert max(firsts) == 1
        racers[0].run("apps", "add", "shop")
        racers[0].run("apps", "identity", "add", "shop", "--team", TEAM, "--bundle", BUNDLE)
        published = [racer.get("/bonafide/v1/jwks.json") for racer in racers]
        assert {answer.status_code for answer in published} == {200}
    finally:
        for racer in racers:
            racer.kill()


# Stopping -----------------------------------------------------------------------------------------------


def test_a_second_start_keeps_everything_and_a_stop_loses_no_request(tmp_path: Path) -> None:
    running = RunningService(home=tmp_path / "home")
    running.init()
    running.start("--workers", "1")
    try:
        with running.phone() as phone:
            phone.enrol()
            assert running.stop() == 0
            with pytest.raises(httpx.TransportError):
                running.get("/healthz")
            running.start("--workers", "1")
            phone.renew()
            assert phone.device.keychain.enrolled is not None
        assert slow_request(running, running.stop) == (200, [0])
    finally:
        running.kill()


def slow_request(running: RunningService, act: Callable[[], int]) -> tuple[int, list[int]]:
    """Send the head of a challenge, act while the service waits for its body, send it, and return both outcomes."""
    body = b'{"purpose": "enrol", "app": "shop"}'
    head = f"POST /bonafide/v1/challenge HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    outcomes: list[int] = []
    with socket.create_connection(("127.0.0.1", running.port), timeout=ANSWER_S) as connection:
        connection.sendall(head + body[:1])
        time.sleep(0.5)  # until a worker has taken it up; nothing is asserted about how long that takes
        thread = threading.Thread(target=lambda: outcomes.append(act()))
        thread.start()
        eventually(lambda: "Shutting down granian" in running.said())
        connection.sendall(body[1:])
        status = int(connection.recv(64).split()[1])
        thread.join()
    return status, outcomes


def test_nobody_outlives_a_service_that_was_killed(tmp_path: Path) -> None:
    running = RunningService(home=tmp_path / "home")
    running.init()
    running.start("--workers", "2")
    assert running.process is not None
    try:
        family = descendants(running.process.pid)
        assert len(family) == 4  # two workers, the console and its worker
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait(STOP_S)
        eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family))
    finally:
        running.kill()


def test_a_worker_that_dies_is_replaced_and_so_is_the_console(tmp_path: Path) -> None:
    running = RunningService(home=tmp_path / "home")
    running.init()
    running.start("--workers", "2")
    assert running.process is not None
    try:
        first = running.process.pid
        for victim in children(first):
            os.kill(victim, signal.SIGKILL)
            eventually(lambda victim=victim: victim not in children(first))  # type: ignore[misc]  # a default
            eventually(lambda: len(descendants(first)) == 4)
        running.wait()
        assert running.stop() == 0
    finally:
        running.kill()


def children(pid: int) -> list[int]:
    return [int(child) for each in Path(f"/proc/{pid}/task").glob("*/children") for child in each.read_text().split()]


def descendants(pid: int) -> list[int]:
    found = children(pid)
    return found + [each for child in found for each in descendants(child)]


# Sockets ------------------------------------------------------------------------------------------------


def test_unix_sockets_are_served_and_a_dead_ones_file_is_taken_over(tmp_path: Path) -> None:
    place = Path(tempfile.mkdtemp(prefix="bonafide-"))  # a socket's path is at most 107 octets
    listen, console = place / "a", place / "b"
    try:
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(listen))
        running = RunningService(home=tmp_path / "home")
        running.launch("--listen", f"unix:{listen}", "--console-listen", f"unix:{console}")
        try:
            eventually(lambda: connects(listen) and connects(console))
            with httpx.Client(transport=httpx.HTTPTransport(uds=str(listen))) as client:
                assert client.get("http://x/bonafide/v1/jwks.json").status_code == 200
            with httpx.Client(transport=httpx.HTTPTransport(uds=str(console))) as client:
                assert client.get("http://localhost/readyz").status_code == 200
            assert [stat.S_IMODE(path.stat().st_mode) for path in (listen, console)] == [0o660, 0o600]
            assert running.stop() == 0
        finally:
            running.kill()
    finally:
        shutil.rmtree(place)


def connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


# What who may reach ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/metrics", "/admin/", "/admin/login/", "/static/admin/css/base.css", "/", "/bonafide/"]
)
def test_the_world_reaches_neither_console_nor_metrics(service: RunningService, path: str) -> None:
    for headers in ({}, {"Host": f"127.0.0.1:{service.console_port}"}, {"X-Forwarded-Host": "localhost"}):
        assert service.get(path, headers=headers).status_code == 404


def test_the_operator_reaches_console_metrics_and_readiness(service: RunningService) -> None:
    login = service.ask_console("/admin/login/")
    assert login.status_code == 200
    assert "default-src 'none'" in login.headers["content-security-policy"]
    assert login.headers["x-frame-options"] == "DENY"
    assert service.ask_console("/static/admin/css/base.css").status_code == 200
    assert service.ask_console("/readyz").json() == {"database": "ready", "migrations": "ready", "keys": "ready"}
    assert service.ask_console("/", follow_redirects=False).headers["location"] == "/admin/"


def test_the_console_answers_to_no_name_of_somebody_elses(service: RunningService) -> None:
    assert service.ask_console("/admin/login/", headers={"Host": "evil.example.com"}).status_code == 400


def test_the_service_s_endpoints_are_not_on_the_operators_listener(service: RunningService) -> None:
    assert service.ask_console("/bonafide/v1/jwks.json").status_code == 404


def test_an_operator_sees_the_keys_that_apps_are_built_with(service: RunningService) -> None:
    service.run("admin", "create", "berta", "--password-stdin", stdin="a long and quiet river\n")
    pinned = service.run("keys", "list").splitlines()[0].split()[2]
    with httpx.Client(base_url=service.console, trust_env=False, follow_redirects=True) as browser:
        browser.get("/admin/login/")
        form = {"username": "berta", "password": "a long and quiet river"}
        browser.post("/admin/login/", data=form | {"csrfmiddlewaretoken": browser.cookies["csrftoken"]})
        listing = browser.get("/admin/bonafide/keyset/")
        (page,) = re.findall(r'href="(/admin/bonafide/keyset/\d+/change/)', listing.text)
        assert f"<code>{pinned}</code>" in browser.get(page).text


def test_an_operator_logs_in_and_guessing_is_limited(service: RunningService) -> None:
    service.run("admin", "create", "anna", "--password-stdin", stdin="a long and quiet river\n")
    assert log_in(service, "a long and quiet river") == 302
    assert log_in(service, "a guess") == 200
    tries = [log_in(service, "a long and quiet river") for _ in range(25)]
    assert 200 in tries  # too many came: the right one waits too


def log_in(service: RunningService, password: str) -> int:
    with httpx.Client(base_url=service.console, trust_env=False) as browser:
        browser.get("/admin/login/")
        form = {"username": "anna", "password": password, "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
        return browser.post("/admin/login/", data=form).status_code


# Health and metrics ----------------------------------------------------------------------------------------


def test_health_is_told_to_the_world_without_a_why(service: RunningService) -> None:
    assert (service.get("/healthz").status_code, service.get("/healthz").text) == (200, "alive\n")
    assert (service.get("/readyz").status_code, service.get("/readyz").text) == (200, "ready\n")


def test_keys_that_cannot_be_read_are_not_ready_and_say_so_to_the_operator_alone(service: RunningService) -> None:
    keys = service.home / "keys"
    keys.chmod(0o755)
    try:
        eventually(lambda: service.ask_console("/readyz").status_code == 503)
        assert service.ask_console("/readyz").json()["keys"] == "configuration.keys_unsafe"
        eventually(lambda: service.get("/readyz").text == "not ready\n")
        assert service.get("/healthz").status_code == 200
    finally:
        keys.chmod(0o700)
    eventually(lambda: service.get("/readyz").status_code == 200)


def test_what_happens_is_counted_over_all_workers(service: RunningService) -> None:
    names = ("bonafide_challenges_total", "bonafide_enrolments_total", "bonafide_renewals_total")
    before = {name: service.metric(name) for name in names}
    refused = service.metric("bonafide_refusals_total", reason="enrolment.app_unknown")
    timed = service.metric("bonafide_request_seconds_count", endpoint="bonafide:instances")
    for _ in range(4):
        with service.phone() as phone:
            phone.enrol()
            phone.renew()
        post_challenge(service, "unheard-of")
    after = {name: service.metric(name) for name in names}
    assert {name: after[name] - before[name] for name in names} == dict.fromkeys(names, 4)
    assert service.metric("bonafide_refusals_total", reason="enrolment.app_unknown") == refused + 4
    assert service.metric("bonafide_request_seconds_count", endpoint="bonafide:instances") == timed + 4
    assert service.metric("bonafide_database_up") == 1


def test_no_label_holds_what_a_client_wrote(service: RunningService) -> None:
    service.get("/a-path-of-the-clients?a-query")
    httpx.request("INVENTED", f"{service.origin}/healthz", trust_env=False)
    post_challenge(service, "an-app-of-the-clients")
    text = service.ask_console("/metrics").text
    for written in ("a-path-of-the-clients", "a-query", "INVENTED", "an-app-of-the-clients"):
        assert written not in text


def post_challenge(service: RunningService, app: str) -> int:
    body = {"purpose": "enrol", "app": app}
    return httpx.post(f"{service.origin}/bonafide/v1/challenge", json=body, trust_env=False).status_code


def test_a_gates_last_contact_is_a_metric(service: RunningService) -> None:
    gate = AskingGate.registered(service, "gate-heard")
    assert service.metric("bonafide_gate_last_contact_timestamp_seconds", gate="gate-heard") == 0
    gate.ask()
    assert service.metric("bonafide_gate_last_contact_timestamp_seconds", gate="gate-heard") > 0


# Logs -------------------------------------------------------------------------------------------------------


def test_each_line_of_the_log_is_json_and_none_has_what_a_client_sent(service: RunningService) -> None:
    with service.phone() as phone:
        phone.enrol()
        enrolled = phone.device.keychain.enrolled
        assert enrolled is not None
        plant("a client attestation", enrolled.client_attestation)
    service.get("/healthz?a-query-of-a-client", headers={"Authorization": "Bearer a-bearer-of-a-client"})
    service.get("/a-path-of-a-client")
    gate = AskingGate.registered(service, "gate-logged")
    token, _ = gate.token()
    plant("a gate's ask", token)
    gate.send(token)
    for line in service.said().splitlines()[first_json(service) :]:
        assert set(json.loads(line)) >= {"time", "level", "logger", "message"}, line
    for sent in ("a-query-of-a-client", "a-bearer-of-a-client", "a-path-of-a-client"):
        assert sent not in service.said()


def first_json(service: RunningService) -> int:
    lines = service.said().splitlines()
    return next(number for number, line in enumerate(lines) if line.startswith("{"))


def test_no_output_tells_a_secret(service: RunningService) -> None:
    everything = "\n".join([service.said(), *service.output])
    assert told(everything) == []
    for path in sorted((service.home / "keys").rglob("*.json")):
        for private in re.findall(r'"(?:private|key|d|spare_private)": ?"([^"]{16,})"', path.read_text()):
            assert private not in everything


# Findings -----------------------------------------------------------------------------------------------------


def test_the_check_of_a_running_service_names_what_it_is(service: RunningService) -> None:
    found = [json.loads(line) for line in service.run("check", "--json", code=1).splitlines() if line.startswith("{")]
    codes = {finding["code"] for finding in found}
    assert {"bonafide.W007", "service.spare_online"} <= codes
    assert "service.not_ready" not in codes
    assert all(finding["attacker"] and finding["remedy"] for finding in found)
