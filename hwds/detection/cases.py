"""Cases: alerted rows of one entity, or of several that share an identifier, as tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from polars import DataFrame, Series, col

from hwds.detection.reasons import in_words
from hwds.detection.rows import distinct_codes, entities_of_rows
from hwds.frames.table import ROW_ID, Table
from hwds.results.formatting import counted

# Cases: alerted rows of one entity, or of entities that share an identifier, are one thing to
# look into.

MOST_SHARING = 20
"""Entities that may share a value for it to be a link: what more share is a campus, a forwarder or
a default, not an owner.
"""


def link_columns(frame: Table) -> tuple[str, ...]:
    """Return the columns with the role `link`."""
    return frame.roles.get("link", ())


def case_numbers(rows: DataFrame, frame: Table) -> Series:
    """Return the number of the case of each row, from 0 in the order of the rows.

    Args:
        rows: The rows with `row_id` and `entity`; one without an entity is an entity of its own.
        frame: The table that they are of. Of its columns with the role `link` equal values tie
            entities, unless more than `MOST_SHARING` entities of the whole table share them.
    """
    codes = distinct_codes(entities_of_rows(rows))
    owner = np.arange(int(codes.max(initial=-1)) + 1)
    for name in link_columns(frame):
        for tied in _entities_by_value(rows, codes, frame, name):
            first = _first_entity(owner, tied[0])
            for other in tied[1:]:
                owner[_first_entity(owner, other)] = first
    roots = [_first_entity(owner, code) for code in codes.tolist()]
    numbers = {root: number for number, root in enumerate(dict.fromkeys(roots))}
    return Series("case", [numbers[root] for root in roots], dtype=pl.Int64)


def _entities_by_value(
    rows: DataFrame, codes: np.ndarray, frame: Table, name: str
) -> list[list[int]]:
    """Return the entities of rows that share a value of a column, a list for each value that few
    entities share.
    """
    shared = usable_links(frame, name)
    values = rows.select(ROW_ID).join(
        frame.data.select(ROW_ID, value=col(name)), on=ROW_ID, how="left"
    )
    both = values.with_columns(entity=Series(codes)).filter(col("value").is_in(shared.implode()))
    tied: Series = both.group_by("value", maintain_order=True).agg(
        col("entity").unique(maintain_order=True)
    )["entity"]
    return [each for each in tied.to_list() if len(each) > 1]


def usable_links(frame: Table, name: str) -> Series:
    """Return the values of a link that two entities of the table share, and no more than
    `MOST_SHARING`.
    """
    entity = col(frame.roles["entity"][0]) if frame.roles.get("entity") else pl.lit(None)
    rows = frame.data.select(ROW_ID, value=col(name), entity=entity.cast(pl.String))
    owned = rows.select("value", owner=entities_of_rows(rows))
    counts = owned.drop_nulls("value").group_by("value").agg(owners=col("owner").n_unique())
    return counts.filter(col("owners").is_between(2, MOST_SHARING))["value"]


def _first_entity(owner: np.ndarray, code: int) -> int:
    while owner[code] != code:
        owner[code] = owner[owner[code]]
        code = int(owner[code])
    return code


# Tables of cases: one row a case, and the rows that it is made of.

ScoreOf = Literal["highest", "mean"]
"""The score of an entity: the highest of its rows, or their mean; a case has the highest of its
entities.
"""

MOST_REASONS = 3
"""Reasons of a case."""

SEVERITY = {"block": 3, "review": 2, "random_review": 1}
"""The order of tiers."""


@dataclass(frozen=True, eq=False)
class Cases:
    """Cases, the first to be looked at first.

    Attributes:
        table: One row a case: `case` (its name), `kind` (`ring`: several entities; `account`: one
            entity with several rows; `row`), `entities`, `rows`, `first`, `last`, `at_stake`,
            `score`, `tier` (the gravest of its rows; null without one), `shares` (what ties its
            entities), `reasons`.
        rows: The rows of all cases, with their `case`, their links and their reasons.
    """

    table: DataFrame
    rows: DataFrame


def cases_of_rows(
    rows: DataFrame, frame: Table, *, score_of: ScoreOf = "highest", by_stake: bool = False
) -> Cases:
    """Return the cases of rows.

    Args:
        rows: `row_id, id, time, entity, score, probability, p_value, at_stake, tier` and `reasons`
            (as in predictions).
        frame: The table that they are of.
        score_of: The score of an entity: the highest of its rows, or their mean.
        by_stake: Whether cases are in the order of what is at stake, and not of their scores.
    """
    links = link_columns(frame)
    linked = frame.data.select(
        ROW_ID, *(col(name).cast(pl.String).alias(f"link: {name}") for name in links)
    )
    wide = rows.with_columns(case_numbers(rows, frame)).join(
        linked, on=ROW_ID, how="left", maintain_order="left"
    )
    of = col("score").mean() if score_of == "mean" else col("score").max()
    alone = col("entity").fill_null(pl.format("row {}", col(ROW_ID) + 1)).alias("who")
    scored = wide.with_columns(alone).with_columns(own=of.over("case", "who"))
    made = scored.group_by("case", maintain_order=True).agg(
        entities=col("who").unique(maintain_order=True),
        rows=pl.len().cast(pl.Int64),
        first=col("time").min(),
        last=col("time").max(),
        at_stake=col("at_stake").sum(),
        score=col("own").max(),
        tier=col("tier").sort_by(col("tier").replace_strict(SEVERITY, default=0)).last(),
    )
    ordered = made.sort(
        "at_stake" if by_stake else "score", "case", descending=[True, False], nulls_last=True
    )
    ordered = ordered.with_columns(
        name=pl.format("C-{}", pl.int_range(1, pl.len() + 1).cast(pl.String).str.zfill(4))
    )
    parts = {number: part for (number,), part in wide.group_by("case", maintain_order=True)}
    usable = {name: set(usable_links(frame, name).cast(pl.String).to_list()) for name in links}
    in_order = [parts[number] for number in ordered["case"].to_list()]
    kind = (
        pl.when(col("entities").list.len() > 1)
        .then(pl.lit("ring"))
        .when(col("rows") > 1)
        .then(pl.lit("account"))
        .otherwise(pl.lit("row"))
    )
    table = ordered.select(
        case=col("name"),
        kind=kind,
        entities=col("entities").list.join(", "),
        parties=col("entities").list.len().cast(pl.Int64),
        **{name: col(name) for name in ("rows", "first", "last", "at_stake", "score", "tier")},
        shares=Series([_shared_links(part, usable) for part in in_order], dtype=pl.String),
        reasons=Series(["; ".join(reasons_of(part)) for part in in_order], dtype=pl.String),
    )
    return Cases(table, _case_rows(wide, ordered))


def _case_rows(wide: DataFrame, ordered: DataFrame) -> DataFrame:
    """Return the rows under their cases' names, with their reasons in words."""
    place = ordered.select("case", "name", place=pl.int_range(pl.len()))
    named = wide.with_columns(reasons=reasons_in_words(wide["reasons"])).join(
        place, on="case", how="left", maintain_order="left"
    )
    links = [name for name in named.columns if name.startswith("link: ")]
    kept = ["at_stake", "score", "probability", "p_value", "tier", "reasons"]
    return named.sort("place", "time", ROW_ID).select(
        col("name").alias("case"), ROW_ID, "id", "time", "entity", *links, *kept
    )


def reasons_in_words(reasons: Series) -> Series:
    """Return the reasons of each row as a text; empty where it has none."""
    return Series(["; ".join(in_words(each or [])) for each in reasons.to_list()], dtype=pl.String)


def reasons_of(rows: DataFrame) -> list[str]:
    """Return the sentences of a case: of each input the row to which it adds most, the inputs that
    add most over all rows.
    """
    strongest: dict[str, Mapping[str, Any]] = {}
    total: dict[str, float] = {}
    for reason in (each for several in rows["reasons"].to_list() for each in several or ()):
        name, adds = str(reason["input"]), float(reason["adds"])
        total[name] = total.get(name, 0.0) + adds
        if name not in strongest or adds > strongest[name]["adds"]:
            strongest[name] = reason
    summed = [{**reason, "adds": total[name]} for name, reason in strongest.items()]
    return in_words(summed, MOST_REASONS)


def _shared_links(rows: DataFrame, usable: Mapping[str, set[str]]) -> str:
    """Return what ties the entities of a case: `3 share address A-17; 2 share contact C-4`."""
    if rows["entity"].n_unique() < 2:
        return ""
    words: list[str] = []
    for name, values in usable.items():
        by = rows.group_by(col(f"link: {name}").alias("value"), maintain_order=True).agg(
            n=col("entity").n_unique()
        )
        tied = by.filter((col("n") > 1) & col("value").is_in(list(values))).sort(
            "n", descending=True, maintain_order=True
        )
        words += [f"{count} share {name} {value}" for value, count in tied.head(2).iter_rows()]
    return "; ".join(words)


def case_heading(case: Mapping[str, Any]) -> str:
    """Return a case in a line: `C-0001: a ring of 3 accounts, 14 rows`."""
    rows = counted(int(case["rows"]), "rows")
    if case["kind"] == "ring":
        return f"{case['case']}: a ring of {case['parties']} accounts, {rows}"
    return f"{case['case']}: {case['entities']}, {rows}"
