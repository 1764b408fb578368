"""Mirror a finished run or sweep to W&B or MLflow.

`hwds track RUN --to wandb` writes and sends it. `project=devices` behind it changes a field of the
tracker.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwds.cli.words import RUN_OR_SWEEP, ReadValue, command, exactly
from hwds.core.errors import ConfigError, HwdsError

if TYPE_CHECKING:
    from hwds.track.trackers.base import Tracker

TRACKER = ReadValue("tracker: wandb, mlflow or both", str)


@command(help=__doc__)
@click.argument("words", nargs=-1, type=RUN_OR_SWEEP, metavar="RUN [FIELD=VALUE] ...")
@click.option("--to", type=TRACKER, metavar="TRACKER", required=True, help="wandb, mlflow or both.")
@click.pass_context
def main(ctx: click.Context, words: tuple[str, ...], to: str) -> int:
    """Write what the tracker does not have yet, and send it where there is a key.

    1 where a tracker failed.
    """
    changes = dict(word.split("=", 1) for word in words if "=" in word and not Path(word).exists())
    names = tuple(word for word in words if word.partition("=")[0] not in changes)
    folder = folder_to_mirror(exactly(1, "run")(ctx, ctx.command.params[0], names))
    tracker = tracker_of(to, changes)
    failures = [failure for part in tracker.parts() if (failure := mirror_to(part, folder))]
    for failure in failures:
        print(f"hwds: {failure}", file=sys.stderr)
    return 1 if failures else 0


def folder_to_mirror(name: str) -> Path:
    """Return the folder of a sweep, or of a run, whose pictures are drawn where they are not
    yet.
    """
    from hwds.results.sweep_folder import SweepFolder

    if sweep := SweepFolder.find_unless_run(name):
        return sweep.path
    from hwds.cli.run import drawn_run

    return drawn_run(name).path


def tracker_of(option: str, changes: dict[str, str]) -> Tracker:
    """The tracker of an option, with changes to its fields.

    Raises:
        ConfigError: No such option or field, or its package is not installed.
    """
    from hwds.core.compose import option as composed
    from hwds.core.config import build
    from hwds.core.extras import require_installed
    from hwds.core.recipe import package_needs
    from hwds.core.settings import read_yaml
    from hwds.track.trackers.base import Tracker

    node: dict[str, Any] = composed("tracker", "--to", option)
    for path, text in changes.items():
        *keys, last = path.removeprefix("tracker.").split(".")
        place = node
        for key in keys:
            place = place.setdefault(key, {})
        try:
            place[last] = read_yaml(text, path)
        except ValueError as error:
            raise ConfigError(f"{error}.") from error
    tracker = build("tracker", "tracker", node)
    assert isinstance(tracker, Tracker)
    if not tracker.parts():
        raise ConfigError(f"--to: must be wandb, mlflow or both, got '{option}'.")
    require_installed(dict(package_needs("tracker", tracker)))
    return tracker


def mirror_to(tracker: Tracker, folder: Path) -> str:
    """Mirror and say where; return what went wrong, empty where nothing did."""
    from hwds.core.secrets import without_secrets
    from hwds.track.mirroring import mirror

    try:
        print(mirror(tracker, folder))
    except HwdsError as error:
        return without_secrets(f"tracker {tracker.name}: {error}")
    return ""
