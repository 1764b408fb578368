"""Watch a bundle in use for drift of inputs, predictions and errors.

Captured requests (`hwds serve --capture`) are compared, window by window, with the bundle's
statistics of its run. While nothing changes, alarms are at most as frequent as stated. The columns
that an alarm names are corrected for their number. If labels have arrived, an alarm shows the gain
of a model refitted on the captured rows.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from hwds.cli.words import (
    FILE,
    JSON_ALONE,
    TRUST,
    NumberWithin,
    OneOf,
    WholeNumber,
    command,
    number_option,
    print_json,
)
from hwds.core.errors import ConfigError

ARMS = ("main", "canary", "shadow")


@command(help=__doc__)
@click.argument("folder", metavar="FOLDER")
@click.argument("captured", metavar="CAPTURED")
@click.option(
    "--labels", type=FILE, help="The labels that have arrived: CSV or JSON lines with id and label."
)
@number_option("--alarms", NumberWithin(0.001, 100), "False alarms a month.", 0.1)
@number_option("--rows", WholeNumber(50, 100_000), "Rows of a window.", 500)
@click.option(
    "--out",
    default="monitor",
    show_default=True,
    metavar="PATH",
    help="The folder of the report.",
)
@click.option(
    "--arm", type=OneOf(*ARMS), default="main", show_default=True, help="Whose answers are watched."
)
@click.option("--by", metavar="COLUMN", help="Watch each text of this column apart, too.")
@click.option(
    "--challenger",
    type=OneOf(*ARMS[1:]),
    help="Compare the predictions of this arm with main's, by labels.",
)
@TRUST
@JSON_ALONE
def main(
    folder: str, captured: str, labels: str | None, out: str, challenger: str | None, **options: Any
) -> int:
    """Write the report and print what was named; 1 where there was an alarm."""
    from hwds.serve.monitor.watch import read_labels
    from hwds.serve.services.opening import Bundle

    arrived = read_labels(Path(labels)) if labels else None
    if challenger is not None:
        Bundle.open(folder, options["trust"])
        return compare_challenger(
            Path(captured), arrived, challenger, Path(out), as_json=options["as_json"]
        )
    return watch_arm(folder, Path(captured), arrived, Path(out), **options)


def watch_arm(
    folder: str,
    captured: Path,
    labels: dict[str, float] | None,
    out: Path,
    alarms: float,
    rows: int,
    arm: str,
    by: str | None,
    trust: str | None,
    as_json: bool,
) -> int:
    """Watch what an arm has answered; 1 where there was an alarm."""
    from hwds.core.checksums import write_json
    from hwds.serve.monitor.retraining import propose_refit
    from hwds.serve.monitor.watch import read_captured, watch_bundle, watch_segments, write_report
    from hwds.serve.services.opening import Bundle

    bundle = Bundle.open(folder, trust)
    answered, reference = read_captured(captured, arm), bundle.json("reference.json")
    terms: dict[str, Any] = {"bundle": bundle.manifest.digest, "labels": labels, "rows": rows}
    share = alarms / 2 if by else alarms
    reports = {out: watch_bundle(reference, answered, per_month=share, **terms)}
    if by:
        by_segment = watch_segments(reference, answered, by, per_month=share, **terms)
        reports |= {
            out / f"{by}={quote(value, safe='')}": report for value, report in by_segment.items()
        }
    raised = 0
    (out / "retraining.json").unlink(missing_ok=True)  # of an earlier look
    if labels and any(window.alarm for report in reports.values() for window in report.windows):
        proposal = propose_refit(bundle, answered, labels)
        write_json(out / "retraining.json", proposal.as_dict())
        reports[out] = replace(reports[out], remarks=(*reports[out].remarks, proposal.sentence))
    for place, report in reports.items():
        write_report(place, report)
        count = sum(bool(window.alarm) for window in report.windows)
        for line in (
            *report.remarks,
            *(violation["description"] for violation in report.violations),
        ):
            print(line)
        promise = f"at most {report.per_month:.2g} false ones a month"
        print(f"{len(report.windows)} windows, {count} alarms ({promise}): {place / 'report.html'}")
        raised += count
    if as_json:
        print_json([{"folder": str(place), **asdict(each)} for place, each in reports.items()])
    return 1 if raised else 0


def compare_challenger(
    captured: Path, labels: dict[str, float] | None, arm: str, out: Path, *, as_json: bool
) -> int:
    """Compare an arm with main by the labels that have arrived."""
    from hwds.core.checksums import write_json
    from hwds.serve.monitor.retraining import judge_arms
    from hwds.serve.monitor.watch import read_captured

    if labels is None:
        raise ConfigError("--challenger: needs --labels.")
    judgement = judge_arms(read_captured(captured), read_captured(captured, arm), labels)
    record = {**asdict(judgement), "sentence": judgement.sentence}
    write_json(out / "challenger.json", record)
    print(judgement.sentence)
    if as_json:
        print_json(record)
    return 0
