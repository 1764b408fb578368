"""One table written in every way that is read, and where its files may lie."""

import gzip
import hashlib
import threading
from datetime import date
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import polars as pl
import pytest
from pyarrow import orc

from hwds.core.errors import DataError
from hwds.datasets.file import File
from hwds.datasets.images import Images
from hwds.datasets.runs import Runs
from hwds.datasets.table import Table
from hwds.frames import files as frame_files
from hwds.frames.files import FORMATS, TextFormat, read_files
from tests.support.recipes import recipe

ROLES = {
    "series": "sku",
    "time": "month",
    "target": "units",
    "known_future": ["price"],
    "static": ["colour", "size"],
}


@pytest.fixture
def table() -> pl.DataFrame:
    months = [date(2024, month, 1) for month in range(1, 13)]
    return pl.DataFrame({
        "sku": ["007"] * 12 + ["Größe"] * 12,
        "month": months * 2,
        "units": [float(i) for i in range(23)] + [0.25],
        "price": [9.5] * 24,
        "colour": ["red"] * 12 + ["blue, dark"] * 12,
        "size": [64] * 12 + [128] * 12,
    })  # fmt: skip


def test_every_format_gives_the_same_panel(table, tmp_path):
    table.write_csv(tmp_path / "a.csv")
    table.write_csv(tmp_path / "a.tsv", separator="\t")
    table.write_parquet(tmp_path / "a.parquet")
    for suffix in ("arrow", "feather", "ipc"):
        table.write_ipc(tmp_path / f"a.{suffix}")
    files = sorted(tmp_path.iterdir())
    assert len(files) == 6
    assert len({File(path=str(file), roles=ROLES).load().fingerprint for file in files}) == 1


def test_a_format_is_one_function_and_one_line(table, tmp_path, monkeypatch):
    """The recipe of docs/architecture.md."""
    monkeypatch.setattr(frame_files, "FORMATS", dict(FORMATS))
    exec(recipe("To add a data format"), {})
    table.write_parquet(tmp_path / "a.parquet")
    orc.write_table(table.to_arrow(), tmp_path / "a.orc")
    panels = [File(path=str(tmp_path / f"a.{kind}"), roles=ROLES) for kind in ("parquet", "orc")]
    assert len({each.load().fingerprint for each in panels}) == 1
    assert panels[0].source().count(".orc") == 1
    (tmp_path / "a.orc").write_bytes(b"ORC and no more")
    with pytest.raises(DataError, match=r"^dataset.path: '.*a.orc' cannot be read \([^\n]*$"):
        panels[1].load()


@pytest.mark.parametrize(
    ("encoding", "codec"),
    [
        ("utf-8", "utf-8-sig"),
        ("utf-8-sig", "utf-8-sig"),
        ("latin-1", "latin-1"),
        ("utf-16", "utf-16"),
    ],
)
def test_encodings_and_byte_order_marks(table, tmp_path, encoding, codec):
    (tmp_path / "a.csv").write_bytes(table.write_csv().encode(codec))
    panel = File(path=str(tmp_path / "a.csv"), roles=ROLES, encoding=encoding).load()
    assert panel.series_ids.to_list() == ["007", "Größe"]


def test_windows_line_ends_blank_last_lines_and_another_separator(table, tmp_path):
    text = table.write_csv(separator=";").replace("\n", "\r\n") + "\r\n\r\n"
    (tmp_path / "a.csv").write_bytes(text.encode())
    assert len(File(path=str(tmp_path / "a.csv"), roles=ROLES, separator=";").load().table) == 24


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_file_that_was_cut_amid_its_last_number_is_remarked_on_unless_its_digest_was_given(
    table, tmp_path, encoding
):
    whole, cut = (tmp_path / f"{name}.csv" for name in ("whole", "cut"))
    text = table.drop("price", "colour", "size").write_csv()
    whole.write_bytes(text.encode(encoding))
    cut.write_bytes(text.removesuffix("25\n").encode(encoding))
    roles = {"series": "sku", "time": "month", "target": "units"}
    files = [
        File(path=str(path), roles=roles, encoding=encoding)
        for path in (whole, cut, tmp_path / "*.csv")
    ]
    assert files[1].load().target[-1] == 0.0
    said = (
        f"'{cut}' does not end with a line break: if it was cut in writing, its last value is "
        f"wrong."
    )
    assert [file.remarks(files[0].load()) for file in files] == [[], [said], [said]]
    digest = hashlib.sha256(cut.read_bytes()).hexdigest()
    assert (
        File(path=str(cut), roles=roles, encoding=encoding, sha256=digest).remarks(files[1].load())
        == []
    )
    if encoding == "utf-8":
        (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(cut.read_bytes()))
        assert (
            "cut.csv.gz' does not end"
            in File(path=f"{cut}.gz", roles=roles).remarks(files[1].load())[0]
        )


@pytest.mark.parametrize(
    "dataset",
    [
        Table(path="cut.csv"),
        Table(path="whole.parquet", exposures="cut.csv"),
        Table(path="whole.parquet", reviewed="cut.csv"),
        Runs(path="cut.csv"),
        Images(path="pictures", labels="cut.csv"),
    ],
    ids=["table", "exposures", "reviewed", "runs", "labels"],
)
def test_every_text_file_of_a_dataset_is_remarked_on(tmp_path, monkeypatch, dataset):
    monkeypatch.chdir(tmp_path)
    pl.DataFrame({"y": [0]}).write_parquet("whole.parquet")
    Path("cut.csv").write_text("y,u\n1,2")
    (said,) = dataset.remarks(None)
    assert said.startswith("'cut.csv' does not end with a line break")


def test_a_file_that_was_cut_amid_its_last_row_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    for text in (
        "a,b,c\n1,2,3\n4,5",
        'a,b,c\n"1, 2",2,3\n"4, 5",5\n',
        'a,b,c\n"1\n2",2,3\n"4\n5",5',
    ):
        path.write_text(text)
        with pytest.raises(
            DataError,
            match=r"row 2, the last, has 2 of 3 fields: the file was cut in writing, or lacks",
        ):
            read_files(str(path))
    path.write_text('a,b,c\n1,2,3\n"4\n5,6,7"\n')  # the last line alone looks like three fields
    with pytest.raises(DataError, match="row 2, the last, has 1 of 3 fields"):
        read_files(str(path))
    path.write_text('a,b,c\n1,2,"3\n4"\n')  # the last line is not the last row
    assert read_files(str(path)).table.row(0) == ("1", "2", "3\n4")


def test_a_glob_joins_files_in_the_order_of_their_names(table, tmp_path):
    table.head(12).write_parquet(tmp_path / "b.parquet")
    table.tail(12).write_parquet(tmp_path / "a.parquet")
    source = read_files(str(tmp_path / "*.parquet"), ["units"])
    assert source.table["units"][0] == 12.0
    assert source.at(13).endswith("b.parquet' row 2")
    assert File(path=str(tmp_path / "*.parquet"), roles=ROLES).load().n_series == 2


def test_whole_numbers_in_one_file_and_fractions_in_another_are_numbers(tmp_path):
    pl.DataFrame({"t": [1, 2], "y": [1, 2]}).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame({"t": [1, 2], "y": [0.5, 2.0]}).write_parquet(tmp_path / "b.parquet")
    panel = File(path=str(tmp_path / "*.parquet"), roles={"time": "t", "target": "y"}).load()
    assert panel.series_ids.to_list() == ["a", "b"]
    assert panel.target.tolist() == [1, 2, 0.5, 2]


def test_a_digest_is_checked_for_a_file_too(table, tmp_path):
    table.write_parquet(tmp_path / "a.parquet")
    digest = hashlib.sha256((tmp_path / "a.parquet").read_bytes()).hexdigest()
    assert (
        File(path=str(tmp_path / "a.parquet"), roles=ROLES, sha256=digest.upper()).load().n_series
        == 2
    )
    with pytest.raises(DataError, match=f"has the digest {digest}, not 000"):
        File(path=str(tmp_path / "a.parquet"), roles=ROLES, sha256="0" * 64).load()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def served(tmp_path, monkeypatch):
    (tmp_path / "web").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = HTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "web")))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield tmp_path / "web", f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_url_is_fetched_once_and_only_with_its_digest(table, served):
    folder, address = served
    table.write_parquet(folder / "a.parquet")
    digest = hashlib.sha256((folder / "a.parquet").read_bytes()).hexdigest()
    with pytest.raises(DataError, match="has the digest"):
        File(path=f"{address}/a.parquet", roles=ROLES, sha256="0" * 64).load()
    first = File(path=f"{address}/a.parquet?download=1", roles=ROLES, sha256=digest).load()
    (folder / "a.parquet").unlink()
    assert (
        File(path=f"{address}/a.parquet", roles=ROLES, sha256=digest).load().fingerprint
        == first.fingerprint
    )
    with pytest.raises(DataError, match=r"cannot be fetched .*404"):
        File(path=f"{address}/b.parquet", roles=ROLES, sha256="0" * 64).load()


@pytest.mark.parametrize("separator", ["semicolon", ";"])
def test_a_german_file_is_read_as_the_same_table(separator, tmp_path):
    english = "sku,month,units,price\nA,2024-01-01,1234.5,9\nA,2024-02-01,0.25,10.5\nA,2024-03-01,2000,1e-1\n"
    german = "sku;month;units;price\nA;2024-01-01;1.234,5;9\nA;2024-02-01;0,25;10,5\nA;2024-03-01;2.000;1,0e-1\n"
    (tmp_path / "english.csv").write_text(english)
    (tmp_path / "german.csv").write_text(german)
    roles = {"series": "sku", "time": "month", "target": "units", "known_future": "price"}
    written = {"separator": separator, "decimal": "comma"}
    one, other = (
        File(path=str(tmp_path / f"{name}.csv"), roles=roles, horizon=1, **form).load().table
        for name, form in (("english", {}), ("german", written))
    )
    assert one.equals(other)


def test_with_decimal_commas_names_stay_names(tmp_path):
    (tmp_path / "s.csv").write_text("a;b;c;d;e\n007;1,2,3;24.12.2024;,5;\n")
    form = TextFormat(separator="semicolon", decimal="comma")
    assert read_files(str(tmp_path / "s.csv"), form=form).table.row(0) == (
        "007",
        "1,2,3",
        "24.12.2024",
        ".5",
        None,
    )
