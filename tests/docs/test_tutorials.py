"""Tutorials run as they stand, in an empty folder, and print what the pages show.

`make tutorials` writes what they print now, and their pictures.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from hwds.report.pictures import as_svg
from tests.support.command_line import forget_options
from tests.support.pages import BLOCK, SERIAL, Notebook, commands, stable

ROOT = Path(__file__).resolve().parents[2]
TUTORIALS = sorted(
    path for path in (ROOT / "docs" / "tutorials").glob("*.md") if path.stem != "index"
)
EXECUTED = [*TUTORIALS, ROOT / "docs" / "start" / "quickstart.md"]
MIGRATE = [
    path
    for path in sorted((ROOT / "docs" / "migrate").glob("*.md"))
    if "```python" in path.read_text(encoding="utf-8")
]
RENEWS = "WRITE_TUTORIALS" in os.environ
COMPUTE = ("study", "sweep")
"""Commands that compute, beside those that begin with a setting."""


def in_its_process(line: str) -> str:
    """What a command prints in a process of its own, as a user starts it."""
    done = subprocess.run(
        [sys.executable, "-m", "hwds", *shlex.split(line)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("page", EXECUTED, ids=lambda page: page.stem)
def test_a_tutorial_prints_what_it_shows(page, tmp_path, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")

    def run(line: str) -> str:
        first = line.split(maxsplit=1)[0]
        if first == "check-leakage":  # it looks at what the asking process has open, too
            return in_its_process(line)
        forget_options()
        computes = "=" in first or first in COMPUTE
        done = command(f"{line}{SERIAL}" if computes else line)
        assert done.code in (0, 2), done
        return done.out + done.err

    notebook = Notebook(run, tmp_path)
    text = page.read_text(encoding="utf-8")
    now = notebook.page(text)
    if RENEWS:
        renew(page, text, now, notebook.figure)
    assert stable(page.read_text(encoding="utf-8")) == stable(now), "make tutorials"
    if notebook.figure is not None:
        shown = (page.parent / "pictures" / f"{page.stem}.svg").read_text(encoding="utf-8")
        assert words(shown) == words(as_svg(notebook.figure)), "make tutorials"


def words(svg: str) -> list[str]:
    """The labels and numbers of a picture, which do not hang on the last bit of a curve."""
    return re.findall(r">([^<>]+)</text>", svg)


def renew(page: Path, text: str, now: str, figure) -> None:
    if stable(text) != stable(now):
        page.write_text(now, encoding="utf-8")
    if figure is not None:
        picture = page.parent / "pictures" / f"{page.stem}.svg"
        picture.parent.mkdir(exist_ok=True)
        picture.write_text(as_svg(figure), encoding="utf-8")


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_tutorial_ends_with_a_small_picture(page):
    text = page.read_text(encoding="utf-8")
    (shown,) = re.findall(r"^!\[(.{30,})\]\((pictures/.*\.svg)\)", text, re.MULTILINE)
    picture = page.parent / shown[1]
    assert picture.stem == page.stem
    assert picture.stat().st_size <= 150_000
    assert text.index(shown[1]) > [found.end() for found in BLOCK.finditer(text)][-1] - 1


def test_there_are_six_tutorials_and_the_index_leads_to_each():
    index = (ROOT / "docs" / "tutorials" / "index.md").read_text(encoding="utf-8")
    assert len(TUTORIALS) == 6
    assert all(f"({page.name})" in index for page in TUTORIALS)


@pytest.mark.parametrize("page", MIGRATE, ids=lambda page: page.stem)
def test_python_of_a_page_that_leads_from_another_tool_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M)
    names = {}
    exec(compile("\n".join(blocks), page.name, "exec"), names)
    assert ("hwds" in names) == bool(blocks), "they use hwds"


def test_commands_of_a_block_are_read_over_several_lines():
    assert commands("hwds a=1 \\\n  b=2\nhwds show x\n# no\n") == ["a=1    b=2", "show x"]
