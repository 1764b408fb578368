import numpy as np
import polars as pl

from hwds.detection.protocols.base import label_remarks
from hwds.experiment.prepare import column_remarks
from hwds.frames.table import Table

ROWS = pl.DataFrame(
    {
        "gray": [1, 1, 0, 0],
        "confirmed": [1.0, None, 0.0, None],
        "stake": [100.0, 300.0, 50.0, None],
        "sure": [1, 0, 0, 1],
    }
)


def test_labels_and_the_truth_are_told():
    table = Table.build(
        ROWS, {"label": ("confirmed",), "truth": ("gray",), "amount": ("stake",)}, "USD"
    )
    assert list(label_remarks(table)) == [
        "50 % of 4 rows have a label, 1 of them label 1.",
        "By the truth 50 % of 4 rows are of label 1 (2); 1 of those were found out.",
        "They have 400.00 USD at stake, of 450.00 USD in all rows.",
    ]


def test_of_a_table_with_every_label_there_is_nothing_to_tell():
    assert list(label_remarks(Table.build(ROWS, {"label": ("sure",)}))) == []


def test_columns_that_name_rows_or_are_almost_the_label_are_remarked():
    rng = np.random.default_rng(0)
    bad = rng.random(2000) < 0.05
    data = pl.DataFrame(
        {
            "bad": bad.astype(float),
            "order": [f"A-{k}" for k in range(2000)],
            "refund": np.where(bad & (rng.random(2000) < 0.8), rng.gamma(2, 30, 2000), 0.0),
            "copy": bad + rng.normal(0, 0.3, 2000),
            "worth": rng.gamma(2, 50, 2000) * (1 + bad),
            "channel": rng.choice(["web", "shop"], 2000),
            "units": rng.integers(1, 9, 2000),
        }
    )
    table = Table.build(
        data,
        {"label": "bad", "covariate": ("order", "refund", "copy", "worth", "channel", "units")},
    )
    told = list(column_remarks(table))
    assert [line.split("'")[1] for line in told] == ["order", "refund", "copy"]
    assert told[0].startswith(
        "Input 'order' names rows (100 % of its values are different), so that it is learned by "
        "heart"
    )
    assert "alone is almost the label (average precision 0.8" in told[1]
    assert told[1].endswith(
        "of its values): if it is filled in once the label is known, ignore it "
        "(dataset.roles.ignore)."
    )
