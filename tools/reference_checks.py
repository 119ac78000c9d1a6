"""What each system check says, read from the code that says it; `reference_django` makes the page of it."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final

from tools.reference import GENERATED, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

CHECKS: Final = """
`manage.py check` names every configuration that would make a claim untrue. With errors (E) commands and servers under
`runserver` stop; warnings (W) say aloud what a deployment has decided to leave open. Other servers run no checks: put
`manage.py check --deploy` into the deployment. `…` stands for what is found.
""".strip()

IN_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "bonafide.E002": (
        "The settings, or the route table, cannot be run with: the code of the reason, and what is wrong.",
        "The service does not start like this. The hint is the reason's remedy.",
    ),
    "bonafide.E003": (
        "The route table enforces, and a URL of the project has no rule.",
        (
            "Requests to it would be refused, so the service does not start. Write the missing rules: "
            "`manage.py bonafide_routes --missing` names the URLs."
        ),
    ),
}
"""What is said with words that only exist when the check runs."""


def checks_page() -> str:
    """One heading for each system check: what it found, and why that is dangerous and what to do."""
    parts = ["# System checks", GENERATED, CHECKS]
    for name, (found, hint) in checks().items():
        parts += [f"## {name}", found, f"Danger and remedy: {hint}"]
    return "\n\n".join(parts) + "\n"


def checks() -> Mapping[str, tuple[str, str]]:
    """Return what each check says, as text and hint: read from the calls that make messages, and from the table."""
    found: dict[str, tuple[str, str]] = {}
    for path in sorted((ROOT / "src/bonafide/django").glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for scope in [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.Assign | ast.AnnAssign)]:
            said = _texts_of(tree.body) | _texts_of(ast.walk(scope))
            for name, text, hint in _messages(scope):
                if name in found:
                    message = f"two checks are called {name}"
                    raise RuntimeError(message)
                found[name] = _spell(text, said), _spell(hint, said)
    return dict(sorted((found | {name: IN_WORDS[name] for name in IN_WORDS.keys() & found.keys()}).items()))


def _messages(scope: ast.stmt) -> Iterator[tuple[str, ast.expr, ast.expr]]:
    """Yield id, text and hint of each message made in a function, and of each row of a table of messages."""
    for node in ast.walk(scope):
        if isinstance(node, ast.Call) and node.args:
            named = {keyword.arg: keyword.value for keyword in node.keywords}
            match named.get("id"), named.get("hint"):
                case ast.Constant(value=str(name)), ast.expr() as hint:
                    yield name, node.args[0], hint
        elif isinstance(node, ast.Tuple):
            match node.elts:
                case [ast.Constant(value=str(name)), text, hint, *_] if re.fullmatch("[EWI][0-9]{3}", name):
                    yield f"bonafide.{name}", ast.JoinedStr([text, ast.Constant(": ….")]), hint


def _texts_of(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """Return the texts that names are assigned; a name with several stands for all of them."""
    found: dict[str, list[str]] = {}
    for node in nodes:
        pairs: list[tuple[ast.expr, ast.expr]] = []
        match node:
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                pairs = list(zip(targets, values, strict=True))
            case ast.Assign(targets=[target], value=value) | ast.AnnAssign(target=target, value=ast.expr() as value):
                pairs = [(target, value)]
            case _:
                continue
        for target, value in pairs:
            if isinstance(target, ast.Name) and isinstance(value, ast.Constant) and isinstance(value.value, str):
                found.setdefault(target.id, []).append(value.value)
    return {name: " Or: ".join(texts) for name, texts in found.items()}


def _spell(node: ast.expr, said: Mapping[str, str]) -> str:
    """Spell a text as it will be said; what is only known when the check runs is `…`."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_spell(part, said) for part in parts)
        case ast.FormattedValue(value=value):
            return _spell(value, said)
        case ast.Name(id=name):
            return said.get(name, "…")
        case _:
            return "…"
