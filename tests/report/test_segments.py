from hwds.report.leaderboard import (
    MOST_MODELS,
    MOST_SEGMENTS,
    leaderboard_markdown,
    segments_figure,
)
from hwds.report.standings import standings
from tests.support.figures import texts
from tests.support.result_tables import model_lines, score, tables_of

LSTM, NAIVE = "forecast/lstm", "forecast/seasonal_naive"
TOTAL = (
    *model_lines(LSTM, 0.8, 0.2),
    *model_lines(NAIVE, 1.0, 0.0, 0.0),
    *model_lines("truth", 0.6, 0.4),
)


def of(model, segment, value, n, column="channel", **more):
    return score(
        model,
        "mase[m=12]",
        value,
        None if value is None else 0.05,
        segment_by=column,
        segment=segment,
        n=n,
        **more,
    )


def page(*lines):
    """The leaderboard's page."""
    tables = tables_of(*lines)
    return leaderboard_markdown(tables, standings(tables, "mase"))


def sections(*lines):
    """The parts of the page that begin with `## `."""
    return page(*lines).split("\n## ")[1:]


def test_segments_are_rows_and_models_are_columns_in_the_order_of_the_board():
    lines = [
        of(NAIVE, "web", 0.9, 40),
        of(LSTM, "web", 1.2, 40),
        of(LSTM, "a|b", 0.7, 56),
        of("truth", "web", 0.6, 40),
    ]
    (section,) = sections(
        *TOTAL,
        *lines,
        of(LSTM, "web", 9.0, 40, fold=1),
        of(LSTM, "web", 8.0, 40, aggregate="median"),
    )
    assert section.splitlines() == [
        "mase[m=12] by channel",
        "",
        "| segment | series | forecast/lstm | forecast/seasonal_naive | truth (floor) |",
        "| :-- | --: | --: | --: | --: |",
        "| web | 40 | 1.200 ± 0.050 | 0.900 ± 0.050 | 0.600 ± 0.050 |",
        "| a\\|b | 56 | 0.700 ± 0.050 | none | none |",
    ]


def test_each_column_has_a_section_and_without_segments_there_is_none():
    both = sections(*TOTAL, of(LSTM, "web", 0.9, 40), of(LSTM, "phone", 0.9, 40, column="family"))
    assert [section.splitlines()[0] for section in both] == [
        "mase[m=12] by channel",
        "mase[m=12] by family",
    ]
    assert sections(*TOTAL) == []
    assert "by channel" not in page(*TOTAL)


def test_the_total_is_not_a_segment():
    with_segments = page(*TOTAL, of(LSTM, "web", 0.1, 40), of(NAIVE, "web", 0.05, 40))
    assert with_segments.split("\n## ")[0].strip() == page(*TOTAL).strip()


def test_of_many_segments_the_largest_are_shown():
    (section,) = sections(
        *TOTAL, *(of(LSTM, f"s{i:03d}", 0.5, i + 1) for i in range(MOST_SEGMENTS + 5))
    )
    assert f"| s{MOST_SEGMENTS + 4:03d} | {MOST_SEGMENTS + 5} |" in section
    assert "| s004 |" not in section
    assert section.rstrip().endswith("5 smaller segments are in `scores.parquet`.")


def test_the_own_model_and_the_truth_are_drawn_however_many_are_better():
    rivals = [f"forecast/rival_{place}" for place in range(MOST_MODELS + 2)]
    lines = [*model_lines(LSTM, 2.0, -1.0), *model_lines("truth", 3.0, -2.0)]
    lines += model_lines(NAIVE, 1.5, 0.0, 0.0)
    for place, rival in enumerate(rivals):
        lines += model_lines(rival, 0.5 + place / 100, 0.5)
    shown = [of(model, "web", 0.9, 40) for model in (LSTM, NAIVE, "truth", *rivals)]
    tables = tables_of(*lines, *shown)
    figure = segments_figure(tables, standings(tables, "mase"))
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert sorted(names) == sorted([*rivals[:MOST_MODELS], LSTM, "truth (floor)"])
    assert {"web", "by channel"} <= set(texts(figure))
    (panel,) = figure.axes
    assert [len(each) for each in (panel.containers, panel.get_yticks())] == [len(names), 1]
