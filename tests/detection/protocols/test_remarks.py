import polars as pl

from hwds.detection.protocols.base import remarks
from hwds.frames.table import Table

ROWS = pl.DataFrame(
    {"gray": [1, 1, 0, 0], "confirmed": [1.0, None, 0.0, None], "stake": [100.0, 300.0, 50.0, None], "sure": [1, 0, 0, 1]}
)


def test_labels_and_the_truth_are_told():
    table = Table.build(ROWS, {"label": ("confirmed",), "truth": ("gray",), "amount": ("stake",)}, "USD")
    assert list(remarks(table)) == [
        "50 % of 4 rows have a label, 1 of them label 1.",
        "By the truth 50 % of 4 rows are of label 1 (2); 1 of those were found out.",
        "They have 400.00 USD at stake, of 450.00 USD in all rows.",
    ]


def test_of_a_table_with_every_label_there_is_nothing_to_tell():
    assert list(remarks(Table.build(ROWS, {"label": ("sure",)}))) == []
