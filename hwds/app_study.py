"""One study: its plan checked against what is known already, and its runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwds.app_run import recorded
from hwds.compare.comparing import RESAMPLES
from hwds.compare.source import Source
from hwds.compare.studying import compared
from hwds.config.check import check
from hwds.config.compose import compose
from hwds.config.messages import shown
from hwds.config.spec import Experiment
from hwds.config.study import Study
from hwds.errors import ConfigError, HwdsError, nearest
from hwds.execution.prepare import Prepared, prepare
from hwds.hashing import digest
from hwds.report.study_line import StudyLine
from hwds.results.comparison import Comparison
from hwds.results.folder import OUTPUTS, RunFolder
from hwds.results.study import StudyFound, StudyState
from hwds.results.wording import counted
from hwds.tracking.mirroring import settled

NUMBERLESS = ("compute", "tracker")
"""Groups that a study may be given without being another one: they change no number."""

RESULTS = "results"
"""The folder of a study's frozen tables."""


@dataclass(frozen=True, eq=False)
class Job:
    """One run of a study before it begins."""

    experiment: str
    seed: int
    data: dict[str, Any]
    typed: Experiment


@dataclass(frozen=True, eq=False)
class Ran:
    """The runs of a study: of each experiment and seed its folder, and what failed, in words."""

    folders: dict[str, dict[int, RunFolder]]
    failed: tuple[str, ...] = ()
    incomplete: tuple[str, ...] = ()


def jobs_of(study: Study, words: Sequence[str]) -> list[Job]:
    """All runs of a study, each composed and checked before the first begins.

    Raises:
        ConfigError: One is wrong; which, and how.
    """
    return [_job(study, name, seed, words) for name in study.experiments for seed in study.seeds]


def _job(study: Study, name: str, seed: int, words: Sequence[str]) -> Job:
    try:
        data = compose([*study.words_of(name, seed), *words])
        data["experiment"] = study.name if data.get("experiment", "adhoc") == "adhoc" else data["experiment"]
        data["tracker"] |= {"group": data["tracker"].get("group") or study.name} if data["tracker"]["name"] != "none" else {}
        typed = check(data)
    except ConfigError as error:
        raise ConfigError(f"experiments '{name}': {error}") from error
    sweep: Any = typed.sweep
    if sweep.searches:
        raise ConfigError(f"experiments '{name}': a study does not search; sweep must be none, got '{sweep.name}'.")
    labels = list(typed.models)
    for model in (study.model, *study.rivals):
        if not any(model in (label, label.rpartition("/")[2]) for label in labels):
            where = "model" if model == study.model else "rivals"
            raise ConfigError(f"{where}: no model '{model}' in experiment '{name}'{nearest(model, labels)}")
    return Job(name, seed, data, typed)


def amendments(study: Study, earlier: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """What of the plan differs from that under which results are known already: `margin: 0.05, and before 0.02`."""
    found = []
    for plan in earlier:
        for key in dict.fromkeys((*plan, *study.plan)):
            if plan.get(key) != study.plan.get(key):
                found.append(f"{key}: {shown(study.plan.get(key))}, and before {shown(plan.get(key))}")
    return tuple(dict.fromkeys(found))


def plans_with_results(folder: Path, state: StudyState) -> Iterator[Mapping[str, Any]]:
    """The plans under which something is known: frozen tables, or finished runs."""
    if (folder / RESULTS / "study.json").is_file():
        yield StudyFound.read(folder / RESULTS).plan
    told = state.read()
    if told.get("runs"):
        yield told["plan"]


def told_before(folder: Path, state: StudyState) -> tuple[str, ...]:
    """What was told already of changes of the plan: it stays told, however often the study is run again."""
    frozen = StudyFound.read(folder / RESULTS).amended if (folder / RESULTS / "study.json").is_file() else ()
    return tuple(dict.fromkeys((*frozen, *state.read().get("amended", ()))))


def state_of(study: Study, words: Sequence[str]) -> StudyState:
    """Where the runs are told; words that change numbers make it another one."""
    changes = [word for word in words if word.partition("=")[0].partition(".")[0] not in NUMBERLESS]
    return StudyState.of(study.name, digest(changes) if changes else "")


def run_all(study: Study, jobs: Sequence[Job], state: StudyState, amended: Sequence[str]) -> Ran:
    """All runs, one after the other; one that fails is told, and the others go on."""
    line = StudyLine(len(jobs))
    folders: dict[str, dict[int, RunFolder]] = {name: {} for name in study.experiments}
    failed, incomplete = [], []
    for job in jobs:
        line.run(job.experiment, job.seed)
        try:
            folder, lost = _run(job, line)
        except HwdsError as error:
            failed.append(f"{job.experiment}, seed {job.seed}: {error}")
            line.ran(str(error))
            continue
        line.ran()
        incomplete += [f"{job.experiment}, seed {job.seed}: {counted(lost, 'cells')} failed"] if lost else []
        folders[job.experiment][job.seed] = folder
        state.write(study.plan, study.plan_hash, _titles(folders), amended)
    return Ran(folders, tuple(failed), tuple(incomplete))


def _run(job: Job, line: StudyLine) -> tuple[RunFolder, int]:
    """The folder of one run, computed where it is not there whole, and how many cells failed within the limit."""
    prepared = prepare(job.typed)
    if _whole(prepared) and _mirrored(job, prepared):
        return prepared.folder, 0
    found = recorded(prepared, job.data, line)
    lost = int((found.tables.timings["status"] != "ok").sum())
    compute: Any = job.typed.compute
    if lost > compute.max_failed:
        raise HwdsError(f"{lost} of {len(found.tables.timings)} cells failed; compute.max_failed is {compute.max_failed}.")
    return prepared.folder, lost


def _mirrored(job: Job, prepared: Prepared) -> bool:
    """Whether the trackers asked for have the run."""
    tracker: Any = job.typed.tracker
    return all(settled(part, prepared.folder.path) for part in tracker.parts())


def _whole(prepared: Prepared) -> bool:
    """Whether a run is finished, sound and nothing in it failed: its folder is named by all that its numbers depend on."""
    try:
        return bool((prepared.folder.read_tables().timings["status"] == "ok").all())
    except HwdsError:  # not finished, or damaged: it is computed again
        return False


def runs_read(study: Study, state: StudyState) -> Ran:
    """The runs that are there, without running any.

    Raises:
        HwdsError: Not all of them are there.
    """
    told = state.read().get("runs", {})
    if not told:
        raise HwdsError(f"study '{study.name}': no finished run here; `hwds study {study.name}` runs it.")
    folders = {
        name: {int(seed): RunFolder((OUTPUTS / "runs" / title).resolve()) for seed, title in told.get(name, {}).items()}
        for name in study.experiments
    }
    missing = sum(seed not in folders[name] for name in folders for seed in study.seeds)
    if missing:
        raise HwdsError(
            f"study '{study.name}': {counted(missing, 'runs')} {'is' if missing == 1 else 'are'} missing;"
            f" `hwds study {study.name}` goes on with it."
        )
    return Ran(folders)


def comparisons(study: Study, ran: Ran, *, margin: float | None = None, resamples: int = RESAMPLES) -> dict[str, Comparison]:
    """Each experiment's comparison."""
    return {
        name: compared(study, Source.read(list(folders.values())), margin=margin, resamples=resamples)
        for name, folders in ran.folders.items()
    }


def of_study(name: str, margin: float | None, resamples: int) -> dict[str, Comparison]:
    """The comparisons of a study's runs, of those that are there.

    Raises:
        HwdsError: Not all of them are.
    """
    study, _ = Study.find(name)
    return comparisons(study, runs_read(study, state_of(study, ())), margin=margin, resamples=resamples)


def _titles(folders: Mapping[str, Mapping[int, RunFolder]]) -> dict[str, dict[str, str]]:
    return {name: {str(seed): folder.title for seed, folder in own.items()} for name, own in folders.items() if own}
