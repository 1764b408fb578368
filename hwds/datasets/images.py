"""A user's own images: a folder of PNG or JPEG or an npz archive, and a table of what they show."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from numpy import ndarray

from hwds.core.errors import ConfigError, DataError
from hwds.core.recipe import Names
from hwds.datasets.base import Dataset
from hwds.datasets.reading.columns import RoleNames
from hwds.datasets.reading.pictures import PICTURES, open_archive, read_pictures
from hwds.frames.files import Decimal, FileSource, TextFormat, read_files, without_line_break
from hwds.frames.images import BOARD, IMAGE, KIND
from hwds.frames.images import Images as ImagesFrame
from hwds.frames.roles import Roles
from hwds.frames.table import Frame


class ImageRoles(RoleNames, frame="images"):
    """The columns of a table of images by what they may be used for; each a name, or a list where
    several make sense.
    """


class Images(Dataset):
    """Your own images of one size, 8 bits a channel: a folder of PNG or JPEG, or an npz archive,
    with a table of labels.

    Pixels are mapped from a file, not held. A folder needs the role `file`; the rows of an
    archive's table are in the order of its images. Without a role `group` each image is a board of
    its own. An image without a label is not learned from, and `hwds predict` judges it.

    Attributes:
        path: A folder of PNG or JPEG files, or an npz archive with the array `images`, shape (n,
            height, width) or with 1 or 3 channels behind.
        labels: The table: CSV, TSV, Parquet or Arrow.
        roles: The use of each column of the table.
        good: The label of an image without a defect.
        kinds: The labels of defects, in the order of tables; any other is refused. All that there
            are, where none are given.
        encoding: The encoding of a CSV or TSV (`latin-1`, `cp1252`, `utf-16`).
        separator: Between the fields of a CSV or TSV: one character, or `comma`, `semicolon`,
            `tab`, `pipe`; by the suffix where nothing is given.
        decimal: The sign before the decimals of a CSV or TSV, `point` or `comma`; with `comma`,
            `1.234,5` is 1234.5.

    Example:
        python -m hwds dataset=images dataset.path=photos dataset.labels=photos.csv \
            dataset.roles.file=name dataset.roles.label=defect dataset.roles.group=board \
            model=inspection/cnn protocol=board_kfold
    """

    gives = ImagesFrame
    path: str
    labels: str
    roles: ImageRoles = ImageRoles()
    good: str = "ok"
    kinds: Names = ()
    encoding: str = "utf-8"
    separator: str | None = None
    decimal: Decimal = "point"

    def load(self) -> ImagesFrame:
        """Return the images, in the order of the table.

        Raises:
            ConfigError: A role is missing, or given twice; see `reading.read`.
            DataError: A file cannot be read, an image is missing, corrupt or of another size, or a
                label is no kind.
        """
        given = self.roles.given()
        if not given.get("label"):
            raise ConfigError("dataset.roles.label: must be given.")
        source = self._source(given)
        pixels = self._pixels(source, given)
        table = source.table.with_columns(pl.all().cast(pl.String))
        names = table[given["file"][0]] if given.get("file") else pl.Series(_numbered(len(table)))
        groups = [table[name] for name in given.get("group", ())]
        columns = {
            IMAGE: names,
            BOARD: pl.select(pl.concat_str(groups, separator="|")).to_series() if groups else names,
            KIND: table[given["label"][0]].replace({"": None}),
        }
        columns |= {name: table[name] for name in given.get("static", ()) if name not in columns}
        return ImagesFrame.build(pl.DataFrame(columns), pixels, good=self.good, kinds=self.kinds)

    def remarks(self, frame: Frame) -> list[str]:
        """Return that the table of labels may be cut."""
        return [*without_line_break(self.labels)]

    def _source(self, given: Roles) -> FileSource:
        """Return the table of labels."""
        try:
            source = read_files(
                self.labels, form=TextFormat(self.encoding, self.separator, self.decimal)
            )
            source.must_have(given.names)
        except DataError as error:  # files of rows are called by the key that they usually have
            raise DataError(str(error).replace("dataset.path:", "dataset.labels:", 1)) from error
        return source

    def _pixels(self, source: FileSource, given: Roles) -> ndarray:
        path = Path(self.path).expanduser()
        if path.suffix == ".npz":
            pixels = open_archive(path, ("images",))["images"]
            if len(pixels) != len(source.table):
                raise DataError(
                    f"dataset.labels: {len(source.table):,} rows for the {len(pixels):,} images "
                    f"of '{path}'."
                )
            return pixels
        if not path.is_dir():
            raise DataError(f"dataset.path: '{path}' is neither a folder nor an npz archive.")
        if not given.get("file"):
            raise ConfigError(
                "dataset.roles.file: must be given, for a folder of images has no order."
            )
        names = source.table[given["file"][0]].cast(pl.String)
        missing = names.is_null().arg_true()
        if len(missing):
            raise DataError(f"dataset.labels: {source.at(missing[0])} names no file.")
        wrong = next((name for name in names if Path(name).suffix.lower() not in PICTURES), None)
        if wrong is not None:
            raise DataError(
                f"dataset.labels: '{wrong}' is no picture; one of {', '.join(PICTURES)} must end "
                f"its name."
            )
        return read_pictures(path, names.to_list())

    def source(self) -> str:
        """Return what a user has to give."""
        return (
            "your own folder of PNG or JPEG, or an npz archive: dataset.path, and a table: "
            "dataset.labels and dataset.roles."
        )


def _numbered(count: int) -> list[str]:
    return [f"image {place:0{len(str(count))}d}" for place in range(1, count + 1)]
