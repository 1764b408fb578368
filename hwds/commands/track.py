"""Mirror a finished run or sweep to a tracker: `hwds track RUN --to wandb|mlflow|both [project=devices]`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwds.errors import ConfigError, HwdsError
from hwds.flags import one_run, parsed

if TYPE_CHECKING:
    from hwds.tracking.base import Tracker

FLAGS = ("--to",)


def main(words: list[str]) -> int:
    """Write what the tracker does not have yet, and send it where there is a key; 1 where a tracker failed."""
    names, flags = parsed("track", words, FLAGS, value="tracker: wandb, mlflow or both")
    changes = dict(name.split("=", 1) for name in names if "=" in name and not Path(name).exists())
    name = one_run("track", [name for name in names if name.partition("=")[0] not in changes])
    if "--to" not in flags:
        raise ConfigError("track: --to must be given: wandb, mlflow or both.")
    folder, chosen = folder_of(name), tracker_of(flags["--to"], changes)
    failed = [said for part in chosen.parts() if (said := mirrored(part, folder))]
    for said in failed:
        print(f"hwds: {said}", file=sys.stderr)
    return 1 if failed else 0


def choices() -> list[str]:
    """The runs that there are, and the flag, for completion."""
    from hwds.results.folder import RunFolder

    return [*RunFolder.names(), *FLAGS]


def folder_of(name: str) -> Path:
    """The folder of a sweep or of a run."""
    from hwds.results.folder import RunFolder
    from hwds.results.sweep_folder import SweepFolder

    sweep = SweepFolder.named(name)
    return sweep.path if sweep else RunFolder.find(name).path


def tracker_of(option: str, changes: dict[str, str]) -> Tracker:
    """The tracker of an option, with changes to its fields.

    Raises:
        ConfigError: No such option or field.
    """
    import yaml

    from hwds.config.check import build
    from hwds.config.compose import option as composed
    from hwds.tracking.base import Tracker

    node: dict[str, Any] = composed("tracker", "--to", option)
    for path, text in changes.items():
        *keys, last = path.removeprefix("tracker.").split(".")
        place = node
        for key in keys:
            place = place.setdefault(key, {})
        place[last] = yaml.safe_load(text)
    tracker = build("tracker", "tracker", node)
    assert isinstance(tracker, Tracker)
    if not tracker.parts():
        raise ConfigError(f"--to: must be wandb, mlflow or both, got '{option}'.")
    return tracker


def mirrored(tracker: Tracker, folder: Path) -> str:
    """Mirror and say where; what went wrong, empty where nothing did."""
    from hwds.results.secrets import without_secrets
    from hwds.tracking.mirroring import mirror

    try:
        tracker.begin()
        print(mirror(tracker, folder, send=tracker.sends()))
    except HwdsError as error:
        return without_secrets(f"tracker {tracker.name}: {error}")
    return ""
