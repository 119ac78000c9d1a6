"""`bonafide nginx` and `bonafide proxy`: write the lines that a proxy in front of a gate needs, from the gate's file.

Nothing is started and nothing is changed but the files below `--into`; without it the text is printed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bonafide.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from bonafide.gate.proxies import Address, Front

EXIT_REFUSED: Final = 1
EXIT_MISUSE: Final = 2
ETC: Final = "/etc/nginx/bonafide"


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `nginx` and `proxy caddy|haproxy|envoy`."""
    nginx = commands.add_parser("nginx", help="write Nginx's lines in front of a gate", description=__doc__)
    _add_shared(nginx)
    nginx.add_argument("--tls", choices=("intermediate", "modern"), default="intermediate", help="Mozilla's profile")
    nginx.set_defaults(run=_run, write=_nginx)
    proxy = commands.add_parser("proxy", help="the same for Caddy, HAProxy and Envoy", description=__doc__)
    programs = proxy.add_subparsers(title="programs", metavar="PROGRAM", required=True)
    for name, write in (("caddy", _caddy), ("haproxy", _haproxy), ("envoy", _envoy)):
        parser = programs.add_parser(name)
        _add_shared(parser)
        parser.set_defaults(run=_run, write=write)


def _add_shared(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--gate", required=True, type=Path, metavar="FILE", help="the gate's TOML")
    parser.add_argument(
        "--upstream",
        action="append",
        default=[],
        metavar="[NAME=]ADDRESS",
        help="where an upstream listens: unix:/path, host:port or a URL; with its name where the gate has several",
    )
    parser.add_argument("--into", type=Path, metavar="DIR", help="write files there instead of printing them")


def _run(arguments: argparse.Namespace) -> int:
    try:
        from bonafide.gate import config as gate_config  # noqa: PLC0415 - an extra that only these commands need
        from bonafide.gate.proxies.front import read_config  # noqa: PLC0415 - likewise
    except ModuleNotFoundError:
        print("bonafide: needs the gate: pip install 'bonafide[gate]'", file=sys.stderr)
        return EXIT_MISUSE
    try:
        config = gate_config.load(arguments.gate)
        front = read_config(config, _backends(arguments.upstream, [upstream.name for upstream in config.upstreams]))
        files: Mapping[str, str] = arguments.write(front, arguments)
    except ConfigurationError as refusal:
        print(f"bonafide: {refusal.reason.code}: {refusal.detail}", file=sys.stderr)
        return EXIT_REFUSED
    return _put(files, arguments.into)


def _backends(words: Sequence[str], names: Sequence[str]) -> dict[str, Address]:
    """Read `--upstream`; one without a name is that of the only upstream."""
    from bonafide.gate.proxies import parse_address  # noqa: PLC0415 - see _run

    backends: dict[str, Address] = {}
    for word in words:
        name, equals, address = word.partition("=")
        if not equals:
            name, address = (names[0] if len(names) == 1 else ""), word
        backends[name] = parse_address(address)
    return backends


def _put(files: Mapping[str, str], into: Path | None) -> int:
    if into is None:
        print("\n".join(f"# ---- {name}\n{text}" for name, text in files.items()), end="")
        return 0
    try:
        into.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (into / name).write_text(text, encoding="utf-8")
            print(into / name)
    except OSError as error:
        print(f"bonafide: {error.filename}: {error.strerror}", file=sys.stderr)
        return EXIT_REFUSED
    return 0


def _nginx(front: Front, arguments: argparse.Namespace) -> dict[str, str]:
    from bonafide.gate.proxies import nginx  # noqa: PLC0415 - see _run

    directory = ETC if arguments.into is None else str(arguments.into.resolve())
    sites = "\n".join(nginx.example_server(site, directory) for site in front.sites)
    return nginx.write_files(front, profile=arguments.tls) | {"site.conf.example": sites}


def _caddy(front: Front, _: argparse.Namespace) -> dict[str, str]:
    from bonafide.gate.proxies import caddy  # noqa: PLC0415 - see _run

    return {"bonafide.caddy": caddy.snippets(front)}


def _haproxy(front: Front, arguments: argparse.Namespace) -> dict[str, str]:
    from bonafide.gate.proxies import haproxy  # noqa: PLC0415 - see _run

    directory = "/etc/haproxy" if arguments.into is None else str(arguments.into.resolve())
    return {
        "bonafide.lua": haproxy.lua(),
        "bonafide.cfg": haproxy.configuration(front, f"{directory}/bonafide.lua"),
    }


def _envoy(front: Front, _: argparse.Namespace) -> dict[str, str]:
    from bonafide.gate.proxies import envoy  # noqa: PLC0415 - see _run

    return {f"envoy-{site.name}.json": envoy.configuration(front, site) for site in front.sites}
