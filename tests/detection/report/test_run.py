"""The pictures, the sentence and the leaderboard of a detection run."""

from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from hwds.detection.predictions import REASONS_TYPE, with_importances
from hwds.detection.protocols.prequential import Prequential
from hwds.detection.report.pictures import (
    by_week_figure,
    cases_figure,
    importances_figure,
    join_bins,
    precision_recall_figure,
    reliability_figure,
)
from hwds.detection.report.run import DETECTION_REPORT, detection_sentence, draw_detection
from hwds.evaluation.cells import CellOutcome, Job
from hwds.evaluation.protocol import Cell, Fold, ScoreSegments
from hwds.evaluation.run_cells import RunWork, result_tables
from hwds.frames.table import Table
from hwds.report.leaderboard import leaderboard_markdown, print_grids, standing_grid
from hwds.report.standings import standings
from tests.support.figures import texts

BEGIN = datetime(2024, 3, 4)


def judged(
    noise=0.0, windows=3, n=300, true=False, probable=True, temper=1.0, reasons=True, seed=77
):
    """Rows of each window by fold, as a cell answers them."""
    for fold in range(windows):
        rng = np.random.default_rng(fold)
        odds = rng.normal(-4, 3, n)
        bad = (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(float)
        odds = odds + noise * np.random.default_rng(seed + fold).normal(size=n)
        day = rng.integers(0, 7, n)
        told = [
            {"input": "quantity_30d", "value": "41.0", "adds": 1.5, "below": 0.97, "above": 0.02},
            {"input": "channel", "value": "education", "adds": 0.4, "below": None, "above": None},
        ]
        yield pl.DataFrame(
            {
                "row_id": np.arange(n) + fold * n,
                "id": pl.Series([None] * n, dtype=pl.String),
                "part": ["test"] * n,
                "time": [BEGIN + timedelta(days=7 * fold + int(each)) for each in day],
                "entity": [f"customer-{number}" for number in rng.integers(0, 60, n)],
                "label": bad,
                "truth": bad if true else pl.Series([None] * n, dtype=pl.Float64),
                "weight": np.ones(n),
                "amount": rng.gamma(2, 500, n),
                "score": odds,
                "probability": 1 / (1 + np.exp(-temper * odds))
                if probable
                else pl.Series([None] * n, dtype=pl.Float64),
                "p_value": pl.Series([None] * n, dtype=pl.Float64),
                "reasons": pl.Series([told if reasons else None] * n, dtype=REASONS_TYPE),
                "day": pl.Series(day, dtype=pl.Int32),
                "cutoff": [(BEGIN + timedelta(days=7 * fold)).date().isoformat()] * n,
            }
        )


def run(protocol=None, segments=None, **models):
    """The tables of a run whose cells answered so, the own model first."""
    protocol = protocol or Prequential(name="prequential", resamples=40, card_k=10)
    answers = {label: list(rows) for label, rows in models.items()}
    first = next(iter(answers.values()))
    folds = [Fold(i, rows["cutoff"][0], len(rows)) for i, rows in enumerate(first)]
    outcomes = {
        (label, i): [CellOutcome(Cell(label, folds[i], 0, len(rows)), rows, 1.0)]
        for label, parts in answers.items()
        for i, rows in enumerate(parts)
    }
    labels = {"experiment": "trial", "dataset": "toys", "task": "detection", "seed": 1}
    frame = Table(pl.DataFrame(), {}, "USD")
    told = RunWork({}, folds, labels, segments or ScoreSegments(), protocol.measures(frame))
    job = Job(protocol, dict.fromkeys(answers), None, 1, 1, "cpu", Table, Path())
    return result_tables(job, told, outcomes)


FRAME = Table(pl.DataFrame(), {}, "USD")


@pytest.fixture(scope="module")
def several():
    return run(
        **{"good": judged(), "poor": judged(4.0), "odd": judged(1.0, probable=False, reasons=False)}
    )


def overlaps(figure, axes):
    """Texts of one panel that lie on each other."""
    from matplotlib.text import Text

    figure.canvas.draw()
    shown = [text for text in axes.findobj(Text) if text.get_visible() and text.get_text().strip()]
    boxes = [(text.get_text(), text.get_window_extent()) for text in shown]
    return [
        (one, other)
        for i, (one, a) in enumerate(boxes)
        for other, b in boxes[i + 1 :]
        if a.overlaps(b) and one != other
    ]


def test_every_picture_is_drawn_where_there_is_something_to_draw(several, tmp_path):
    draw_detection(FRAME, several, "good", tmp_path)
    names = {path.name for path in tmp_path.glob("*.png")}
    assert names == {"precision_recall.png", "reliability.png", "by_week.png", "cases.png"}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.glob("*.png"))


def test_nothing_is_drawn_of_nothing(tmp_path):
    one = run(bare=judged(windows=1, probable=False, reasons=False))
    draw_detection(FRAME, one, "bare", tmp_path)
    assert {path.name for path in tmp_path.glob("*.png")} == {"precision_recall.png"}
    blank = run(
        bare=[
            rows.with_columns(label=pl.lit(0.0))
            for rows in judged(windows=2, probable=False, reasons=False)
        ]
    )
    assert precision_recall_figure(blank, "bare") is None
    assert by_week_figure(blank, "bare") is None
    assert detection_sentence(FRAME, blank, "bare") == ""


def test_all_models_are_in_the_curves_best_first_with_chance(several):
    shown = [text for text in texts(precision_recall_figure(several, "good")) if "  " in text]
    values = {row["model"]: row["value"] for row in several.overall("aucpr").to_dicts()}
    assert [text.split("  ")[1] for text in shown] == [
        "good",
        "odd",
        "poor",
        "chance: the share of label 1",
    ]
    assert shown[0].startswith(f"{values['good']:.3f}")


def test_the_area_under_the_drawn_curve_is_the_average_precision(several):
    figure = precision_recall_figure(several, "good")
    lines = {line.get_label().split("  ")[-1]: line for line in figure.axes[0].lines}
    area = float(np.mean(lines["good"].get_ydata()))  # recalls are even
    assert area == pytest.approx(
        several.overall("aucpr").filter(pl.col("model") == "good")["value"][0], abs=0.01
    )


def test_the_truth_has_a_panel_of_its_own():
    both = run(good=judged(true=True))
    assert len(precision_recall_figure(both, "good").axes) == 2
    assert "against the truth, which only the simulator knows" in texts(
        by_week_figure(both, "good")
    )
    assert "against the truth, which only the simulator knows" in texts(
        reliability_figure(both, "good")
    )


def test_reliability_has_a_dot_for_each_bin_and_counts_all_rows(several):
    figure = reliability_figure(several, "good")
    curve, _, below, _ = figure.axes
    rows = several.predictions.filter(pl.col("model") == "good")
    probability, label = rows["probability"].to_numpy(), rows["label"].to_numpy()
    x, y = curve.containers[0].lines[0].get_data()
    lowest = probability < 0.1
    assert (x[0], y[0]) == (
        pytest.approx(probability[lowest].mean()),
        pytest.approx(label[lowest].mean()),
    )
    assert sum(bar.get_height() for bar in below.patches) == len(rows)
    assert any("calibration slope" in text for text in texts(figure))
    assert reliability_figure(several, "odd") is None


def test_windows_in_time_are_drawn_with_their_scores(several):
    figure = by_week_figure(several, "good")
    assert {"4 Mar 2024", "11 Mar 2024", "18 Mar 2024", "chance"} <= set(texts(figure))
    folds = several.scores.filter(
        (pl.col("model") == "good") & (pl.col("metric") == "aucpr") & pl.col("fold").is_not_null()
    )
    drawn = next(each for each in figure.axes[0].containers if each.get_label() == "good")
    assert drawn.lines[0].get_ydata() == pytest.approx(folds.sort("cutoff")["value"].to_numpy())


def test_a_window_without_a_score_is_a_gap():
    rows = list(judged())
    rows[1] = rows[1].with_columns(label=pl.lit(0.0))
    line = by_week_figure(run(good=rows), "good").axes[0].get_lines()[0]
    assert np.isnan(line.get_ydata()).tolist() == [False, True, False]


def test_bins_of_few_rows_are_joined_with_those_below():
    assert join_bins(np.array([500, 3, 12, 0, 4, 7])).tolist() == [0, 0, 2, 2, 4, 4]
    assert join_bins(np.array([2, 1, 0])).tolist() == [0, 0, 0]


def test_folds_of_groups_are_no_weeks():
    folds = [
        rows.with_columns(cutoff=pl.lit(f"fold {i + 1} of 3")) for i, rows in enumerate(judged())
    ]
    made = run(good=folds)
    assert by_week_figure(made, "good") is None
    assert ", mean of 3 folds: " in detection_sentence(FRAME, made, "good")


def test_cases_are_the_highest_scores_in_readable_words(several):
    figure = cases_figure(several, "good", "USD")
    shown = texts(figure)
    assert "bought 41 units in 30 days (more than in 97 % of rows)" in shown
    assert "its channel is education" in shown
    last = several.predictions.filter((pl.col("model") == "good") & (pl.col("fold") == 2)).sort(
        "score", descending=True
    )
    assert any(
        text.startswith(f"{last['entity'][0]}, ") and text.endswith("USD at stake")
        for text in shown
    )
    assert sum(text.startswith("probability ") for text in shown) == 6
    assert all(not overlaps(figure, axes) for axes in figure.axes)
    longest = max(bar.get_width() for axes in figure.axes for bar in axes.patches)
    for axes in figure.axes:
        rows = max(3, len(axes.patches))
        assert axes.get_ylim() == (rows - 0.5, -0.75), "three rows at least, with their words"
        assert axes.get_xlim() == pytest.approx((0, 1.18 * longest)), "one scale for all"
    assert cases_figure(several, "odd", "USD") is None


def test_rows_without_an_entity_are_cases_of_their_own():
    nobody = run(good=[rows.with_columns(entity=pl.lit(None, pl.String)) for rows in judged()])
    assert (
        sum(text.startswith("probability ") for text in texts(cases_figure(nobody, "good", "USD")))
        == 6
    )


def test_labels_that_stand_for_no_row_are_not_drawn():
    rows = [
        each.with_columns(weight=pl.when(pl.col("label") == 0).then(1.0).otherwise(0.0))
        for each in judged(true=True)
    ]
    suspected = run(good=rows)
    assert len(precision_recall_figure(suspected, "good").axes) == 1
    drawn = reliability_figure(suspected, "good")
    assert "good: what was said, and what came of it" in " ".join(texts(drawn))
    bars = [sum(bar.get_height() for bar in axes.patches) for axes in drawn.axes[2:]]
    assert bars == [len(suspected.predictions)] * 2, "each row in each histogram"
    assert (
        precision_recall_figure(
            run(good=[each.with_columns(weight=pl.lit(0.0)) for each in judged()]), "good"
        )
        is None
    )


def test_the_sentence_says_who_is_best_how_sure_and_whether_calibrated(several):
    said = detection_sentence(FRAME, several, "good")
    value = several.overall("aucpr").filter(pl.col("model") == "good")["value"][0]
    assert said.startswith(
        "BETTER: good is best of 3 models by average precision; odd is behind by "
    )
    assert f"\nIts average precision is {value:.3f} (95 %: " in said
    assert ", mean of 3 windows: " in said
    assert "times what chance gives (" in said
    assert f" % of rows, {positive(several, 'good')} positive rows)." in said
    assert "a positive row: what is told" not in said
    assert "\nIts probabilities are calibrated as far as can be seen (calibration slope " in said


def positive(tables, model):
    return len(tables.predictions.filter(part="test", model=model, label=1))


def test_the_sentence_says_that_customers_with_a_positive_row_are_few():
    few = run(
        good=[
            rows.with_columns(
                entity=pl.when(pl.col("label") == 1).then(pl.lit("c1")).otherwise("entity")
            )
            for rows in judged()
        ]
    )
    assert (
        "\nOnly 1 customer has a positive row: the next few may change the result."
        in detection_sentence(FRAME, few, "good")
    )


def test_what_one_customer_cannot_show_is_refused():
    one = pl.when(pl.col("label") == 1).then(pl.lit("c1")).otherwise("entity")
    made = {"good": judged(), "poor": judged(0.2)}
    both = run(
        **{
            label: [rows.with_columns(entity=one) for rows in parts]
            for label, parts in made.items()
        }
    )
    said = detection_sentence(
        FRAME,
        both,
        max(made, key=lambda label: both.overall("aucpr").filter(model=label)["value"][0]),
    )
    assert said.startswith(
        "NOT SURE: good is best of 2 models by average precision; poor is behind"
    )
    assert " (1 customer cannot tell), mean of 3 windows" in said
    assert "\nWhether its probabilities are calibrated cannot be told (" in said
    assert "95 %" not in said


def test_the_sentence_of_a_model_that_is_not_the_best(several):
    said = detection_sentence(FRAME, several, "poor")
    assert said.startswith(
        "WORSE: good is best of 3 models by average precision; poor, number 3, is"
    )
    assert "\nIts probabilities are too extreme (calibration slope " in said


def test_a_difference_within_chance_is_said_to_be():
    twins = run(one=judged(0.5), other=judged(0.5, seed=5))
    best, second = sorted(
        ("one", "other"), key=lambda label: -twins.overall("aucpr").filter(model=label)["value"][0]
    )
    said = detection_sentence(FRAME, twins, best)
    assert said.startswith(
        f"NOT SURE: {best} is best of 2 models by average precision; {second} is"
    )
    assert detection_sentence(FRAME, twins, second).startswith("NOT SURE")


def levelled(times):
    """Rows whose probabilities are so many times what comes."""
    rows = list(judged(n=1500))
    return run(
        good=[
            each.with_columns(probability=(pl.col("probability") * times).clip(0, 1))
            for each in rows
        ]
    )


def test_the_overall_level_is_said_before_slopes():
    tables = levelled(1.0)
    lines = detection_sentence(FRAME, tables, "good").split("\n")
    (level,) = (line for line in lines if line.startswith("Its probabilities promised "))
    assert level.endswith(f" came (95 %: {level.partition('95 %: ')[2]}")
    assert f"over {positive(tables, 'good')} positives." in level
    slope = next(place for place, line in enumerate(lines) if "calibration slope" in line)
    assert lines.index(level) < slope
    high = detection_sentence(FRAME, levelled(0.5), "good")
    assert " positives: too low overall." in high
    assert " positives: too high overall." in detection_sentence(FRAME, levelled(2.0), "good")


def test_three_positives_tell_no_level_apart():
    rows = [
        each.with_columns(label=((pl.col("row_id") % 300) == 0).cast(pl.Float64))
        for each in judged(windows=3)
    ]
    said = detection_sentence(FRAME, run(good=rows), "good")
    (level,) = (line for line in said.split("\n") if "promised" in line)
    assert level.endswith(" came, over 3 positives.")
    assert said.count("Only 3 ") == 1


@pytest.mark.parametrize(("temper", "said"), [(2.5, "too extreme"), (0.4, "too timid")])
def test_probabilities_that_are_not_calibrated(temper, said):
    told = detection_sentence(FRAME, run(good=judged(temper=temper, n=1500)), "good")
    assert f"Its probabilities are {said} (" in told
    assert "try more protocol.calibrate_days, or model.calibration=bayes" in told


def test_scores_that_were_never_calibrated_are_mended_by_a_setting():
    raw = [rows.with_columns(score=2.5 * pl.col("score")) for rows in judged(temper=2.5, n=1500)]
    told = detection_sentence(FRAME, run(good=raw), "good")
    assert "too extreme (" in told
    assert (
        "). Use model.calibration=platt, or bayes if labels are few; both learn from the days of "
        "protocol.calibrate_days." in told
    )


def test_labels_that_flatter_are_named():
    kept = [
        rows.with_columns(
            label=pl.when((pl.col("truth") == 1) | (pl.col("row_id") % 5 == 0)).then("truth")
        )
        for rows in judged(true=True, n=1500)
    ]
    assert "The labels that had been found flatter it: aucpr " in detection_sentence(
        FRAME, run(good=kept), "good"
    )
    same = detection_sentence(FRAME, run(good=judged(true=True)), "good")
    assert "By the labels that had been found aucpr is " in same
    assert "so few labels cannot tell them apart" in same
    assert "Labels miss some" not in same


def test_labels_that_miss_are_told():
    rows = judged(true=True, n=1500)
    missing = [
        part.with_columns(label=pl.when(pl.col("row_id") % 4 > 0).then("label").otherwise(0.0))
        for part in rows
    ]
    protocol = Prequential(name="prequential", resamples=20, card_k=10, headline="true_aucpr")
    said = detection_sentence(FRAME, run(protocol, good=missing), "good")
    hidden = pl.concat([part.filter(pl.col("truth") == 1) for part in missing])
    share = f"{100 * float((hidden['label'] == 0).mean()):.0f} %"
    assert (
        f"\nLabels miss some: of {len(hidden):,} rows of label 1 in truth that were looked at, "
        f"{share} were cleared," in said
    )


def test_a_model_that_says_the_same_scores_the_same():
    assert (
        "NOT SURE: a is best of 2 models by average precision; b scores the same."
        in detection_sentence(FRAME, run(a=judged(), b=judged()), "a")
    )


def test_any_headline_is_told_in_its_own_words():
    protocol = Prequential(name="prequential", resamples=20, card_k=10, headline="expected_cost")
    said = detection_sentence(FRAME, run(protocol, good=judged(), poor=judged(3.0)), "good")
    assert said.startswith("BETTER: good is best of 2 models by expected cost, USD; poor is behind")
    assert " USD" in said


def test_the_leaderboard_fits_a_terminal(several):
    out = StringIO()
    board = standings(several, "aucpr", model="good")
    print_grids([standing_grid(board)], (), "", Console(file=out, width=100))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 100
    assert all(name in lines[0] for name in ("average precision (higher is better)", "AUROC"))
    assert [line.split()[0] for line in lines[1:4]] == ["good", "odd", "poor"]


def test_honest_bulk_buyers_have_a_row_of_false_positives_of_their_own():
    kinds = pl.DataFrame(
        {"row_id": range(900), "segment": ["bulk" if i % 9 == 0 else "other" for i in range(900)]}
    )
    segments = ScoreSegments("row_id", {"true_kind": kinds})
    made = run(segments=segments, good=judged(0.2))
    page = leaderboard_markdown(made, standings(made, "aucpr", model="good"))
    assert "## aucpr by true_kind" in page
    section = page.partition("## false_positive_rate by true_kind")[2]
    assert "| bulk |" in section
    rows = made.scores.filter(
        (pl.col("metric") == "false_positive_rate")
        & (pl.col("segment") == "bulk")
        & pl.col("fold").is_null()
    )
    honest = made.predictions.join(kinds, on="row_id").filter(
        (pl.col("segment") == "bulk") & (pl.col("label") == 0)
    )
    wanted = np.mean([part["flagged"].mean() for part in honest.partition_by("cutoff")])
    assert rows["value"].to_list() == [pytest.approx(wanted)]


def test_importances_are_a_table_on_the_page_and_a_picture(tmp_path):
    def bearing_all(noise, seeds):
        for fold, rows in enumerate(judged(noise)):
            names = {"quantity_30d": 0.3, "quantity_30d_peers": 0.1, "channel": 0.05 + fold * 0.05}
            told = [
                {
                    "seed": seed,
                    "of": of,
                    "name": name,
                    "adds": adds * (1 + seed * (name == "channel")),
                    "n": 300,
                }
                for seed in range(seeds)
                for of, inputs in (
                    ("input", names),
                    ("subject", {"quantity": 0.35, "channel": names["channel"]}),
                )
                for name, adds in inputs.items()
            ]
            yield with_importances(rows, told)

    made = run(good=bearing_all(0.1, 2), other=bearing_all(0.5, 1))
    page = leaderboard_markdown(
        made,
        standings(made, "aucpr", model="good"),
        "",
        DETECTION_REPORT.page_tables(made, standings(made, "aucpr", model="good")),
    )
    table = page.partition("What scores are made of")[2].splitlines()
    assert "900 rows drawn, %; in brackets the lowest and highest of 2 seeds of the fit" in table[0]
    assert table[2].replace(" ", "") == "|subject|inputs,themostimportantfirst|good|other|"
    assert table[4].startswith("| units bought | quantity_30d, quantity_30d_peers | ")
    assert " to " in table[4]
    assert " to " not in table[4].rpartition(" | ")[2]
    assert table[5].startswith("| channel | channel | ")
    figure = importances_figure(made, "good")
    left, right = figure.axes
    assert [text.get_text() for text in left.get_yticklabels()] == ["units bought", "channel"]
    assert [text.get_text() for text in right.get_yticklabels()] == [
        "quantity_30d",
        "channel",
        "quantity_30d_peers",
    ]
    assert "dots: 3 windows" in figure.get_supxlabel()
    assert "lowest and highest of 2 seeds" in figure.get_supxlabel()
    assert importances_figure(run(good=judged()), "good") is None
    assert "importances" not in made.predictions.columns
