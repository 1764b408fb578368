"""One study: its plan checked against known results, its runs, and the verdict of its rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwds.cli.run import failed_cells, run_prepared
from hwds.core.compose import compose
from hwds.core.errors import ConfigError, HwdsError, nearest
from hwds.core.files import digest
from hwds.core.recipe import show_value
from hwds.core.study import Study
from hwds.experiment.prepare import Prepared, prepare
from hwds.experiment.spec import Experiment, check
from hwds.report.progress import StudyLine
from hwds.results.comparison import Comparison, StudyResult, StudyState
from hwds.results.folder import RunFolder
from hwds.results.formatting import counted
from hwds.search.sweeps.base import Searching
from hwds.stats.compare import compare_experiment, contrasts_of, experiment_scores
from hwds.stats.effects import RESAMPLES
from hwds.stats.sources import RunSource
from hwds.track.mirroring import is_mirrored

if TYPE_CHECKING:
    import polars as pl


# One study: its plan checked against results that are known already, and its runs.

NUMBERLESS = ("compute", "tracker")
"""Groups that a study may be given without being another one: they change no number."""

RESULTS = "results"
"""The folder of a study's frozen tables."""


@dataclass(frozen=True, eq=False)
class StudyJob:
    """One run of a study before it begins: the name of the experiment, its seed, the composed
    config, and the same typed.
    """

    name: str
    seed: int
    data: dict[str, Any]
    experiment: Experiment


@dataclass(frozen=True, eq=False)
class StudyRuns:
    """The runs of a study: of each experiment and seed its folder, and failures of runs and of
    cells, in words.
    """

    folders: dict[str, dict[int, RunFolder]]
    failed: tuple[str, ...] = ()
    incomplete: tuple[str, ...] = ()


def jobs_of(study: Study, words: Sequence[str]) -> list[StudyJob]:
    """Return the jobs of all runs of a study, each composed and checked before the first begins.

    Raises:
        ConfigError: One is wrong.
    """
    return [_job(study, name, seed, words) for name in study.experiments for seed in study.seeds]


def _job(study: Study, name: str, seed: int, words: Sequence[str]) -> StudyJob:
    try:
        data = compose([*study.words_of(name, seed), *words], typed=words)
        data["experiment"] = (
            study.name if data.get("experiment", "adhoc") == "adhoc" else data["experiment"]
        )
        data["tracker"] |= (
            {"group": data["tracker"].get("group") or study.name}
            if data["tracker"]["name"] != "none"
            else {}
        )
        experiment = check(data)
    except ConfigError as error:
        raise ConfigError(f"experiments '{name}': {error}") from error
    if isinstance(experiment.sweep, Searching):
        raise ConfigError(
            f"experiments '{name}': a study does not search; sweep must be none, got "
            f"'{experiment.sweep.name}'."
        )
    labels = list(experiment.models)
    for model in (study.model, *study.rivals):
        if not any(model in (label, label.rpartition("/")[2]) for label in labels):
            where = "model" if model == study.model else "rivals"
            raise ConfigError(
                f"{where}: no model '{model}' in experiment '{name}'{nearest(model, labels)}"
            )
    return StudyJob(name, seed, data, experiment)


def plan_changes(study: Study, earlier: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return how the plan differs from those under which results are known already: `margin: 0.05,
    and before 0.02`.
    """
    changes = []
    for plan in earlier:
        for key in dict.fromkeys((*plan, *study.plan)):
            if plan.get(key) != study.plan.get(key):
                changes.append(
                    f"{key}: {show_value(study.plan.get(key))}, and before "
                    f"{show_value(plan.get(key))}"
                )
    return tuple(dict.fromkeys(changes))


def plans_with_results(folder: Path, state: StudyState) -> Iterator[Mapping[str, Any]]:
    """Yield the plans under which results are known: those of frozen tables, and of finished
    runs.
    """
    if frozen := frozen_result(folder):
        yield frozen.plan
    stored = state.read()
    if stored.get("runs"):
        yield stored["plan"]


def earlier_amendments(folder: Path, state: StudyState) -> tuple[str, ...]:
    """Return the changes of the plan that are recorded already: they stay, however often the study
    is run again.
    """
    frozen = frozen_result(folder)
    before = frozen.amended if frozen else ()
    return tuple(dict.fromkeys((*before, *state.read().get("amended", ()))))


def frozen_result(folder: Path) -> StudyResult | None:
    """Return the frozen result of a study; None where there is none."""
    stored = folder / RESULTS
    return StudyResult.read(stored) if (stored / "study.json").is_file() else None


def state_of(study: Study, words: Sequence[str]) -> StudyState:
    """Return where the runs are recorded; words that change numbers make it another place."""
    changes = [word for word in words if word.partition("=")[0].partition(".")[0] not in NUMBERLESS]
    return StudyState.of(study.name, digest(changes) if changes else "")


def run_all(
    study: Study, jobs: Sequence[StudyJob], state: StudyState, amended: Sequence[str]
) -> StudyRuns:
    """Run all jobs, one after the other; one that fails is recorded, and the others go on."""
    line = StudyLine(len(jobs))
    folders: dict[str, dict[int, RunFolder]] = {name: {} for name in study.experiments}
    failed, incomplete = [], []
    for job in jobs:
        line.begin_run(job.name, job.seed)
        try:
            folder, failures = _run(job, line)
        except HwdsError as error:
            failed.append(f"{job.name}, seed {job.seed}: {error}")
            line.end_run(str(error))
            continue
        line.end_run()
        incomplete += (
            [f"{job.name}, seed {job.seed}: {counted(failures, 'cells')} failed"]
            if failures
            else []
        )
        folders[job.name][job.seed] = folder
        state.write(study.plan, study.plan_hash, _titles(folders), amended)
    return StudyRuns(folders, tuple(failed), tuple(incomplete))


def _run(job: StudyJob, line: StudyLine) -> tuple[RunFolder, int]:
    """Return the folder of one run, computed where it is not complete, and how many cells failed
    within the limit.
    """
    prepared = prepare(job.experiment)
    trackers = job.experiment.tracker.parts()
    if _is_complete(prepared) and all(is_mirrored(each, prepared.folder.path) for each in trackers):
        return prepared.folder, 0
    return prepared.folder, failed_cells(run_prepared(prepared, job.data, line))


def _is_complete(prepared: Prepared) -> bool:
    """Return whether a run is finished, undamaged and without failures.

    All that numbers depend on names its folder.
    """
    try:
        return bool((prepared.folder.read_tables().timings["status"] == "ok").all())
    except HwdsError:  # not finished, or damaged: it is computed again
        return False


def stored_runs(study: Study, state: StudyState) -> StudyRuns:
    """Return the finished runs of a study, without running any.

    Raises:
        HwdsError: Not all of them are there.
    """
    titles = state.read().get("runs", {})
    if not titles:
        raise HwdsError(
            f"study '{study.name}': no finished run here; `hwds study {study.name}` runs it."
        )
    folders = {
        name: {int(seed): RunFolder.of_title(title) for seed, title in titles.get(name, {}).items()}
        for name in study.experiments
    }
    missing = sum(seed not in folders[name] for name in folders for seed in study.seeds)
    if missing:
        raise HwdsError(
            f"study '{study.name}': {counted(missing, 'runs')} {'is' if missing == 1 else 'are'} "
            f"missing;"
            f" `hwds study {study.name}` goes on with it."
        )
    return StudyRuns(folders)


def comparisons(
    study: Study, runs: StudyRuns, *, margin: float | None = None, resamples: int = RESAMPLES
) -> dict[str, Comparison]:
    """Return the comparison of each experiment."""
    return {
        name: compare_experiment(
            study, RunSource.read(list(folders.values())), margin=margin, resamples=resamples
        )
        for name, folders in runs.folders.items()
    }


def study_comparisons(name: str, margin: float | None, resamples: int) -> dict[str, Comparison]:
    """Return the comparisons of the finished runs of a study.

    Raises:
        HwdsError: Not all of its runs are there.
    """
    study, _ = Study.find(name)
    return comparisons(
        study, stored_runs(study, state_of(study, ())), margin=margin, resamples=resamples
    )


def _titles(folders: Mapping[str, Mapping[int, RunFolder]]) -> dict[str, dict[str, str]]:
    return {
        name: {str(seed): folder.title for seed, folder in by_seed.items()}
        for name, by_seed in folders.items()
        if by_seed
    }


# The result of a study: the verdict of its rule on its runs, and how it differs from the frozen
# one.


def study_result(
    study: Study, runs: StudyRuns, each: Mapping[str, Comparison], amended: tuple[str, ...]
) -> StudyResult:
    """Return the result of a study from its runs and their comparisons."""
    contrasts = contrasts_of(study, each)
    verdicts = dict(zip(contrasts["contrast"], contrasts["verdict"], strict=True))
    sources = {
        name: RunSource.read(list(folders.values())) for name, folders in runs.folders.items()
    }
    codes = sorted({source.code for group in sources.values() for source in group})
    shown = ", ".join(code[:6] for code in codes)
    states = [f"Runs are of {len(codes)} states of the code: {shown}."] if len(codes) > 1 else []
    origin = next(iter(next(iter(runs.folders.values())).values())).read_provenance()
    return StudyResult(
        study.name,
        study.plan,
        study.plan_hash,
        study.answer(verdicts),
        next(iter(each.values())).measure.measured_in,
        contrasts,
        _scores(study, sources),
        (*_notes(each), *states, *runs.incomplete),
        amended,
        {"versions": origin["versions"], "machine": origin["machine"], "code": codes},
    )


def _scores(study: Study, sources: Mapping[str, Sequence[RunSource]]) -> pl.DataFrame:
    """Return the scores of all experiments."""
    import polars as pl

    return pl.concat(
        experiment_scores(name, group, study.metric) for name, group in sources.items()
    )


def _notes(each: Mapping[str, Comparison]) -> Iterator[str]:
    """Yield the notes of all comparisons, each once."""
    bearers: dict[str, list[str]] = {}
    for name, comparison in each.items():
        for note in comparison.notes:
            bearers.setdefault(note, []).append(name)
    yield from (
        note if len(names) == len(each) else f"{', '.join(names)}: {note}"
        for note, names in bearers.items()
    )


def verdict_changes(result: StudyResult, frozen: StudyResult) -> list[str]:
    """Return the contrasts whose verdict is no longer the frozen one."""
    before = dict(zip(frozen.contrasts["contrast"], frozen.contrasts["verdict"], strict=True))
    now = dict(zip(result.contrasts["contrast"], result.contrasts["verdict"], strict=True))
    return [
        f"{name}: {verdict}, frozen {before.get(name, 'absent')}"
        for name, verdict in now.items()
        if before.get(name) != verdict
    ]
