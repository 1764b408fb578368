"""Templates of pages, filled by Jinja2 with every value escaped, and the scripts and styles that they hold."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from hwds.core.secrets import without_secrets

if TYPE_CHECKING:
    from jinja2 import Environment

JOINT = re.compile(r"(?<=[/_,=(\[])(?=[^ ])")
"""The places where a long name is broken first."""


def render(template: str, **values: Any) -> Markup:
    """Return a template of `templates/` filled with values."""
    return Markup(_environment().get_template(template).render(values))


def render_part(macro: str, *values: Any) -> Markup:
    """Return a macro of `parts.html.j2` filled with values."""
    return getattr(_environment().get_template("parts.html.j2").module, macro)(*values)


def static(path: str) -> Markup:
    """Return the text of a script or a style by its path below `hwds/report`."""
    return Markup(files("hwds.report").joinpath(path).read_text(encoding="utf-8"))


def unparted(text: str) -> str:
    """Return the text with no-break spaces between a number and its percent sign or its error."""
    return text.replace(" %", "\u00a0%").replace(" ± ", "\u00a0±\u00a0")


def name_pieces(text: str) -> list[str]:
    """Return the pieces of a name between which it may be broken."""
    return [piece.replace(", %", ",\u00a0%") for piece in JOINT.split(text)]


def _without_secrets(value: Any) -> Any:
    """Return a value of a page without secrets; parts that are rendered already had theirs taken out."""
    return without_secrets(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("hwds.report.pages"),
        autoescape=True,
        finalize=_without_secrets,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["static"] = static
    environment.filters |= {"unparted": unparted, "name_pieces": name_pieces}
    return environment
