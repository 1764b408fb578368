"""Write and send what trackers do not have yet."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from hwds.cli.words import command

if TYPE_CHECKING:
    from hwds.track.mirroring import PendingMirror


@command(help=__doc__)
@click.option("--dry-run", is_flag=True, help="Only list the missing data.")
def main(dry_run: bool) -> int:
    """Say what is due and do it.

    It may be repeated or killed at any moment, and nothing is sent twice.

    3 where some failed and others did not, 1 where all did: what was not sent stays due.
    """
    from hwds.core.secrets import without_secrets
    from hwds.track.mirroring import all_pending

    due, broken = all_pending()
    if not due and not broken:
        print("Nothing is due: every run that was to be mirrored is.")
        return 0
    if dry_run:
        for one in due:
            print(f"would {one.description}")
        failures = broken
    else:
        failures = [*broken, *(failure for one in due if (failure := mirror_again(one)))]
    for failure in failures:
        print(f"hwds: {without_secrets(failure)}", file=sys.stderr)
    return 0 if not failures else 1 if len(failures) == len(due) + len(broken) else 3


def mirror_again(one: PendingMirror) -> str:
    """Do what is due; return what went wrong, empty where nothing did."""
    from hwds.core.errors import HwdsError
    from hwds.core.extras import require_installed
    from hwds.core.recipe import package_needs
    from hwds.track.mirroring import mirror

    try:
        require_installed(dict(package_needs("tracker", one.tracker)))
        print(f"{one.title}: {mirror(one.tracker, one.folder, send=True)}")
    except HwdsError as error:
        return f"{one.title}: tracker {one.tracker.name}: {error}"
    return ""
