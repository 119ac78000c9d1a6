"""Files are rooms of one size with a name, functions fit on a screen, and tests lie where the code lies."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final

from tests.house.source import PACKAGE, ROOT, Module, files, listing, modules

if TYPE_CHECKING:
    from pathlib import Path

MAX_FILE_LINES: Final = 400
MAX_FUNCTION_LINES: Final = 40

# What is over the ceiling, and why it is still one room.
LONG_FILES: Final[dict[str, str]] = {}

# As path:qualified name, with the reason why it reads better whole.
LONG_FUNCTIONS: Final[dict[str, str]] = {}

NAMES_THAT_SAY_NOTHING: Final = frozenset({"utils", "util", "helpers", "helper", "common", "manager", "misc"})

# Modules whose tests are elsewhere.
TESTED_ELSEWHERE: Final[dict[str, str]] = {
    "errors.py": "every test that expects a refusal",
    "terms.py": "closed lists of words; routes, tokens and models are tested with each of them",
    "reasons": "tests/house/test_reasons.py",
    "ports.py": "the conformance suites that run against every store",
    "codec/version.py": "tests/routes/test_rules.py and tests/test_appraisal.py, with what compares versions",
    "gate/asked.py": "tests/gate/test_gate.py, by what a proxy asks of a real gate",
    "gate/judge.py": "tests/gate/test_gate.py, likewise",
    "gate/observing.py": "tests/gate/test_gate.py, by the log and the counters of a real gate",
    "gate/rates.py": "tests/gate/test_processes.py, and tests/gate/test_redis_gate.py for Redis",
    "gate/replay.py": "tests/gate/test_processes.py, by gates that do not start",
    "gate/setup.py": "tests/cli/test_gate.py, through `bonafide gate init`",
    "gate/worker.py": "tests/gate/test_gate.py and test_processes.py",
    "django/apps.py": "tests/django/test_checks.py: nothing else is registered",
    "django/documents/operator.py": "tests/django/management/test_document_commands.py, through the commands",
    "django/documents/versions.py": "tests/django/documents/test_values.py, by writers that race",
    "django/setting_contradictions.py": "tests/django/test_conf.py, with the settings that contradict each other",
    "django/demands.py": "tests/django/test_decorators.py, which asks through decorators and permissions",
    "django/judgement.py": "tests/django/test_middleware.py, through the middleware",
    "django/models": "tests/django/test_enrolment_store.py and the tests of what writes each table",
    "django/refusals.py": "tests/django/test_binding.py, through views that refuse",
    "django/service_routes.py": "tests/django/test_middleware.py, through detours",
}


def test_no_file_of_the_package_is_longer_than_one_room() -> None:
    offences = [
        f"src/bonafide/{module.path}: {lines} lines"
        for module in modules()
        if (lines := module.text.count("\n")) > MAX_FILE_LINES and str(module.path) not in LONG_FILES
    ]
    assert not offences, listing(offences)


def test_no_function_is_longer_than_a_screen() -> None:
    offences = [
        f"{module.at(function)} {function.name}: {lines} lines without its docstring"
        for module in modules()
        for function in ast.walk(module.tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        if (lines := _lines(function)) >= MAX_FUNCTION_LINES
        if f"{module.path}:{function.name}" not in LONG_FUNCTIONS
    ]
    assert not offences, listing(offences)


def _lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count from `def` to the end; a docstring may be as long as it must."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def test_the_allowances_are_still_needed() -> None:
    known = {str(module.path) for module in modules()}
    stale = [name for name in LONG_FILES if name not in known]
    stale += [name for name in LONG_FUNCTIONS if name.split(":")[0] not in known]
    stale += [name for name in TESTED_ELSEWHERE if not (PACKAGE / name).exists()]
    assert not stale, listing(stale)


def test_every_room_has_a_name_that_says_what_is_in_it() -> None:
    offences = [str(path) for path in files() if NAMES_THAT_SAY_NOTHING & {part.split(".")[0] for part in path.parts}]
    assert not offences, listing(offences)


def test_every_module_has_its_tests_in_the_same_place() -> None:
    offences = [
        f"src/bonafide/{module.path}"
        for module in modules()
        if _has_code(module) and not (_tests_of(module) or _imported_in_its_room(module))
    ]
    assert not offences, listing(offences)


def _has_code(module: Module) -> bool:
    """Tell a module that defines something from a package's face that only names what is inside."""
    definitions = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return module.path.name != "__init__.py" or any(isinstance(node, definitions) for node in module.tree.body)


def _tests_of(module: Module) -> list[Path] | str:
    """Return the tests of `a/b.py`: `tests/a/test_b*.py`, `tests/a/b/`, or those of the package `a/b` as a whole."""
    own = module.path.parent if module.path.name == "__init__.py" else module.path.with_suffix("")
    rooms = [path for path in own.parents if len(path.parts) > 1]
    for path in [own, *rooms]:
        beside = ROOT / "tests" / path.parent
        found = [*beside.glob(f"test_{path.name.lstrip('_')}*.py"), *(beside / path.name).glob("test_*.py")]
        if found:
            return found
    return next((why for place, why in TESTED_ELSEWHERE.items() if module.path.is_relative_to(place)), "")


def _imported_in_its_room(module: Module) -> bool:
    """Tell whether a test of the same room takes the module in hand, though the test is named for a claim."""
    *package, name = ("bonafide", *module.path.with_suffix("").parts)
    dotted = ".".join(package)
    told = re.compile(rf"from {dotted} import .*\b{name}\b|\b{dotted}\.{name}\b")
    return any(told.search(test.read_text(encoding="utf-8")) for test in (ROOT / "tests" / module.room).rglob("*.py"))
