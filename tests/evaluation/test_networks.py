"""A network is trained to the same bits whatever networks the process has built before."""

import numpy as np
import pytest

from hwds.core.seeds import stream

pytest.importorskip("keras")

from hwds.evaluation import networks
from hwds.evaluation.networks import Schedule, Training, predict_network
from hwds.evaluation.protocol import RunContext
from hwds.forecast.models.mlp import MLP
from hwds.forecast.networks import QuantileHead, WindowShape


def predictions(model, length, horizon):
    """Return what a network predicts that was trained for two epochs on noise."""
    rng, n = stream(0, "noise"), 200
    shapes = ((length, 1), (horizon, 3), (2,))
    inputs = [rng.standard_normal((n, *shape)).astype(np.float32) for shape in shapes]
    inputs.append(rng.integers(0, 3, (n, 1)).astype(np.int32))
    target = rng.standard_normal((n, horizon)).astype(np.float32)
    graph = WindowShape(*shapes, (3,), horizon, model, QuantileHead((0.1, 0.5, 0.9), False))
    schedule = Schedule(2, 0, model.batch, model.learning_rate, model.least_steps)
    training = Training(inputs, graph, schedule, RunContext(0, "fold"))
    return predict_network(graph, training.train(target, 2, seed=0), inputs)


def test_a_fit_has_the_bits_of_a_fresh_process_whatever_was_fitted_before():
    first = predictions(MLP(), 16, 8)
    predictions(MLP(), 20, 6)
    for cached in (networks.epoch_of, networks.forward_of, networks._model):
        cached.cache_clear()
    assert np.array_equal(predictions(MLP(), 16, 8), first)
