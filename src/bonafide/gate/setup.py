"""What `bonafide gate init` writes: the gate's file where there is none, its key, and the keys shared with APIs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bonafide.codec import jwk
from bonafide.errors import ConfigurationError
from bonafide.gate import config as configuration
from bonafide.gate.identity import make_gate_key, read_gate_key
from bonafide.reasons import configuration as reasons
from bonafide.stores.admission_keys import create_admission_key

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bonafide.gate.config import GateConfig

ROUTES: Final = """\
# Which requests need what; the first rule that matches counts, and no match is refused.
# This one watches and refuses nothing. Write your own rules above it, and remove it at last.
[[route]]
match = "/**"
mode = "observe"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the operator said. Texts go into TOML as JSON strings, which every TOML reader reads alike."""

    name: str
    service: str
    issuer: str
    audience: str
    environment: str
    service_keys: tuple[str, ...]
    apps: tuple[str, ...]
    origins: tuple[str, ...]
    listen: str
    replay_store: str | None
    upstream: str


def write(path: Path, answers: Answers) -> None:
    """Write the gate's file (0600) and a route table beside it that only observes, where they are missing.

    Raises `ConfigurationError` (`configuration.setting_malformed`) for a place that takes no file.
    """
    try:
        _write(path, answers)
    except OSError as problem:
        raise ConfigurationError(reasons.SETTING_MALFORMED, f"{path}: {problem.strerror}") from None


def _write(path: Path, answers: Answers) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    routes = path.parent / "routes.toml"
    if not routes.exists():
        routes.write_text(ROUTES, encoding="utf-8")
    lines = [
        f"name = {_text(answers.name)}",
        f"listen = {_text(answers.listen)}",
        f"service = {_text(answers.service)}",
        f"issuer = {_text(answers.issuer)}",
        f"audience = {_text(answers.audience)}",
        f"environment = {_text(answers.environment)}",
        f"service_keys = {_texts(answers.service_keys)}",
        f"apps = {_texts(answers.apps)}",
        'key_file = "gate.key"',
        'state_dir = "state"',
    ]
    if answers.environment != "production":
        lines.append('evidence_environments = ["production", "development", "debug"]')
    if answers.replay_store is not None:
        lines.append(f"replay_store = {_text(answers.replay_store)}")
    lines += [
        "",
        "[[upstream]]",
        f"name = {_text(answers.upstream)}",
        f"origins = {_texts(answers.origins)}",
        'routes = "routes.toml"',
        f"key_file = {_text(f'{answers.upstream}.admission.key')}",
        'body = "checked"    # "unchecked": nothing of Bonafide stands beside this API, and bodies are not compared',
        "",
    ]
    private = os.open(
        path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
    )  # a store's address may say more
    with open(private, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
        file.write("\n".join(lines))


def make_keys(path: Path) -> tuple[GateConfig, dict[str, str]]:
    """Make the keys that the gate's file names, where they are missing; return its value and the gate's public JWK.

    Raises `ConfigurationError`.
    """
    config = configuration.load(path)
    make_gate_key(config.key_file)
    for upstream in config.upstreams:
        create_admission_key(upstream.key_file, random=os.urandom)
    return config, jwk.from_public(read_gate_key(config.key_file).public_key())


def _text(value: str) -> str:
    escaped = "".join(_ESCAPES.get(letter, letter) for letter in value)
    return f'"{escaped}"'


def _texts(values: Iterable[str]) -> str:
    return f"[{', '.join(map(_text, values))}]"


_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", **{chr(code): f"\\u{code:04x}" for code in (*range(32), 127)}}
