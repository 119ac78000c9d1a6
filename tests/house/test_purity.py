"""The core does no I/O, owns no clock, draws no randomness, and only four exceptions leave it.

What the import linter cannot see, because it does not look into the standard library or at calls.
"""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING, Final

from tests.house.source import core, listing, modules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.house.source import Module

FORBIDDEN_IN_CORE: Final = {
    "asyncio": "the core is synchronous; a port's asynchronous twin is the adapter's",
    "http": "I/O",
    "io": "I/O, `BytesIO` excepted",
    "logging": "I/O; the adapter logs what the core raised",
    "multiprocessing": "I/O",
    "os": "I/O, the environment, randomness",
    "pathlib": "I/O",
    "random": "randomness",
    "secrets": "randomness",
    "select": "I/O",
    "shutil": "I/O",
    "signal": "I/O",
    "socket": "I/O",
    "sqlite3": "I/O",
    "ssl": "I/O",
    "subprocess": "I/O",
    "sys": "the process is the adapter's",
    "tempfile": "I/O",
    "threading": "the core keeps no state that threads could share",
    "time": "a clock",
    "urllib": "I/O",
    "uuid": "randomness, a clock",
}

CALLS_FORBIDDEN_IN_CORE: Final = {
    "open": "I/O",
    "print": "I/O",
    "input": "I/O",
    "eval": "runs what it reads",
    "exec": "runs what it reads",
    "now": "a clock: take `now` as an argument",
    "today": "a clock: take `now` as an argument",
    "utcnow": "a clock: take `now` as an argument",
    "generate_private_key": "randomness: take the key, or `random`, as an argument",
    "generate_key": "randomness: take the key, or `random`, as an argument",
    "getrandbits": "randomness",
}

# Where a third party's package may be imported. What is not listed may be imported nowhere but above the core.
ROOMS_OF: Final[dict[str, frozenset[str] | None]] = {
    "cryptography": None,  # anywhere
    "cbor2": frozenset({"codec", "testing"}),
    "lmdb": frozenset({"stores"}),
    "redis": frozenset({"stores"}),
    "pkcs11": frozenset({"stores"}),
    "granian": frozenset({"gate", "django", "cli"}),
    "limits": frozenset({"gate"}),
    "prometheus_client": frozenset({"gate", "django", "cli"}),
    "pythonjsonlogger": frozenset({"gate", "django", "cli"}),
    "django": frozenset({"django", "testing", "cli"}),
    "knox": frozenset({"django"}),
    "rest_framework": frozenset({"django"}),
    "rest_framework_simplejwt": frozenset({"django"}),
    "httpx": frozenset({"testing", "cli", "gate"}),
    "pytest": frozenset({"testing"}),
    "hypothesis": frozenset({"testing"}),
}

OURS: Final = frozenset({"MalformedEvidence", "VerificationFailed", "Misuse", "ConfigurationError"})

# A private function may speak to the function that calls it in these; the property tests prove that none gets out.
PRIVATE: Final = frozenset({"TypeError", "ValueError"})

OTHER_RAISES: Final = {
    ("errors.py", "TypeError"): "the common ancestor of the four was raised itself: no input can cause it",
    ("__init__.py", "AttributeError"): "what Python wants of a module without such a name (PEP 562)",
    ("reasons/__init__.py", "RuntimeError"): "two constants share a code: no input can cause it",
    (
        "codec/ecdsa.py",
        "InvalidSignature",
    ): "the primitive's own answer; each caller maps it to a reason of its own",
}

BROAD: Final = frozenset({"Exception", "BaseException", "BonafideError"})


def test_the_core_imports_nothing_that_does_io_tells_time_or_draws_randomness() -> None:
    offences = [
        f"{module.at(node)} imports {name}: {FORBIDDEN_IN_CORE[name]}"
        for module in core()
        for node, name in _imports(module)
        if name in FORBIDDEN_IN_CORE
    ]
    assert not offences, listing(offences)


def test_the_core_calls_no_clock_and_no_source_of_randomness() -> None:
    offences = [
        f"{module.at(call)} calls {name}: {CALLS_FORBIDDEN_IN_CORE[name]}"
        for module in core()
        for call in ast.walk(module.tree)
        if isinstance(call, ast.Call) and (name := _name(call.func)) in CALLS_FORBIDDEN_IN_CORE
    ]
    assert not offences, listing(offences)


def test_third_party_packages_are_imported_only_in_their_rooms() -> None:
    offences = []
    for module in modules():
        for node, name in _imports(module):
            rooms = ROOMS_OF.get(name)
            if name in ROOMS_OF and rooms is not None and module.room not in rooms:
                offences.append(f"{module.at(node)} imports {name}, which belongs to {', '.join(sorted(rooms))}")
            if name not in ROOMS_OF and name != "bonafide" and module.core and not _standard(name):
                offences.append(f"{module.at(node)} imports {name}, which has no room in the core")
    assert not offences, listing(offences)


def test_only_our_four_exceptions_are_raised_in_the_core() -> None:
    offences = [
        f"{module.at(node)} raises {raised}"
        for module in core()
        for node, function in _raises(module.tree, "")
        if node.exc is not None
        if (raised := _name(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)) not in OURS
        if not (raised in PRIVATE and function.startswith("_"))
        if (str(module.path), raised) not in OTHER_RAISES
    ]
    assert not offences, listing(offences)


def _raises(node: ast.AST, function: str) -> Iterator[tuple[ast.Raise, str]]:
    """Yield each `raise` with the name of the function it stands in."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Raise):
            yield child, function
        named = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
        yield from _raises(child, named)


def test_no_except_in_the_core_is_broad() -> None:
    offences = [
        f"{module.at(handler)} catches {', '.join(sorted(caught & BROAD)) or 'everything'}"
        for module in core()
        for handler in ast.walk(module.tree)
        if isinstance(handler, ast.ExceptHandler)
        if (caught := _caught(handler)) & BROAD or handler.type is None
    ]
    assert not offences, listing(offences)


def _caught(handler: ast.ExceptHandler) -> set[str]:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {_name(kind) for kind in kinds if kind is not None}


def _imports(module: Module) -> Iterator[tuple[ast.AST, str]]:
    """Yield each import with the top-level package it names, those for the type checker left out."""
    only_for_types = {
        id(inner)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.If) and _name(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(module.tree):
        if id(node) in only_for_types:
            continue
        if isinstance(node, ast.Import):
            yield from ((node, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and ast.unparse(node) != "from io import BytesIO":
            yield node, node.module.split(".")[0]


def _standard(name: str) -> bool:
    return name in sys.stdlib_module_names


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
