"""What lies in the cache comes back with the same bits, whatever kind it is; a damaged entry is
made again.
"""

import numpy as np
import polars as pl
import pytest

from hwds.core.cache import Cache
from hwds.detection.models.classify.logistic import Logistic
from hwds.evaluation.cells import COLUMNS, FITTED, FORECASTS, ROWS, TimedRows
from hwds.frames.panel import Forecasts
from tests.support.rows import context, toy_rows, windows

TABLE = pl.DataFrame(
    {
        "series_id": ["a", "b", None],
        "mean": [0.1, float("nan"), -0.0],
        "step": pl.Series([1, 2, 3], dtype=pl.Int32),
    }
)


def scorer():
    train, stop, _, _ = windows(toy_rows())
    return Logistic().learn(train, stop=stop, context=context())


KINDS = {
    "rows": (
        ROWS,
        lambda: TimedRows(TABLE, 1.25),
        lambda timed: [repr(timed.rows.rows()), timed.rows.schema, timed.seconds],
    ),
    "no rows": (
        ROWS,
        lambda: TimedRows(pl.DataFrame(), 0.5),
        lambda timed: [timed.rows.shape, timed.seconds],
    ),
    "columns": (COLUMNS, lambda: TABLE, lambda table: [repr(table.rows()), table.schema]),
    "no columns": (COLUMNS, pl.DataFrame, lambda table: [table.shape]),
    "forecasts": (
        FORECASTS,
        lambda: Forecasts.of(np.array([[0.1, np.nan]]), np.array([[[0.0, 0.2], [-0.0, 1e-300]]])),
        lambda told: [told.mean.tobytes(), told.quantiles.tobytes(), told.fallback.tobytes()],
    ),
    "fallbacks": (
        FORECASTS,
        lambda: Forecasts.of(
            np.ones((3, 1)),
            np.ones((3, 1, 2)),
            np.array([True, False, True]),
            np.array(["LinAlgError", "", "all values equal"], object),
        ),
        lambda told: [told.fallback.tobytes(), told.kinds.tolist()],
    ),
    "a fallback for all": (
        FORECASTS,
        lambda: Forecasts.of(np.ones((2, 1)), np.ones((2, 1, 2)), np.ones(2, bool), "no counts"),
        lambda told: [told.fallback.tobytes(), told.kinds.tolist()],
    ),
    "scorer": (FITTED, scorer, lambda fitted: [fitted.score(windows(toy_rows())[3]).tobytes()]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_has_the_same_bits_from_disk_and_after_damage(kind, tmp_path):
    codec, make, bits = KINDS[kind]
    cache, wanted = Cache(tmp_path), bits(make())
    assert bits(cache.get_or_make("key", codec, make)) == wanted
    assert bits(cache.get_or_make("key", codec, lambda: pytest.fail("made again"))) == wanted
    path = cache.path("key", codec)
    content = path.read_bytes()
    middle = len(content) // 2
    for damaged in (
        content[:middle],
        content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :],
    ):
        path.write_bytes(damaged)
        assert cache.load("key", codec) is None
        assert bits(cache.get_or_make("key", codec, make)) == wanted
        assert bits(cache.load("key", codec)) == wanted
