"""Hooks of mkdocs: pages made from commands and experiments, and links that leave docs/.

`make docs` reads this file. Nothing here is a part of the package.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from base64 import b64encode
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import Any

import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
API = ROOT / "build" / "api"
LINK = re.compile(
    r"(?:(?<=\]\()|(?<=src=\")|(?<=srcset=\"))(?![a-z+]+:)([^)#\s\"]*)((?:#[^)\s\"]*)?)(?=[)\"])"
)
"""A link or picture of this repository, in Markdown or HTML: its path and its anchor."""
CODE = re.compile(r"^( *)(```|~~~).*?^\1\2 *$", re.MULTILINE | re.DOTALL)


# Pages and files outside docs/ --------------------------------------------------------------------


def site_path(path: str) -> str:
    """Return where a file of the repository lies in the site."""
    return path.removeprefix("docs/") if path.startswith("docs/") else f"repo/{path}"


def repository_path(src_uri: str) -> str:
    """Return the file of the repository that a page of the site is made of."""
    return src_uri.removeprefix("repo/") if src_uri.startswith("repo/") else f"docs/{src_uri}"


def linked(path: str) -> Iterator[str]:
    """Yield the files of the repository that a Markdown file links to."""
    text = CODE.sub("", (ROOT / path).read_text(encoding="utf-8"))
    for name, _ in LINK.findall(text):
        target = normpath(f"{PurePosixPath(path).parent}/{name}") if name else path
        if (ROOT / target).is_file():
            yield target


def outside() -> set[str]:
    """Return the files outside docs/ that the site needs, with what these link to."""
    found = {"CHANGELOG.md", "CONTRIBUTING.md"}
    queue = [*found, *(path.relative_to(ROOT).as_posix() for path in DOCS.rglob("*.md"))]
    while queue:
        page = queue.pop()
        new = {path for path in linked(page) if not path.startswith("docs/")} - found
        found |= new
        queue += [path for path in new if path.endswith(".md")]
    return found


def on_startup(command: str, dirty: bool) -> None:
    """Lay the modules of the public names where the reference of the Python API is made from.

    The reader of docstrings passes over folders without an `__init__.py`, which hwds has many of.
    """
    stub = (ROOT / "hwds" / "__init__.pyi").read_text(encoding="utf-8")
    modules = set(re.findall(r"^from \.([\w.]+) import", stub, re.MULTILINE))
    for name in (
        "__init__.py",
        "__init__.pyi",
        *(f"{each.replace('.', '/')}.py" for each in modules),
    ):
        file = API / "hwds" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / "hwds" / name, file)
    for folder in (API / "hwds").rglob("*"):
        if folder.is_dir():
            (folder / "__init__.py").touch()


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, the notebooks, and what lies outside docs/."""
    for path in sorted(outside()):
        files.append(File.generated(config, f"repo/{path}", abs_src_path=str(ROOT / path)))
    files.append(File.generated(config, "lookup/commands.md", content=commands_page()))
    files.append(File.generated(config, "gallery.md", content=gallery_page(files, config)))
    for page in sorted((DOCS / "tutorials").glob("*.md")):
        if page.stem != "index":
            name = f"tutorials/{page.stem}.ipynb"
            files.append(File.generated(config, name, content=notebook(page.read_text("utf-8"))))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links between docs/ and the rest of the repository lead to their pages of the site."""
    src = page.file.src_uri
    if page.file.generated_by and not src.startswith("repo/"):
        return markdown
    if src.startswith("tutorials/") and src != "tutorials/index.md":
        markdown = (
            f"{markdown}\n\n[Download this page as a notebook]({PurePosixPath(src).stem}.ipynb)\n"
        )

    def moved(match: re.Match[str]) -> str:
        name, anchor = match.groups()
        origin = repository_path(src)
        target = normpath(f"{PurePosixPath(origin).parent}/{name}")
        if not name or (src.startswith("repo/") is False and target.startswith("docs/")):
            return match[0]
        return relpath(site_path(target), str(PurePosixPath(src).parent)) + anchor

    return LINK.sub(moved, markdown)


# Commands -----------------------------------------------------------------------------------------


def commands_page() -> str:
    """Return the page of all commands, as `hwds COMMAND --help` prints them."""
    from importlib import import_module

    import click

    from hwds.cli import main as cli

    parts = [
        "# Commands\n\n`hwds` and `python -m hwds` are the same. "
        "Each section shows what `hwds COMMAND --help` prints.\n"
    ]
    context = click.Context(cli.PROGRAM, info_name="hwds", terminal_width=88, max_content_width=88)
    for file_name in cli.commands():
        name = file_name.replace("_", "-")
        command = import_module(cli.module_of(file_name)).main
        text = command.get_help(click.Context(command, info_name=name, parent=context))
        parts.append(f"## hwds {name}\n\n```text\n{text.rstrip()}\n```\n")
    return "\n".join(parts)


# Gallery ------------------------------------------------------------------------------------------

QUESTIONS = {
    "forecast": "How much will we sell?",
    "bandit": "Which price earns most, while we sell?",
    "ab": "What does a test say?",
    "ope": "What would another policy have earned?",
    "elasticity": "How does demand react to price?",
    "classify": "Which orders are fraud?",
    "anomaly": "What is unusual, if there are no labels?",
    "lifetime": "When does a machine fail?",
    "sensors": "Is a machine ill?",
    "inspection": "Is a board good?",
}
"""The question of a family of models, in the order of the page."""


def experiments() -> list[dict[str, Any]]:
    """Return what each shipped experiment says of itself."""
    return [_experiment(path) for path in sorted((ROOT / "conf" / "experiment").glob("*.yaml"))]


def _experiment(path: Path) -> dict[str, Any]:
    text = path.read_text(encoding="utf-8")
    comments = re.findall(r"^# ?(.*)", text.partition("\ndefaults:")[0], re.MULTILINE)[1:]
    groups = {
        key.removeprefix("override /"): value
        for each in yaml.safe_load(text)["defaults"]
        for key, value in each.items()
    }
    command = re.sub(r"^python -m ", "", comments[0])
    sentence = re.split(r"(?<=[.?!]) (?=[A-Z`(])", " ".join(comments[1:]))[0]
    return {"name": path.stem, "command": command, "sentence": sentence, **groups}


@cache
def needs_data(dataset: str) -> bool:
    """Return whether a dataset is read from the folder of public data."""
    from hwds.core.compose import option
    from hwds.core.config import build

    node = option("dataset", "dataset", dataset)
    node |= {key: dataset for key, value in node.items() if value == "???"}
    recipe: Any = build("dataset", "dataset", node)
    return "$HWDS_DATA" in recipe.source()


def finished(name: str) -> tuple[Path | None, str]:
    """Return the picture and the verdict of the newest run of an experiment, if there is one."""
    outputs = Path(os.environ.get("HWDS_OUTPUTS", ROOT / "outputs"))
    runs = sorted(
        (outputs / "runs" / name).glob("*/conclusion.txt"), key=lambda file: file.stat().st_mtime
    )
    kept = _tutorial_picture(name)
    if not runs:
        return kept, ""
    pictures = [
        picture
        for wanted in ("forecasts", "regret", "alert_costs", "leaderboard")
        for picture in runs[-1].parent.glob(f"{wanted}.svg")
    ]
    verdict = runs[-1].read_text(encoding="utf-8").strip().splitlines()[0]
    return next(iter(pictures), kept), verdict


def _tutorial_picture(name: str) -> Path | None:
    """Return the picture of the tutorial that begins with an experiment."""
    for page in sorted((DOCS / "tutorials").glob("*.md")):
        begins = re.search(r"hwds \+experiment=(\w+)", page.read_text(encoding="utf-8"))
        if begins is not None and begins[1] == name:
            return page.parent / "pictures" / f"{page.stem}.svg"
    return None


def gallery_page(files: Files, config: MkDocsConfig) -> str:
    """Return the page of all shipped experiments, by the question that they answer."""
    every = experiments()
    parts = [
        "---\nhide: [navigation]\n---\n\n# Gallery\n\n"
        f"{len(every)} experiments ship with hwds. Each is one command. "
        "A card shows its question, its command and the data that it needs.\n"
    ]
    for family, question in QUESTIONS.items():
        members = [each for each in every if each["model"].partition("/")[0] == family]
        cards = "\n".join(_card(each, files, config) for each in members)
        parts.append(f'## {question}\n\n<div class="gallery" markdown>\n{cards}\n</div>\n')
    return "\n".join(parts)


def _card(each: dict[str, Any], files: Files, config: MkDocsConfig) -> str:
    picture, verdict = finished(each["name"])
    shown = ""
    if picture is not None:
        place = f"gallery/{each['name']}{picture.suffix}"
        files.append(File.generated(config, place, abs_src_path=str(picture)))
        shown = f"![Result of {each['name']}]({place})\n\n"
    data = "public data, `HWDS_DATA`" if needs_data(each["dataset"]) else "nothing to download"
    return (
        f'<div class="card" markdown>\n\n### {each["name"]}\n\n{shown}{each["sentence"]}\n\n'
        f"```console\n{each['command']}\n```\n\n"
        f"`{each['model']}` on `{each['dataset']}`; needs {data}.\n\n"
        + (f"{verdict}\n\n" if verdict else "")
        + "</div>"
    )


# Notebooks ----------------------------------------------------------------------------------------

BLOCK = re.compile(r"^```(console|python)\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.M | re.S)
"""A block of a tutorial that runs, and what it printed."""
PICTURE = re.compile(r"!\[([^]]*)\]\((pictures/[^)]*)\)")


def notebook(text: str) -> str:
    """Return a tutorial as a notebook: its prose, its code, and what the code printed."""
    cells: list[dict[str, Any]] = []
    end = 0
    for match in BLOCK.finditer(text):
        cells += _prose(text[end : match.start()])
        cells.append(_code(*match.groups()))
        end = match.end()
    cells += _prose(text[end:])
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return json.dumps(
        {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5},
        indent=1,
    )


def _prose(text: str) -> list[dict[str, Any]]:
    if not text.strip():
        return []
    lines = PICTURE.sub(_inline, text.strip()).splitlines(keepends=True)
    return [{"cell_type": "markdown", "metadata": {}, "source": lines}]


def _inline(match: re.Match[str]) -> str:
    """Return a picture with its content in the place of its file."""
    data = b64encode((DOCS / "tutorials" / match[2]).read_bytes()).decode()
    return f"![{match[1]}](data:image/svg+xml;base64,{data})"


def _code(kind: str, code: str, printed: str | None) -> dict[str, Any]:
    lines = code.rstrip().splitlines(keepends=True)
    if kind == "console":
        lines = ["!" + line if line.startswith("hwds ") else line for line in lines]
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": (printed or "").splitlines(True)}
    ]
    return {
        "cell_type": "code",
        "metadata": {},
        "execution_count": None,
        "source": lines,
        "outputs": outputs if printed else [],
    }
