"""Answer a question by a rule written down before: `hwds study experiments/NAME [compute=...] [--read] [--renew]`.

The same command goes on where it was stopped. `--read` runs nothing and decides where all runs are there; `--renew` replaces
frozen results; `--amended` goes on although the plan was changed after results were known, and the report tells it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hwds.errors import ConfigError
from hwds.flags import parsed

if TYPE_CHECKING:
    from hwds.app_study import Ran
    from hwds.config.study import Study
    from hwds.results.study import StudyState

BARE = ("--read", "--renew", "--amended")
"""Run nothing; replace frozen results; go on although the plan was changed after results were known, and say so."""


def main(words: list[str]) -> int:
    """Run what is missing of a study, compare, and say what follows by its rule; the same command goes on where it was."""
    names, flags = parsed("study", words, (), BARE)
    if not names or "=" in names[0]:
        raise ConfigError("study: must be followed by the folder of a study, or its name below experiments/.")
    from hwds.app_study import amendments, jobs_of, plans_with_results, run_all, runs_read, state_of, told_before
    from hwds.config.study import Study

    study, folder = Study.find(names[0])
    state = state_of(study, names[1:])
    jobs = jobs_of(study, names[1:])
    changed = amendments(study, list(plans_with_results(folder, state)))
    if changed and "--amended" not in flags:
        raise ConfigError(
            f"study '{study.name}': its plan was changed after results were known ({'; '.join(changed)}); take the change"
            " back, ask it as another study, or say --amended, which the report will tell."
        )
    amended = tuple(dict.fromkeys((*told_before(folder, state), *changed)))
    ran = runs_read(study, state) if "--read" in flags else run_all(study, jobs, state, amended)
    if ran.failed:
        return told_failed(ran, len(jobs))
    trial = state != state_of(study, ())
    frozen = not trial and ("--renew" in flags or bool(changed) or not (folder / "results").is_dir())
    conclude(study, folder, state, ran, amended, frozen=frozen, trial=trial)
    return 3 if ran.incomplete else 0


def choices() -> list[str]:
    """The studies that there are, and the flags, for completion."""
    from hwds.config.study import studies

    return [*studies(), *BARE]


def told_failed(ran: Ran, runs: int) -> int:
    """Say what failed: a rule that was made for all runs says nothing of some of them."""
    for line in ran.failed[:10]:
        print(f"FAILED {line}")
    more = f" (and {len(ran.failed) - 10} more)" if len(ran.failed) > 10 else ""
    print(
        f"hwds: {len(ran.failed)} of {runs} runs failed{more}: no verdict. Finished ones are kept; the same command goes on.",
        file=sys.stderr,
    )
    return 3


def conclude(
    study: Study, folder: Path, state: StudyState, ran: Ran, amended: tuple[str, ...], *, frozen: bool, trial: bool
) -> None:
    """Compare, decide, write the tables and the report, and say it; a trial, of other words, answers another question."""
    from hwds.app_study import RESULTS, comparisons
    from hwds.app_study_found import differs, found_of
    from hwds.report.leaderboard import print_grids
    from hwds.report.page_run import written
    from hwds.report.page_study import contrasts_grid, study_page
    from hwds.report.study_plot import contrasts_png
    from hwds.results.study import StudyFound

    each = comparisons(study, ran)
    found = found_of(study, ran, each, amended)
    where = folder if frozen else state.path
    found.write(where / RESULTS)
    contrasts_png(found, where / "contrasts.png")
    html, _ = written(study_page(found, each), where)
    print_grids([contrasts_grid(found)], found.notes, found.verdict)
    if not (frozen or trial) and (folder / RESULTS / "study.json").is_file():
        other = differs(found, StudyFound.read(folder / RESULTS))
        print(f"Not as frozen: {'; '.join(other)}." if other else "Every contrast comes to what was frozen.")
    print(f"Study: {where} ({html.name}, report.md, {RESULTS}/)")
