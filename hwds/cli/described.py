"""Options, settings and roles described, as text, as JSON and as the pages of the reference."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from itertools import groupby
from pathlib import Path
from textwrap import wrap
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt

from hwds.core.compose import option
from hwds.core.errors import ConfigError, nearest
from hwds.core.extras import extras_of
from hwds.core.recipe import Recipe, show_value
from hwds.core.registry import GROUPS, WRITTEN, conf_dirs, no_option, options, resolve_node
from hwds.core.settings import read_yaml
from hwds.frames.roles import FrameKind, roles_of
from hwds.results.formatting import WIDTH

# What options and settings are, read from their class and their YAML.

SECTION = re.compile(r"^(\w+):$", re.MULTILINE)
"""The title of a section of a docstring: `Attributes:`."""

UNBOUNDED = 1e9
"""A bound that only keeps numbers from overflowing is none to a reader."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of an option.

    Attributes:
        name: Its path below the option.
        value: Its value as YAML writes it, `???` where it must be given, an option by its name.
            Empty where others are below it.
        allowed: The values that it may have; empty where its meaning says so.
        meaning: The sentence of the class' docstring.
    """

    name: str
    value: str
    allowed: str
    meaning: str


def about(group: str, name: str) -> str:
    """Return the docstring of an option's class up to its first section, and the extra that it
    needs.
    """
    cls = _class_of(group, name)
    text = SECTION.split(inspect.getdoc(cls) or "")[0].strip()
    extras = ",".join(extras_of(cls.imports))
    return f"{text}\n\nNeeds hwds[{extras}]." if extras else text


def settings_of(group: str, name: str) -> Iterator[Setting]:
    """Yield the settings of an option in the order of its class, each followed by those below it
    (`roles.time`).
    """
    yield from _settings(_class_of(group, name), option(group, group, name), "")


def root_settings(experiment: type[Recipe]) -> Iterator[Setting]:
    """Yield the settings of a composed config beside its options, in the order of conf/config.yaml.

    Args:
        experiment: The class of the typed config.
    """
    hints, meanings = get_type_hints(experiment, include_extras=True), _meanings(experiment)
    file = conf_dirs()[0] / "config.yaml"
    for key, value in read_yaml(file.read_text(encoding="utf-8"), file).items():
        if key not in ("defaults", "hydra"):
            name = (
                "experiment" if key == "name" else key
            )  # the class has the name of the run under the experiment's
            yield Setting(key, _plain(value), allowed_values(hints[name]), meanings[name])


def _settings(cls: Any, values: Mapping[str, Any], path: str) -> Iterator[Setting]:
    hints, meanings = get_type_hints(cls, include_extras=True), _meanings(cls)
    for field in fields(cls):
        if field.name == "name" or field.name not in values:
            continue
        value, hint, meaning = values[field.name], hints[field.name], meanings.get(field.name, "")
        below = _settings_class(hint) if isinstance(value, Mapping) else None
        if below is None or "recipe" in value:
            yield Setting(
                f"{path}{field.name}",
                _plain(value if below is None else value["name"]),
                allowed_values(hint),
                meaning,
            )
        else:
            yield Setting(f"{path}{field.name}", "", allowed_values(hint), meaning)
            yield from _settings(below, value, f"{path}{field.name}.")


def _settings_class(hint: Any) -> Any:
    """Return the class of settings that a type holds; None where it holds none."""
    return next(
        (each for each in (hint, *get_args(hint)) if isinstance(each, type) and is_dataclass(each)),
        None,
    )


def _class_of(group: str, name: str) -> type[Recipe]:
    return resolve_node(group, group, option(group, group, name))


def _plain(value: Any) -> str:
    return "???" if value == "???" else show_value(value).strip("'")


def allowed_values(hint: Any) -> str:
    """Return the values of a type in words: `auto, min or max`, `1 to 1,000,000`, `> 0`.

    Empty where it has no such bounds.
    """
    options = [
        part for part in (get_args(hint) if _is_union(hint) else (hint,)) if part is not NoneType
    ]
    words = [text for text in map(_of_one, options) if text]
    return " or ".join(
        [*words, "null"]
        if words and len(options) < len(get_args(hint)) and _is_union(hint)
        else words
    )


def _is_union(hint: Any) -> bool:
    return NoneType in get_args(hint) or str(get_origin(hint)) in (
        "typing.Union",
        "<class 'types.UnionType'>",
    )


def _of_one(hint: Any) -> str:
    marks = getattr(hint, "__metadata__", ())
    kind = hint.__origin__ if marks else hint
    if get_origin(kind) is Literal:
        *names, last = map(str, get_args(kind))
        return f"{', '.join(names)} or {last}" if names else last
    if kind is bool:
        return "true or false"
    if _is_union(kind):
        return allowed_values(kind)
    return _between(marks) if kind in (int, float) else ""


def _between(marks: tuple[Any, ...]) -> str:
    """Return the bounds of a number: `1 to 10`, `>= 0`, `> 0 to 1`."""
    bounds = {
        type(mark): mark
        for mark in marks
        if isinstance(mark, Ge | Gt | Le | Lt) and abs(_bound(mark)) < UNBOUNDED
    }
    low, high = bounds.get(Ge, bounds.get(Gt)), bounds.get(Le, bounds.get(Lt))
    if low and high:
        return (
            f"{'> ' if Gt in bounds else ''}{_number(low)} to "
            f"{'< ' if Lt in bounds else ''}{_number(high)}"
        )
    if low:
        return f"{'>' if Gt in bounds else '>='} {_number(low)}"
    return f"{'<' if Lt in bounds else '<='} {_number(high)}" if high else ""


def _bound(mark: Ge | Gt | Le | Lt) -> Any:
    return next(getattr(mark, name) for name in ("ge", "gt", "le", "lt") if hasattr(mark, name))


def _number(mark: Ge | Gt | Le | Lt) -> str:
    return f"{_bound(mark):,}" if isinstance(_bound(mark), int) else f"{_bound(mark):g}"


def _meanings(cls: type) -> dict[str, str]:
    """Return the sentence of each attribute from the docstrings of a class and its bases, the
    class' own first.
    """
    meanings: dict[str, str] = {}
    for base in cls.__mro__:
        text = inspect.cleandoc(vars(base).get("__doc__") or "")
        parts = SECTION.split(text)
        listed = dict(zip(parts[1::2], parts[2::2], strict=True)).get("Attributes", "")
        for names, meaning in re.findall(
            r"^    ([\w, ]+): (.*(?:\n {8,}.*)*)", listed, re.MULTILINE
        ):
            for name in names.split(", "):
                meanings.setdefault(name, " ".join(meaning.split()))
    return meanings


# Options, settings and roles as text: what they are, what each setting means, may be and is.

ROLES, EXPERIMENT = "roles", "experiment"
OF_ALL = "Settings of every experiment, apart from its options."


def describe_named(named: Sequence[str], as_json: bool) -> str:
    """Return what options, settings and roles are, as text or as JSON.

    Raises:
        ConfigError: There is no such option, setting or frame.
    """
    found = dict(pair for word in named for pair in _find_described(word))
    return (
        json.dumps(found, indent=1)
        if as_json
        else "\n\n".join(_text(word, each) for word, each in found.items())
    )


def _find_described(word: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what a word names: its title, and its description."""
    group, _, name = word.partition("/")
    if group == ROLES:
        yield from _roles(name)
    elif word == EXPERIMENT:
        yield (
            word,
            {"about": OF_ALL, "settings": [asdict(each) for each in settings_of_experiment()]},
        )
    elif group in WRITTEN and name:
        yield word, _values(group, name)
    elif not name:
        yield from _everywhere(word)
    else:
        yield word, _option(group, name)


def _roles(wanted: str) -> Iterator[tuple[str, dict[str, Any]]]:
    frames: tuple[FrameKind, ...] = get_args(FrameKind)
    if wanted and wanted not in frames:
        raise ConfigError(f"describe: no frame '{wanted}'{nearest(wanted, frames)}")
    for frame in (frame for frame in frames if wanted in ("", frame)):
        settings = [
            {
                "name": f"dataset.roles.{role.name}",
                "value": "",
                "allowed": role.allowed_columns(frame),
                "meaning": role.meaning,
            }
            for role in roles_of(frame)
        ]
        yield (
            f"{ROLES}/{frame}",
            {"about": f"What a column of {ARTICLES[frame]} may be used for.", "settings": settings},
        )


def _values(group: str, name: str) -> dict[str, Any]:
    """Return a file of values as settings: each name with what is written below it, and the comment
    on top of the file.
    """
    from hwds.core.compose import written_values

    values = written_values(group, group, name)
    settings = [
        {
            "name": str(key),
            "value": " and ".join(map(str, value if isinstance(value, list) else [value])),
            "allowed": "",
            "meaning": "",
        }
        for key, value in values.items()
    ]
    lines = options(group)[name].read_text(encoding="utf-8").splitlines()
    comments = [line[1:].strip() for line in lines if line.startswith("#")]
    return {"about": " ".join(comments[1:]), "settings": settings}


ARTICLES = {
    "panel": "a panel (series in time)",
    "table": "a table (rows)",
    "runs": "runs",
    "images": "images",
}


def _option(group: str, name: str) -> dict[str, Any]:
    if group not in GROUPS:
        raise ConfigError(f"no group '{group}' that has settings{nearest(group, GROUPS)}")
    option, _, setting = (name, "", "") if name in options(group) else name.partition(".")
    if option not in options(group):
        raise no_option(group, group, option)
    settings = list(settings_of(group, option))
    if not setting:
        return {"about": about(group, option), "settings": [asdict(each) for each in settings]}
    kept = [asdict(each) for each in settings if f"{each.name}.".startswith(f"{setting}.")]
    if not kept:
        raise ConfigError(
            f"{group}/{option}: no setting "
            f"'{setting}'{nearest(setting, [each.name for each in settings])}"
        )
    return {"about": "", "settings": kept}


def _everywhere(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the settings of a name, each once for all options of one class.

    `protocol.horizon` is of one group.

    Raises:
        ConfigError: No option has such a setting, with the nearest one.
    """
    known: set[str] = set()
    seen: set[Setting] = set()
    for title, path, each in _with_paths():
        known.add(each.name)
        if f".{path}".endswith(f".{name}") and each not in seen:
            seen.add(each)
            yield title, {"about": "", "settings": [asdict(each)]}
    if not seen:
        hint = nearest(name, sorted(known))
        raise ConfigError(
            f"describe: no option and no setting '{name}'{hint} Of metrics: metrics.parquet of a "
            f"run."
        )


def _with_paths() -> Iterator[tuple[str, str, Setting]]:
    """Yield every setting with the title of what it belongs to and its path on the command line."""
    for each in settings_of_experiment():
        yield EXPERIMENT, each.name, each
    for group, name, each in every_setting():
        yield f"{group}/{name}", f"{group}.{each.name}", each


def settings_of_experiment() -> Iterator[Setting]:
    """Return the settings that every experiment has beside its options."""
    from hwds.experiment.spec import Experiment

    return root_settings(Experiment)


def every_setting() -> Iterator[tuple[str, str, Setting]]:
    """Yield every setting of every option, with its group and its option."""
    for group in GROUPS:
        for name in options(group):
            for each in settings_of(group, name):
                yield group, name, each


def _text(word: str, found: Mapping[str, Any]) -> str:
    """Return an option as text: what it is, then a block for each setting."""
    lines = [f"{word}: {found['about']}" if found["about"] else f"{word}:"]
    for each in found["settings"]:
        allowed = f"  ({each['allowed']})" if each["allowed"] else ""
        value = f": {each['value']}" if each["value"] else ""
        lines += ["", f"  {each['name']}{value}{allowed}"]
        lines += wrap(each["meaning"], WIDTH, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines)


# The reference: a page for each group of options, and one of the roles of columns, in Markdown.


def write_reference(folder: Path) -> list[Path]:
    """Write the pages into a folder, and return their paths.

    Raises:
        HwdsError: The folder cannot be written.
    """
    from hwds.results.files import write_markdown

    folder.mkdir(parents=True, exist_ok=True)
    texts = reference_pages()
    for name, text in texts.items():
        write_markdown(folder / name, text)
    return [folder / name for name in texts]


def reference_pages() -> dict[str, str]:
    """Return the text of each page by the name of its file."""
    texts = {
        f"{title.replace('/', '_')}.md": _page(title, group, names)
        for title, group, names in _groups()
    }
    texts |= {"experiment.md": _experiment(), "roles.md": _roles_page()}
    return {"README.md": _index(texts), **texts}


def _index(texts: Mapping[str, str]) -> str:
    """Return the page that says what the others are of."""
    rows = [
        (f"`{name}`", text.partition("\n")[0].removeprefix("# "), str(text.count("\n## ")))
        for name, text in texts.items()
    ]
    return (
        f"# Reference\n\nWritten by `make "
        f"reference`.\n\n{_rows(('page', 'of', 'sections'), rows)}\n"
    )


def _groups() -> Iterator[tuple[str, str, list[str]]]:
    """Yield the title of each page, its group, and the options in it: those of models by family."""
    for group in GROUPS:
        if group != "model":
            yield group, group, list(options(group))
            continue
        for family, names in groupby(sorted(options(group)), lambda name: name.partition("/")[0]):
            yield f"model/{family}", group, list(names)


def _experiment() -> str:
    parts = [
        "# experiment",
        f"{OF_ALL} `hwds describe experiment` prints the same.",
        _table(settings_of_experiment()),
    ]
    return "\n\n".join(parts) + "\n"


def _page(title: str, group: str, names: Iterable[str]) -> str:
    parts = [f"# {title}", "`hwds describe GROUP/OPTION` prints the same."]
    for name in names:
        parts += [f"## {group}/{name}", about(group, name), _table(settings_of(group, name))]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(settings: Iterable[Setting]) -> str:
    rows = [
        (f"`{each.name}`", f"`{each.value}`" if each.value else "", each.allowed, each.meaning)
        for each in settings
    ]
    return _rows(("setting", "value", "may be", "meaning"), rows) if rows else ""


def _roles_page() -> str:
    parts = [
        "# Roles of columns",
        "Given as `dataset.roles.ROLE=COLUMN` or `dataset.roles.ROLE=[COLUMN,COLUMN]`.",
    ]
    for frame in get_args(FrameKind):
        rows = [
            (f"`{role.name}`", role.allowed_columns(frame), role.meaning)
            for role in roles_of(frame)
        ]
        parts += [
            f"## {ARTICLES[frame].capitalize()}",
            _rows(("role", "plays it", "meaning"), rows),
        ]
    return "\n\n".join(parts) + "\n"


def _rows(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [titles, ("---",) * len(titles), *rows]
    return "\n".join(
        "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in line) + " |"
        for line in lines
    )
