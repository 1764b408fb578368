"""What a study came to: what follows from its runs by its rule, and whether that is what was frozen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hwds.app_study import Ran
from hwds.compare.source import Source
from hwds.compare.studying import contrasts_of, scores_of
from hwds.config.study import Study
from hwds.results.comparison import Comparison
from hwds.results.study import StudyFound

if TYPE_CHECKING:
    import polars as pl


def found_of(study: Study, ran: Ran, each: Mapping[str, Comparison], amended: tuple[str, ...]) -> StudyFound:
    """What the study came to."""
    contrasts = contrasts_of(study, each)
    verdicts = dict(zip(contrasts["contrast"], contrasts["verdict"], strict=True))
    sources = {name: Source.read(list(folders.values())) for name, folders in ran.folders.items()}
    codes = sorted({source.code for own in sources.values() for source in own})
    return StudyFound(
        study.name,
        study.plan,
        study.plan_hash,
        study.decided(verdicts),
        next(iter(each.values())).measure.measured_in,
        contrasts,
        _scores(study, sources),
        (*_notes(each), *_states(codes), *ran.incomplete),
        amended,
        _origin(ran) | {"code": codes},
    )


def _scores(study: Study, sources: Mapping[str, Sequence[Source]]) -> pl.DataFrame:
    """Those of all experiments."""
    import polars as pl

    return pl.concat(scores_of(name, own, study.metric) for name, own in sources.items())


def _origin(ran: Ran) -> dict[str, Any]:
    """The versions and the machine of the first run."""
    first = next(iter(ran.folders.values()))
    told = next(iter(first.values())).read_provenance()
    return {key: told[key] for key in ("versions", "machine")}


def _states(codes: Sequence[str]) -> Iterator[str]:
    """That runs are of several states of the code, where they are."""
    if len(codes) > 1:
        yield f"Runs are of {len(codes)} states of the code: {', '.join(code[:6] for code in codes)}."


def _notes(each: Mapping[str, Comparison]) -> Iterator[str]:
    """What is to be known before the numbers are read, each note once."""
    bearers: dict[str, list[str]] = {}
    for name, found in each.items():
        for note in found.notes:
            bearers.setdefault(note, []).append(name)
    yield from (note if len(names) == len(each) else f"{', '.join(names)}: {note}" for note, names in bearers.items())


def differs(found: StudyFound, frozen: StudyFound) -> list[str]:
    """The contrasts whose verdict is no longer the frozen one."""
    before = dict(zip(frozen.contrasts["contrast"], frozen.contrasts["verdict"], strict=True))
    now = dict(zip(found.contrasts["contrast"], found.contrasts["verdict"], strict=True))
    return [
        f"{name}: {verdict}, frozen {before.get(name, 'absent')}"
        for name, verdict in now.items()
        if before.get(name) != verdict
    ]
