"""What the documentation names exists, what exists is documented, and what is shown is something that runs."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Final

import pytest
from django.conf import global_settings

from bonafide import reasons
from bonafide.cli import managed
from bonafide.django import conf
from bonafide.errors import ConfigurationError
from bonafide.reasons import Action
from bonafide.routes import parse_toml, rules
from tests.django import hearing
from tests.docs.pages import CODE, LINK, Page, page, pages
from tests.house.source import ROOT, listing
from tools import reference_django as reference
from tools.reference_checks import checks

TEST: Final = re.compile(r"tests/[\w/]+(?:\.py(?:::\w+)*)?")
CHECK: Final = re.compile(r"\bbonafide\.([EWI][0-9]{3})\b")
MANAGE: Final = re.compile(r"\bmanage\.py (bonafide_\w+)")
TARGET: Final = re.compile(r"\bmake ([a-z-]+)\b")
OPTION: Final = re.compile(r"(?<![\w-])--?[a-zA-Z][a-z-]*")
FIGURE: Final = re.compile(
    r"[0-9]\s?(µs|us|ms|MB/s)\b|[0-9] (requests|operations)(/s| per second| a second)"
    r"|[0-9] ?(x|times) (faster|slower|cheaper)"
)

# Words in capitals that are no setting of ours and none of Django's.
OTHER_CAPITALS: Final = {
    "BASE_DIR": "what `startproject` writes into settings",
    "CKM_AES_GCM": "a mechanism of PKCS#11",
    "CONN_HEALTH_CHECKS": "a key of an entry of DATABASES",
    "CONN_MAX_AGE": "a key of an entry of DATABASES",
    "RAW_URI": "what gunicorn calls the target",
    "SCRIPT_NAME": "what WSGI calls the prefix",
    "X_Y": "a header's name",
    "BONAFIDE": "the dict itself",
    "BONAFIDE_HOME": "where the home of `bonafide serve` is",
    "BONAFIDE_SKIP": "read by the tests of this repository",
}


def documented(path: str, level: str = "##") -> list[str]:
    return [text.replace("`", "") for text in re.findall(rf"^{level} (.+)$", page(path).prose, re.MULTILINE)]


# What is named exists ----------------------------------------------------------------------------


def test_every_internal_link_leads_somewhere() -> None:
    by_path = {str(each.path): each for each in pages()}
    offences = []
    for each in pages():
        for found in LINK.finditer(each.prose):
            target, _, anchor = found[1].partition("#")
            if "://" in target:
                continue
            path = (ROOT / each.path).parent / target if target else ROOT / each.path
            relative = str(path.resolve().relative_to(ROOT)) if path.resolve().is_relative_to(ROOT) else ""
            if not path.exists() or not relative:
                offences.append(f"{each.at(found.start())}: {found[1]}: there is no such file")
            elif anchor and anchor not in by_path[relative].anchors:
                offences.append(f"{each.at(found.start())}: {found[1]}: there is no such heading")
    assert not offences, listing(offences)


def test_every_test_that_a_page_names_exists() -> None:
    offences = [
        f"{each.at(found.start())}: {name}"
        for each in pages()
        for found in CODE.finditer(each.text)
        for name in TEST.findall(found[1])
        if not exists(name)
    ]
    assert not offences, listing(offences)


def exists(name: str) -> bool:
    """Tell whether `path`, `path::test` or `path::Class::test` is there; a path may be a directory."""
    path, *names = name.split("::")
    file = ROOT / path
    if not names or not file.is_file():
        return file.exists() and not names
    body: list[ast.stmt] = ast.parse(file.read_text(encoding="utf-8")).body
    for wanted in names:
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        found = [node for node in body if isinstance(node, kinds) and node.name == wanted]
        if not found:
            return False
        body = found[0].body
    return True


def test_every_reason_that_a_page_names_exists() -> None:
    known = reasons.by_code()
    offences = [
        f"{each.at(found.start())}: {found[1]}"
        for each in pages()
        for found in CODE.finditer(each.prose)
        if re.fullmatch(rf"({'|'.join(reasons.AREAS)})\.[a-z_]+", found[1]) and found[1] not in known
        if not is_code(found[1])
    ]
    assert not offences, listing(offences)


def is_code(name: str) -> bool:
    """Tell a reason from what looks like one: `enrolment.enrol`, and what a view finds on its request."""
    area, _, attribute = name.partition(".")
    return name == "request.bonafide" or (
        (ROOT / "src/bonafide" / area).exists() and hasattr(import_module(f"bonafide.{area}"), attribute)
    )


def test_every_setting_that_a_page_names_exists() -> None:
    known = {key.name for key in conf.keys()} | set(dir(global_settings)) | set(OTHER_CAPITALS)  # noqa: SIM118 - a function
    offences = [
        f"{each.at(found.start())}: {found[1]}"
        for each in hand_written()
        for found in CODE.finditer(each.prose)
        if re.fullmatch(r"[A-Z]+_[A-Z_]+", found[1]) and found[1] not in known
    ]
    assert not offences, listing(offences)


def test_every_command_that_a_page_names_exists() -> None:
    known = set(reference.manage_commands())
    offences = [
        f"{each.at(found.start())}: manage.py {found[1]}"
        for each in pages()
        for found in MANAGE.finditer(each.text)
        if found[1] not in known
    ]
    assert not offences, listing(offences)


def test_every_option_that_a_page_shows_exists() -> None:
    """In a line of a console block, and in code, that begins with one of our commands."""
    known = reference.options()
    offences = []
    for each in pages():
        shown = [line for block in each.blocks for line in joined(block.text)]
        shown += [found[1] for found in CODE.finditer(each.prose)]
        for line in shown:
            command = next((name for name in sorted(known, key=len, reverse=True) if f"{name} " in line), None)
            if command is not None and not line.startswith("#"):
                after = line.split(f"{command} ", 1)[1].split(" | ")[0]
                bad = [option for option in OPTION.findall(after) if option not in known[command]]
                offences += [f"{each.path}: {command} {option}" for option in bad]
    assert not offences, listing(offences)


def joined(text: str) -> list[str]:
    """Return the lines of a console block, continued ones in one."""
    return text.replace("\\\n", " ").splitlines()


def test_every_make_target_that_a_page_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    offences = [
        f"{each.at(found.start())}: make {name}"
        for each in pages()
        for found in CODE.finditer(each.text)
        for name in TARGET.findall(found[1])
        if name not in targets
    ]
    assert not offences, listing(offences)


def test_every_check_id_that_a_page_names_exists() -> None:
    known = set(checks())
    offences = [
        f"{each.at(found.start())}: {found.group()}"
        for each in pages()
        for found in CHECK.finditer(each.text)
        if found.group() not in known
    ]
    assert not offences, listing(offences)


# What exists is documented -----------------------------------------------------------------------


def test_every_setting_has_its_heading_and_every_heading_is_a_setting() -> None:
    assert documented("docs/reference/settings.md") == [key.name for key in conf.keys()]  # noqa: SIM118 - a function


def test_every_route_key_has_its_heading_and_every_heading_is_a_key() -> None:
    *keys, last = documented("docs/reference/routes.md")
    assert last == "Not built yet"
    built = set(rules._PARSERS)
    assert len(keys) == len(set(keys))
    assert set(keys) == built


def test_every_route_word_that_is_not_built_has_its_heading() -> None:
    words = {key if values is None else values[0] for key, values in rules._NOT_BUILT.items()}
    assert set(documented("docs/reference/routes.md", "###")) == words


def test_every_endpoint_has_its_heading_and_every_heading_is_an_endpoint() -> None:
    from bonafide.django import urls

    paths = [re.sub(r"<\w+:(\w+)>", r"{\1}", str(pattern.pattern)) for pattern in urls.urlpatterns]
    headings = [heading for heading in documented("docs/reference/http.md") if heading.startswith(("GET", "POST"))]
    assert [heading.split(" /")[1] for heading in headings] == paths


def test_every_action_is_explained() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", page("docs/reference/http.md").prose, re.MULTILINE)
    assert rows[: len(Action)] == [str(action) for action in Action]


def test_every_command_has_its_heading() -> None:
    headings = set(documented("docs/reference/cli.md", "###"))
    # What `bonafide apps` has below it is told of once, under `manage.py bonafide_apps`.
    told_of_below_manage = tuple(f"bonafide {name} " for name in managed.COMMANDS)
    assert headings == {path for path in reference.options() if not path.startswith(told_of_below_manage)}


def test_every_reason_has_its_heading() -> None:
    assert sorted(documented("docs/reference/reasons.md", "###")) == sorted(reasons.by_code())


def test_every_check_has_its_heading() -> None:
    assert documented("docs/reference/checks.md") == list(checks())


def test_every_signal_has_its_heading() -> None:
    assert documented("docs/reference/signals.md") == list(hearing.ALL)


@pytest.mark.parametrize("path", [*map(str, reference.PAGES)])
def test_the_generated_pages_say_what_the_code_says(path: str) -> None:
    current = (ROOT / path).read_text(encoding="utf-8") == reference.PAGES[Path(path)]()
    assert current, f"{path} is out of date. Type: make docs"


def test_every_page_below_docs_is_reachable_from_its_index() -> None:
    index = page("docs/README.md")
    linked = {
        str(((ROOT / "docs") / target.partition("#")[0]).resolve().relative_to(ROOT))
        for target in LINK.findall(index.prose)
        if "://" not in target
    }
    missing = [
        str(each.path)
        for each in pages()
        if each.path.parts[0] == "docs" and each is not index and str(each.path) not in linked
        if each.path.parts[1] != "adr" or each.path.name == "README.md"
    ]
    assert not missing, listing(missing)


# What is shown is right --------------------------------------------------------------------------


def shown(language: str) -> list[tuple[str, str]]:
    return [
        (f"{each.path}:{block.line}", block.text)
        for each in pages()
        for block in each.blocks
        if block.language == language
    ]


def test_every_block_of_python_json_and_toml_is_that() -> None:
    offences = []
    for language, read in (("python", ast.parse), ("json", json.loads), ("toml", tomllib.loads)):
        for where, text in shown(language):
            if where.startswith("docs/reference/protocol.md"):  # which writes several keys on one line
                continue
            try:
                read(re.sub(r"(?<=: )\{…\}", "{}", text))
            except (SyntaxError, ValueError) as error:
                offences.append(f"{where}: {error}")
    assert not offences, listing(offences)


def test_every_route_table_that_is_shown_starts() -> None:
    offences = []
    for where, text in shown("toml"):
        if "[[route]]" in text and not where.startswith(
            "docs/reference/protocol.md"
        ):  # which shows what is not built, too
            try:
                parse_toml(text)
            except ConfigurationError as error:
                offences.append(f"{where}: {error.detail}")
    assert not offences, listing(offences)


def test_every_settings_dict_that_is_shown_starts() -> None:
    offences = []
    for where, text in shown("python"):
        for node in ast.parse(text).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "BONAFIDE":
                given = eval(ast.unparse(node.value), vars(settings_of_a_project()))
                try:
                    conf.parse(given, base_dir=Path("/srv/api"))
                except ConfigurationError as error:
                    offences.append(f"{where}: {error.detail}")
    assert not offences, listing(offences)


def settings_of_a_project() -> object:
    """Return what stands in a settings module where BONAFIDE is shown."""
    from datetime import timedelta
    from types import SimpleNamespace

    return SimpleNamespace(
        BASE_DIR=Path("/srv/api"), USUAL={"ORIGINS": ["https://api.example.com"]}, timedelta=timedelta
    )


def test_no_figure_stands_in_the_documentation() -> None:
    """What things cost is printed by `make bench` on the reader's machine; a figure here would be somebody else's."""
    offences = [
        f"{each.at(found.start())}: {found.group()}" for each in hand_written() for found in FIGURE.finditer(each.prose)
    ]
    assert not offences, listing(offences)


def hand_written() -> list[Page]:
    return [
        each
        for each in pages()
        if "<!-- Written by" not in each.text and str(each.path) != "docs/reference/protocol.md"
    ]


def test_every_claim_names_a_test_by_its_name() -> None:
    rows = re.findall(r"^\| (C[0-9]+) \|.*\| (.*) \|$", page("docs/explanation/threat-model.md").prose, re.MULTILINE)
    assert rows
    offences = [claim for claim, shown_by in rows if not re.search(r"`tests/[\w/]+\.py::\w+", shown_by)]
    assert not offences, listing(offences)


def test_claims_and_non_claims_that_pages_name_exist() -> None:
    model = page("docs/explanation/threat-model.md").prose
    known = set(re.findall(r"^\| ([CN][0-9]+) \|", model, re.MULTILINE))
    offences = [
        f"{each.at(found.start())}: {found.group()}"
        for each in hand_written()
        for found in re.finditer(r"\b[CN][0-9]{1,2}\b", each.prose)
        if found.group() not in known
    ]
    assert not offences, listing(offences)


def test_every_check_says_what_it_found_and_what_to_do() -> None:
    offences = [name for name, said in checks().items() if any(text.startswith("…") for text in said)]
    assert not offences, listing(offences)
