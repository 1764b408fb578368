"""Errors and coverage by step, and the headline by segment, drawn."""

import pytest

from hwds.forecast.report import by_step_figure, interval_levels
from hwds.report.leaderboard import MOST_MODELS, board_colours, segments_figure
from hwds.report.pictures import FLOOR_COLOUR, NAIVE_COLOUR, OWN_COLOUR
from hwds.report.standings import standings
from tests.support.result_tables import model_lines, score, tables_of

NAIVE = "forecast/seasonal_naive"


def drawn(axes):
    return {
        line.get_label(): list(line.get_ydata())
        for line in axes.lines
        if not line.get_label().startswith("_")
    }


def test_a_line_for_each_model_and_what_intervals_promise(real):
    board = standings(real, "mase", model="last")
    errors, covered, calibration = by_step_figure(real, board).axes
    steps = real.scores.filter(
        (real.scores["metric"] == board.headline) & real.scores["step"].is_not_null()
    )
    own = steps.filter((steps["model"] == "last") & steps["fold"].is_null()).sort("step")["value"]
    assert drawn(errors)["last"] == own.to_list()
    assert covered.get_ylabel() == "coverage[90%]"
    assert list(covered.lines[0].get_ydata()) == [0.9, 0.9]
    assert interval_levels(real.scores) == {"coverage[90%]": 0.9, "coverage[50%]": 0.5}
    assert list(calibration.lines[1].get_xdata()) == [0.5, 0.9]
    assert covered.get_ylim()[1] <= 1.02


def test_one_step_is_no_curve():
    tables = tables_of(*model_lines("a", 0.8), score("a", "mase[m=12]", 0.8, step=1))
    assert by_step_figure(tables, standings(tables, "mase")) is None


def segment(model, value, name, column="channel", n=40):
    return score(model, "mase[m=12]", value, 0.05, segment_by=column, segment=name, n=n)


def test_a_panel_for_each_column_and_a_dot_for_each_model():
    total = (
        *model_lines("a", 0.8, 0.2),
        *model_lines(NAIVE, 1.0, 0.0, 0.0),
        *model_lines("truth", 0.6, 0.4),
    )
    lines = [
        segment(model, 0.5, name) for name in ("web", "shop") for model in ("a", NAIVE, "truth")
    ]
    tables = tables_of(
        *total, *lines, segment("a", None, "mail"), segment("a", 0.4, "x|y", "family")
    )
    board = standings(tables, "mase")
    channel, family = segments_figure(tables, board).axes
    assert [tick.get_text() for tick in channel.get_yticklabels()] == ["web", "shop"]
    assert [tick.get_text() for tick in family.get_yticklabels()] == ["x|y"]
    assert board_colours(board) == {"a": OWN_COLOUR, NAIVE: NAIVE_COLOUR, "truth": FLOOR_COLOUR}
    assert segments_figure(tables_of(*total), standings(tables_of(*total), "mase")) is None


@pytest.mark.parametrize("place", [0, 19])
def test_of_many_models_the_best_are_drawn_and_the_own_one_always(place):
    lines = [line for i in range(20) for line in model_lines(f"m{i:02d}", 0.5 + i / 100, 0.1)]
    tables = tables_of(*lines)
    board = standings(tables, "mase", model=f"m{place:02d}")
    paints = board_colours(board)
    assert len(paints) == (MOST_MODELS if place == 0 else MOST_MODELS + 1)
    assert paints[f"m{place:02d}"] == OWN_COLOUR
