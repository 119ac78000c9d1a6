"""`bonafide check`: judge a configuration as a suspicious operator would.

The home's, and with `--gate FILE` that of a gate, alone where there is no home. Each finding has a code, what it
lets an attacker do, and the remedy. Exit status 0: none; 1: findings; 2: it could not be judged.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bonafide.cli import home_options
from bonafide.cli.home_options import EXIT_MISUSE, EXIT_REFUSED, Stop
from bonafide.codec import json
from bonafide.errors import BonafideError

if TYPE_CHECKING:
    import argparse

    from bonafide.cli.findings import Finding


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `check`."""
    parser = commands.add_parser("check", help="judge a configuration", description=__doc__)
    home_options.add_home(parser)
    parser.add_argument(
        "--gate", action="append", default=[], type=Path, metavar="FILE", help="a gate's TOML; may be repeated"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    try:
        found = [*_of_home(arguments), *(finding for path in arguments.gate for finding in _of_gate(path))]
    except Stop as stop:
        return max(EXIT_MISUSE, home_options.tell("check", stop))
    except BonafideError as refusal:
        print(f"bonafide check: {refusal.reason.code}: {refusal.detail}", file=sys.stderr)
        return EXIT_MISUSE
    for finding in found:
        print(json.dump(finding.as_json()).decode() if arguments.json else finding.text())
    if not arguments.json:
        print(f"{len(found)} findings" if found else "no findings")
    return EXIT_REFUSED if found else 0


def _of_home(arguments: argparse.Namespace) -> list[Finding]:
    if arguments.gate and not _is_there(arguments.home):
        return []  # a gate's host has no home
    home = home_options.enter(arguments.home)
    from bonafide.cli import service_findings  # noqa: PLC0415 - an extra
    from bonafide.django import conf  # noqa: PLC0415 - likewise

    return list(service_findings.judge(home, conf.current()))


def _is_there(option: str | None) -> bool:
    """Tell whether a home is meant: one that is named, or that lies where it usually does."""
    return bool(option or os.environ.get("BONAFIDE_HOME")) or Path("bonafide-home").is_dir()


def _of_gate(path: Path) -> list[Finding]:
    try:
        from bonafide.cli import gate_findings  # noqa: PLC0415 - an extra
        from bonafide.gate import config  # noqa: PLC0415 - likewise
    except ModuleNotFoundError:
        raise Stop(EXIT_MISUSE, "needs the gate: pip install 'bonafide[gate]'") from None
    return list(gate_findings.judge(config.load(path)))
