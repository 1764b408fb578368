"""Pages whose blocks run one after the other, as a notebook does, and keep what they printed.

Blocks of `console` are commands, blocks of `python` share one namespace. What a block prints
stands below it in a block of `text`. A last expression of Python that is a figure is the picture
of the page.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

BLOCK = re.compile(r"^```(console|python)\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.M | re.S)
"""A block that runs, and what it printed."""
LONGEST = 40
"""Lines of a block that are shown; the rest is counted."""
SERIAL = " compute=serial"
"""What a test adds, so that all is computed in its own process."""
PASSING = (
    (r"\b[0-9a-f]{16}\b|(?<=/)[0-9a-f]{8}\b", "RUN"),
    (r"(?:< )?\b[\d.]+ (?:s|ms|min)\b", "TIME"),
    (r"\b[\d.,]+ [KM]B\b", "SIZE"),
    (r"[ ─━]+", " "),
)
"""What differs from one machine, or one version of the code, to the next."""


def commands(code: str) -> list[str]:
    """What follows `hwds` in each command of a block."""
    lines = code.replace("\\\n", " ").splitlines()
    return [line.partition("hwds ")[2] for line in lines if line.startswith("hwds ")]


def tidy(text: str, folder: Path) -> str:
    """What a reader sees of an output: no folder of a test, no note on compiling, no long tail."""
    lines = [
        line.rstrip()
        for line in text.replace(f"{folder}/", "").replace(SERIAL, "").strip("\n").splitlines()
    ]
    lines = [line for line in lines if not line.startswith("Compiled once")]
    more = len(lines) - LONGEST
    if more > 1:
        lines = [*lines[:LONGEST], f"... ({more} more lines)"]
    return "".join(f"{line}\n" for line in lines)


def stable(text: str) -> str:
    """A page without what passes: ids of runs, times, sizes, widths of columns."""
    for pattern, word in PASSING:
        text = re.sub(pattern, word, text)
    return text


class Notebook:
    """The blocks of a page, run in their order.

    Attributes:
        run: What runs a command, and gives what it printed.
        folder: Where all happens.
        figure: The last figure that an expression of Python came to.
    """

    def __init__(self, run: Callable[[str], str], folder: Path) -> None:
        self.run, self.folder, self.figure = run, folder, None
        self.names: dict[str, Any] = {}

    def page(self, text: str) -> str:
        """The same page with what its blocks print now."""
        return BLOCK.sub(lambda found: self._block(found[1], found[2]), text)

    def _block(self, kind: str, code: str) -> str:
        if kind == "console":
            printed = "".join(self.run(line) for line in commands(code))
        else:
            printed = self._python(code)
        below = tidy(printed, self.folder)
        return f"```{kind}\n{code}```\n" + (f"\n```text\n{below}```\n" if below else "")

    def _python(self, code: str) -> str:
        tree = ast.parse(code)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        out = StringIO()
        with redirect_stdout(out):
            exec(compile(tree, "page", "exec"), self.names)
            if last is not None:
                value = eval(compile(ast.Expression(last.value), "page", "eval"), self.names)
                if hasattr(value, "savefig"):
                    self.figure = value
                elif value is not None:
                    print(value)
        return out.getvalue()
