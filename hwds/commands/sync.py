"""Bring the trackers up to date: `hwds sync [--dry-run]` writes what was not finished and sends what was not sent."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from hwds.errors import ConfigError
from hwds.flags import parsed

if TYPE_CHECKING:
    from hwds.tracking.due import Due

BARE = ("--dry-run",)


def main(words: list[str]) -> int:
    """Say what is due and do it; it may be repeated or killed at any moment, and nothing is sent twice.

    3 where some failed and others did not, 1 where all did: what was not sent stays due.
    """
    names, flags = parsed("sync", words, (), BARE)
    if names:
        raise ConfigError(f"sync: takes no names, got '{names[0]}'; `hwds track RUN --to wandb` mirrors one run.")
    from hwds.results.secrets import without_secrets
    from hwds.tracking.due import all_due

    due, broken = all_due()
    if not due and not broken:
        print("Nothing is due: every run that was to be mirrored is.")
        return 0
    if "--dry-run" in flags:
        for one in due:
            print(f"would {one.said}")
        wrong = broken
    else:
        wrong = [*broken, *(said for one in due if (said := done(one)))]
    for said in wrong:
        print(f"hwds: {without_secrets(said)}", file=sys.stderr)
    return 0 if not wrong else 1 if len(wrong) == len(due) + len(broken) else 3


def choices() -> list[str]:
    """The flag, for completion."""
    return [*BARE]


def done(one: Due) -> str:
    """Do what is due; what went wrong, empty where nothing did."""
    from hwds.errors import HwdsError
    from hwds.tracking.mirroring import mirror

    try:
        one.tracker.begin()
        print(f"{one.title}: {mirror(one.tracker, one.folder, send=True)}")
    except HwdsError as error:
        return f"{one.title}: tracker {one.tracker.name}: {error}"
    return ""
