"""Write the reference pages that need Django, and the tables in README.md, from the code.

    .venv/bin/python -m tools.reference_django

Settings, commands, system checks and the world for tests; the demo's attacks. Exits with 1 where a page was
out of date, as `tools/reference.py` does.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import django
from django.core.management import BaseCommand

from bonafide import cli
from bonafide.cli import managed
from tools.reference import GENERATED, ROOT, write
from tools.reference_checks import checks_page
from tools.reference_signals import signals_page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tools.type_settings")
django.setup()

COMMANDS: Final = ROOT / "src/bonafide/django/management/commands"
TESTING: Final = (
    "pytest_plugin",
    "client",
    "hints",
    "device",
    "iphone",
    "simulator",
    "apple",
    "secure_enclave",
    "vectors",
    "enrolment_store",
    "memory_enrolment_store",
    "replay_store",
    "killing_store",
)
"""The modules of `bonafide.testing` that others use, from what a project's tests need to what a store's need."""

VIEWS: Final = (
    "bonafide.django.decorators",
    "bonafide.django.contrib.rest_framework",
    "bonafide.django.binding",
    "bonafide.django.login_sessions",
    "bonafide.django.contrib.simplejwt",
    "bonafide.django.contrib.authtoken",
    "bonafide.django.contrib.knox",
    "bonafide.django.credential_endings",
)
VIEWS_INTRODUCTION: Final = """
The middleware leaves its verdict on the request: [`request.bonafide`](http.md#what-a-view-sees). What follows demands
more than the route does, or binds a user's credential to a phone ([how-to](../how-to/bind-credentials.md)). Nothing
here lets in what the route refuses.
""".strip()

MAX_LINE: Final = 100

README: Final = Path("README.md")
ATTACKS: Final = ROOT / "examples/django_api/attacks.toml"
SHOWN: Final = (
    "no_attestation",
    "stolen_bearer",
    "stolen_attestation_and_her_key_named",
    "another_users_bearer_in_a_genuine_app",
    "replayed_to_another_worker",
    "replayed_after_a_restart",
    "path_changed",
    "path_with_an_encoded_letter",
    "body_and_digest_changed",
    "authorization_removed",
    "token_with_hs256_by_the_public_key",
    "attestation_of_another_app",
    "attestation_under_a_look_alike_root",
    "debug_evidence_in_production",
    "two_assertions_racing",
    "proxy_reads_the_session",
    "proxy_replaces_the_session",
)
"""The rows that README.md shows unfolded: one for each kind."""


# Settings ---------------------------------------------------------------------------------------

SETTINGS: Final = """
One dict, `BONAFIDE`, in Django's settings. The set of keys is closed: a key that is unknown, missing or of
another form does not start ([`configuration.setting_malformed`](reasons.md#configurationsetting_malformed)).
Nothing is derived from `DEBUG`, and nothing is read from environment variables. `override_settings` works.

```python
BONAFIDE = {
    "ORIGINS": ["https://api.example.com"],
    "ROUTES": BASE_DIR / "routes.toml",
}
```

Start-up refuses contradictions: unsafe keys in production
([`configuration.test_trust`](reasons.md#configurationtest_trust)), and a store that sees fewer processes than
there may be ([`configuration.store_scope`](reasons.md#configurationstore_scope)). What starts and is still
dangerous is named by the [system checks](checks.md). The keys of a rule are in [routes](routes.md).
""".strip()


def settings_page() -> str:
    """One heading for each key of `BONAFIDE`, as `conf` describes it."""
    from bonafide.django import conf  # noqa: PLC0415 - wants Django to be set up, which this module does

    parts = ["# Settings", GENERATED, SETTINGS]
    for key in conf.keys():  # noqa: SIM118 - no dict: a function of that name
        parts += [f"## {key.name}", key.about, f"- Form: {key.form}\n- Default: {_in_code(key.default)}"]
    return "\n\n".join(parts) + "\n"


def _in_code(default: str) -> str:
    """Set a literal in code, and leave what is said in words."""
    literal = re.fullmatch(r"\"\w+\"|\[.*\]|\{.*\}|None|True|False|[0-9]+|timedelta\([^)]*\)", default)
    return f"`{default}`" if literal else default


# Commands ---------------------------------------------------------------------------------------


def cli_page() -> str:
    """One heading for each command, and its options as its parser has them."""
    parts = [
        "# Commands",
        GENERATED,
        "Exit status of all: 0 is yes, 1 is no with the reason, 2 is misuse of the command line.",
        "## `bonafide`",
        "Needs no Django project. `bonafide curl` needs `pip install 'bonafide[testing]'`.",
    ]
    parts += _pages_of(_bonafide(), "bonafide")
    parts += ["## `manage.py`", "Commands of a Django project with `bonafide.django` in INSTALLED_APPS."]
    for name in manage_commands():
        command = _manage_command(name)
        parts += _pages_of(command.create_parser("manage.py", name), f"manage.py {name}", _common_options())
    return "\n\n".join(parts) + "\n"


def _bonafide() -> argparse.ArgumentParser:
    """Return the parser that `bonafide` makes."""
    parser = argparse.ArgumentParser(prog="bonafide")
    commands = parser.add_subparsers()
    for name in cli.COMMANDS:
        import_module(f"bonafide.cli.{name}").register(commands)
    return parser


def manage_commands() -> list[str]:
    """Return the names of our management commands."""
    return sorted(path.stem for path in COMMANDS.glob("[!_]*.py"))


def _manage_command(name: str) -> BaseCommand:
    command: BaseCommand = import_module(f"bonafide.django.management.commands.{name}").Command()
    return command


def _common_options() -> frozenset[str]:
    """Return what every Django command takes, and Django documents."""
    parser = BaseCommand().create_parser("manage.py", "any")
    return frozenset(option for action in parser._actions for option in action.option_strings)  # noqa: SLF001 - argparse has no public list


def options() -> Mapping[str, frozenset[str]]:
    """Return every command that has a heading, with its options; those that Django adds are among them."""
    found = dict(_options_of(_bonafide(), "bonafide"))
    for name in manage_commands():
        found |= dict(_options_of(_manage_command(name).create_parser("manage.py", name), f"manage.py {name}"))
    for name, (managed_name, _) in managed.COMMANDS.items():  # `bonafide keys` is `manage.py bonafide_keys`
        own = found[f"bonafide {name}"]
        same = _options_of(_manage_command(managed_name).create_parser("bonafide", name), f"bonafide {name}")
        found |= {path: options | own for path, options in same}
    return found


def _options_of(parser: argparse.ArgumentParser, path: str) -> Iterator[tuple[str, frozenset[str]]]:
    if path != "bonafide":
        yield path, frozenset(parser._option_string_actions)  # noqa: SLF001 - argparse has no public list
    for action in parser._actions:  # noqa: SLF001 - as above
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - as above
            for name, child in action.choices.items():
                yield from _options_of(child, f"{path} {name}")


def _pages_of(parser: argparse.ArgumentParser, path: str, without: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the sections of a parser and of those below it; one that only has others below it gets none."""
    below, actions = {}, []
    for action in parser._actions:  # noqa: SLF001 - as above
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - as above
            below.update(action.choices)
        elif not (set(action.option_strings) & (without | {"-h", "--help"})):
            actions.append(action)
    if actions or not below or path.count(" "):
        yield f"### `{path}`"
    if parser.description:
        yield _prose(parser.description)
    if actions:
        yield "\n".join(["| option | meaning | |", "|---|---|---|", *(_option(action) for action in actions)])
    for name, child in below.items():
        yield from _pages_of(child, f"{path} {name}", without)


def _option(action: argparse.Action) -> str:
    shown = action.metavar or (None if action.choices is None else "|".join(map(str, action.choices)))
    metavar = shown if isinstance(shown, str) else action.dest.upper()
    takes_none = action.nargs == 0
    names = ", ".join(action.option_strings)
    usage = f"{names} {'' if takes_none else metavar}".strip() if names else metavar
    required = action.required if action.option_strings else action.nargs not in ("?", "*")
    default = action.default if action.default not in (None, False, [], argparse.SUPPRESS) else None
    note = "required" if required else ("" if default is None else f"default `{default}`")
    return f"| `{_cell(usage)}` | {_cell(action.help or '')} | {note} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("%%", "%")


def _prose(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


# The world for tests ----------------------------------------------------------------------------


def testing_page() -> str:
    """Every public name of the modules of `bonafide.testing` that others use, with its docstring."""
    return _modules_page("bonafide.testing", [f"bonafide.testing.{name}" for name in TESTING])


def views_page() -> str:
    """Every public name that a project's own views and receivers use, with its docstring."""
    return _modules_page("In a view", VIEWS, VIEWS_INTRODUCTION)


def _modules_page(title: str, names: Sequence[str], introduction: str = "") -> str:
    parts = [f"# {title}", GENERATED, introduction or _docstring(_module(title))]
    for name in names:
        parts += [f"## {name}", _docstring(_module(name))]
        parts += [_entry(node) for node in public(name).values()]
    return "\n\n".join(parts) + "\n"


def _module(name: str) -> ast.Module:
    path = ROOT / "src" / name.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))


def public(name: str) -> Mapping[str, ast.ClassDef | ast.FunctionDef]:
    """Return the classes and functions that a module defines, in the order of its text."""
    # Of an overloaded function the last definition is the one that runs.
    defined = [node for node in _module(name).body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    return {node.name: node for node in defined if not node.name.startswith(("_", "pytest_"))}


def _entry(node: ast.ClassDef | ast.FunctionDef) -> str:
    if any("fixture" in ast.unparse(decorator) for decorator in node.decorator_list):
        return f"### {node.name}\n\nA fixture. {_docstring(node)}"
    if isinstance(node, ast.FunctionDef):
        return f"### {node.name}\n\n```\n{_call(node.name, _parameters(node.args))}\n```\n\n{_docstring(node)}"
    members = [member for member in node.body if isinstance(member, ast.FunctionDef)]
    methods = [_method(member) for member in members if not member.name.startswith(("_", "test_"))]
    makers = [_parameters(member.args) for member in members if member.name == "__init__"]
    if any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        makers = [[ast.unparse(field) for field in node.body if isinstance(field, ast.AnnAssign)]]
    parts = [f"### {node.name}", *(f"```\n{_call(node.name, maker)}\n```" for maker in makers), _docstring(node)]
    return "\n\n".join([*parts, *(["\n".join(methods)] * bool(methods))])


def _parameters(arguments: ast.arguments) -> list[str]:
    """Return the parameters but `self`, each as it is written."""
    positional = [*arguments.posonlyargs, *arguments.args]
    given = [None] * (len(positional) - len(arguments.defaults)) + list(arguments.defaults)
    texts = [_parameter(each, default) for each, default in zip(positional, given, strict=True) if each.arg != "self"]
    if arguments.vararg is not None:
        texts.append(f"*{ast.unparse(arguments.vararg)}")
    elif arguments.kwonlyargs:
        texts.append("*")
    texts += [_parameter(*pair) for pair in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    return texts if arguments.kwarg is None else [*texts, f"**{ast.unparse(arguments.kwarg)}"]


def _parameter(argument: ast.arg, default: ast.expr | None) -> str:
    text = ast.unparse(argument)
    return text if default is None else f"{text} = {ast.unparse(default)}"


def _call(name: str, parameters: list[str]) -> str:
    line = f"{name}({', '.join(parameters)})"
    return line if len(line) <= MAX_LINE else "\n".join([f"{name}(", *(f"    {each}," for each in parameters), ")"])


def _method(node: ast.FunctionDef) -> str:
    is_property = any(ast.unparse(decorator) == "property" for decorator in node.decorator_list)
    return f"- `{node.name}{'' if is_property else '()'}`: {' '.join(_docstring(node).split())}"


def _docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef) -> str:
    return ast.get_docstring(node) or ""


# README -----------------------------------------------------------------------------------------


def readme() -> str:
    """Return README.md with the demo's tables in place; the rest is written by hand."""
    rows = tomllib.loads(ATTACKS.read_text(encoding="utf-8"))["attack"]
    text = (ROOT / README).read_text(encoding="utf-8")
    text = fill(text, "attacks shown", attack_table([row for row in rows if row["name"] in SHOWN]))
    return fill(text, "attacks", attack_table(rows))


def attack_table(rows: list[dict[str, Any]]) -> str:
    """Return rows of `attacks.toml` as a table."""
    lines = ["| attack | before | after | the operator sees | the attacker sees |", "|---|---|---|---|---|"]
    for row in rows:
        reason = f"[`{row['reason']}`](docs/reference/reasons.md#{row['reason'].replace('.', '')})"
        after = row["after"] or ("no start" if row["name"].startswith("production_") else "no answer")
        sees = f"{row['after']}, `{row['action']}`" if row.get("action") else "nothing"
        lines.append(f"| {_cell(row['what'])} | {row['before']} | {after} | {reason} | {sees} |")
    return "\n".join(lines)


def fill(text: str, name: str, content: str) -> str:
    """Replace what stands between the two comments of this name."""
    begin, end = f"<!-- {name}: written by `make docs` -->", f"<!-- end of {name} -->"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    if not rest or not after:
        message = f"README.md lacks {begin} or {end}"
        raise ValueError(message)
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"


PAGES: Final[Mapping[Path, Callable[[], str]]] = {
    Path("docs/reference/settings.md"): settings_page,
    Path("docs/reference/cli.md"): cli_page,
    Path("docs/reference/checks.md"): checks_page,
    Path("docs/reference/signals.md"): signals_page,
    Path("docs/reference/testing.md"): testing_page,
    Path("docs/reference/views.md"): views_page,
    README: readme,
}


if __name__ == "__main__":
    sys.exit(write(PAGES))
