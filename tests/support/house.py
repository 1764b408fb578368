"""The measures of the house, and their limits: `python -m tests.support.house`; 1 beyond a limit.

Tokens are counted, not lines: a line may hold six of them or twelve.
"""

from __future__ import annotations

import ast
import collections
import io
import sys
import tokenize
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).resolve().parents[2] / "hwds"

INTERFACES = {"main", "select", "init", "update", "draw", "propensity", "REPORT", "FAMILY"}
"""Names that many modules have on purpose: what fills an interface."""

UNCOUNTED = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


class Measure(NamedTuple):
    """A number of the house and the most that it may be."""

    name: str
    value: int
    most: int


def code_tokens(text: str) -> int:
    """Return the tokens of a module without docstrings, comments and layout."""
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Expr)]
    texts = [node for node in nodes if isinstance(node.value, ast.Constant)]
    lines = {line for node in texts for line in range(node.lineno, node.end_lineno + 1)}
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return sum(token.type not in UNCOUNTED and token.start[0] not in lines for token in tokens)


def public_names(text: str) -> set[str]:
    """Return the functions and classes of a module that others may import."""
    kinds = (ast.ClassDef, ast.FunctionDef)
    names = {node.name for node in ast.parse(text).body if isinstance(node, kinds)}
    return {name for name in names - INTERFACES if not name.startswith("_")}


def measures(package: Path = PACKAGE) -> list[Measure]:
    """Return the measures of a package."""
    texts = {path.relative_to(package): path.read_text() for path in package.rglob("*.py")}
    rooms: collections.Counter[str] = collections.Counter()
    for path, text in texts.items():
        rooms[path.parts[0]] += code_tokens(text)
    homes = collections.Counter(name for text in texts.values() for name in public_names(text))
    room, largest = rooms.most_common(1)[0]
    return [
        Measure("code tokens", rooms.total(), 980_000),
        Measure("modules", len(texts), 560),
        Measure(f"code tokens of the largest room, {room}", largest, 110_000),
        Measure("public names in several modules", sum(n > 1 for n in homes.values()), 60),
        Measure("lines of the longest module", max(t.count("\n") for t in texts.values()), 1_100),
    ]


def main() -> int:
    """Print the measures."""
    found = measures()
    for measure in found:
        sys.stdout.write(f"{measure.value:>9,} of {measure.most:>9,}  {measure.name}\n")
    return int(any(measure.value > measure.most for measure in found))


if __name__ == "__main__":
    sys.exit(main())
