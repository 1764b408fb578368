"""The reference: a page for each group of options, and one of the roles of columns, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import get_args

from hwds.cli.described import ARTICLES, OF_ALL, settings_of_experiment
from hwds.config.describe import Setting, about, settings_of
from hwds.core.registry import GROUPS, options
from hwds.frames.roles import FrameKind, roles_of
from hwds.results.markdown import write_markdown


def write_pages(folder: Path) -> list[Path]:
    """Write the pages into a folder, and return their paths.

    Raises:
        HwdsError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = pages()
    for name, text in texts.items():
        write_markdown(folder / name, text)
    return [folder / name for name in texts]


def pages() -> dict[str, str]:
    """Return the text of each page by the name of its file."""
    texts = {f"{title.replace('/', '_')}.md": _page(title, group, names) for title, group, names in _groups()}
    texts |= {"experiment.md": _experiment(), "roles.md": _roles()}
    return {"README.md": _index(texts), **texts}


def _index(texts: Mapping[str, str]) -> str:
    """Return the page that says what the others are of."""
    rows = [(f"`{name}`", text.partition("\n")[0].removeprefix("# "), str(text.count("\n## "))) for name, text in texts.items()]
    return f"# Reference\n\nWritten by `make reference`.\n\n{_rows(('page', 'of', 'sections'), rows)}\n"


def _groups() -> Iterator[tuple[str, str, list[str]]]:
    """Yield the title of each page, its group, and the options in it: those of models by family."""
    for group in GROUPS:
        if group != "model":
            yield group, group, list(options(group))
            continue
        for family, names in groupby(sorted(options(group)), lambda name: name.partition("/")[0]):
            yield f"model/{family}", group, list(names)


def _experiment() -> str:
    parts = ["# experiment", f"{OF_ALL} `hwds describe experiment` prints the same.", _table(settings_of_experiment())]
    return "\n\n".join(parts) + "\n"


def _page(title: str, group: str, names: Iterable[str]) -> str:
    parts = [f"# {title}", "`hwds describe GROUP/OPTION` prints the same."]
    for name in names:
        parts += [f"## {group}/{name}", about(group, name), _table(settings_of(group, name))]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(settings: Iterable[Setting]) -> str:
    rows = [(f"`{each.name}`", f"`{each.value}`" if each.value else "", each.allowed, each.meaning) for each in settings]
    return _rows(("setting", "value", "may be", "meaning"), rows) if rows else ""


def _roles() -> str:
    parts = ["# Roles of columns", "Given as `dataset.roles.ROLE=COLUMN` or `dataset.roles.ROLE=[COLUMN,COLUMN]`."]
    for frame in get_args(FrameKind):
        rows = [(f"`{role.name}`", role.allowed(frame), role.meaning) for role in roles_of(frame)]
        parts += [f"## {ARTICLES[frame].capitalize()}", _rows(("role", "plays it", "meaning"), rows)]
    return "\n\n".join(parts) + "\n"


def _rows(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [titles, ("---",) * len(titles), *rows]
    return "\n".join("| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in line) + " |" for line in lines)
