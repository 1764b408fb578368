import io

import pytest
from rich.console import Console

from hwds.report.leaderboard import (
    leaderboard_markdown,
    leaderboard_notes,
    print_grids,
    standing_grid,
)
from hwds.report.standings import run_conclusion, standings
from hwds.results.tables import Measure
from tests.support.result_tables import failure_line, model_lines, score, tables_of

LSTM, NAIVE = "forecast/lstm", "forecast/seasonal_naive"


def rows(text):
    """The Markdown table as a list of dictionaries."""
    lines = [
        [cell.strip() for cell in line.strip("|").split(" |")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


def printed(tables, headline="mase", **console):
    out = io.StringIO()
    board = standings(tables, headline)
    print_grids(
        [standing_grid(board)],
        leaderboard_notes(board),
        run_conclusion(board),
        Console(file=out, width=100, **console),
    )
    return out.getvalue()


@pytest.fixture
def four():
    return tables_of(
        *model_lines(LSTM, 0.8, 0.2, n_undefined=2),
        score(LSTM, "mase[m=12]", 0.7, 0.05, "median"),
        score(LSTM, "mase[m=12]", 0.75, 0.05, "pooled"),
        *(
            score(LSTM, name, value)
            for name, value in (
                ("wql[5]", 0.1234),
                ("coverage[50%]", 0.48),
                ("coverage[90%]", 0.88),
            )
        ),
        *(
            score(LSTM, name, value)
            for name, value in (("width[50%]", 1234.5), ("width[90%]", 2345.6))
        ),
        *model_lines(NAIVE, 1.0, 0.0, 0.0, n_fallback=4),
        failure_line("forecast/broken"),
        *model_lines("truth", 0.6, 0.4),
    )


def test_the_order_and_the_shares(four):
    board = standings(four, "mase")
    assert [line.model for line in board.lines] == [LSTM, NAIVE, "forecast/broken"]
    assert board.truth is not None
    assert board.own is board.lines[0]
    assert board.headline == "mase[m=12]"
    assert board.reference == pytest.approx(1.0)
    assert [line.to_floor for line in board.lines] == [pytest.approx(0.5), 0.0, None]
    assert board.lines[2].n_failed == 96


def test_a_share_without_a_skill_takes_the_naive_of_the_table():
    lines = [
        score(name, "wql[3]", value) for name, value in ((LSTM, 0.5), (NAIVE, 0.6), ("truth", 0.4))
    ]
    assert standings(tables_of(*lines), "wql").lines[0].to_floor == pytest.approx(0.5)
    high = Measure("wql[3]", better="high", reference=NAIVE)
    assert standings(tables_of(*lines, metrics=[high]), "wql").lines[0].to_floor is None


def test_a_row_of_the_page_holds_everything(four):
    first, second, broken, floor = rows(leaderboard_markdown(four, standings(four, "mase")))
    assert first == {
        "model": "**forecast/lstm**",
        "mase[m=12], mean ± s.e.": "0.800 ± 0.020",
        "median": "0.700",
        "pooled": "0.750",
        "wql[5]": "0.123",
        "coverage[90%]": "0.880",
        "width[90%]": "2,346",
        "skill against the seasonal naive, %": "+20.0 ± 3.0",
        "way from the seasonal naive to the floor, %": "50",
        "series": "96",
        "undefined": "2",
        "failed": "0",
        "fallback": "0",
        "compute": "1.0 s",
    }
    assert (second["model"], second["fallback"], second["skill against the seasonal naive, %"]) == (
        NAIVE,
        "4",
        "0",
    )
    assert (broken["mase[m=12], mean ± s.e."], broken["failed"], broken["series"]) == (
        "none",
        "96",
        "0",
    )
    assert (floor["model"], floor["way from the seasonal naive to the floor, %"]) == (
        "truth (floor)",
        "100",
    )


def test_the_page_has_a_title_a_sentence_and_a_legend(four):
    text = leaderboard_markdown(four, standings(four, "mase"))
    title, _, sentence = text.splitlines()[:3]
    assert title == "# trial on toys"
    assert sentence.startswith(
        "BETTER: forecast/lstm is 20 % better than the seasonal naive (95 %: 14 to 26;"
    )
    assert "- `mase[m=12]`: mean absolute error of the median forecast" in text
    assert "± is one standard error (mean: normal;" in text
    assert "- truth (floor): " in text


def test_columns_that_no_model_has_are_left_out():
    tables = tables_of(score("bandit/ucb", "regret", 12.5, 0.5, task="bandit"))
    (row,) = rows(leaderboard_markdown(tables, standings(tables, "regret")))
    assert list(row) == [
        "model",
        "regret, mean ± s.e.",
        "units",
        "undefined",
        "failed",
        "fallback",
        "compute",
    ]
    assert row["regret, mean ± s.e."] == "12.50 ± 0.50"


def test_the_terminal_fits_in_100_columns_without_colour(four):
    text = printed(four)
    assert max(map(len, text.splitlines())) <= 100
    assert "\x1b" not in text
    assert "0.800 ± 0.020" in text
    assert "best possible" in text
    assert "MASE (lower is better)  vs seasonal naive  90 % band covers, %  compute" in text
    assert "20 % better                 88.0" in text
    assert "forecast/broken: 96 answers failed (ValueError: no luck)" in text
    assert "forecast/lstm: 2 series without a value" in text
    assert "BETTER: forecast/lstm is 20 % better than the seasonal naive (95 %: 14 to 26;" in text


def test_the_terminal_has_colour_where_there_is_one(four):
    assert "\x1b[1m" in printed(four, force_terminal=True)


def test_what_holds_for_all_models_is_said_once():
    lines = (
        *model_lines(LSTM, 0.8, 0.2, n_undefined=2),
        *model_lines(NAIVE, 1.0, 0.0, n_undefined=2),
    )
    assert printed(tables_of(*lines)).count("2 series without a value") == 1
    assert "every model: 2 series without a value" in printed(tables_of(*lines))


def test_a_real_run(real):
    shown = rows(leaderboard_markdown(real, standings(real, "mase", model="last")))
    assert [row["model"] for row in shown if row["model"].startswith("**")] == ["**last**"]
    assert {row["model"]: row["failed"] for row in shown}["breaks"] == "24"
    assert shown[-1]["model"] == "truth (floor)"
    assert max(map(len, printed(real).splitlines())) <= 100


def test_long_labels_are_folded_not_cut(four):
    label = "forecast/xgboost(trees=500,depth=3,rate=0.1,subsample=0.5)"
    text = printed(tables_of(*model_lines(label, 0.8, 0.2), *model_lines("truth", 0.7, 0.3)))
    table = text.split("BETTER")[0]
    assert max(map(len, text.splitlines())) <= 100
    assert "subsample=0.5)" in table
