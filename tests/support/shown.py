"""What README shows, made by the commands that stand beside it: `python -m tests.support.shown`.

A block of README that begins with `$ ` has commands and what they print. A picture is a part of a
report page, light and dark, after the commands that docs/pictures/pictures.yaml names. Its text is
kept inside the PNG, so that a test can tell without a browser whether the picture is stale.
"""

from __future__ import annotations

import html
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from base64 import b64decode
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from PIL import Image, PngImagePlugin

from tests.support.browser import Browser, chromium

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PICTURES = ROOT / "docs" / "pictures"
THEMES = {"light": False, "dark": True}
WIDTH, TALLEST = 1280, 900
"""The size of the page, and of its top, in pixels."""

MOST = 150_000
"""Bytes of a picture."""

BLOCK = re.compile(r"(?<=^```console\n)\$ .*?(?=^```$)", re.M | re.S)
COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", re.M)
"""A command, which may go on behind a backslash, and what it prints."""

VARYING = {
    r"\b[0-9a-f]{16}\b": "ID",
    r"(?:< ?)?\d[\d,.]* (?:ms|s|min|h)\b": "TIME",
    r"\d[\d,]* KB": "SIZE",
    r"─+": "─",
    r"[ \t]+": " ",
}
"""What differs between two runs of one command, with what stands for it."""


def comparable(text: str) -> str:
    """Return a text without times, ids and widths of columns."""
    for pattern, name in VARYING.items():
        text = re.sub(pattern, name, text)
    return "\n".join(line.strip() for line in text.strip().splitlines())


def write_sales(path: Path) -> None:
    """Write the sales of README: eight products, five years, and the orders that tell the units."""
    rng = np.random.default_rng(7)
    lines = ["sku,month,units,price,orders"]
    for number in range(8):
        size, price = 60 * np.exp(0.6 * rng.normal()), np.exp(3.5 + 0.5 * rng.normal())
        for i in range(60):
            offer = price * rng.choice([1.0, 1.0, 0.9, 0.8])
            season = 1 + 0.3 * np.sin(2 * np.pi * i / 12)
            units = rng.poisson(size * season * (1 + 0.004 * i) * (offer / price) ** -2)
            orders = units + rng.integers(0, 3)
            month = f"{2021 + i // 12}-{i % 12 + 1:02}-01"
            lines.append(f"sku-{number},{month},{units},{offer:.2f},{orders}")
    path.write_text("\n".join([*lines, ""]))


class Shell:
    """Commands of a reader, given one after the other in a folder with a `sales.csv`.

    Attributes:
        folder: Where they run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._printed: dict[str, str] = {}
        write_sales(folder / "sales.csv")

    def run(self, command: str) -> str:
        """Return what a command prints, which runs once however often it is asked for."""
        if command not in self._printed:
            own = {name: value for name, value in os.environ.items() if name[:5] != "HWDS_"}
            paths = {"PYTHONPATH": str(ROOT), "COLUMNS": "100", "NO_COLOR": "1"}
            hwds = f'hwds() {{ {shlex.quote(sys.executable)} -m hwds "$@"; }}\n'
            done = subprocess.run(
                ["bash", "-c", hwds + command],
                cwd=self.folder,
                env=own | paths,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            assert "Traceback" not in done.stdout, done.stdout
            said = done.stdout.replace(f"{self.folder.resolve()}/", "")
            said = re.sub(r"^hwds: after .*\n", "", said, flags=re.M)  # how far a slow machine is
            self._printed[command] = re.sub(r" +$", "", said, flags=re.M).strip("\n") + "\n"
        return self._printed[command]


def shown(text: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a page with what the page shows of it."""
    for block in BLOCK.findall(text):
        yield from COMMAND.findall(block)


def with_outputs(text: str, shell: Shell) -> str:
    """Return the page with what its commands print now, where that is something else."""

    def answer(found: re.Match[str]) -> str:
        command, before = found.groups()
        now = shell.run(command)
        same = comparable(before) == comparable(now)
        return f"$ {command}\n{before if same else now}"

    return BLOCK.sub(lambda block: COMMAND.sub(answer, block[0]), text)


class Picture(NamedTuple):
    """A part of a report page.

    Attributes:
        name: The picture is docs/pictures/NAME-light.png and NAME-dark.png.
        commands: What makes the page; the last one is `hwds report EXPERIMENT`.
        part: `top`, or how the caption of a figure begins.
    """

    name: str
    commands: list[str]
    part: str

    def file(self, theme: str) -> Path:
        """Return its path in a theme."""
        return PICTURES / f"{self.name}-{theme}.png"

    def page(self, shell: Shell) -> Path:
        """Return the page after the commands."""
        for command in self.commands:
            shell.run(command)
        experiment = self.commands[-1].split()[2]
        (page,) = shell.folder.glob(f"outputs/runs/{experiment}/*/report.html")
        return page

    def text(self, page: Path) -> str:
        """Return the words and numbers of the part, those drawn in its figures too."""
        source = re.sub(r"<(script|style).*?</\1>", "", page.read_text(), flags=re.S)
        if self.part == "top":
            text = source.partition("<main>")[2].partition("</section>")[0]
        else:
            figures = re.findall(r"<figure.*?</figure>", source, flags=re.S)
            (text,) = [
                each for each in figures if f"<figcaption>{self.part}" in html.unescape(each)
            ]
        text = re.sub(r"</(?:td|th|a)>", " ", text.replace("<wbr>", ""))
        lines = comparable(html.unescape(re.sub(r"<[^>]*>", "", text))).splitlines()
        return "\n".join(filter(None, lines))

    def shown(self, theme: str) -> str:
        """Return the text that the picture was made of."""
        with Image.open(self.file(theme)) as image:
            return str(image.info["Description"])

    def draw(self, browser: Browser, page: Path) -> None:
        """Draw the part, light and dark."""
        for theme, dark in THEMES.items():
            with browser.page(page, (WIDTH, 800), dark=dark) as tab:
                clip = tab.ask(f"({PLACE})({json.dumps(self.part)}, {TALLEST})") | {"scale": 1}
                order = {"clip": clip, "captureBeyondViewport": True}
                shot = b64decode(tab.order("Page.captureScreenshot", **order)["data"])
            about = PngImagePlugin.PngInfo()
            about.add_text("Description", self.text(page), zip=True)
            image = Image.open(BytesIO(shot)).convert("RGB").quantize(128, dither=Image.Dither.NONE)
            image.save(self.file(theme), optimize=True, pnginfo=about)


PLACE = """(part, tallest) => {
  const figures = [...document.querySelectorAll('figure')];
  const wanted = part === 'top' ? figures[0] : figures.find(
    each => each.querySelector('figcaption').innerText.startsWith(part));
  const box = wanted.querySelector('.drawing svg').getBoundingClientRect();
  if (part === 'top') return {x: 0, y: 0, width: 1280, height: Math.min(box.bottom + 12, tallest)};
  return {x: box.x - 12, y: box.y - 12, width: box.width + 24, height: box.height + 24};
}"""
"""The rectangle of a part, in a browser."""


def pictures() -> list[Picture]:
    """Return the pictures of docs/pictures/pictures.yaml."""
    described: dict[str, Any] = yaml.safe_load((PICTURES / "pictures.yaml").read_text())
    return [Picture(name, **each) for name, each in described.items()]


def main() -> None:
    """Write README's outputs and the pictures."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")) as folder:
        shell = Shell(Path(folder))
        README.write_text(with_outputs(README.read_text(), shell))
        with chromium() as browser:
            for picture in pictures():
                picture.draw(browser, picture.page(shell))
                for theme in THEMES:
                    size = picture.file(theme).stat().st_size
                    print(f"{picture.file(theme).relative_to(ROOT)}  {size // 1000} KB")


if __name__ == "__main__":
    main()
