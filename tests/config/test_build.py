"""What a recipe is, however its bases are ordered."""

from hwds.config.build import kind
from hwds.detection.protocols.base import Detection
from hwds.detection.protocols.prequential import Prequential
from hwds.forecast.models.seasonal_naive import SeasonalNaive
from hwds.splitting.rows import RowSplitting


class EveryRow(RowSplitting):
    """A splitting of one's own."""


class First(EveryRow, Detection):
    """A protocol whose splitting comes first."""


class Last(Detection, EveryRow):
    """A protocol whose splitting comes last."""


def test_a_protocol_is_one_wherever_its_splitting_stands():
    assert {kind(cls) for cls in (First, Last, Prequential)} == {"evaluation"}
    assert kind(EveryRow) == "rowsplitting"
    assert kind(SeasonalNaive) == "forecaster"
