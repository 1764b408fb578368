"""Random streams by name."""

import subprocess
import sys

import numpy as np

from hwds.core.seeds import stream, stream_key
from hwds.evaluation.protocol import RunContext


def test_the_same_name_gives_the_same_numbers():
    np.testing.assert_array_equal(
        stream(3, "prices", 7).random(5), stream(3, "prices", 7).random(5)
    )


def test_another_seed_purpose_or_order_gives_others():
    names = [
        (3, "prices", 7),
        (4, "prices", 7),
        (3, "prices", 8),
        (3, 7, "prices"),
        (3, "prices7"),
        (3, "prices", "7"),
    ]
    assert len({stream_key(*name) for name in names}) == len(names)


def test_a_key_has_128_bits_and_is_the_same_in_another_process():
    code = "from hwds.core.seeds import stream_key; print(stream_key(1, 'fold', 2))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "1", "PYTHONPATH": "."},
    )
    assert int(done.stdout) == stream_key(1, "fold", 2) < 2**128


def test_streams_are_not_correlated():
    draws = np.stack([stream(0, "unit", i).standard_normal(4000) for i in range(8)])
    off_diagonal = np.corrcoef(draws)[np.triu_indices(8, 1)]
    assert np.abs(off_diagonal).max() < 5 / np.sqrt(4000)


def test_a_context_names_its_streams_by_fold_and_never_by_model():
    one, other = RunContext(seed=1, fold="2024-01-01"), RunContext(seed=1, fold="2024-02-01")
    assert one.stream("x").random() == stream(1, "2024-01-01", "x").random()
    assert one.stream("x").random() != other.stream("x").random()
    assert 0 <= one.seed_for("keras") < 2**31
    assert one.seed_for("keras") != other.seed_for("keras")
