"""The sentences and cells of what people read: pages, comments of conf/, and texts of hwds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

ROOT = Path(__file__).resolve().parents[2]

CODE = "§"
"""What stands for code in a sentence: one word, to which no rule applies."""

Kind = Literal["prose", "cell", "text"]


class Passage(NamedTuple):
    """A paragraph, an item of a list, a cell of a table, or a text in code."""

    line: int
    kind: Kind
    text: str

    def sentences(self) -> list[str]:
        """Return its sentences; a list or a block of code ends one."""
        parts = re.split(r"(?<=[.!?])[)\"”*]*\s+(?=[^a-z\s]|hwds\b)|\n\n+", self.text)
        found = (" ".join(part.split()) for part in parts)
        return [sentence for sentence in found if re.search(r"[\w§]", sentence)]


def pages() -> list[Path]:
    """Return the files that the rules cover."""
    found = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    found += [path for path in ROOT.glob("docs/**/*.md") if "site" not in path.parts]
    found += [*ROOT.glob("conf/**/*.yaml"), *ROOT.glob("hwds/**/*.py")]
    return sorted(found)


def passages(path: Path) -> list[Passage]:
    """Return what is read of a file."""
    reader = {".md": of_markdown, ".yaml": of_yaml, ".py": of_python}[path.suffix]
    return list(reader(path.read_text()))


def words(text: str) -> int:
    """Return the number of words; code is one."""
    return len(re.findall(r"[\w`§][\w'’`§.,%-]*", text))


def plain(text: str) -> str:
    """Return a text without code, links, pictures and marks."""
    text = re.sub(r"``[^`]+``|`[^`]*`", CODE, text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"https?://\S+|<[^<>\s][^<>]*>", CODE, text)
    return re.sub(r"\*\*|__|(?<!\w)[*_]|[*_](?!\w)", "", text)


def of_markdown(text: str) -> Iterator[Passage]:
    """Yield the paragraphs, items and cells of a page."""
    fenced, start, lines = False, 0, list[str]()
    for number, line in enumerate([*text.splitlines(), ""], 1):
        fence = re.match(r"\s*(```|~~~)", line)
        begins = re.match(r"\s*([-*+]|\d+\.)\s|#+\s|\||$", line)
        if (fence or fenced or begins) and lines:
            yield Passage(start, "prose", plain("\n".join(lines)))
            lines = []
        if fence:
            fenced = not fenced
        elif not fenced and line.startswith("|"):
            yield from _cells(number, line)
        elif not fenced and line.strip():
            start = start if lines else number
            lines.append(re.sub(r"^\s*([-*+]|\d+\.|#+)\s+", "", line))


def _cells(number: int, row: str) -> Iterator[Passage]:
    for cell in re.split(r"(?<!\\)\|", plain(row))[1:-1]:
        if re.search(r"\w", cell):
            yield Passage(number, "cell", cell.strip())


def of_yaml(text: str) -> Iterator[Passage]:
    """Yield the comments of an option, those of neighbouring lines as one."""
    start, lines = 0, list[str]()
    for number, line in enumerate([*text.splitlines(), ""], 1):
        comment = re.match(r"\s*# ?(.*)", line)
        command = comment and re.match(r"@package|.*python -m |\s*$", comment[1])
        if comment and not command:
            start = start if lines else number
            lines.append(comment[1])
            continue
        if lines:
            yield Passage(start, "text", plain("\n".join(lines)))
            lines = []
        if behind := re.search(r"\S\s+# (.*)", line):
            yield Passage(number, "text", plain(behind[1]))


TOKENS = re.compile(
    r"""#[^\n]*|[rRfFbBuU]{0,2}\"{3}(?P<doc>.*?)\"{3}"""
    r"""|(?P<said>(?:[rRfFbBuU]{0,2}(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')\s*)+)""",
    re.DOTALL,
)
"""Comments, docstrings and texts of Python, a text with those that follow it; `ast` is slower."""


def of_python(text: str) -> Iterator[Passage]:
    """Yield texts of four words or more, templates, and the help of a command; no docstrings.

    Docstrings that people read are in docs/reference.
    """
    for match in TOKENS.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        if match["doc"] is not None:
            is_help = not match.start() and "\ndef main(" in text
            if is_help or text[: match.start()].rstrip()[-1:] in OPENING:
                yield Passage(line, "text", plain(_template(match["doc"])))
        elif match["said"] is not None and match["said"].count(" ") >= 3:
            said = "".join(_said(part[0]) for part in PARTS.finditer(match["said"]))
            if len(said.split()) >= 4:
                yield Passage(line, "text", plain(said))


OPENING = ("=", "(", "[", ",", "{")
"""What stands before a text of several lines, and not before a docstring."""


def _template(text: str) -> str:
    """Return a template of Jinja with its fields as code."""
    return re.sub(r"\{%.*?%\}", " ", re.sub(r"\{\{.*?\}\}", CODE, text), flags=re.DOTALL)


PARTS = re.compile(r"""[rRfFbBuU]{0,2}("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')""")


def _said(part: str) -> str:
    start = re.match(r"[rRfFbBuU]*", part)[0]  # type: ignore[index]
    inner = part[len(start) + 1 : -1].replace("\\n", "\n")
    return re.sub(r"\{[^{}]*\}", CODE, inner) if "f" in start.lower() else inner
