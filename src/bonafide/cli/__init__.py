"""The `bonafide` command.

A subcommand is a module with `register(commands)`, which adds its parser and names the function that
runs it: `parser.set_defaults(run=function)`, called with the parsed arguments, returning the exit code.
0 is yes, 1 is no with a reason code, 2 is misuse of the command line.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final

from bonafide.cli import managed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COMMANDS: Final = ("verify", "curl", "serve", "gate", "nginx", "check", "managed")
"""The modules of this package that add subcommands, in the order of the help text."""

MISUSE: Final = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand and return the exit code; argparse's own exits become codes too."""
    parser = argparse.ArgumentParser(prog="bonafide", description="Your HTTP API answers the genuine app.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        import_module(f"bonafide.cli.{name}").register(commands)
    words = list(sys.argv[1:] if argv is None else argv)
    if words and (words[0] in managed.COMMANDS or words[0] == managed.MANAGE):
        return managed.run(words[0], words[1:])
    try:
        arguments = parser.parse_args(list(_bind_values(words)))
    except SystemExit as stopped:
        return stopped.code if isinstance(stopped.code, int) else MISUSE
    code: int = arguments.run(arguments)
    return code


def _bind_values(argv: Sequence[str]) -> Iterator[str]:
    """Write `--key-id -AbC` as `--key-id=-AbC`: argparse would take base64url that begins with `-` for an option."""
    words = iter(argv)
    for word in words:
        if word in {"--key-id", "--public-key"}:
            value = next(words, None)
            yield word if value is None else f"{word}={value}"
        else:
            yield word
