"""Level shifts: found near their row, rarely where there is none, and taken out of a series."""

import numpy as np
import pytest

from hwds.forecast.models.since_break import Shift, level_shifts, without_shifts


def noise(rows, phi, seed):
    """A first-order autoregression of unit variance; a random walk of unit steps for phi 1."""
    steps = np.random.default_rng(seed).normal(size=rows + 100)
    values = np.zeros(rows + 100)
    for t in range(1, len(values)):
        values[t] = phi * values[t - 1] + steps[t]
    return (
        values[100:] - (values[100] if phi == 1 else 0)
        if phi == 1
        else values[100:] * np.sqrt(1 - phi**2)
    )


def wave(rows, season):
    return 5 * np.sin(2 * np.pi * np.arange(rows) / season) if season > 1 else np.zeros(rows)


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.8, 0.95, 1.0])
@pytest.mark.parametrize(("season", "rows"), [(1, 40), (4, 48), (12, 72)])
def test_few_series_without_a_shift_are_said_to_have_one(season, rows, phi):
    found = [
        bool(level_shifts(wave(rows, season) + noise(rows, phi, seed), season, 0.05))
        for seed in range(200)
    ]
    assert np.mean(found) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 200)


@pytest.mark.parametrize(("season", "rows"), [(1, 40), (4, 48), (12, 96)])
@pytest.mark.parametrize("size", [6.0, -6.0])
def test_a_shift_is_found_within_two_rows(season, rows, size):
    found, where = [], rows - max(2 * season, 12) - 5
    for seed in range(60):
        values = wave(rows, season) + noise(rows, 0.5, seed) + size * (np.arange(rows) >= where)
        found.append(level_shifts(values, season, 0.05))
    hits = [shifts[-1] for shifts in found if shifts]
    assert len(hits) >= 0.85 * len(found)
    assert np.mean([abs(shift.row - where) <= 2 for shift in hits]) >= 0.95
    assert np.mean([shift.size for shift in hits]) == pytest.approx(size, rel=0.1)


def test_the_last_of_several_is_found_whatever_the_unit():
    values = noise(120, 0.3, 0) + 12.0 * (np.arange(120) >= 40) - 8.0 * (np.arange(120) >= 80)
    for unit in (1.0, 1e12, 1e-9):
        found = level_shifts(unit * values, 1, 0.05)
        assert [shift.row for shift in found] == pytest.approx([40, 80], abs=1)
        assert np.array([shift.size for shift in found]) / unit == pytest.approx(
            [12.0, -8.0], rel=0.1
        )


@pytest.mark.parametrize(
    "values",
    [np.full(60, 7.0), np.zeros(60), np.arange(60.0), noise(17, 0.0, 0), np.ones(1), np.zeros(0)],
)
def test_there_is_nothing_to_find(values):
    assert level_shifts(values, 1, 0.05) == []


def test_at_least_two_seasons_come_after_a_shift():
    for season, least in ((12, 24), (1, 12)):
        for back in (least, least - 1):
            values = noise(96, 0.0, 3) + 30.0 * (np.arange(96) >= 96 - back)
            found = level_shifts(values, season, 0.05)
            assert all(shift.row <= 96 - least for shift in found)
            assert back < least or [shift.row for shift in found] == [96 - least]


def test_what_comes_before_is_moved_in_proportion_where_it_would_turn_negative():
    values = np.array([10.0, 12.0, np.nan, 30.0, 32.0])
    np.testing.assert_array_equal(
        without_shifts(values, [Shift(3, 20.0)], 1), [30, 32, np.nan, 30, 32]
    )
    falling = np.r_[np.full(12, 100.0), np.full(12, 10.0)] + np.tile([-4.0, 4.0], 12) * np.repeat(
        [10, 1], 12
    )
    moved = without_shifts(falling, [Shift(12, -90.0)], 1)
    assert moved == pytest.approx(np.full(24, 10.0) + np.tile([-4.0, 4.0], 12))
    demand = np.r_[np.tile([0.0, 2.0], 6), np.tile([0.0, 6.0], 6)]
    assert without_shifts(demand, [Shift(12, 2.0)], 1).tolist() == [0.0, 6.0] * 12
    assert (
        without_shifts(np.r_[np.zeros(6), np.ones(6)], [Shift(6, 1.0)], 1).tolist()
        == [0.0] * 6 + [1.0] * 6
    )
