"""Watch what a bundle is asked and answers: drift of inputs and predictions, and of errors once labels arrive.

What was captured (`hwds serve --capture`) is judged window by window against the statistics that the bundle has of its run. An
alarm is raised at most so often a month while nothing changes; the columns that it names are corrected for their number.
"""

from __future__ import annotations

from pathlib import Path

import click

from hwds.cli.words import FILE, Whole, Within, command


@command(help=__doc__)
@click.argument("folder", metavar="FOLDER")
@click.argument("captured", metavar="CAPTURED")
@click.option("--labels", type=FILE, help="The labels that have arrived: CSV or JSON lines with id and label.")
@click.option(
    "--alarms", type=Within(0.001, 100), metavar="NUMBER", default=0.1, show_default=True, help="False alarms a month."
)
@click.option("--rows", type=Whole(50, 100_000), metavar="NUMBER", default=500, show_default=True, help="Rows of a window.")
@click.option("--out", default="monitor", show_default=True, metavar="PATH", help="Where the report is written.")
@click.option("--trust", type=FILE, help="The public keys whose signatures count: a file or a folder.")
def main(folder: str, captured: str, labels: str | None, alarms: float, rows: int, out: str, trust: str | None) -> int:
    """Write the report and print what was named; 1 where there was an alarm."""
    from hwds.production.monitor.captured import read_captured, read_labels
    from hwds.production.monitor.page import write_report
    from hwds.production.monitor.watch import watched
    from hwds.production.services.opening import Bundle

    bundle = Bundle.open(folder, trust)
    known = read_labels(Path(labels)) if labels else None
    asked = read_captured(Path(captured))
    digest = bundle.manifest.digest
    report = watched(bundle.json("reference.json"), asked, bundle=digest, per_month=alarms, labels=known, rows=rows)
    write_report(Path(out), report)
    for remark in report.remarks:
        print(remark)
    for violation in report.violations:
        print(violation["description"])
    raised = sum(bool(window.alarm) for window in report.windows)
    print(
        f"{len(report.windows)} windows, {raised} alarms (at most {alarms:g} false ones a month): {Path(out) / 'report.html'}"
    )
    return 1 if raised else 0
