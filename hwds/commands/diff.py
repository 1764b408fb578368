"""Tell what two runs do not have in common: `hwds diff RUN RUN [--json]`: settings, data, code, versions, scores."""

from __future__ import annotations

from hwds.errors import ConfigError
from hwds.flags import parsed

BARE = ("--json",)


def main(words: list[str]) -> int:
    """Print only what differs, then what that means."""
    names, flags = parsed("diff", words, (), BARE)
    if len(names) != 2:
        raise ConfigError(f"diff: must be followed by two runs, got {len(names)}.")
    from hwds.report.difference import grids
    from hwds.report.difference import words as said
    from hwds.report.leaderboard import print_grids
    from hwds.results.comparison import as_json
    from hwds.results.difference import difference
    from hwds.results.folder import RunFolder

    found = difference(*(RunFolder.find(name) for name in names))
    if "--json" in flags:
        print(as_json(found.as_dict()))
    else:
        print_grids(grids(found), (), said(found))
    return 0


def choices() -> list[str]:
    """The runs that there are, and the flag, for completion."""
    from hwds.results.folder import RunFolder

    return [*RunFolder.names(), *BARE]
