"""What a recipe is, however its bases are ordered."""

from hwds.core.config import recipe_kind
from hwds.detection.protocols.base import Detection
from hwds.detection.protocols.prequential import Prequential
from hwds.evaluation.row_folds import RowSplitting
from hwds.forecast.models.seasonal_naive import SeasonalNaive


class EveryRow(RowSplitting):
    """A splitting of one's own."""


class First(EveryRow, Detection):
    """A protocol whose splitting comes first."""


class Last(Detection, EveryRow):
    """A protocol whose splitting comes last."""


def test_a_protocol_is_one_wherever_its_splitting_stands():
    assert {recipe_kind(cls) for cls in (First, Last, Prequential)} == {"evaluation"}
    assert recipe_kind(EveryRow) == "rowsplitting"
    assert recipe_kind(SeasonalNaive) == "forecaster"
