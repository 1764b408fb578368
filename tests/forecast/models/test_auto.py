"""The race within a budget: who answers, what it says, and what a budget in units promises."""

import json
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pytest

from hwds.core.cache import Cache
from hwds.core.errors import ConfigError
from hwds.core.serialization import load_fitted, save_fitted
from hwds.evaluation.panel_folds import FromEnd, future_of
from hwds.evaluation.protocol import Cell, RunContext
from hwds.forecast.models.analog import Analog
from hwds.forecast.models.auto import (
    YOUNG_GROUP,
    Auto,
    _left_out_weights,
    age_groups,
    race_story,
    team_answer,
    tried_text,
)
from hwds.forecast.models.base import Forecaster
from hwds.forecast.models.drift import Drift
from hwds.forecast.models.lstm import LSTM
from hwds.forecast.models.naive import Naive
from hwds.forecast.models.seasonal_naive import SeasonalNaive
from hwds.forecast.models.theta import Theta
from hwds.forecast.protocols.holdout import Holdout
from hwds.forecast.racing import (
    NAIVE,
    Candidate,
    CandidateStanding,
    PanelTraits,
    Race,
    Rung,
    Team,
    _unlike_members,
    make_team,
    race_candidates,
    rungs,
    usable_windows,
    young_windows,
)
from hwds.forecast.rows import CLOCK_NOTE, SEARCH_COLUMN, SEARCH_FACTS, search_stories
from hwds.forecast.stacking import member_windows
from hwds.forecast.work import Allowance, backtest_work, budget_amount, size_of, work_of
from hwds.frames.panel import Forecasts
from hwds.frames.roles import Roles
from tests.support.panels import inner_context, monthly_panel, panel_of

OWN = (
    Naive(name="forecast/naive"),
    Drift(name="forecast/drift"),
    Theta(name="forecast/theta", origins=0),
)


@pytest.fixture(scope="module")
def panel():
    return monthly_panel(n_series=8)


@pytest.fixture(scope="module")
def raced(panel, tmp_path_factory):
    context = inner_context(tmp_path_factory.mktemp("raced"))
    context = replace(context, cache=context.backtests.cache)
    auto = Auto(members=OWN, budget="20u")
    return auto, auto.learn(panel, horizon=6, context=context), context


def asked(fitted, panel):
    ends = FromEnd(0).ends(panel)
    return fitted.predict(panel, future_of(panel, np.arange(panel.n_series), ends, 6))


def test_the_best_answers_and_the_worst_is_dropped(raced):
    _, fitted, _ = raced
    names = [member.name for member in fitted.answer.members]
    assert names[int(fitted.answer.weights.values[0, 0].argmax())] in (NAIVE, "forecast/theta")
    assert "forecast/naive" not in names
    assert "forecast/naive (behind by" in fitted.answer.story


def test_the_story_is_in_the_first_row_and_a_note_of_the_run(raced, panel):
    _, fitted, _ = raced
    told = asked(fitted, panel).diagnostics[SEARCH_COLUMN]
    assert told[0] == fitted.answer.story
    facts = json.loads(asked(fitted, panel).diagnostics[SEARCH_FACTS][0])
    assert facts["used"] == [
        member.name
        for member in fitted.answer.members
        if f"% {member.name}" in told[0].partition("the answer is")[2]
    ]
    assert not facts["clocked"]
    assert not any(told[1:])
    rows = pl.DataFrame(
        {"model": "forecast/auto", "fold": 0, "cutoff": 1, SEARCH_COLUMN: [told[0], None]}
    )
    assert list(search_stories(rows)) == [f"forecast/auto at 1: {told[0]}"]
    clocked = pl.DataFrame(
        {
            "model": "forecast/auto",
            "fold": [0, 1],
            "cutoff": [1, 2],
            SEARCH_COLUMN: [f"A{CLOCK_NOTE}.", f"B{CLOCK_NOTE}."],
        }
    )
    assert list(search_stories(clocked)) == [
        "forecast/auto at 1: A.",
        f"forecast/auto at 2: B{CLOCK_NOTE}.",
    ]
    apart = pl.DataFrame(
        {
            "model": "forecast/auto",
            "fold": 0,
            "cutoff": [7, 3, 9],
            SEARCH_COLUMN: [told[0], None, None],
        }
    )
    assert list(search_stories(apart)) == [f"forecast/auto at cutoffs from 3 to 9: {told[0]}"]
    assert "a budget in seconds" not in told[0]
    assert "8 series of some 60 rows, season 12, 1 column known ahead" in told[0]


def test_the_same_budget_in_units_has_the_same_answer(raced, panel, tmp_path):
    auto, fitted, context = raced
    again = auto.learn(panel, horizon=6, context=replace(context, cache=None))
    np.testing.assert_array_equal(asked(again, panel).quantiles, asked(fitted, panel).quantiles)
    save_fitted(fitted, tmp_path)
    np.testing.assert_array_equal(
        asked(load_fitted(tmp_path), panel).quantiles, asked(fitted, panel).quantiles
    )


def test_inner_windows_are_those_of_the_members(raced, panel):
    auto, _, context = raced
    rows = auto.backtest(panel, 2, horizon=6, context=context)
    assert sorted(rows["window"].unique()) == [-2, -1]
    assert rows["mean"].is_not_null().all()


def test_inner_windows_stand_below_real_ones_in_one_table(panel, tmp_path):
    protocol = Holdout(horizon=6, intervals="conformal")
    (fold,) = protocol.split(panel)
    context = RunContext(0, cache=Cache(tmp_path))
    auto = Auto(members=OWN[:1], budget="20u", windows=1)
    rows = protocol.evaluate_cell(auto, panel, Cell("m", fold, 0, fold.units), context)
    assert rows.filter(pl.col("window") < 0)[SEARCH_COLUMN].null_count()
    assert rows.filter(pl.col("window") >= 0)[SEARCH_COLUMN].count()
    assert rows["fallback_kind"].null_count() == rows.filter(~pl.col("fallback")).height


class Timid:
    """The mean of a series, with quantiles far too close to it."""

    def predict(self, history, future):
        means = np.add.reduceat(history.target, history.offsets[:-1]) / history.lengths
        mean = np.repeat(means[:, None], len(future.table) // len(means), 1)
        return Forecasts.of(mean, mean[..., None] + np.array([-0.3, 0.0, 0.3]))


class Narrow(Forecaster):
    def learn(self, history, *, horizon, context):
        return Timid()


def test_intervals_that_are_calibrated_already_are_not_widened_again_by_those_who_calibrate_on_inner_windows(
    tmp_path,
):
    rng = np.random.default_rng(0)
    panel = panel_of({f"s{place:02d}": rng.normal(100, 1, 48) for place in range(40)}, 6)
    panel = panel.until(panel.lengths - 6)
    context = inner_context(tmp_path)
    context, auto = (
        replace(context, cache=context.backtests.cache),
        Auto(members=(Narrow(name="narrow"),), budget="400u"),
    )
    rows = auto.backtest(panel, 3, horizon=6, context=context)
    inside = rows.select(pl.col("actual").is_between("q_0.1", "q_0.9").mean()).item()
    assert 0.75 < inside < 0.85
    raw = context.inner(auto.members[0], panel, 3, horizon=6, refit=False)
    assert raw.select(pl.col("actual").is_between("q_0.1", "q_0.9").mean()).item() < 0.35


def test_nothing_is_begun_that_a_budget_does_not_hold(panel, tmp_path):
    dear = LSTM(name="forecast/lstm")
    fitted = Auto(members=(dear,), budget="1u").learn(
        panel, horizon=6, context=inner_context(tmp_path)
    )
    assert [member.name for member in fitted.answer.members] == [NAIVE]
    assert "not tried for lack of time: forecast/lstm (" in fitted.answer.story


def test_the_budget_that_would_try_more_is_beyond_the_one_that_was_given(panel, tmp_path):
    """What is kept for the final fits of the best so far counts."""
    theta, dear = Candidate(OWN[2]), Candidate(LSTM(name="forecast/lstm"))
    race = Race(panel, 6, inner_context(tmp_path), 1, Allowance(1.0, True))
    race.run([theta, dear])
    own = race.standings[dear.name]
    assert not own.losses
    assert own.kept > 0
    race.allowance.spent, own.price, own.kept = 23.0, 23.0, 14.5
    assert "forecast/lstm (23u more); a budget of some 61u would try these." in race_story(
        race, PanelTraits.of(panel, 12), "60u"
    )
    bound = "would try these; model.most, 1 under size=small, kept 9 more from the race."
    assert bound in race_story(race, PanelTraits.of(panel, 12), "60u", 9)
    race.standings.clear()
    assert "all that may change it" not in race_story(race, PanelTraits.of(panel, 12), "60u", 9)


def test_where_nothing_can_be_tried_what_usually_wins_answers(panel, tmp_path):
    dear, next_best = LSTM(name="forecast/lstm"), Theta(name="forecast/theta(origins=2)", origins=2)
    size = size_of(panel, 6, 12, 3)
    naive = backtest_work(SeasonalNaive(), size, 3).total
    scarce = naive + 1.3 * work_of(next_best, size).total
    assert scarce - naive < work_of(next_best, size).total + backtest_work(next_best, size, 3).total
    race = Race(panel, 6, inner_context(tmp_path), 3, Allowance(scarce, units=True))
    team = race.run([Candidate(dear), Candidate(next_best)])
    assert [member.name for member in team.members] == ["forecast/theta(origins=2)"]
    assert not team_answer(team, (0.1, 0.5, 0.9), 6, "").calibration.steps.size


def test_a_history_without_a_window_is_the_seasonal_naives(panel, tmp_path):
    """What could not be told from any other does not answer: launches of two rows were analog's,
    far behind.
    """
    short = panel.last(4)
    fitted = Auto(members=OWN, budget="5u").learn(short, horizon=6, context=inner_context(tmp_path))
    assert np.isfinite(asked(fitted, short).mean).all()
    assert [member.name for member in fitted.answer.members] == [NAIVE]
    assert "no series is long enough for a window before the cutoff" in fitted.answer.story
    assert "dropped" not in fitted.answer.story


def test_rungs_grow_to_all_series_and_windows():
    assert list(rungs(150, 3)) == [(150, 3)]
    assert list(rungs(100_000, 3)) == [(64, 1), (256, 2), (1_000, 3)]


def test_windows_leave_half_of_the_history_before_them():
    """What learns once before three windows of short series knows too little of them, and was
    behind for that alone.
    """
    panel = panel_of({"a": np.arange(60.0), "b": np.arange(60.0)}, 6)
    short, long = (panel.until(np.full(2, rows)) for rows in (20, 60))
    assert [usable_windows(short, 6, most) for most in (1, 3)] == [1, 1]
    assert [usable_windows(long, 6, most) for most in (1, 3, 9)] == [1, 3, 5]


def test_what_is_surely_behind_waits_for_what_was_not_tried_yet(tmp_path):
    rng = np.random.default_rng(0)
    panel = panel_of({f"s{i:03d}": 100 * np.exp(rng.normal(0, 0.1, 48)) for i in range(200)}, 6)
    pool = [
        *(Candidate(Shifted(name=f"by {by}", by=by)) for by in (0.08, 0.0)),
        Candidate(Naive(name="untried")),
    ]
    race = Race(panel, 6, inner_context(tmp_path), 2, Allowance(100.0, units=True))
    race.team = Team((), np.ones(0), (), np.nan, Rung(0, 0))
    race.standings = {each.name: CandidateStanding(each) for each in pool}
    rows = {each.name: race._backtest(each.model, panel, 1) for each in pool[:2]}
    assert [each.name for each in race._drop_losers(pool[:2], rows, pool)] == [
        "by 0.0",
        "untried",
        "by 0.08",
    ]


def test_what_costs_on_few_series_nearly_what_it_does_on_all_waits_for_the_last_rung(tmp_path):
    panel = panel_of({f"s{i:03d}": np.arange(48.0) + i for i in range(300)}, 6)
    race = Race(panel, 6, inner_context(tmp_path), 2, Allowance(60.0, units=True))
    few, models = panel.block(0, 64), (LSTM(), Theta())
    assert [
        race._costs_as_last_rung(model, race._inner_price(model, few, 1)) for model in models
    ] == [
        True,
        False,
    ]


def test_a_heavier_candidate_that_is_no_worse_stands_for_its_lighter_one():
    light, heavy, worse = (
        Candidate(Naive(name=name), after=after)
        for name, after in (("a", ""), ("b", "a"), ("c", "b"))
    )
    assert _unlike_members([light, heavy, worse], np.array([1.0, 1.0, 1.1])) == [1, 2]
    naive = Candidate(Naive(name=NAIVE))
    assert _unlike_members([naive, light], np.array([1.1, 1.0])) == [1]
    assert _unlike_members([naive, light], np.array([0.9, 1.0])) == [0, 1]


def test_logarithms_are_tried_where_zeros_are_few_and_nothing_is_negative(panel):
    smooth = replace(PanelTraits.of(panel, 12), covariates=0, zeros=0.0)
    looks = smooth, replace(smooth, zeros=0.02), replace(smooth, negative=True)
    assert [any("logs=true" in each.name for each in race_candidates(look)) for look in looks] == [
        True,
        False,
        False,
    ]


class Shifted(Forecaster):
    """The seasonal naive, moved by a part of the level."""

    by: float = 0.0

    def learn(self, history, *, horizon, context):
        return Moved(SeasonalNaive().learn(history, horizon=horizon, context=context), self.by)


@dataclass(frozen=True)
class Moved:
    """Its forecasts."""

    inner: object
    by: float

    def predict(self, history, future):
        told = self.inner.predict(history, future)
        return Forecasts.of(told.mean * (1 + self.by), told.quantiles * (1 + self.by))


def test_a_candidate_that_is_a_little_behind_on_the_first_series_is_tried_on_the_others(tmp_path):
    rng = np.random.default_rng(0)
    panel = panel_of({f"s{i:03d}": 100 * np.exp(rng.normal(0, 0.1, 48)) for i in range(200)}, 6)
    pool = [Candidate(Shifted(name=f"by {by}", by=by)) for by in (0.0, 0.01, 0.02, 0.03, 0.04, 1.0)]
    race = Race(panel, 6, inner_context(tmp_path), 2, Allowance(10_000.0, units=True))
    race.run(pool)
    last = {name for name, standing in race.standings.items() if len(standing.losses) == 2}
    assert last == {each.name for each in pool[:5]}
    assert race.standings["by 1.0"].dropped.startswith("behind by")


def test_a_candidate_that_waits_for_the_last_round_and_is_its_last_one_is_ranked_with_the_others(
    tmp_path,
):
    rng = np.random.default_rng(0)
    panel = panel_of({f"s{i:03d}": 100 * np.exp(rng.normal(0, 0.1, 48)) for i in range(200)}, 6)
    race = Race(panel, 6, inner_context(tmp_path), 2, Allowance(10_000.0, units=True))
    race.run(
        [
            Candidate(Shifted(name="light", by=0.1)),
            Candidate(Shifted(name="heavy", by=0.09), after="light"),
        ]
    )
    assert "fewer" not in tried_text(race.standings, race.team.rung)


def test_a_panel_is_looked_at(panel):
    look = PanelTraits.of(panel, 12)
    assert (look.kind, look.series, look.length, look.covariates) == ("covariates", 8, 60, 1)
    assert race_candidates(look)[0].name == "forecast/analog"
    zeros = replace(look, zeros=0.6)
    assert zeros.kind == "intermittent"
    assert race_candidates(zeros)[0].name == "forecast/zero"
    assert replace(zeros, negative=True).kind == "covariates"


@pytest.mark.parametrize(
    ("budget", "seconds"), [("60s", 60), ("10m", 600), ("1.5h", 5400), ("300u", 300)]
)
def test_a_budget_is_read(budget, seconds):
    assert budget_amount(Auto(budget=budget).budget) == seconds


@pytest.mark.parametrize("budget", ["", "60", "s", "0s", "-5s", "1e9s", "200h", "nans", "60 s", 60])
def test_a_wrong_budget_is_refused_in_a_line(budget):
    with pytest.raises(
        ConfigError, match=r"Auto\.budget: must be seconds, minutes, hours or units of work"
    ):
        Auto(budget=budget)


def test_what_was_kept_says_nothing_of_speed():
    allowance = Allowance(60.0, units=False, usual=1.0)
    allowance.charge("kept", 10.0, 0.01)
    assert allowance.price("kept", 10.0) == 10.0
    allowance.charge("slow", 2.0, 8.0)
    assert allowance.price("slow", 1.0) == 2.5
    assert allowance.price("new", 1.0) == 1.75
    allowance.charge("compiled", 0.03, 9.0)
    assert allowance.price("compiled", 1.0) < 10


def test_a_budget_by_the_clock_is_no_repeatable_one():
    assert (
        Auto(budget="60s").why_unrepeatable()
        == "budget: must be in units of work, such as 300u, got 60s"
    )
    assert Auto(budget="60u").why_unrepeatable() == ""


def young_rows(losses_of_old, losses_of_young, series=40):
    """Rows of two windows of so many series by each of two members.

    Those from the twentieth on have no season behind them.
    """
    rng = np.random.default_rng(0)
    names = np.repeat([f"s{i:02d}" for i in range(series)], 8)
    young = np.repeat(np.arange(series) >= 20, 8)
    count = len(names)
    frame = {
        "series_id": names,
        "cutoff": np.tile(np.repeat([0, 1], 4), series),
        "step": np.tile([1, 2, 3, 4], 2 * series),
    }
    actual = rng.normal(size=count)
    scales = {
        "scale_abs": np.where(young, np.nan, 1.0),
        "short_scale_abs": np.where(young, 1.0, np.nan),
    }
    return [
        pl.DataFrame(
            frame | {"actual": actual, "q_0.5": actual + rng.normal(size=count) * spread} | scales
        ).fill_nan(None)
        for spread in (
            np.where(young, late, early)
            for early, late in zip(losses_of_old, losses_of_young, strict=True)
        )
    ]


def test_young_series_have_weights_of_their_own():
    rows = young_rows((0.2, 3.0), (3.0, 0.2))
    tried = [Candidate(model) for model in OWN[:2]]
    team = make_team(tried, rows, member_windows(rows), Rung(40, 2))
    assert team.weights.argmax() == 0
    assert team.young[1] > team.weights[1] + 0.3
    assert team.learned
    assert young_windows([part.filter(pl.col("series_id") < "s25") for part in rows]) is None


def test_young_series_that_windows_do_not_show_are_left_to_what_knows_how_others_began():
    tried = [Candidate(OWN[0]), Candidate(Analog())]
    alike, behind = (
        young_rows((1.0, 1.0), (1.0, 1.0), series=25),
        young_rows((0.1, 3.0), (0.1, 3.0), series=25),
    )
    team = make_team(tried, alike, member_windows(alike), Rung(25, 2))
    assert 0 < team.weights[1] < 1
    assert team.young.tolist() == [0.0, 1.0]
    assert [weights.values[1, 0].tolist() for weights in _left_out_weights(team)] == [
        [0.0, 1.0]
    ] * 2
    far = make_team(tried, behind, member_windows(behind), Rung(25, 2))
    assert [each.name for each in far.members] == [OWN[0].name]
    assert far.young is None


def test_old_series_that_repeat_themselves_are_not_young():
    series = {
        "flat": np.full(40, 5.0),
        "wave": np.tile(np.arange(12.0), 4),
        "young": np.arange(12.0),
        "zero": np.zeros(13),
    }
    panel = panel_of(series, 6)
    assert age_groups(panel.until(panel.lengths - 6), 12).tolist() == ["", "", YOUNG_GROUP, ""]


def test_python_needs_no_run(panel):
    bare = replace(panel, table=panel.table.drop("promotion", "visits"), roles=Roles())
    rows = Auto(members=OWN[:2], budget="5u").fit(bare, horizon=6).predict()
    assert rows.height == 8 * 6
    assert rows["q_0.5"].is_not_null().all()


def test_errors_on_fewer_windows_are_not_ranked_with_the_others():
    losses = {"early": [0.7], "slow": [0.5, 0.8], "fast": [0.9, 0.75], "waiting": []}
    standings = {
        name: CandidateStanding(Candidate(Naive(name=name)), each) for name, each in losses.items()
    }
    assert tried_text(standings, Rung(1000, 3)) == (
        "tried on up to 3 windows of 1,000 series (mean absolute scaled error): fast 0.750, slow "
        "0.800; "
        "on fewer of them, and so not comparable: early 0.700"
    )
    assert tried_text(standings, Rung(64, 1)).startswith("tried on one window of 64 series")


def test_final_fits_of_an_early_team_leave_room_for_the_next_round(tmp_path):
    """A final fit takes 36 units, and a trial 66 with its own: of 150 there is none beside three
    members of the first round.
    """
    rng = np.random.default_rng(0)
    panel = panel_of({f"s{i:02d}": 100 * np.exp(rng.normal(0, 0.1, 48)) for i in range(20)}, 6)
    members = tuple(Shifted(name=f"by {by}", by=by) for by in (0.0, 0.01, -0.01))
    another = Candidate(Shifted(name="another"))
    for budget, left in (
        (150.0, 2),
        (90.0, 3),
    ):  # with 90 units nothing could be tried beside one member, either
        race = Race(panel, 6, inner_context(tmp_path), 2, Allowance(budget, units=True))
        rows = tuple(
            race.context.inner(member, panel, 1, horizon=6, refit=False) for member in members
        )
        race.team = Team(members, np.full(3, 1 / 3), rows, 0.1, Rung(20, 1))
        race.standings = {another.name: CandidateStanding(another)}
        race._run_rung(Rung(20, 2), Candidate(SeasonalNaive(name=NAIVE)), [another])
        assert (len(race.team.members), bool(race.standings[another.name].losses)) == (
            left,
            left == 2,
        )


def test_a_candidate_beyond_all_bounds_takes_no_line_of_digits(tmp_path):
    standings = {"wild": CandidateStanding(Candidate(Naive(name="wild")), [2.1e31])}
    assert tried_text(standings, Rung(64, 1)).endswith("wild 2e+31")
    rng = np.random.default_rng(0)
    panel = panel_of({f"s{i:02d}": 100 * np.exp(rng.normal(0, 0.1, 48)) for i in range(20)}, 6)
    race = Race(panel, 6, inner_context(tmp_path), 1, Allowance(10_000.0, units=True))
    race.run([Candidate(Shifted(by=by, name=name)) for name, by in (("calm", 0.0), ("wild", 1e30))])
    assert race.standings["wild"].dropped == "behind by more than 10,000 %"


def test_weights_of_young_series_are_told_where_they_differ(panel, tmp_path):
    race = Race(panel, 6, inner_context(tmp_path), 1, Allowance.of("20u"))
    race.run([Candidate(model) for model in OWN])
    even, look = np.full(2, 0.5), replace(PanelTraits.of(panel, 12), young=0.1)
    race.team = replace(race.team, members=OWN[:2], weights=even, young=even.copy())
    assert "(for series with no season behind them" not in race_story(race, look, "20u")
    race.team = replace(race.team, young=np.array([1.0, 0.0]))
    assert "(for series with no season behind them 100 % forecast/naive)" in race_story(
        race, look, "20u"
    )
    assert "with no season behind them" not in race_story(race, replace(look, young=0.0), "20u")
