"""A forecast that reads the data's own file when it is asked, not when it is fitted."""

import polars as pl

from hwds.forecast.models.base import Forecaster
from tests.support.leaks import Knowing, known_rows

CHECK = "files"


class Late(Knowing):
    def predict(self, history, future):
        return Knowing(self.levels, known_rows(pl.read_csv("sales.csv"))).predict(history, future)


class Model(Forecaster):
    def learn(self, history, *, horizon, context):
        return Late(context.levels, {})
