"""Faults put into the code on purpose, and how many of them the suite finds.

`python -m bench.mutants 120 seed=7` changes one point of the package at a time in a copy of the
project (`<` for `<=`, `+` for `-`, a number by one, a condition turned round, a call left out) and
runs the tests that know the module: those of the same name, those that import it, those of its
room, and the promises of options of its name. It prints the share of mutants that a test has found
with a 95 % interval (Wilson), and those that none has. A person judges which of these change
anything at all.

It takes some two minutes a mutant of one core. The points are drawn from all, so that a room has as
many as it has code; the same seed draws the same ones of the same code.
"""

from __future__ import annotations

import ast
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("hwds", "tests", "conf", "bench", "experiments", "docs")
"""The folders that tests read; files of the root are copied, too."""

ALLOWED_S = 900
"""Seconds of one process of tests: a mutant that does not end is found."""

OPERATORS: dict[type[ast.AST], str] = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "/",
    ast.Div: "*",
    ast.FloorDiv: "/",
    ast.Mod: "//",
    ast.Pow: "*",
    ast.And: "or",
    ast.Or: "and",
}
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "floor": "ceil", "ceil": "floor"}
SKIPPED = (ast.Raise, ast.Assert, ast.Import, ast.ImportFrom, ast.JoinedStr)
"""Statements whose parts are not mutated: what they say is judged by eye."""


@dataclass(frozen=True)
class Mutant:
    """One point of the package that is written otherwise.

    Attributes:
        path: The module, relative to the project.
        line: Its line.
        before: What stands there, and `after`: what is put there.
        start: The offsets of what is replaced, in bytes of the file.
    """

    path: Path
    line: int
    before: str
    after: str
    start: int
    end: int

    def __str__(self) -> str:
        old, new = (" ".join(text.split())[:70] for text in (self.before, self.after))
        return f"{self.path}:{self.line}  {old}  ->  {new}"

    def write(self, folder: Path) -> None:
        """Write the module with the fault into a copy of the project."""
        text = (ROOT / self.path).read_bytes()
        changed = text[: self.start] + self.after.encode() + text[self.end :]
        (folder / self.path).write_bytes(changed)


def main(words: list[str]) -> int:
    """Try so many mutants; 1 where one was not found, 2 where a word is wrong."""
    settings = dict(word.partition("=")[::2] for word in words)
    seed = settings.pop("seed", "0")
    if len(settings) != 1 or not (count := next(iter(settings))).isdigit() or not seed.isdigit():
        sys.stderr.write("mutants: must be followed by their number and seed=NUMBER.\n")
        return 2
    known = [mutant for path in sorted((ROOT / "hwds").rglob("*.py")) for mutant in mutants(path)]
    chosen = random.Random(int(seed)).sample(known, int(count))
    with TemporaryDirectory(prefix="mutants") as name:
        folder = Path(name)
        copy_project(folder)
        survivors = [mutant for mutant in chosen if not found(mutant, folder)]
    _print_score(len(chosen), len(survivors), len(known))
    return 1 if survivors else 0


def _print_score(count: int, missed: int, known: int) -> None:
    from scipy.stats import binomtest

    score = binomtest(count - missed, count)
    low, high = (100 * end for end in score.proportion_ci(method="wilson"))
    sys.stdout.write(
        f"{count - missed} of {count} found, {100 * score.statistic:.0f} % "
        f"(95 %: {low:.0f} to {high:.0f}), of {known:,} points\n"
    )


def mutants(path: Path) -> Iterator[Mutant]:
    """Yield every mutant of a module."""
    text = path.read_bytes()
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for node in nodes(ast.parse(text)):
        if isinstance(node, ast.expr | ast.stmt) and (after := replaced(node)) is not None:
            start = starts[node.lineno - 1] + node.col_offset
            end = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
            before = text[start:end].decode()
            yield Mutant(path.relative_to(ROOT), node.lineno, before, after, start, end)


def nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that are run: no annotation, decorator or text for a reader."""
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "decorator_list", "type_params", "format_spec"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, SKIPPED) or not isinstance(child, ast.AST):
                continue
            yield child
            yield from nodes(child)


def replaced(node: ast.AST) -> str | None:
    """Return the code with a fault; None of a node that has no mutant."""
    said, after = ast.unparse, None
    match node:
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in OPERATORS:
            after = f"({said(left)} {OPERATORS[type(op)]} {said(right)})"
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            after = f"(({said(left)}) {OPERATORS[type(op)]} ({said(right)}))"
        case ast.BoolOp(op=op, values=values):
            after = "(" + f" {OPERATORS[type(op)]} ".join(f"({said(one)})" for one in values) + ")"
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            after = f"({said(operand)})"
        case ast.IfExp(test=test, body=body, orelse=other):
            after = f"(({said(other)}) if ({said(test)}) else ({said(body)}))"
        case ast.Constant(value=bool() as value):
            after = str(not value)
        case ast.Constant(value=int() as value):
            after = str(value + 1)
        case ast.Constant(value=float() as value):
            after = repr(value * 2 if value else 1.0)
        case ast.Name(id=name) if name in NAMES:
            after = NAMES[name]
        case ast.Expr(value=ast.Call()):
            after = "pass"
        case ast.Return(value=ast.expr()):
            after = "return None"
    return after


def copy_project(folder: Path) -> None:
    """Copy what tests read."""
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, folder / path.name)


def found(mutant: Mutant, folder: Path) -> bool:
    """Return whether a test of the module fails with the fault and only then, and print a line."""
    mutant.write(folder)
    try:
        by = next((test for tests in related(mutant.path) if (test := failed(tests, folder))), "")
    finally:
        shutil.copy(ROOT / mutant.path, folder / mutant.path)
    if "::" in by and failed([by], folder):
        by = ""  # it fails without the fault, too
    sys.stdout.write(f"{'found   ' if by else 'SURVIVED'}  {mutant}{by and f'  by {by}'}\n")
    sys.stdout.flush()
    return bool(by)


def related(path: Path) -> Iterator[list[str]]:
    """Yield groups of tests, the nearest first."""
    room, stem = path.parts[1], path.stem
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    own = [file for file in files if room in file.parts and stem in file.stem]
    dotted = path.with_suffix("").as_posix().replace("/", ".")
    parent, _, name = dotted.rpartition(".")
    imports = (f"from {dotted} import", f"import {dotted}", f"from {parent} import {name}")
    users = [file for file in files if any(one in file.read_text("utf-8") for one in imports)]
    rest = [file for file in files if (ROOT / "tests" / room) in file.parents]
    seen: set[Path] = set()
    for group in (own, users, rest):
        new = [file for file in group if file not in seen]
        seen |= set(new)
        if new:
            yield [file.relative_to(ROOT).as_posix() for file in new]
    yield ["tests/contract", "-k", stem]


def failed(tests: list[str], folder: Path) -> str:
    """Return the test that fails, "a timeout" of one that does not end, or "" if all pass."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-n", "2"]
    command += ["--dist", "loadfile", f"--basetemp={folder / 'tmp'}", *tests]
    variables = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        ended = subprocess.run(
            command, check=False, cwd=folder, env=variables, capture_output=True, timeout=ALLOWED_S
        )
    except subprocess.TimeoutExpired:
        return "a timeout"
    if ended.returncode in (0, 5):  # 5: nothing was collected
        return ""
    said = ended.stdout.decode().splitlines()
    names = [line.split(" ", 2) for line in said if line.startswith(("FAILED ", "ERROR "))]
    timeout = any("Timeout" in line for line in said)
    return "a timeout" if timeout else names[0][1] if names else "pytest itself"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
