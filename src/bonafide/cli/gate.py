"""`bonafide gate`: serve a gate. `bonafide gate init`: write its file and make its keys."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bonafide.errors import BonafideError

if TYPE_CHECKING:
    import argparse

    from bonafide.gate.setup import Answers

DEFAULT_FILE: Final = "gate.toml"
_MISSING: Final = "a gate needs more packages: pip install 'bonafide[gate]'"


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of this subcommand."""
    parser = commands.add_parser("gate", help="serve the gate behind Nginx's auth_request and its like")
    parser.add_argument("--config", default=DEFAULT_FILE, type=Path, metavar="FILE", help="the gate's TOML file")
    parser.set_defaults(run=_serve)
    parts = parser.add_subparsers(title="commands", metavar="COMMAND")
    init = parts.add_parser("init", help="write the gate's file where there is none, and make its keys")
    init.add_argument("--config", default=DEFAULT_FILE, type=Path, metavar="FILE")
    init.add_argument("--name", help="as the service will know this gate")
    init.add_argument("--service", metavar="URL", help="the service's prefix, e.g. http://127.0.0.1:8600/bonafide/v1")
    init.add_argument("--issuer", help="the service's issuer")
    init.add_argument("--audience", help="the API's audience; the first origin unless said otherwise")
    init.add_argument("--environment", default="production")
    init.add_argument(
        "--service-key", action="append", default=[], metavar="THUMBPRINT", help="the key's, and the spare's"
    )
    init.add_argument("--app", action="append", default=[], metavar="NAME")
    init.add_argument("--origin", action="append", default=[], metavar="URL", help="public origin of the API")
    init.add_argument("--upstream", default="api", metavar="NAME", help="what to call the API")
    init.add_argument("--listen", default="unix:/run/bonafide/gate.sock")
    init.add_argument("--replay-store", metavar="URL")
    init.set_defaults(run=_init)


def _serve(arguments: argparse.Namespace) -> int:
    try:
        from bonafide.gate.serve import serve  # noqa: PLC0415 - needs packages that the core does not
    except ModuleNotFoundError as missing:
        return _say_missing(missing)
    try:
        serve(arguments.config)
    except BonafideError as refusal:
        print(f"{refusal.reason.code}: {refusal.detail}", file=sys.stderr)
        return 1
    return 0


def _init(arguments: argparse.Namespace) -> int:
    try:
        from bonafide.gate import setup  # noqa: PLC0415 - see above
    except ModuleNotFoundError as missing:
        return _say_missing(missing)
    path: Path = arguments.config
    try:
        if not path.exists():
            missing_options = _missing(arguments)
            if missing_options:
                print(f"{path} does not exist; to write it, say also: {' '.join(missing_options)}", file=sys.stderr)
                return 2
            setup.write(path, _answers(arguments))
            print(f"Wrote {path}, and a route table beside it that only observes.")
        config, public = setup.make_keys(path)
    except BonafideError as refusal:
        print(f"{refusal.reason.code}: {refusal.detail}", file=sys.stderr)
        return 1
    jwk = json.dumps(public, separators=(",", ":"))
    print("Register the gate at the service:\n")
    print(f"    bonafide gates add {config.name} --audience {config.audience} --jwk '{jwk}'\n")
    for upstream in config.upstreams:
        print(f"Give the API {upstream.name!r} the key that it shares with this gate: {upstream.key_file}")
    print(f"Then start the gate: bonafide gate --config {path}")
    return 0


def _missing(arguments: argparse.Namespace) -> list[str]:
    wanted = {
        "--name": arguments.name,
        "--service": arguments.service,
        "--issuer": arguments.issuer,
        "--service-key": arguments.service_key,
        "--app": arguments.app,
        "--origin": arguments.origin,
    }
    return [name for name, value in wanted.items() if not value]


def _answers(arguments: argparse.Namespace) -> Answers:
    from bonafide.gate.setup import Answers  # noqa: PLC0415 - see above

    return Answers(
        name=arguments.name,
        service=arguments.service,
        issuer=arguments.issuer,
        audience=arguments.audience or arguments.origin[0],
        environment=arguments.environment,
        service_keys=tuple(arguments.service_key),
        apps=tuple(arguments.app),
        origins=tuple(arguments.origin),
        listen=arguments.listen,
        replay_store=arguments.replay_store,
        upstream=arguments.upstream,
    )


def _say_missing(missing: ModuleNotFoundError) -> int:
    print(f"{_MISSING} ({missing.name} is not installed)", file=sys.stderr)
    return 1
