"""Remove each `raise` of the security code in turn: a test must turn red.

    .venv/bin/python tools/remove_raises.py [--only PATH ...] [--changed] [--thorough]

Works on copies of the tree, never on the tree itself. A removal is tried against the tests that mirror
the file, quick ones first, then the property tests, then (`--thorough`) every test. It survives when all
of them stay green. Exits with 1 below 95 %, with 2 when the tests are red before anything is removed.
"""

from __future__ import annotations

import argparse
import ast
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGE: Final = Path("src/bonafide")
WANTED_SHARE: Final = 0.95
WORKERS: Final = 2

Arguments: TypeAlias = tuple[str, ...]
"""What one run of pytest is told."""

TARGETS: Final = (
    "evidence",
    "proof",
    "codec",
    "challenge",
    "client_attestation",
    "admission",
    "appraisal",
    "enrolment",
    "http",
    "keys",
    "opening",
    "provision",
    "routes",
    "sealing",
    "server_interfaces",
    "session",
    "statement",
    "upstream",
)
"""The security code, as modules or packages. The 95 % hold for all of it together; the table shows each file."""

ONLY_WHERE_GIT_IS: Final = "tests/house"  # tests about the repository, which a copy is not

PYTEST_NOTHING_RED: Final = frozenset({0, 5})  # all green, nothing selected

VECTORS: Final = "tests/vectors/test_verdicts.py"  # every committed vector through the public functions
QUICK: Final = ("-m", "not hypothesis")
SEARCHING: Final = ("-m", "hypothesis")

SLOWNESS: Final = 4  # a removal that makes its tests take this many times as long has been noticed
GRACE_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """One `raise` statement: its file below the top, and where the statement begins and ends."""

    path: Path
    line: int
    column: int
    end_line: int
    end_column: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"

    def apply(self, source: str) -> str:
        """Return `source` with `pass` where the statement stood; columns are octets, as `ast` counts them."""
        lines = source.encode().splitlines(keepends=True)
        head = lines[self.line - 1][: self.column]
        tail = lines[self.end_line - 1][self.end_column :]
        lines[self.line - 1 : self.end_line] = [head + b"pass" + tail]
        return b"".join(lines).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of one removal; `killed_by` is None where no test noticed."""

    removal: Removal
    killed_by: str | None


def removals(path: Path, top: Path = ROOT) -> Iterator[Removal]:
    """Yield every `raise` of a file of the tree at `top`, in order."""
    source = (top / path).read_text(encoding="utf-8")
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Raise)]
    for node in sorted(found, key=lambda node: node.lineno):
        yield Removal(
            path=path,
            line=node.lineno,
            column=node.col_offset,
            end_line=node.end_lineno or node.lineno,
            end_column=node.end_col_offset or 0,
            text=ast.unparse(node),
        )


def stages_of(path: Path, *, thorough: bool) -> list[Arguments]:
    """Return the runs of pytest that may notice, quickest first: own tests, room and vectors, properties, all."""
    inside = path.relative_to(PACKAGE).with_suffix("")
    tests = ROOT / "tests"
    own = sorted((tests / inside.parent).glob(f"test_{inside.name.lstrip('_')}*.py"))
    room = [*sorted(tests.glob(f"test_{inside.parts[0]}*.py")), tests / inside.parts[0]]
    wide = [str(test.relative_to(ROOT)) for test in [*room, ROOT / VECTORS] if test.exists()]
    stages: list[Arguments] = [
        (*(str(test.relative_to(ROOT)) for test in own), *QUICK),
        (*wide, *QUICK),
        (*wide, *SEARCHING),
    ]
    if thorough:
        stages.append(("tests", f"--ignore={ONLY_WHERE_GIT_IS}"))
    return stages if own else stages[1:]


def copy_tree(parent: Path) -> Path:
    """Copy the project into `parent`, with `shared` beside it as it is beside the original."""
    top = parent / "copy"
    left_out = shutil.ignore_patterns(".*", "build", "dist", "__pycache__", "*.sqlite3*", "*.egg-info", "var")
    shutil.copytree(ROOT, top, ignore=left_out, symlinks=True)
    for environment in (".venv", ".venv-mitmproxy"):
        if (ROOT / environment).exists():
            (top / environment).symlink_to(ROOT / environment)
    if (ROOT.parent / "shared").is_dir():
        (parent / "shared").symlink_to(ROOT.parent / "shared")
    return top


def run_tests(top: Path, arguments: Sequence[str], limit_s: float | None) -> str | None:
    """Run tests in a copy; return what turned red, or None where all (or none) ran green."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "--tb=no", "-rfE", "-p", "no:cacheprovider"]
    environment = os.environ | {"PYTHONPATH": str(top / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen(  # a group of its own, so that servers that a test left behind end with it
        [*command, *arguments],
        cwd=top,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.communicate()
        return "took too long"
    if process.returncode in PYTEST_NOTHING_RED:
        return None
    red = [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return red[0] if red else f"pytest ended with {process.returncode}"


def judge(removal: Removal, top: Path, stages: Sequence[Arguments], limits: Mapping[Arguments, float]) -> Verdict:
    """Remove one `raise` in a copy, run its tests, put it back."""
    file = top / removal.path
    source = file.read_text(encoding="utf-8")
    file.write_text(removal.apply(source), encoding="utf-8")
    try:
        for stage in stages:
            if red := run_tests(top, stage, limits[stage]):
                return Verdict(removal=removal, killed_by=red)
    finally:
        file.write_text(source, encoding="utf-8")
    return Verdict(removal=removal, killed_by=None)


def files_wanted(only: Sequence[str], *, changed: bool) -> list[Path]:
    """Return the target files, narrowed to paths below `only` and to those that differ from the last commit."""
    chosen: list[Path] = []
    for target in TARGETS:
        path = ROOT / PACKAGE / target
        chosen += sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    files = [path.relative_to(ROOT) for path in chosen]
    if only:
        files = [path for path in files if any(path.is_relative_to(Path(o)) for o in only)]
    if changed:
        listed = subprocess.run(
            ["git", "status", "--porcelain", "-z", "-uall"], cwd=ROOT, capture_output=True, check=True, text=True
        )
        differing = {entry[3:] for entry in listed.stdout.split("\0")}
        files = [path for path in files if str(path) in differing]
    return files


class Copies:
    """Copies of the tree, one for each worker, lent to one job at a time."""

    def __init__(self, directory: str) -> None:
        self._free: queue.Queue[Path] = queue.Queue()
        for number in range(WORKERS):
            parent = Path(directory, str(number))
            parent.mkdir()
            self._free.put(copy_tree(parent))

    @contextmanager
    def one(self) -> Iterator[Path]:
        """Lend a copy."""
        top = self._free.get()
        try:
            yield top
        finally:
            self._free.put(top)


def time_limits(stages: Iterable[Arguments], copies: Copies, pool: ThreadPoolExecutor) -> dict[Arguments, float]:
    """Run each stage with nothing removed; return how long it may take. Stop the program where one is red."""

    def timed(arguments: Arguments) -> tuple[float, str | None]:
        with copies.one() as top:
            began = time.monotonic()
            red = run_tests(top, arguments, None)
            return time.monotonic() - began, red

    wanted = list(dict.fromkeys(stages))
    limits = {}
    reds = []
    for arguments, (seconds, red) in zip(wanted, pool.map(timed, wanted), strict=True):
        limits[arguments] = GRACE_S + SLOWNESS * seconds
        reds += [f"red before anything was removed: {' '.join(arguments)}: {red}"] if red else []
    if reds:
        print("\n".join(reds), file=sys.stderr)
        sys.exit(2)
    return limits


def judge_all(files: Sequence[Path], *, thorough: bool) -> list[Verdict]:
    """Judge every removal of these files, as many at a time as there are copies."""
    with tempfile.TemporaryDirectory(prefix="remove-raises-") as directory, ThreadPoolExecutor(WORKERS) as pool:
        copies = Copies(directory)
        with copies.one() as top:  # not the tree itself, which may change meanwhile
            wanted = [removal for path in files for removal in removals(path, top)]
        stages = {path: stages_of(path, thorough=thorough) for path in {removal.path for removal in wanted}}
        limits = time_limits((stage for of_file in stages.values() for stage in of_file), copies, pool)

        def judged(removal: Removal) -> Verdict:
            with copies.one() as top:
                verdict = judge(removal, top, stages[removal.path], limits)
            print("." if verdict.killed_by else f"\nSURVIVED {removal}", end="", flush=True)
            return verdict

        verdicts = list(pool.map(judged, wanted))
    print()
    return verdicts


def report(verdicts: Sequence[Verdict]) -> float:
    """Print a line for each file and the survivors; return the share that was noticed."""
    by_file: dict[Path, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        by_file[verdict.removal.path].append(verdict)
    for path, of_file in by_file.items():
        print(f"{sum(v.killed_by is not None for v in of_file):4} of {len(of_file):4}  {path}")
    survivors = [verdict.removal for verdict in verdicts if verdict.killed_by is None]
    share = 1 - len(survivors) / len(verdicts) if verdicts else 1.0
    print(f"{len(verdicts) - len(survivors):4} of {len(verdicts):4}  turned a test red: {share:.1%}")
    for removal in survivors:
        print(f"survived: {removal}")
    return share


def main() -> int:
    """Parse the command line, judge, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="extend", nargs="+", default=[], metavar="PATH", help="files or directories")
    parser.add_argument("--changed", action="store_true", help="only files that differ from the last commit")
    parser.add_argument("--thorough", action="store_true", help="run every test before calling one a survivor")
    options = parser.parse_args()
    verdicts = judge_all(files_wanted(options.only, changed=options.changed), thorough=options.thorough)
    return 0 if report(verdicts) >= WANTED_SHARE else 1


if __name__ == "__main__":
    sys.exit(main())
