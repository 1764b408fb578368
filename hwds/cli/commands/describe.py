"""Explain an option, one of its settings, or the roles of columns.

`hwds describe model/forecast/xgboost` is an option, `model/forecast/xgboost.trees` one setting of
it. `largest_step` is every setting of this name, `protocol.horizon` every one of this group.
`experiment` is the part that every experiment has. `roles` is the roles of columns, `roles/panel`
the roles of one kind of frame.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click

from hwds.cli.words import AS_JSON, KnownWord, command
from hwds.core.errors import ConfigError
from hwds.core.registry import GROUPS, options


def describable_words() -> list[str]:
    """Return every word that can be described, but for the names of settings."""
    from hwds.cli.described import EXPERIMENT, ROLES
    from hwds.frames.roles import FrameKind

    frames = [f"{ROLES}/{frame}" for frame in get_args(FrameKind)]
    return [
        ROLES,
        EXPERIMENT,
        *frames,
        *(f"{group}/{name}" for group in GROUPS for name in options(group)),
    ]


@command(help=__doc__)
@click.argument("named", nargs=-1, type=KnownWord("option, setting or roles", describable_words))
@click.option(
    "--pages",
    "folder",
    type=click.Path(path_type=Path),
    help="Write a page for each group into this folder.",
)
@AS_JSON
def main(named: tuple[str, ...], folder: Path | None, as_json: bool) -> int:
    """Print what is named, or write all of it as pages."""
    if folder is not None:
        from hwds.cli.described import write_reference

        print("\n".join(map(str, write_reference(folder))))
        return 0
    if not named:
        raise ConfigError(
            "describe: must be given an option, such as model/forecast/xgboost, a setting, or "
            "roles."
        )
    from hwds.cli.described import describe_named

    print(describe_named(named, as_json))
    return 0
