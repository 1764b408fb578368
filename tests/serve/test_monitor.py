"""The monitor is silent while nothing changes, names what does, and takes labels as they arrive."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError, DataError
from hwds.results.files import read_json_mapping
from hwds.serve.bundle.reference import (
    RECONSTRUCTION,
    calibration_of,
    column_reference,
    components_of,
    distances_of,
    reference_of,
    segments_of,
)
from hwds.serve.monitor import drift
from hwds.serve.monitor.drift import (
    ChangeDetector,
    DriftFinding,
    binomial_tail,
    discoveries,
    distances,
    label_findings,
    new_share,
    snapped,
)
from hwds.serve.monitor.watch import (
    Captured,
    monitor_page,
    read_captured,
    read_labels,
    watch_bundle,
    watch_segments,
    write_report,
)
from hwds.serve.server.records import Capture, CapturedArm
from tests.support.recipes import recipe

ROWS = 500
NAMES = ("spent", "shop", "visits")


def world(windows, seed, *, shift=0.0, new=0.0, missing=0.0):
    rng = np.random.default_rng(seed)
    n = windows * ROWS
    spent = rng.normal(size=n) + shift + 0.2 * (np.arange(n) // ROWS % 2)
    shop = np.where(rng.random(n) < new, "new", rng.choice(["a", "b", "c"], n))
    visits = np.where(rng.random(n) < 0.05 + missing, np.nan, rng.normal(size=n))
    chance = 1 / (1 + np.exp(-spent))
    return pl.DataFrame(
        {
            "spent": spent,
            "shop": shop,
            "visits": pl.Series(visits, nan_to_null=True),
            "probability": chance,
        }
    )


@pytest.fixture(scope="module")
def reference():
    rows = world(30, 0)
    label = (np.random.default_rng(1).random(len(rows)) < rows["probability"].to_numpy()).astype(
        float
    )
    stored = reference_of(rows, ["spent", "shop", "visits"], ["probability"])
    return json.loads(
        json.dumps(stored | {"calibration": calibration_of(rows["probability"].to_numpy(), label)})
    )


def captured(rows):
    times = [f"2026-01-{1 + place * 28 // len(rows):02d}T00:00:00Z" for place in range(len(rows))]
    return [
        Captured(
            at,
            {name: row[name] for name in ("spent", "shop", "visits")},
            {"id": str(place), "probability": row["probability"]},
        )
        for place, (at, row) in enumerate(zip(times, rows.to_dicts(), strict=True))
    ]


def test_what_does_not_change_raises_no_alarm(reference):
    report = watch_bundle(reference, captured(world(10, 5)), bundle="b", per_month=0.1, days=30.4)
    assert [window.alarm for window in report.windows] == [()] * 10
    assert report.violations == []
    assert "No alarm in 10 windows" in monitor_page(report)


def with_atom(rows, atom):
    """Return rows of which every seventh has one probability."""
    seventh = pl.int_range(pl.len()) % 7 == 0
    return rows.with_columns(probability=pl.when(seventh).then(atom).otherwise("probability"))


def test_an_atom_with_other_last_bits_is_no_change():
    rows = with_atom(world(30, 0), 0.3)
    stored = reference_of(rows, ["spent", "shop", "visits"], ["probability"])
    seen = {}
    for gap in (0.0, 1.2e-7, -1.2e-7, 1e-3):
        asked = captured(with_atom(world(10, 5), 0.3 + gap))
        report = watch_bundle(stored, asked, bundle="b", per_month=0.1, days=30.4)
        seen[gap] = [
            each.p_value
            for window in report.windows
            for each in window.findings
            if each.column == "probability" and each.check == "ks"
        ]
    assert seen[1.2e-7] == seen[-1.2e-7] == seen[0.0]
    assert all(moved < still for moved, still in zip(seen[1e-3], seen[0.0], strict=True))


def test_what_is_near_no_atom_is_left_as_it_is():
    grid = np.array([0.0, 1.0, 1.0, 2.0, 5.0, 5.0, 5.0])
    values = np.array([-3.0, 1.0 - 1e-6, 1.0 + 1e-7, 1.1, 2.0 + 1e-7, 5.0 + 1e-5, 5.0 + 1e-6])
    wanted = [-3.0, 1.0, 1.0, 1.1, 2.0 + 1e-7, 5.0 + 1e-5, 5.0]
    assert snapped(values, grid).tolist() == wanted
    assert snapped(values, np.arange(7.0)).tolist() == values.tolist()
    assert snapped(values, np.full(7, 1.0)).tolist() == [*values[:1], 1.0, 1.0, *values[3:]]
    assert len(snapped(np.zeros(0), grid)) == 0


@pytest.mark.parametrize(
    ("change", "column", "check"),
    [
        ({"shift": 0.5}, "spent", "baseline_drift_check"),
        ({"new": 0.05}, "shop", "categorical_values_check"),
        ({"missing": 0.1}, "visits", "completeness_check"),
    ],
)
def test_what_changes_is_named(reference, tmp_path, change, column, check):
    rows = pl.concat([world(4, 6), world(4, 7, **change)])
    report = watch_bundle(reference, captured(rows), bundle="b", per_month=0.1, days=30.4)
    first = next(place for place, window in enumerate(report.windows) if window.alarm)
    assert 4 <= first <= 7
    assert (column, check) in {
        (each["feature_name"], each["constraint_check_type"]) for each in report.violations
    }
    write_report(tmp_path, report)
    shape = read_json_mapping(tmp_path / "constraint_violations.json")["violations"][0]
    assert set(shape) == {"feature_name", "constraint_check_type", "description"}
    assert "<svg" in (tmp_path / "report.html").read_text()
    assert read_json_mapping(tmp_path / "report.json")["violations"]


def test_a_drift_test_is_one_function_and_one_line(reference, monkeypatch):
    """The recipe of docs/architecture.md: p-value, violation and page need nothing else."""
    monkeypatch.setattr(drift, "DISTANCES", dict(drift.DISTANCES))
    exec(recipe("To add a drift test"), {})
    rows = pl.concat([world(4, 6), world(4, 7, new=0.3)])
    report = watch_bundle(reference, captured(rows), bundle="b", per_month=0.1, days=30.4)
    first = next(window for window in report.windows if window.alarm)
    assert [each.column for each in first.findings if each.check == "hellinger"] == ["shop"]
    named = [each for each in report.violations if "hellinger of 'shop'" in each["description"]]
    assert {each["constraint_check_type"] for each in named} == {"baseline_drift_check"}
    assert "hellinger" in monitor_page(report)


def test_a_column_that_the_capture_hides_is_not_watched(reference):
    asked = [
        replace(each, question=each.question | {"shop": "***", "visits": "***"})
        for each in captured(world(4, 5))
    ]
    report = watch_bundle(reference, asked, bundle="b", per_month=0.1, days=30.4)
    assert not report.violations
    assert not {"shop", "visits", RECONSTRUCTION} & {
        each.column for each in report.windows[-1].findings
    }
    assert "No captured row shows shop, visits: not watched." in report.remarks


def test_a_column_that_is_no_longer_sent_is_missing(reference):
    asked = captured(world(6, 5))
    half = [
        replace(each, question={"shop": each.question["shop"]}, bundle="c")
        for each in asked[3 * ROWS :]
    ]
    report = watch_bundle(
        reference, [*asked[: 3 * ROWS], *half], bundle="b", per_month=0.1, days=30.4
    )
    assert {"spent", "visits"} <= {each["feature_name"] for each in report.violations}
    assert (
        "1,500 of 3,000 rows were answered by another bundle, and are judged by this one's "
        "reference." in report.remarks
    )


def test_rows_of_a_history_that_have_no_answer_lack_none():
    rng = np.random.default_rng(0)
    stored = reference_of(pl.DataFrame({"target": rng.normal(size=5000)}), ["target"], [])
    stored |= {"predictions": {"mean": column_reference(pl.Series("mean", rng.normal(size=500)))}}
    histories = rng.normal(size=(100, 30))
    asked = [
        Captured(
            f"2026-01-{1 + place // 4:02d}T00:00:00Z",
            {"rows": [{"target": each} for each in row]},
            {"rows": [{"mean": 0.1}]},
        )
        for place, row in enumerate(histories.tolist())
    ]
    report = watch_bundle(stored, asked, bundle="b", per_month=0.1)
    assert len(report.windows) == 6
    assert not report.violations


def test_alarms_of_inputs_and_of_labels_keep_one_promise(reference):
    asked = captured(world(2, 5))
    alone, beside = (
        watch_bundle(reference, asked, bundle="b", per_month=0.1, labels=labels)
        for labels in (None, {"x": 1.0})
    )
    assert [each.evidence / 2 for each in alone.windows] == pytest.approx(
        [each.evidence for each in beside.windows]
    )


def test_labels_that_arrive_show_errors(reference):
    rows = world(6, 8)
    rng = np.random.default_rng(9)
    true = rng.random(len(rows)) < rows["probability"].to_numpy()
    asked = captured(rows)
    fine = {str(place): float(label) for place, label in enumerate(true)}
    assert not any(
        window.alarm
        for window in watch_bundle(
            reference, asked, bundle="b", per_month=0.1, labels=fine, days=30.4
        ).windows
    )
    wrong = {name: label if int(name) % 3 else 0.0 for name, label in fine.items()}
    late = {name: label for name, label in wrong.items() if int(name) < 5 * ROWS}
    report = watch_bundle(reference, asked, bundle="b", per_month=0.1, labels=late, days=30.4)
    assert report.labelled == 5 * ROWS
    assert any("labels" in window.alarm for window in report.windows)
    assert {each["feature_name"] for each in report.violations} == {"probability"}


def test_distances_are_what_they_are_called():
    first = column_reference(pl.Series("x", np.arange(1000.0)))
    assert distances(first, first) == {"psi": 0.0, "ks": 0.0, "wasserstein": 0.0}
    moved = distances(first, column_reference(pl.Series("x", np.arange(1000.0) + 100)))
    assert moved["ks"] == pytest.approx(0.1, abs=0.01)
    assert moved["wasserstein"] == pytest.approx(100 / 499.5, rel=0.01)
    texts = [
        column_reference(pl.Series("x", values))
        for values in (["a"] * 3 + ["b"], ["a", "b", "b", "c"])
    ]
    assert distances(*texts)["ks"] == pytest.approx(0.5)
    assert new_share(*texts) == 0.25


def test_the_sequential_test_keeps_its_promise():
    rng = np.random.default_rng(3)
    alarms = 0
    for _ in range(300):
        detector = ChangeDetector(0.5, 30)
        alarms += sum(detector.take([p]) for p in rng.random(30))
    assert alarms / 300 <= 0.5
    detector = ChangeDetector(0.1, 30)
    assert detector.threshold == pytest.approx(300)
    assert [detector.take([1e-8]) for _ in range(2)] == [True, True]
    assert not ChangeDetector(0.1, 30).take([])


def test_discoveries_and_chances():
    findings = [
        DriftFinding(str(place), "psi", 1.0, 0.1, p)
        for place, p in enumerate((0.5, 1e-6, 0.9, 1e-5))
    ]
    assert [finding.column for finding in discoveries(findings, 0.1)] == ["1", "3"]
    assert [finding.column for finding in discoveries(findings[::2], 0.1)] == ["0"]
    assert binomial_tail(0, 10, 0.1) == 1.0
    assert binomial_tail(10, 10, 0.5) == pytest.approx(0.5**10)
    assert label_findings(np.zeros(0), np.zeros(0), {"n": 0}) == []


def test_what_a_server_captured_is_read(tmp_path):
    capture = Capture(tmp_path, 1.0, ())
    capture.keep(
        [{"id": "1", "spent": 2.0}, {"of": "1", "label": 1}],
        [{"id": "1", "score": 0.5}, {"of": "1", "news": True}],
        CapturedArm("main", "b", ""),
    )
    capture.close()
    (found,) = read_captured(tmp_path)
    assert list(found.rows()) == [{"id": "1", "spent": 2.0, "score": 0.5}]
    history = Captured("t", {"rows": [{"target": 1.0}, {"target": 2.0}]}, {"rows": [{"mean": 3.0}]})
    assert list(history.rows()) == [{"target": 1.0}, {"target": 2.0, "mean": 3.0}]
    (tmp_path / "bad.jsonl").write_text("{}\n")
    with pytest.raises(DataError, match="line 1 is no captured request"):
        read_captured(tmp_path)
    with pytest.raises(DataError, match="nothing was captured"):
        read_captured(tmp_path / "none")


def test_labels_are_read(tmp_path):
    (tmp_path / "l.csv").write_text("id,label\na,1\nb,0\n")
    (tmp_path / "l.jsonl").write_text('{"of": "a", "label": 1}\n')
    (tmp_path / "bad.csv").write_text("id,label\na,2\n")
    assert read_labels(tmp_path / "l.csv") == {"a": 1.0, "b": 0.0}
    assert read_labels(tmp_path / "l.jsonl") == {"a": 1.0}
    with pytest.raises(DataError, match="must be 0 or 1, got 2"):
        read_labels(tmp_path / "bad.csv")
    (tmp_path / "bad.jsonl").write_text('{"id": "a", "label": 1}\n[1]\n')
    with pytest.raises(DataError, match=r"--labels: .* must have 'id' and 'label' in each row"):
        read_labels(tmp_path / "bad.jsonl")


@pytest.mark.parametrize("shops", [400, 1_000_000])
def test_a_column_of_many_texts_is_no_alarm_by_itself(shops):
    rng = np.random.default_rng(3)

    def rows(windows):
        return pl.DataFrame(
            {"shop": [f"s{number}" for number in rng.integers(0, shops, windows * ROWS)]}
        )

    reference = reference_of(rows(20), ["shop"], [])
    asked = [Captured("2026-01-01T00:00:00Z", row, {"id": "1"}) for row in rows(6).to_dicts()]
    report = watch_bundle(reference, asked, bundle="b", per_month=0.1, days=30.4)
    found = [
        each for window in report.windows for each in window.findings if each.check == "new_values"
    ]
    assert min(each.p_value for each in found) > 0.001
    assert report.violations == []


def test_texts_of_any_kind_and_a_torn_last_line_are_read(tmp_path):
    capture = Capture(tmp_path, 1.0, ())
    capture.keep(
        [{"shop": "a\u2028b"}], [{"id": "1", "score": 1.0}], CapturedArm("main", "digest", "")
    )
    capture.close()
    (path,) = tmp_path.glob("*.jsonl")
    with path.open("a") as file:
        file.write('{"captureData": {"endpo')
    assert [each.question for each in read_captured(tmp_path)] == [{"shop": "a\u2028b"}]


def correlated(n, rho, seed):
    rng = np.random.default_rng(seed)
    first = rng.normal(size=n)
    second = rho * first + np.sqrt(1 - rho**2) * rng.normal(size=n)
    return pl.DataFrame({"a": first, "b": second, "c": rng.normal(size=n)})


def test_columns_that_cease_to_hang_together_are_named_though_each_stays_as_it_was():
    reference = json.loads(
        json.dumps(reference_of(correlated(15_000, 0.95, 0), ["a", "b", "c"], []))
    )
    asked = [
        Captured("2026-01-01T00:00:00Z", row, {"id": "x"})
        for row in pl.concat([correlated(2000, 0.95, 1), correlated(2000, 0.0, 2)]).to_dicts()
    ]
    report = watch_bundle(reference, asked, bundle="b", per_month=0.1, days=30.4)
    assert [bool(window.alarm) for window in report.windows[:4]] == [False] * 4
    assert any(window.alarm for window in report.windows[4:])
    first = next(window for window in report.windows if window.alarm)
    assert RECONSTRUCTION in {finding.column for finding in first.named}
    assert min(first.findings, key=lambda finding: finding.p_value).column == RECONSTRUCTION


def test_distances_are_those_of_principal_components():
    rows = correlated(400, 0.9, 3)
    known = components_of(rows, ["a", "b", "c"])
    values = rows.to_numpy()
    scaled = (values - values.mean(0)) / values.std(0)
    axes = np.linalg.eigh(scaled.T @ scaled)[1][:, ::-1][:, :2]
    expected = ((scaled - scaled @ axes @ axes.T) ** 2).mean(1)
    np.testing.assert_allclose(distances_of(known, rows.to_dicts()), expected, atol=1e-10)
    np.testing.assert_array_equal(distances_of(known, rows), distances_of(known, rows.to_dicts()))
    assert np.isfinite(distances_of(known, [{}, {"a": None, "b": "x"}])).all()
    assert components_of(rows, ["a"]) is None


def test_a_change_in_one_segment_is_seen_there():
    rng = np.random.default_rng(0)
    shop = rng.choice(["big", "small"], 20_000, p=[0.85, 0.15])
    rows = pl.DataFrame({"shop": shop, "probability": rng.beta(2, 5, 20_000)})
    tested = rows.with_columns(
        pl.Series("label", (rng.random(20_000) < rows["probability"].to_numpy()).astype(float))
    )
    segments = segments_of(rows, ["shop"], ["probability"], tested)
    assert set(segments["shop"]) == {"big", "small"}
    assert segments["shop"]["small"]["calibration"]["n"] == (shop == "small").sum()
    reference = {"segments": json.loads(json.dumps(segments))}
    moved = np.where(
        shop == "small", rows["probability"].to_numpy() ** 2, rows["probability"].to_numpy()
    )
    asked = [
        Captured(
            f"2026-01-{1 + place * 28 // 20_000:02d}T00:00:00Z",
            {"shop": name},
            {"probability": float(value)},
        )
        for place, (name, value) in enumerate(zip(shop, moved, strict=True))
    ]
    found = watch_segments(
        reference, asked, "shop", bundle="b", per_month=0.1, labels=None, rows=ROWS
    )
    assert not any(window.alarm for window in found["big"].windows)
    assert any(window.alarm for window in found["small"].windows)
    with pytest.raises(
        ConfigError, match="--by: the bundle has no segments by 'shp'; did you mean 'shop'"
    ):
        watch_segments(reference, asked, "shp", bundle="b", per_month=0.1, labels=None, rows=ROWS)
    hidden = [replace(each, question={"shop": "***"}) for each in asked]
    with pytest.raises(
        ConfigError, match="--by: no captured question shows 'shop'; the bundle knows big, small"
    ):
        watch_segments(reference, hidden, "shop", bundle="b", per_month=0.1, labels=None, rows=ROWS)
