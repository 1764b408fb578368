import warnings

import pytest

from hwds.report.leaderboard import leaderboard_figure
from hwds.report.pictures import NAIVE_COLOUR, OWN_COLOUR, save_png
from hwds.report.standings import standings
from tests.support.result_tables import failure_line, model_lines, score, tables_of

LSTM, NAIVE = "forecast/lstm", "forecast/seasonal_naive"


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def axes_of(*lines, headline="mase", **more):
    return leaderboard_figure(standings(tables_of(*lines), headline, **more)).axes[0]


def dots(axes):
    return [
        (float(line.get_xdata()[0]), line.get_color())
        for line in axes.lines
        if line.get_marker() == "o"
    ]


def labels(axes):
    return [tick.get_text() for tick in axes.get_yticklabels()]


def test_models_from_best_to_worst_with_intervals():
    axes = axes_of(
        *model_lines(LSTM, 0.8, 0.2),
        *model_lines("forecast/best", 0.7, 0.3),
        *model_lines(NAIVE, 1.0, 0.0, 0.0),
    )
    assert labels(axes) == ["forecast/best", LSTM, NAIVE]
    assert [value for value, _ in dots(axes)] == [0.7, 0.8, 1.0]
    assert [colour for _, colour in dots(axes)][1:] == [OWN_COLOUR, NAIVE_COLOUR]
    spans = [
        list(line.get_xdata())
        for line in axes.lines
        if len(line.get_xdata()) == 2 and line.get_alpha()
    ]
    assert spans[1] == [pytest.approx(0.8 - 1.96 * 0.02), pytest.approx(0.8 + 1.96 * 0.02)]
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "the best is on top"
    assert (
        axes.get_xlabel() == "mase[m=12], mean over 96 series; lower is better; bars: 95 % interval"
    )
    assert [text.get_text() for text in axes.texts][1] == "0.800 ± 0.020"


def test_the_floor_is_a_dashed_line_and_no_row():
    axes = axes_of(*model_lines(LSTM, 0.8, 0.2), *model_lines("truth", 0.6, 0.4))
    assert labels(axes) == [LSTM]
    (floor,) = [line for line in axes.lines if line.get_label() == "truth (floor) 0.600"]
    assert (floor.get_linestyle(), float(floor.get_xdata()[0])) == ("--", 0.6)
    (legend,) = axes.figure.legends
    assert [text.get_text() for text in legend.texts] == [
        "seasonal naive 1.00",
        "truth (floor) 0.600",
    ]


def test_without_skill_or_truth_there_is_no_reference():
    axes = axes_of(score("bandit/ucb", "regret", 12.0, 1.0, task="bandit"), headline="regret")
    assert not axes.figure.legends
    assert axes.get_xlabel().startswith("regret, mean over 96 units; lower")


def test_scores_that_are_nearly_alike_look_alike():
    bandits = (
        score(f"bandit/{name}", "regret", value, None, task="bandit")
        for name, value in (("a", 2.876), ("b", 2.878))
    )
    low, high = axes_of(*bandits, headline="regret").get_xlim()
    assert high - low > 0.28
    assert low < 2.876 < 2.878 < high


def test_a_model_without_a_score_keeps_its_row():
    axes = axes_of(*model_lines(LSTM, 0.8, 0.2), failure_line("forecast/broken"))
    assert labels(axes) == [LSTM, "forecast/broken"]
    assert [text.get_text() for text in axes.texts][1] == "no score (96 failed)"
    assert len(dots(axes)) == 1


def test_scores_far_apart_get_a_log_axis_and_unlike_counts_are_said():
    axes = axes_of(*model_lines(LSTM, 0.8, n=90), *model_lines("forecast/bad", 800.0))
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel().startswith("mase[m=12], mean over 90 to 96 series, log scale;")


def test_twelve_models_are_taller_than_one(tmp_path):
    def height(count):
        lines = [
            line
            for i in range(count)
            for line in model_lines(f"forecast/m{i:02d}", 0.8 + i / 100, 0.1)
        ]
        assert save_png(
            leaderboard_figure(standings(tables_of(*lines), "mase")), tmp_path / f"{count}.png"
        )
        data = (tmp_path / f"{count}.png").read_bytes()
        assert int.from_bytes(data[16:20]) == 1350
        return int.from_bytes(data[20:24])

    assert height(1) < 400
    assert 900 < height(12) < 1200


def test_the_same_bytes(real, tmp_path):
    for name in ("a.png", "b.png"):
        assert save_png(leaderboard_figure(standings(real, "mase", model="last")), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_nothing_to_draw(tmp_path):
    assert not save_png(
        leaderboard_figure(standings(tables_of(failure_line(LSTM)), "mase")), tmp_path / "l.png"
    )
    assert not save_png(leaderboard_figure(standings(tables_of(), "mase")), tmp_path / "l.png")
    assert not list(tmp_path.iterdir())
