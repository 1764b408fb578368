"""The analysis of a table: what is shown, what is hidden, what is refused."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from hwds.ab.models.bayes import Bayes
from hwds.ab.models.cuped import Cuped
from hwds.ab.models.proportions import Proportions
from hwds.ab.models.ratio import Ratio
from hwds.ab.models.revenue import Revenue
from hwds.ab.models.stratified import Stratified
from hwds.ab.models.welch import Welch
from hwds.ab.protocols.ab_test import AbTest
from hwds.ab.rows import arm_counts
from hwds.core.errors import ConfigError, DataError
from hwds.evaluation.protocol import Cell, RunContext
from hwds.frames.table import Table

ROLES = {"arm": ("group",), "outcome": ("visit",)}
GROUP = Welch(rules=("group_sequential",))


def units(n=1200, seed=0, **columns):
    rng = np.random.default_rng(seed)
    group = rng.permutation(np.repeat(["A", "B", "C"], n // 3))
    before = rng.normal(0, 1, n)
    visit = (rng.random(n) < 0.2 + 0.1 * (group == "B") + 0.1 * (before > 0)).astype(int)
    data = {
        "group": group,
        "visit": visit,
        "before": before,
        "day": np.arange(n),
        "site": np.where(before > 0, "x", "y"),
    }
    return pl.DataFrame(data | columns)


def table(data=None, **roles):
    return Table.build(units() if data is None else data, ROLES | roles)


def scores(frame, model=None, **settings):
    protocol = AbTest(**{"name": "ab_test", "control": "A", "replications": 0} | settings)
    model = model or Welch(name="ab/welch")
    folds = protocol.split(frame)
    protocol.check_models({model.name: model}, frame)
    rows = protocol.evaluate_cell(
        model, frame, Cell(model.name, folds[0], 0, folds[0].units), RunContext(0, folds[0].name)
    )
    return protocol.score(rows)


def only(found, metric, arm=None, method=None, step=None):
    hits = [
        s
        for s in found
        if (s.metric, s.segment, s.ci_method, s.step) == (metric, arm, method, step)
    ]
    assert len(hits) == 1, [(s.metric, s.segment, s.ci_method, s.step) for s in found]
    return hits[0]


def test_each_arm_is_held_against_the_control():
    frame = table()
    found = scores(frame)
    for arm in "BC":
        own, control = (
            frame.data.filter(pl.col("group") == name)["visit"].to_numpy() for name in (arm, "A")
        )
        told = stats.ttest_ind(own, control, equal_var=False)
        fixed, valid = (
            only(found, "effect", arm, "fixed"),
            only(found, "effect", arm, "always_valid"),
        )
        assert fixed.value == pytest.approx(own.mean() - control.mean())
        assert fixed.p_value == pytest.approx(told.pvalue)
        assert (fixed.ci_low, fixed.ci_high) == pytest.approx(tuple(told.confidence_interval()))
        assert valid.ci_low < fixed.ci_low < fixed.ci_high < valid.ci_high
        assert valid.p_value > fixed.p_value
        assert (fixed.segment_by, fixed.n) == ("arm", 800)
    assert not [s for s in found if s.segment == "A" and s.metric == "effect"]


def test_a_fixed_interval_is_unregistered_until_its_size_is_reached():
    def status(size):
        return only(scores(table(), size=size), "effect", "B", "fixed").status

    assert [status(size) for size in (None, 1201, 1200, 800)] == [
        "unregistered",
        "unregistered",
        "ok",
        "beyond_size",
    ]
    assert only(scores(table(), size=None), "effect", "B", "always_valid").status == "ok"


def test_the_registered_size_tunes_the_sequence():
    widths = {}
    for size in (None, 1200):
        effect = only(scores(table(), size=size), "effect", "B", "always_valid")
        widths[size] = effect.ci_high - effect.ci_low
    assert widths[1200] < widths[None]
    effect = only(scores(table(), tuned_for=1200), "effect", "B", "always_valid")
    assert effect.ci_high - effect.ci_low == widths[1200]


def lopsided():
    data = units()
    return table(pl.concat([data, data.filter(pl.col("group") == "B")]))


def test_nothing_is_shown_where_the_sample_ratio_is_wrong():
    found = scores(lopsided(), Bayes(name="b")) + scores(lopsided())
    results = [s for s in found if not s.metric.startswith("sample_ratio")]
    assert {s.status for s in results} == {"sample_ratio_mismatch"}
    assert {(s.value, s.stderr, s.ci_low, s.p_value) for s in results} == {(None, None, None, None)}
    check = only(scores(lopsided()), "sample_ratio[equal]")
    assert check.p_value < 0.001
    assert check.status == "sample_ratio_mismatch"


def test_it_is_shown_on_request_with_its_status():
    effect = only(scores(lopsided(), show_despite_mismatch=True), "effect", "B", "always_valid")
    assert effect.value is not None
    assert effect.status == "sample_ratio_mismatch"


def test_planned_shares_are_what_is_checked():
    found = scores(lopsided(), allocation={"A": 1, "B": 2, "C": 1})
    assert only(found, "sample_ratio[planned]").p_value == 1
    assert only(found, "effect", "B", "always_valid").value is not None


def test_a_small_test_has_no_sample_ratio():
    frame = table(pl.DataFrame({"group": list("AABBB"), "visit": [0, 1, 1, 0, 1]}))
    found = scores(frame)
    assert only(found, "sample_ratio[equal]").status == "too_few_units"
    assert only(found, "effect", "B", "fixed").value == pytest.approx(1 / 6)


def test_holm_and_bh_stand_beside_the_p_values():
    from statsmodels.stats.multitest import multipletests

    for ours, theirs in (("holm", "holm"), ("bh", "fdr_bh")):
        found = scores(table(), correction=ours)
        raw = [only(found, "effect", arm, "fixed").p_value for arm in "BC"]
        shown = [only(found, f"adjusted_p[{ours}]", arm, "fixed").value for arm in "BC"]
        assert shown == pytest.approx(multipletests(raw, method=theirs)[1])
    assert not [s for s in scores(table(), correction="none") if s.metric.startswith("adjusted")]


def test_the_family_is_all_arms_and_outcomes():
    data = units(spend=np.random.default_rng(1).exponential(5, 1200))
    found = scores(table(data, outcome=("visit", "spend")), Welch(rules=("fixed",)))
    raw = {(s.metric, s.segment): s.p_value for s in found if s.metric.startswith("effect")}
    assert set(raw) == {(f"effect[{name}]", arm) for name in ("visit", "spend") for arm in "BC"}
    least = min(raw, key=raw.get)
    name = least[0].partition("[")[2]
    assert only(found, f"adjusted_p[holm, {name}", least[1], "fixed").value == pytest.approx(
        4 * raw[least]
    )


def test_looks_are_steps_in_order_of_time():
    data = units().sample(fraction=1, shuffle=True, seed=3)
    found = scores(table(data, time=("day",)), looks=4)
    steps = [only(found, "effect", "B", "always_valid", step) for step in (1, 2, 3, 4)]
    assert [s.cutoff for s in steps] == ["299", "599", "899", "1199"]
    assert steps[-1].value == only(found, "effect", "B", "always_valid").value
    first = units().filter(pl.col("day") < 300)
    assert steps[0].value == pytest.approx(
        first.filter(pl.col("group") == "B")["visit"].mean()
        - first.filter(pl.col("group") == "A")["visit"].mean()
    )
    assert [only(found, "effect", "B", "fixed", step).status for step in (1, 4)] == [
        "unregistered"
    ] * 2


@pytest.mark.parametrize(
    "model", [Welch(), Stratified(), Bayes()], ids=lambda model: type(model).__name__
)
def test_a_look_that_comes_too_early_is_left_out(model):
    frame = table(
        units(60).sort("group", "day").with_columns(day=pl.int_range(60)),
        time=("day",),
        stratum=("site",),
    )
    steps = {s.step for s in scores(frame, model, looks=20) if s.metric.endswith("effect")}
    assert {None, 20} <= steps
    assert not steps & set(range(1, 14))  # the third arm comes last


def test_group_sequential_answers_by_the_last_look_that_was_reached():
    frame = table(time=("day",))
    found = scores(frame, GROUP, looks=4, size=2000)
    last, final = (
        only(found, "effect", "B", "group_sequential", 2),
        only(found, "effect", "B", "group_sequential"),
    )
    assert (final.value, final.ci_low, final.n) == (last.value, last.ci_low, last.n)
    assert not [s for s in found if s.step == 3]
    assert (final.ci_high - final.ci_low) / (2 * final.stderr) == pytest.approx(
        2.024 * np.sqrt(2), abs=0.005
    )
    early = only(scores(frame, GROUP, looks=2, size=4000), "effect", "B", "group_sequential")
    assert (early.value, early.status) == (None, "no_planned_look_reached")
    assert final.status == "ok"
    assert (
        only(scores(frame, GROUP, looks=2), "effect", "B", "group_sequential").status
        == "unregistered"
    )


def test_price_makes_revenue_and_cost_makes_margin():
    rng = np.random.default_rng(2)
    price = np.where(units()["group"].to_numpy() == "B", 30.0, 20.0)
    data = units(price=price, cost=np.full(1200, 12.0), amount=rng.exponential(3, 1200))
    found = scores(table(data, price=("price",), cost=("cost",)), Bayes())
    means = data.group_by("group").agg(pl.col("visit").mean()).sort("group")["visit"]
    bayes = only(found, "posterior_effect[revenue]", "B", "bayes")
    assert bayes.value == pytest.approx(30 * means[1] - 20 * means[0], abs=0.1)
    assert only(found, "posterior_effect[margin]", "B", "bayes").value == pytest.approx(
        18 * means[1] - 8 * means[0], abs=0.1
    )
    found = scores(table(data, amount=("amount",)), Revenue())
    assert only(found, "arm_mean[revenue]", "A").value == pytest.approx(
        data.filter(pl.col("group") == "A")["amount"].mean()
    )
    assert not [
        s for s in scores(table(data, price=("price",)), Proportions()) if "revenue" in s.metric
    ]


def test_revenue_needs_more_units_than_conversion():
    rng, n = np.random.default_rng(3), 200_000
    own = rng.random(n) < 0.5
    bought = (rng.random(n) < np.where(own, 0.036, 0.045)).astype(int)
    data = pl.DataFrame(
        {"group": np.where(own, "B", "A"), "visit": bought, "price": np.where(own, 199.0, 149.0)}
    )
    found = scores(table(data, price=("price",)))
    needed = [
        only(found, f"units_for_effect_seen{label}", "B").value for label in ("", "[revenue]")
    ]
    assert needed[1] > 3 * needed[0]
    least = [
        only(found, name).value
        for name in ("minimum_effect[power=0.8]", "minimum_effect_revenue[power=0.8]")
    ]
    assert least[1] > 100 * least[0]


def test_an_arm_without_a_conversion_has_the_margin_of_its_own_price():
    data = units(price=np.full(1200, 20.0), cost=np.full(1200, 12.0)).with_columns(
        visit=pl.when(pl.col("group") == "B").then(0).otherwise("visit")
    )
    effect = only(
        scores(table(data, price=("price",), cost=("cost",)), Bayes()),
        "posterior_effect[margin]",
        "B",
        "bayes",
    )
    plain = only(scores(table(data), Bayes()), "posterior_effect", "B", "bayes")
    assert (effect.value, effect.ci_low) == pytest.approx((8 * plain.value, 8 * plain.ci_low))


def test_a_covariate_narrows_and_its_absence_is_said():
    plain, with_it = scores(table(), Cuped()), scores(table(covariate=("before",)), Cuped())
    assert only(with_it, "effect", "B", "fixed").stderr < only(plain, "effect", "B", "fixed").stderr
    assert only(plain, "effect", "B", "fixed").n_fallback == 800
    assert only(with_it, "effect", "B", "fixed").n_fallback == 0


def test_rates_are_in_every_report():
    found = scores(table(), replications=200, simulated_looks=(1, 10))
    fixed = {
        s.step: s.value
        for s in found
        if s.metric == "false_positive_rate" and s.ci_method == "fixed"
    }
    assert fixed[1] < fixed[10]
    assert only(found, "false_positive_rate[looks=10]", method="always_valid").n == 200
    assert only(found, "power[looks=10]", method="always_valid").value > 0


def test_the_looks_of_the_test_itself_are_simulated():
    found = scores(table(time=("day",)), looks=3, replications=50, simulated_looks=(1, 2))
    assert {s.step for s in found if s.metric == "false_positive_rate"} == {1, 2, 3}
    assert only(found, "false_positive_rate[looks=3]", method="always_valid").n == 50
    told = {
        each.name: each
        for each in AbTest(control="A", looks=3, simulated_looks=(1, 2)).measures(table())
    }
    assert "one arm against the control" in told["false_positive_rate[looks=3]"].meaning


def test_a_test_hands_its_counts_to_a_bandit():
    protocol, frame = AbTest(control="A", replications=0), table()
    fold = protocol.split(frame)[0]
    rows = protocol.evaluate_cell(Welch(), frame, Cell("w", fold, 0, fold.units), RunContext(0))
    prior = arm_counts(rows.select(pl.lit("w").alias("model"), pl.all()), "w")
    known = frame.data.group_by("group").agg(pl.col("visit").sum(), pl.len()).sort("group")
    assert prior["arm"].to_list() == ["A", "B", "C"]
    assert prior["successes"].to_list() == known["visit"].to_list()
    assert (prior["successes"] + prior["failures"]).to_list() == known["len"].to_list()


ONE = ("A", 1, 9, 0.1, 0.1)


def sums(rows):
    data = pl.DataFrame(rows, schema=["group", "t", "n", "m", "v"], orient="row")
    return Table.build(
        data,
        {"arm": ("group",), "time": ("t",), "count": ("n",), "mean": ("m",), "variance": ("v",)},
    )


def running(data, every=300):
    rows = []
    for stop in range(every, len(data) + 1, every):
        for (group,), part in data[:stop].group_by("group", maintain_order=True):
            rows.append((group, stop, len(part), part["visit"].mean(), part["visit"].var()))
    return sums(rows)


def test_running_sums_say_what_the_units_say():
    data = units()
    ours, theirs = scores(running(data), looks=4), scores(table(data, time=("day",)), looks=4)
    for step in (None, 1, 4):
        for method in ("always_valid", "fixed"):
            a, b = (
                only(ours, "effect", "B", method, step),
                only(theirs, "effect", "B", method, step),
            )
            assert (a.value, a.ci_low, a.p_value, a.n) == pytest.approx(
                (b.value, b.ci_low, b.p_value, b.n), rel=1e-9
            )
    chances = [
        only(scores(frame, Bayes()), "probability_best", "B", "bayes").value
        for frame in (running(data), table(data))
    ]
    assert chances[0] == pytest.approx(chances[1])


def test_a_look_of_sums_is_not_missed_by_rounding():
    frame = sums([(arm, time, time * 100, 0.1, 0.09) for time in range(1, 26) for arm in "AB"])
    looks = [
        s
        for s in scores(frame, size=5000, looks=25)
        if s.metric == "effect" and s.ci_method == "fixed" and s.step
    ]
    assert [s.n for s in looks] == [200 * step for step in range(1, 26)]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [ONE, ONE, ("B", 1, 9, 0.1, 0.1)],
            r"arm 'A' has two rows at one instant \(rows 1 and 2\)",
        ),
        (
            [ONE, ("B", 1, 9, 0.1, 0.1), ("B", 2, 8, 0.1, 0.1)],
            "arm 'B' has fewer units at 2 than before",
        ),
        (
            [("A", 1, 9, 0.1, -0.1), ("B", 1, 9, 0.1, 0.1)],
            "row 1 has -0.1 in column 'v'; must be >= 0",
        ),
        ([ONE, ("B", 1, 1, 0.1, 0.1)], "arm 'B' has 1 units; an arm needs two"),
    ],
)
def test_sums_that_cannot_be_are_refused(rows, said):
    with pytest.raises(DataError, match=said):
        scores(sums(rows))


@pytest.mark.parametrize(
    ("users", "said"),
    [
        (
            ["u1", "u2", "u1", "u3"],
            r"1 of 3 have several rows, 'u1' 2; a test counts each unit once",
        ),
        (["u1", "u1", "u2", "u3"], r"'u1' 2 in arms 'A' and 'B'; a unit is in one arm"),
        (["u1", "u2", "u3", None], None),
        ([None, None, "u1", "u2"], None),
    ],
)
def test_a_unit_with_several_rows_is_refused(users, said):
    data = pl.DataFrame({"user": users, "arm": ["A", "B", "A", "B"], "bought": [0, 1, 1, 0]})
    frame = Table.build(data, {"entity": ("user",), "arm": ("arm",), "outcome": ("bought",)})
    if said is None:
        assert scores(frame, Welch())
        return
    with pytest.raises(DataError, match=said):
        scores(frame, Welch())


def events(frame, seed=4):
    """The visits of each unit, one to three in a row of their own, with what was spent in each."""
    rng = np.random.default_rng(seed)
    rows = frame.with_row_index("user")[
        np.repeat(np.arange(len(frame)), rng.integers(1, 4, len(frame)))
    ]
    spent = (rng.random(len(rows)) < 0.3) * rng.exponential(20, len(rows))
    rows = rows.with_columns(
        spent=pl.Series(spent),
        sessions=pl.lit(1),
        hour=pl.col("day") + pl.Series(rng.random(len(rows))),
    )
    return rows[rng.permutation(len(rows))]


def test_events_of_an_entity_are_one_unit():
    visits = events(units())
    summed = (
        visits.sort("hour")
        .group_by("user", maintain_order=True)
        .agg(pl.col("group", "before", "hour").first(), pl.col("spent", "sessions").sum())
    )
    roles = {"arm": ("group",), "outcome": ("spent",), "covariate": ("before",), "time": ("hour",)}
    by_event, by_unit = (
        Table.build(visits, roles | {"entity": ("user",)}),
        Table.build(summed, roles),
    )
    for model in (Cuped(name="m"), Ratio(name="m", denominator="sessions")):
        ours, theirs = scores(by_event, model, rows="events"), scores(by_unit, model)
        of_units = [each for each in ours if each.metric not in ("effect_by_age", "novelty")]
        assert of_units == [each for each in theirs if "_by_day" not in each.metric]
        assert only(ours, "effect", "B", "fixed").n == 800
    with pytest.raises(
        ConfigError,
        match=r"must be 1 with protocol\.rows=events, whose sums hold what came after a look",
    ):
        scores(by_event, rows="events", looks=2)


def test_an_event_without_an_outcome_makes_no_zero():
    rows = {"user": [1, 2, 2, 3, 4], "arm": list("AAABB"), "bought": [0, 1, None, 1, 0]}
    frame = Table.build(
        pl.DataFrame(rows), {"entity": ("user",), "arm": ("arm",), "outcome": ("bought",)}
    )
    with pytest.raises(DataError, match=r"roles\.outcome: row 2 has no value in column 'bought'"):
        scores(frame, rows="events")


def test_a_price_is_chosen_from_units_and_not_from_events():
    rows = {
        "user": [1, 1, 1, 2, 3, 4],
        "arm": list("BBBBAA"),
        "bought": [1, 1, 1, 0, 1, 0],
        "price": [8.0] * 4 + [9.0] * 2,
    }
    roles = {"entity": ("user",), "arm": ("arm",), "outcome": ("bought",), "price": ("price",)}
    frame = Table.build(pl.DataFrame(rows), roles)
    protocol = AbTest(name="ab_test", control="A", rows="events")
    assert protocol.offers(frame).measured == "quantity"
    for path in ("caps", "quantile_caps"):
        said = (
            rf"protocol\.{path}: 'bought' has a price; once it is capped it is not what an arm "
            rf"earns"
        )
        with pytest.raises(ConfigError, match=said):
            AbTest(name="ab_test", control="A", rows="events", **{path: {"bought": 0.9}}).offers(
                frame
            )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"arm": ["A", "B", "A", "B"]},
            r"roles\.arm: 1 of 3 entities have several, 'u1' first; a unit is in one arm",
        ),
        (
            {"price": [9.0, 8.0, 9.0, 9.0]},
            r"roles\.price: 1 of 3 .* give dataset\.roles\.amount, what each event brought",
        ),
        ({"user": ["u1", None, "u2", "u3"]}, r"roles\.entity: row 2 has no value in column 'user'"),
    ],
)
def test_events_that_make_no_unit_are_refused(change, said):
    plain = {
        "user": ["u1", "u1", "u2", "u3"],
        "arm": ["A", "A", "A", "B"],
        "bought": [0, 1, 1, 0],
        "price": [9.0] * 4,
    }
    roles = {"entity": ("user",), "arm": ("arm",), "outcome": ("bought",), "price": ("price",)}
    with pytest.raises(DataError, match=said):
        scores(Table.build(pl.DataFrame(plain | change), roles), rows="events")
    with pytest.raises(DataError, match=r"roles\.entity: must be given; protocol\.rows=events"):
        scores(table(), rows="events")


def test_a_cap_narrows_what_has_a_heavy_tail_and_is_said():
    heavy = units(spent=np.random.default_rng(3).lognormal(2, 1.5, 1200))
    frame = Table.build(heavy, {"arm": ("group",), "outcome": ("spent",)})
    plain, capped = (
        only(scores(frame, caps=caps), "effect", "B", "fixed") for caps in ({}, {"spent": 60.0})
    )
    expected = (
        heavy.with_columns(pl.col("spent").clip(upper_bound=60.0))
        .group_by("group")
        .agg(pl.col("spent").mean())
    )
    means = dict(expected.iter_rows())
    assert capped.value == pytest.approx(means["B"] - means["A"], rel=1e-12)
    assert capped.stderr < 0.6 * plain.stderr
    protocol = AbTest(name="ab_test", control="A", caps={"spent": 60.0})
    above = int((heavy["spent"] > 60).sum())
    assert protocol.warnings_before(frame, {}) == [
        f"spent counts 60 at most: {above:,} of 1,200 units have more."
    ]
    with pytest.raises(
        ConfigError, match=r"protocol\.caps: no outcome 'spend'; did you mean 'spent'\?"
    ):
        scores(frame, caps={"spend": 60.0})


def test_a_quantile_of_all_units_is_a_cap():
    heavy = units(spent=np.random.default_rng(3).lognormal(2, 1.5, 1200))
    frame = Table.build(heavy, {"arm": ("group",), "outcome": ("spent",)})
    cap = float(np.quantile(heavy["spent"].to_numpy(), 0.9))
    found, same = (only(scores(frame, **caps), "effect", "B", "fixed") for caps in (
        {"quantile_caps": {"spent": 0.9}}, {"caps": {"spent": cap}},
    ))  # fmt: skip
    assert (found.value, found.stderr) == (same.value, same.stderr)
    protocol = AbTest(name="ab_test", control="A", quantile_caps={"spent": 0.9})
    assert protocol.warnings_before(frame, {}) == [
        f"spent counts {cap:,g} at most: 120 of 1,200 units have more."
    ]
    rare = Table.build(heavy.with_columns(spent=pl.Series([0.0, 1.0] + [0.0] * 1198)), frame.roles)
    for table, settings, said in (
        (frame, {"looks": 2}, r"protocol\.looks: must be 1 with protocol\.quantile_caps"),
        (
            frame,
            {"caps": {"spent": 9.0}},
            r"quantile_caps: 'spent' has a cap in protocol\.caps; drop one of them",
        ),
        (
            rare,
            {},
            r"quantile_caps\.spent: the 0\.9 quantile of 'spent' is 0, and a cap must be above 0; "
            r"take a higher",
        ),
    ):
        with pytest.raises((ConfigError, DataError), match=said):
            scores(table, quantile_caps={"spent": 0.9}, **settings)


def test_sums_refuse_what_needs_units():
    for settings in ({"caps": {"mean": 1.0}}, {"quantile_caps": {"mean": 0.9}}, {"rows": "events"}):
        with pytest.raises(
            ConfigError, match="needs rows of units or of events, and these are running sums"
        ):
            scores(running(units()), **settings)
    with pytest.raises(ConfigError, match="needs a row per unit"):
        scores(running(units()), Revenue())
    with pytest.raises(DataError, match="not those of outcomes of 0 and 1"):
        scores(sums([("A", 1, 9, 1.1, 3.0), ("B", 1, 9, 0.1, 0.1)]), Proportions())


def changed(**columns):
    return units().with_columns(**columns)


def one_of_b():
    return pl.concat(
        [units().filter(pl.col("group") == "A"), units().filter(pl.col("group") == "B")[:1]]
    )


def only_b_in_x():
    return changed(
        site=pl.when((pl.col("group") == "B") & (pl.col("day") > 20))
        .then(pl.lit("x"))
        .otherwise(pl.lit("y"))
    )


NO_ARM = pl.when(pl.col("day") == 3).then(None).otherwise("group")
HOLE = pl.when(pl.col("day") == 6).then(None).otherwise(pl.col("visit"))


@pytest.mark.parametrize(
    ("frame", "settings", "said"),
    [
        (table, {"control": "D"}, r"protocol.control: no arm 'D'; known: A, B, C"),
        (
            lambda: table(changed(group="control_" + pl.col("group"))),
            {"control": "control_AA"},
            "did you mean 'control_A'",
        ),
        (table, {"control": None}, r"protocol.control: must be given; arms: A, B, C"),
        (
            lambda: table(units().filter(pl.col("group") == "A")),
            {},
            "column 'group' has one arm, 'A'; a test needs two",
        ),
        (
            lambda: table(
                pl.concat(
                    [
                        units().filter(pl.col("group") == "A"),
                        units().filter(pl.col("group") == "B")[:1],
                    ]
                )
            ),
            {},
            "arm 'B' has one row",
        ),
        (
            lambda: table(changed(visit=HOLE)),
            {},
            "dataset.roles.outcome: row 7 has no value in column 'visit'",
        ),
        (
            lambda: table(changed(visit=HOLE.cast(pl.Float64).fill_null(float("nan")))),
            {},
            "row 7 has nan in column 'visit'",
        ),
        (
            lambda: table(changed(visit=pl.lit("yes"))),
            {},
            "column 'visit' holds string values, not numbers",
        ),
        (
            lambda: table(changed(group=NO_ARM)),
            {},
            "row 4 has no arm in column 'group'",
        ),
        (
            lambda: table(changed(price=-1.0), price=("price",)),
            {},
            "dataset.roles.price: row 1 has -1 in column 'price'; must be >= 0",
        ),
        (table, {"allocation": {"A": 1, "B": 1}}, "protocol.allocation: has no share for arm 'C'"),
        (
            table,
            {"allocation": {"A": 1, "B": 1, "C": 1, "D": 1}},
            "protocol.allocation: arm 'D' has no rows",
        ),
        (table, {"looks": 3}, r"protocol.looks: 3 looks need dataset.roles.time"),
        (
            lambda: Table.build(units(), {"arm": ("group",)}),
            {},
            "dataset.roles.outcome: must be given",
        ),
        (
            lambda: Table.build(units(), {"outcome": ("visit",)}),
            {},
            r"dataset.roles.arm: must name one column, got \[\]",
        ),
    ],
)
def test_bad_input_is_refused_in_a_line(frame, settings, said):
    with pytest.raises((ConfigError, DataError), match=said) as refused:
        scores(frame(), **settings)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("frame", "model", "said"),
    [
        (
            lambda: table(changed(visit=2 * pl.col("visit"))),
            Proportions(),
            r"row \d+ has 2 in column 'visit'; must be 0 or 1",
        ),
        (
            table,
            Stratified(name="ab/stratified"),
            "dataset.roles.stratum: must be given for 'ab/stratified'",
        ),
        (table, Ratio(denominator="befor"), "model: no column 'befor'; did you mean 'before'"),
        (
            lambda: table(covariate=("site",)),
            Cuped(),
            "dataset.roles.covariate: column 'site' holds string values",
        ),
        (
            lambda: table(only_b_in_x(), stratum=("site",)),
            Stratified(),
            "stratum 'x' has fewer than two rows of arm 'A'",
        ),
    ],
)
def test_what_a_model_cannot_read_is_refused_before_it_is_asked(frame, model, said):
    with pytest.raises((ConfigError, DataError), match=said):
        scores(frame(), model)


def test_every_outcome_is_checked_before_the_first_cell():
    frame = table(changed(spend=3 * pl.col("visit")), outcome=("visit", "spend"))
    with pytest.raises(DataError, match=r"row \d+ has 3 in column 'spend'; must be 0 or 1"):
        AbTest(control="A").check_models({"p": Proportions()}, frame)


def test_the_headline_must_order():
    AbTest(headline="false_positive_rate").check_names()
    with pytest.raises(ConfigError, match=r"protocol.headline: 'effect' orders no comparison"):
        AbTest(headline="effect").check_names()
