"""Show the differences of two runs: settings, data, code, versions, scores."""

from __future__ import annotations

import click

from hwds.cli.words import AS_JSON, RUN, command, exactly


@command(help=__doc__)
@click.argument("runs", nargs=-1, type=RUN, callback=exactly(2, "runs"))
@AS_JSON
def main(runs: tuple[str, str], as_json: bool) -> int:
    """Print only what differs, then what that means."""
    from hwds.report.leaderboard import print_grids
    from hwds.report.runs import difference_grids, difference_text
    from hwds.results import comparison
    from hwds.results.difference import run_difference
    from hwds.results.folder import RunFolder

    changes = run_difference(*(RunFolder.find(name) for name in runs))
    if as_json:
        print(comparison.as_json(changes.as_dict()))
    else:
        print_grids(difference_grids(changes), (), difference_text(changes))
    return 0
