"""The result of a study: the verdict of its rule on its runs, and how it differs from the frozen one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hwds.app.study import StudyRuns
from hwds.compare.source import Source
from hwds.compare.study_contrasts import contrasts_of, scores_of
from hwds.config.study import Study
from hwds.results.comparison import Comparison
from hwds.results.study import StudyResult

if TYPE_CHECKING:
    import polars as pl


def result_of(study: Study, runs: StudyRuns, each: Mapping[str, Comparison], amended: tuple[str, ...]) -> StudyResult:
    """Return the result of a study from its runs and their comparisons."""
    contrasts = contrasts_of(study, each)
    verdicts = dict(zip(contrasts["contrast"], contrasts["verdict"], strict=True))
    sources = {name: Source.read(list(folders.values())) for name, folders in runs.folders.items()}
    codes = sorted({source.code for group in sources.values() for source in group})
    return StudyResult(
        study.name,
        study.plan,
        study.plan_hash,
        study.decided(verdicts),
        next(iter(each.values())).measure.measured_in,
        contrasts,
        _scores(study, sources),
        (*_notes(each), *_states(codes), *runs.incomplete),
        amended,
        _origin(runs) | {"code": codes},
    )


def _scores(study: Study, sources: Mapping[str, Sequence[Source]]) -> pl.DataFrame:
    """Return the scores of all experiments."""
    import polars as pl

    return pl.concat(scores_of(name, group, study.metric) for name, group in sources.items())


def _origin(runs: StudyRuns) -> dict[str, Any]:
    """Return the versions and the machine of the first run."""
    first = next(iter(runs.folders.values()))
    provenance = next(iter(first.values())).read_provenance()
    return {key: provenance[key] for key in ("versions", "machine")}


def _states(codes: Sequence[str]) -> Iterator[str]:
    """Yield a note where runs are of several states of the code."""
    if len(codes) > 1:
        yield f"Runs are of {len(codes)} states of the code: {', '.join(code[:6] for code in codes)}."


def _notes(each: Mapping[str, Comparison]) -> Iterator[str]:
    """Yield the notes of all comparisons, each once."""
    bearers: dict[str, list[str]] = {}
    for name, comparison in each.items():
        for note in comparison.notes:
            bearers.setdefault(note, []).append(name)
    yield from (note if len(names) == len(each) else f"{', '.join(names)}: {note}" for note, names in bearers.items())


def differences(result: StudyResult, frozen: StudyResult) -> list[str]:
    """Return the contrasts whose verdict is no longer the frozen one."""
    before = dict(zip(frozen.contrasts["contrast"], frozen.contrasts["verdict"], strict=True))
    now = dict(zip(result.contrasts["contrast"], result.contrasts["verdict"], strict=True))
    return [
        f"{name}: {verdict}, frozen {before.get(name, 'absent')}"
        for name, verdict in now.items()
        if before.get(name) != verdict
    ]
