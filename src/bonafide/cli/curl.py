"""`bonafide curl`: send one request to a locked API in staging, signed as an app on a simulator would.

It enrols with debug evidence under a secret from `manage.py bonafide_debug_secret`, signs the request by a
new key, prints the answer and forgets the key. Production takes no debug evidence, and what it issued would
not be marked as such: then nothing is sent.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from bonafide.codec import base64url, json
from bonafide.errors import BonafideError, ConfigurationError, MalformedEvidence
from bonafide.evidence.debug import DebugSecret
from bonafide.terms import EvidenceEnvironment

if TYPE_CHECKING:
    import argparse

    import httpx

    from bonafide.testing.client import AppClient

EXIT_REFUSED: Final = 1
EXIT_MISUSE: Final = 2
MAX_SECRET_BYTES: Final = 4096
MAX_TOKEN_BYTES: Final = 8192


class _Stop(Exception):
    """The command ends here, with this exit code and a line for the terminal."""

    def __init__(self, code: int, line: str) -> None:
        super().__init__(line)
        self.code = code


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `curl`."""
    parser = commands.add_parser("curl", help="send one signed request to staging", description=__doc__)
    parser.add_argument("url", metavar="URL")
    parser.add_argument("-X", "--request", metavar="METHOD", help="GET, or POST where there is data")
    parser.add_argument("-H", "--header", action="append", default=[], metavar="NAME: VALUE", help="may be repeated")
    parser.add_argument("-d", "--data", metavar="DATA|@FILE", help="the body; JSON unless a header says otherwise")
    parser.add_argument("-i", "--include", action="store_true", help="print the answer's status and headers as well")
    parser.add_argument("--service", required=True, metavar="URL", help="e.g. https://staging.example.com/bonafide/v1")
    parser.add_argument("--app", required=True, metavar="NAME", help="the app's name at the service")
    parser.add_argument("--identity", required=True, metavar="TEAMID.bundle")
    parser.add_argument("--app-version", default="1.0", metavar="VERSION", help="what the app says it is")
    parser.add_argument("--os-version", default="18.0", metavar="VERSION", help="what it says it runs on")
    parser.add_argument("--debug-secret-name", required=True, metavar="NAME")
    secret = parser.add_mutually_exclusive_group(required=True)
    secret.add_argument("--debug-secret-env", metavar="VAR", help="the environment variable that holds the secret")
    secret.add_argument("--debug-secret-file", type=Path, metavar="FILE", help="the file that holds it")
    parser.add_argument("--ca-file", metavar="FILE", help="trust the authorities of this file besides the system's")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    """Enrol, send, print. 0: answered below 400; 1: refused, or not answered; 2: misuse."""
    try:
        response = _send(arguments)
    except _Stop as stop:
        print(f"bonafide curl: {stop}", file=sys.stderr)
        return stop.code
    _print(response, include=arguments.include)
    return EXIT_REFUSED if response.is_error else 0


def _send(arguments: argparse.Namespace) -> httpx.Response:
    try:
        import httpx  # noqa: PLC0415 - an extra that only this command needs

        from bonafide.testing.client import ForeignAuthority, OutcomeUnknown  # noqa: PLC0415 - needs it too
        from bonafide.testing.hints import AnswerRefused, Refused  # noqa: PLC0415 - needs it too
    except ModuleNotFoundError:
        raise _Stop(EXIT_MISUSE, "needs httpx: pip install 'bonafide[testing]'") from None
    method, headers, body = _request(arguments)
    try:
        with _client(arguments, _debug_secret(arguments)) as client:
            client.enrol()
            _require_debug(client)
            return client.request(method, arguments.url, headers=headers, content=body)
    except OutcomeUnknown as unknown:
        return unknown.response
    except Refused as refused:
        hint = "" if refused.status != httpx.codes.FORBIDDEN else "; production takes no debug evidence"
        raise _Stop(EXIT_REFUSED, f"not enrolled: {refused}{hint}") from None
    except AnswerRefused as refused:
        raise _Stop(EXIT_REFUSED, f"not enrolled: the service's answer: {refused}") from None
    except (httpx.InvalidURL, ForeignAuthority, MalformedEvidence) as error:
        raise _Stop(EXIT_MISUSE, f"{type(error).__name__}: {error}") from None
    except httpx.HTTPError as error:
        raise _Stop(EXIT_REFUSED, f"{type(error).__name__}: {error}") from None


def _client(arguments: argparse.Namespace, secret: DebugSecret) -> AppClient:
    from bonafide.testing.client import AppClient, Build  # noqa: PLC0415 - see _send
    from bonafide.testing.simulator import Simulator  # noqa: PLC0415 - see _send

    build = Build(
        app=arguments.app,
        identity=arguments.identity,
        app_version=arguments.app_version,
        os_version=arguments.os_version,
    )
    simulator = Simulator(build, secret, clock=time.time)
    simulator.keychain.agree_key = None  # no session, hence no service key to pin: the one request is signed by `sign`
    api = urlsplit(arguments.url)
    if api.scheme not in {"http", "https"} or not api.netloc:
        raise _Stop(EXIT_MISUSE, "URL is https://host/path")
    return AppClient(
        simulator,
        api=f"{api.scheme}://{api.netloc}",
        service=arguments.service,
        service_keys=(),
        verify=_trust(arguments.ca_file),
    )


def _trust(ca_file: str | None) -> object:
    import ssl  # noqa: PLC0415 - only here

    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            raise _Stop(EXIT_MISUSE, f"--ca-file: {error.strerror}") from None
    return context


def _request(arguments: argparse.Namespace) -> tuple[str, dict[str, str], bytes]:
    headers: dict[str, str] = {}
    for line in arguments.header:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise _Stop(EXIT_MISUSE, "a header is NAME: VALUE")  # the line stays out: it may hold a credential
        headers[name.strip().lower()] = value.strip()
    body = b""
    if arguments.data is not None:
        body = _read(Path(arguments.data[1:])) if arguments.data.startswith("@") else arguments.data.encode()
        headers.setdefault("content-type", "application/json")
    return arguments.request or ("GET" if arguments.data is None else "POST"), headers, body


def _debug_secret(arguments: argparse.Namespace) -> DebugSecret:
    """Read the secret; nothing that fails here shows a part of it."""
    if arguments.debug_secret_env is not None:
        text = os.environ.get(arguments.debug_secret_env)
        if text is None:
            raise _Stop(EXIT_MISUSE, f"the environment has no {arguments.debug_secret_env}")
    else:
        text = _read(arguments.debug_secret_file)[:MAX_SECRET_BYTES].decode("utf-8", "replace")
    try:
        secret = base64url.decode(text.strip())
        return DebugSecret(app=arguments.app, name=arguments.debug_secret_name, secret=secret)
    except MalformedEvidence:
        raise _Stop(EXIT_MISUSE, "the debug secret is not the base64url that was printed when it was made") from None
    except ConfigurationError as error:
        raise _Stop(EXIT_MISUSE, error.detail) from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _Stop(EXIT_MISUSE, f"{path}: {error.strerror}") from None


def _require_debug(client: AppClient) -> None:
    """Go on only where the service marked what it issued: a service that does not is no staging."""
    enrolled = client.device.keychain.enrolled
    token = "" if enrolled is None else enrolled.client_attestation
    try:
        claims = json.parse_object(base64url.decode(token.split(".")[1]), max_bytes=MAX_TOKEN_BYTES)
        ours = claims["bonafide"]
        marked = isinstance(ours, dict) and ours.get("env") == EvidenceEnvironment.DEBUG
    except (BonafideError, IndexError, KeyError):
        marked = False
    if not marked:
        raise _Stop(EXIT_REFUSED, "the service did not mark its answer as debug: this is no staging; nothing was sent")


def _print(response: httpx.Response, *, include: bool) -> None:
    if include:
        print(f"HTTP {response.status_code}")
        for name, value in response.headers.items():
            print(f"{name}: {value}")
        print()
    sys.stdout.flush()
    sys.stdout.buffer.write(response.content)
    sys.stdout.buffer.flush()
    record = response.headers.get("bonafide-record")
    if record is not None:
        action = response.headers.get("bonafide-action")
        print(f"refused: {response.status_code}, action {action}, record {record}", file=sys.stderr)
