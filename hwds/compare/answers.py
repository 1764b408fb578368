"""Answer: the rows of one model on one dataset under one seed; and those rows that all models share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from hwds.compare.source import Source


@dataclass(frozen=True, eq=False)
class Answer:
    """The rows of a model.

    Attributes:
        model: Its label, which tells it apart from all others.
        dataset: The dataset's label.
        seed: The experiment's seed.
        source: Where they are from.
        label: How the model is called there.
        rows: Its predictions.
    """

    model: str
    dataset: str
    seed: int
    source: Source
    label: str
    rows: pl.DataFrame


def answers_of(
    sources: Sequence[Source], datasets: Sequence[str], labels: Sequence[dict[str, str]]
) -> tuple[list[Answer], list[str]]:
    """Return the answers of all models that were run on every dataset, each once, and the names of the others."""
    predictions: dict[tuple[str, str, int], Answer] = {}
    for source, dataset, labels_of_source in zip(sources, datasets, labels, strict=True):
        for label, model in labels_of_source.items():
            answer = Answer(model, dataset, source.seed, source, label, source.rows(label))
            predictions.setdefault((model, dataset, source.seed), answer)
    everywhere = set(datasets)
    on = {model: {dataset for label, dataset, _ in predictions if label == model} for model, _, _ in predictions}
    missing = [model for model, label in on.items() if label != everywhere]
    return [answer for answer in predictions.values() if answer.model not in missing], missing


def shared(answers: Sequence[Answer], keys: Sequence[str]) -> tuple[list[Answer], int]:
    """Return the answers with only the rows that all models share on their dataset, and how many rows the fullest lost.

    Args:
        answers: Of every model, dataset and seed.
        keys: The columns that name a row.
    """
    kept: list[Answer] = []
    lost = 0
    for dataset in dict.fromkeys(answer.dataset for answer in answers):
        own = _in_order([answer for answer in answers if answer.dataset == dataset], keys)
        common = own[0].rows.select(keys)
        for answer in own[1:]:
            if not _alike(answer.rows, common, keys):
                common = common.join(answer.rows.select(keys), on=keys, how="semi", maintain_order="left")
        lost += max(len(answer.rows) for answer in own) - len(common)
        kept += [_cut(answer, common, keys) for answer in own]
    return kept, lost


def _in_order(answers: Sequence[Answer], keys: Sequence[str]) -> list[Answer]:
    """Return the answers with their rows sorted; those that lie as the first one's do are put in its order."""
    first = answers[0].rows
    order = first.select(pl.arg_sort_by(keys)).to_series()
    done = bool((order == pl.int_range(len(order), eager=True)).all())
    in_order = []
    for answer in answers:
        rows = answer.rows
        if not _alike(rows, first, keys):
            in_order.append(replace(answer, rows=rows.sort(keys)))
        else:
            in_order.append(answer if done else replace(answer, rows=rows[order]))
    return in_order


def _alike(rows: pl.DataFrame, others: pl.DataFrame, keys: Sequence[str]) -> bool:
    return all(rows[key].equals(others[key]) for key in keys)


def _cut(answer: Answer, common: pl.DataFrame, keys: Sequence[str]) -> Answer:
    if len(answer.rows) == len(common):
        return answer
    return replace(answer, rows=answer.rows.join(common, on=keys, how="semi", maintain_order="left"))
