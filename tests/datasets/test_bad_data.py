"""Bad files and bad rows: each refused with one line that says where, what and, where there is one,
the right name.
"""

import io
from datetime import date

import polars as pl
import pytest

from hwds.core.errors import ConfigError, DataError
from hwds.datasets.file import File

ROLES = {"series": "sku", "time": "month", "target": "units"}
HEAD = "sku,month,units,price\n"
ROWS = "".join(
    f"{sku},2024-{month:02d}-01,{month},9.5\n" for sku in ("A", "B") for month in range(1, 7)
)
GOOD = HEAD + ROWS


def binary(kind: str, **columns) -> bytes:
    table = pl.DataFrame(
        {"sku": ["A"] * 3, "month": [date(2024, m, 1) for m in (1, 2, 3)], "units": [1.0, 2.0, 3.0]}
        | columns
    )
    buffer = io.BytesIO()
    (table.write_parquet if kind == "parquet" else table.write_ipc)(buffer)
    return buffer.getvalue()


def edited(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


CASES = [
    # the file itself
    ("missing file", {}, {"path": "sale.csv"}, "no file 'sale.csv'; did you mean 'sales.csv'?"),
    ("missing folder", {}, {"path": "nowhere/sales.csv"}, "there is no folder 'nowhere'"),
    ("a folder", {}, {"path": "."}, "'.' is a folder; give a file, or a glob"),
    ("glob without a match", {}, {"path": "*.parquet"}, "no file matches '*.parquet'"),
    (
        "unknown suffix",
        {"sales.xlsx": GOOD},
        {"path": "sales.xlsx"},
        "has the suffix '.xlsx'; known: .arrow, .csv",
    ),
    ("empty CSV", {"sales.csv": ""}, {}, "'sales.csv' is empty"),
    ("CSV of blank lines", {"sales.csv": "\n\n"}, {}, "'sales.csv' is empty"),
    ("header without rows", {"sales.csv": HEAD}, {}, "'sales.csv' has no rows"),
    ("empty Parquet", {"s.parquet": b""}, {"path": "s.parquet"}, "'s.parquet' is empty"),
    (
        "truncated Parquet",
        {"s.parquet": binary("parquet")[:-40]},
        {"path": "s.parquet"},
        "'s.parquet' cannot be read as parquet (",
    ),
    (
        "half a Parquet",
        {"s.parquet": binary("parquet")[:200]},
        {"path": "s.parquet"},
        "'s.parquet' cannot be read as parquet (",
    ),
    (
        "CSV called Parquet",
        {"s.parquet": GOOD},
        {"path": "s.parquet"},
        "'s.parquet' cannot be read as parquet (",
    ),
    (
        "truncated Arrow",
        {"s.arrow": binary("arrow")[:-40]},
        {"path": "s.arrow"},
        "'s.arrow' cannot be read as arrow (",
    ),
    (
        "Latin-1",
        {"sales.csv": edited("A,", "\xc4,").encode("latin-1")},
        {},
        "is not UTF-8: byte 0xc4 in line 2; set dataset.encoding",
    ),
    (
        "UTF-16 with BOM",
        {"sales.csv": GOOD.encode("utf-16")},
        {},
        "not UTF-8 but UTF-16; set dataset.encoding=utf-16",
    ),
    (
        "unknown encoding",
        {},
        {"encoding": "latin1000"},
        "dataset.encoding: no encoding 'latin1000'",
    ),
    ("encoding that is no text", {}, {"encoding": "hex"}, "dataset.encoding: no encoding 'hex'"),
    (
        "semicolons",
        {"sales.csv": GOOD.replace(",", ";")},
        {},
        "has one column, 'sku;month;units;price'; dataset.separator may be semicolon (',' now)",
    ),
    (
        "decimal commas",
        {"sales.csv": edited(",4,", ",4.5,").replace(",", ";").replace(".", ",")},
        {"separator": "semicolon"},
        "not a number; dataset.decimal=comma reads such numbers",
    ),
    (
        "long separator",
        {},
        {"separator": "::"},
        "dataset.separator: must be one character, or one of comma, semicolon, tab, pipe, got '::'",
    ),
    (
        "row too long",
        {"sales.csv": edited("2024-03-01,3,9.5", "2024-03-01,3,9.5,1")},
        {},
        "'sales.csv' row 3 has 5 fields, its header 4",
    ),
    (
        "two columns of one name",
        {"sales.csv": edited("price", "units")},
        {},
        "has two columns 'units'",
    ),
    (
        "open quote",
        {"sales.csv": edited("A,2024-01", '"A,2024-01')},
        {},
        "'sales.csv' cannot be read as csv (",
    ),
    ("wrong digest", {}, {"sha256": "0" * 64}, "not " + "0" * 64),
    (
        "digest that is none",
        {},
        {"sha256": "abc"},
        "dataset.sha256: must be 64 hexadecimal digits, got 'abc'",
    ),
    (
        "digest of a glob",
        {},
        {"path": "*.csv", "sha256": "0" * 64},
        "dataset.path is the glob '*.csv'",
    ),
    (
        "URL without digest",
        {},
        {"path": "https://example.org/x.csv"},
        "dataset.sha256: must be given for a URL",
    ),
    (
        "URL that nobody serves",
        {},
        {"path": "http://127.0.0.1:9/x.csv", "sha256": "0" * 64},
        "cannot be fetched (",
    ),
    (
        "glob of unlike columns",
        {"b.csv": "sku,month,pieces\nC,2024-01-01,1\n"},
        {"path": "*.csv"},
        "'units'",
    ),
    (
        "glob of unlike types",
        {
            "a.parquet": binary("parquet"),
            "b.parquet": binary("parquet", month=["2024-01", "2024-02", "2024-03"]),
        },
        {"path": "*.parquet"},
        "column 'month' holds String in 'b.parquet' but Date in 'a.parquet'",
    ),
    # roles
    (
        "wrong column",
        {},
        {"roles": ROLES | {"target": "unitz"}},
        "'sales.csv' has no column 'unitz'; did you mean 'units'?",
    ),
    ("no time", {}, {"roles": {"target": "units"}}, "dataset.roles.time: must be given."),
    ("no target", {}, {"roles": {"time": "month"}}, "dataset.roles.target: must be given."),
    (
        "two roles",
        {},
        {"roles": ROLES | {"known_future": ["units"]}},
        "dataset.roles.known_future: column 'units' has the role target",
    ),
    (
        "named twice",
        {},
        {"roles": ROLES | {"static": ["price", "price"]}},
        "dataset.roles.static: column 'price' is named twice",
    ),
    (
        "taken name",
        {"sales.csv": edited("price", "target")},
        {"roles": ROLES | {"past_only": "target"}},
        "dataset.roles.past_only: hwds gives the name 'target' to another column; rename it",
    ),
    # times
    (
        "no date",
        {"sales.csv": edited("2024-03-01", "soon")},
        {},
        "'sales.csv' row 3 has 'soon' in column 'month', not a time",
    ),
    (
        "no such day",
        {"sales.csv": edited("2024-03-01", "2024-02-30")},
        {},
        "row 3 has '2024-02-30' in column 'month', not a time",
    ),
    (
        "ambiguous dates",
        {"sales.csv": GOOD.replace("2024-", "").replace("-01,", "/01/24,")},
        {},
        "row 1 has '01/01/24'",
    ),
    (
        "another form",
        {"sales.csv": edited("2024-03-01", "2024-03")},
        {},
        "row 3 has '2024-03' in column 'month', not a time",
    ),
    ("no time in a row", {"sales.csv": edited("2024-03-01", "")}, {}, "row 3 has no time"),
    (
        "truth as time",
        {"s.parquet": binary("parquet", month=[True, False, True])},
        {"path": "s.parquet"},
        "holds truth values, not times",
    ),
    (
        "fractions as time",
        {"s.parquet": binary("parquet", month=[1.0, 2.5, 3.0])},
        {"path": "s.parquet"},
        "row 2 has '2.5'",
    ),
    (
        "beyond the calendar",
        {
            "s.parquet": binary(
                "parquet", month=pl.Series([1, 2, 2**30], dtype=pl.Int32).cast(pl.Date)
            )
        },
        {"path": "s.parquet"},
        "row 3 has a time outside of the years 1 to 9999",
    ),
    (
        "duplicate time",
        {"sales.csv": GOOD + "A,2024-02-01,7,9.5\n"},
        {},
        "series 'A' has two rows at 2024-02-01 (rows 2 and 13)",
    ),
    (
        "gap",
        {"sales.csv": edited("A,2024-03-01,3,9.5\n", "")},
        {},
        "2024-02-01 is followed by 2024-04-01 (row 3), not by one step of 1mo; dataset.gaps may "
        "be zero, forward or null",
    ),
    (
        "mixed frequencies",
        {"sales.csv": GOOD + "".join(f"C,2024-01-{day:02d},1,1\n" for day in (1, 8, 15, 22))},
        {},
        "series 'A' has steps of 1mo, series 'C' has steps of 7d",
    ),
    (
        "one row a series",
        {"sales.csv": HEAD + "A,2024-01-01,1,1\nB,2024-01-01,1,1\n"},
        {},
        "dataset.frequency: must be given",
    ),
    (
        "frequency of hours for dates",
        {},
        {"frequency": "1h"},
        "dataset.frequency: '1h' does not go with 'month', which holds dates",
    ),
    (
        "frequency of numbers for dates",
        {},
        {"frequency": "1i"},
        "dataset.frequency: '1i' does not go with 'month', which holds dates",
    ),
    (
        "frequency of dates for numbers",
        {"s.parquet": binary("parquet", month=[1, 2, 3])},
        {"path": "s.parquet", "frequency": "1mo"},
        "'1mo' does not go with 'month', which holds whole numbers",
    ),
    (
        "off the grid",
        {"sales.csv": edited("2024-03-01", "2024-03-02")},
        {"gaps": "zero"},
        "a row at 2024-03-02, which is not a whole number",
    ),
    (
        "duplicate under a policy",
        {"sales.csv": GOOD + "A,2024-02-01,7,9.5\n"},
        {"gaps": "null"},
        "two rows at 2024-02-01 (rows 2 and 13)",
    ),
    # values
    (
        "text in the target",
        {"sales.csv": edited(",3,", ",three,")},
        {},
        "'sales.csv' row 3 has 'three' in column 'units', not a number",
    ),
    (
        "thousands in the target",
        {"sales.csv": edited(",3,", ',"3,000",')},
        {},
        "numbers such as '3,000', which have two readings: dataset.thousands=comma reads 3000, and "
        "dataset.decimal=comma reads 3.000.",
    ),
    (
        "dates in the target",
        {},
        {"roles": {"time": "month", "target": "sku", "series": "units"}},
        "row 1 has 'A' in column 'sku'",
    ),
    (
        "target of another kind",
        {"s.parquet": binary("parquet", units=[date(2024, 1, 1)] * 3)},
        {"path": "s.parquet"},
        "column 'units' of 's.parquet' holds dates, not numbers",
    ),
    (
        "infinite target",
        {"sales.csv": edited(",3,", ",inf,")},
        {},
        "series 'A' has target inf at 2024-03-01 (row 3)",
    ),
    (
        "no target in a row",
        {"sales.csv": edited(",3,", ",,")},
        {},
        "series 'A' has no target at 2024-03-01 (row 3); dataset.gaps may be zero, forward or null",
    ),
    (
        "NaN target",
        {"s.parquet": binary("parquet", units=[1.0, float("nan"), 2.0])},
        {"path": "s.parquet"},
        "no target at 2024-02-01",
    ),
    ("no series in a row", {"sales.csv": edited("A,", ",")}, {}, "row 1 has no series"),
    (
        "text in a covariate",
        {"sales.csv": edited("9.5", "cheap")},
        {"roles": ROLES | {"known_future": "price"}},
        "row 1 has 'cheap'",
    ),
    (
        "infinite covariate",
        {"sales.csv": edited("9.5", "-inf")},
        {"roles": ROLES | {"past_only": "price"}},
        "series 'A' has price -inf at 2024-01-01 (row 1)",
    ),
    (
        "static that changes",
        {"sales.csv": edited("2024-03-01,3,9.5", "2024-03-01,3,8.5")},
        {"roles": ROLES | {"static": "price"}},
        "static column 'price' changes in series 'A' at 2024-03-01 (row 3)",
    ),
    (
        "split that says more",
        {"sales.csv": GOOD.replace("9.5", "valid")},
        {"roles": ROLES | {"split": "price"}},
        "'train' or 'test', got 'valid'",
    ),
    (
        "test before train",
        {
            "sales.csv": GOOD.replace("9.5", "train").replace(
                "2024-03-01,3,train", "2024-03-01,3,test"
            )
        },
        {"roles": ROLES | {"split": "price"}},
        "series 'A' has a train row after a test row at 2024-04-01",
    ),
    (
        "short series",
        {"sales.csv": GOOD + "C,2024-01-01,1,1\n"},
        {},
        "series 'C' has 1 row, fewer than dataset.min_length=2 (1 of 3",
    ),
    (
        "all too short",
        {},
        {"short": "drop", "min_length": 10},
        "dataset.min_length: no series has 10 rows; the longest has 6",
    ),
]


@pytest.mark.parametrize(
    ("files", "settings", "said"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_refused(tmp_path, monkeypatch, files, settings, said):
    monkeypatch.chdir(tmp_path)
    for name, content in ({"sales.csv": GOOD} | files).items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises((DataError, ConfigError)) as refusal:
        File(**({"path": "sales.csv", "roles": ROLES} | settings)).load()
    message = str(refusal.value)
    assert said in message
    assert message.startswith("dataset")
    assert "\n" not in message
    assert refusal.value.exit_code == 2


def test_the_good_file_is_read(tmp_path):
    (tmp_path / "sales.csv").write_text(GOOD)
    assert File(path=str(tmp_path / "sales.csv"), roles=ROLES).load().n_series == 2
