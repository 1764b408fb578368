"""Answer a question by a rule that was written down before.

The same command continues a stopped study. Settings such as `compute=ray` may follow.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hwds.cli.words import (
    JSON_ALONE,
    QUIET,
    KnownWord,
    command,
    print_json,
    study_names,
)
from hwds.core.errors import ConfigError

if TYPE_CHECKING:
    from hwds.cli.study import StudyRuns
    from hwds.core.study import Study
    from hwds.results.comparison import StudyResult, StudyState


@command(help=__doc__)
@click.argument(
    "words",
    nargs=-1,
    type=KnownWord("study", study_names),
    metavar="STUDY [GROUP=OPTION] [PATH.TO.KEY=VALUE] ...",
)
@click.option("--read", is_flag=True, help="Run nothing, and decide where all runs are there.")
@click.option("--renew", is_flag=True, help="Replace frozen results.")
@click.option(
    "--amended",
    is_flag=True,
    help="Go on although the plan was changed after results were known, and report it.",
)
@JSON_ALONE
@QUIET
def main(words: tuple[str, ...], **how: bool) -> int:
    """Run what is missing of a study, compare, and say what follows by its rule."""
    if not words or "=" in words[0]:
        raise ConfigError(
            "study: must be followed by the folder of a study, or its name below experiments/."
        )
    return answer_study(words[0], words[1:], **how)


def answer_study(
    name: str,
    words: Sequence[str],
    *,
    read: bool = False,
    renew: bool = False,
    amended: bool = False,
    as_json: bool = False,
) -> int:
    """Run what is missing of a study unless it is only read, compare, and say what follows.

    Args:
        name: Its folder, or its name below experiments/.
        words: What its experiments are composed with, too.
        read: Whether to run nothing.
        renew: Whether frozen results are replaced.
        amended: Whether the plan may have been changed after results were known.
        as_json: Print the result as data, too.

    Returns:
        The process's exit code.

    Raises:
        ConfigError: The plan was changed, and that was not to be.
    """
    from hwds.cli.study import (
        earlier_amendments,
        jobs_of,
        plan_changes,
        plans_with_results,
        run_all,
        state_of,
        stored_runs,
    )
    from hwds.core.study import Study

    study, folder = Study.find(name)
    state = state_of(study, words)
    jobs = jobs_of(study, words)
    changed = plan_changes(study, list(plans_with_results(folder, state)))
    if changed and not amended:
        raise ConfigError(
            f"study '{study.name}': its plan was changed after results were known "
            f"({'; '.join(changed)}); take the change"
            " back, ask it as another study, or say --amended, which the report will tell."
        )
    changes = tuple(dict.fromkeys((*earlier_amendments(folder, state), *changed)))
    ran = stored_runs(study, state) if read else run_all(study, jobs, state, changes)
    if ran.failed:
        return print_failed(ran, len(jobs))
    trial = state != state_of(study, ())
    frozen = not trial and (renew or bool(changed) or not (folder / "results").is_dir())
    result, where = conclude_study(study, folder, state, ran, changes, frozen=frozen, trial=trial)
    if as_json:
        from hwds.report.words import study_word

        print_json(
            {
                "study": study.name,
                "folder": str(where),
                "word": study_word(result.contrasts["verdict"]),
                "verdict": result.verdict,
                "contrasts": result.contrasts,
                "notes": result.notes,
            }
        )
    return 3 if ran.incomplete else 0


def print_failed(ran: StudyRuns, runs: int) -> int:
    """Say what failed: a rule that was made for all runs says nothing of some of them."""
    for line in ran.failed[:10]:
        print(f"FAILED {line}")
    more = f" (and {len(ran.failed) - 10} more)" if len(ran.failed) > 10 else ""
    print(
        f"hwds: {len(ran.failed)} of {runs} runs failed{more}: no verdict. Finished ones are "
        f"kept; the same command goes on.",
        file=sys.stderr,
    )
    return 3


def conclude_study(
    study: Study,
    folder: Path,
    state: StudyState,
    ran: StudyRuns,
    amended: tuple[str, ...],
    *,
    frozen: bool,
    trial: bool,
) -> tuple[StudyResult, Path]:
    """Compare, decide, write the tables and the report, say it, and return the result with its
    folder.

    A trial, of other words, answers another question.
    """
    from hwds.cli.study import RESULTS, comparisons, frozen_result, study_result, verdict_changes
    from hwds.report.comparison import contrasts_figure
    from hwds.report.pages import contrasts_grid, study_page, write_page
    from hwds.report.pictures import save_png
    from hwds.report.verdict import Shown, print_shown
    from hwds.report.words import study_word
    from hwds.results.formatting import counted

    each = comparisons(study, ran)
    result = study_result(study, ran, each, amended)
    where = folder if frozen else state.path
    result.write(where / RESULTS)
    save_png(contrasts_figure(result), where / "contrasts.png")
    html, _ = write_page(study_page(result, each), where)
    compared = []
    if not (frozen or trial) and (before := frozen_result(folder)):
        other = "; ".join(verdict_changes(result, before))
        same = "Every contrast comes to what was frozen."
        compared = [f"Not as frozen: {other}." if other else same]
    size = (
        f"{counted(len(study.experiments), 'experiments')} x {counted(len(study.seeds), 'seeds')}"
    )
    print_shown(
        Shown(
            title=f"{study.name}   {size}",
            grids=[contrasts_grid(result)],
            said=f"{study_word(result.contrasts['verdict'])}: {result.verdict}",
            notes=[*compared, *result.notes],
            report=str(html),
            files=where,
        )
    )
    return result, where
