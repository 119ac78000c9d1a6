"""What each signal tells, read from the constants and their docstrings; `reference_django` makes the page of it."""

from __future__ import annotations

import ast
from itertools import pairwise
from typing import TYPE_CHECKING

from tools.reference import GENERATED, ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCE = ROOT / "src/bonafide/django/signals.py"


def signals_page() -> str:
    """One heading for each signal: when it is sent, and its arguments."""
    module = ast.parse(SOURCE.read_text(encoding="utf-8"))
    parts = ["# Signals", GENERATED, ast.get_docstring(module) or ""]
    for name, about in signals().items():
        parts += [f"## {name}", about]
    return "\n\n".join(parts) + "\n"


def signals() -> Mapping[str, str]:
    """Return what is said of each signal of `bonafide.django.signals`, in the order of its text."""
    body = ast.parse(SOURCE.read_text(encoding="utf-8")).body
    found: dict[str, str] = {}
    for node, said in pairwise(body):
        match node, said:
            case (
                ast.AnnAssign(target=ast.Name(id=name), value=ast.Call(func=ast.Name(id="Signal"))),
                ast.Expr(value=ast.Constant(value=str() as about)),
            ):
                found[name] = about
    return found
