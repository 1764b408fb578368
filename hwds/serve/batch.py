"""Batches: a file of questions to a file of answers, part by part, in constant memory; what was
killed goes on where it was.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from polars import DataFrame, Series

from hwds.core.errors import ConfigError, DataError, HwdsError
from hwds.core.files import write_atomically, write_text
from hwds.core.questions import Fields, Json
from hwds.evaluation.ray.executor import OnRay, ray_result
from hwds.evaluation.serving import Answer, Service
from hwds.frames.files import FORMATS, TEXT, file_suffix
from hwds.serve.bundle.manifest import sha256
from hwds.serve.deploy import SCHEME, aws_refusals, s3_keys, s3_place
from hwds.serve.server.formats import cell_of
from hwds.serve.services.opening import Bundle

PART = 5_000
"""Rows that are answered and written at once."""

STATE, DONE = "batch.json", "_SUCCESS"


class BatchPart(NamedTuple):
    """Some rows of a file: their number among the parts, the rows before them, and whether all
    values are texts.
    """

    number: int
    first: int
    rows: DataFrame
    texts: bool


Answering = Callable[[Iterable[BatchPart]], Iterator[tuple[int, DataFrame]]]
"""Returns the answers to parts, each with the part's number, in any order; a part is taken when it
can be worked on.
"""


def answer_in_turn(service: Service) -> Answering:
    """Return what answers one part after the other, in this process."""
    return lambda parts: ((part.number, answer_part(service, part)) for part in parts)


def on_ray(compute: OnRay, bundle: Bundle) -> Answering:
    """Return what answers parts as tasks of Ray, of which twice as many are on their way as the
    cluster has CPUs.
    """

    def answer_parts(parts: Iterable[BatchPart]) -> Iterator[tuple[int, DataFrame]]:
        for done, part in compute.flow(answer_there, bundle, parts, 0):
            answers = ray_result(done)
            if isinstance(answers, str):
                raise DataError(answers)
            yield part.number, answers

    return answer_parts


def answer_there(bundle: Bundle, part: BatchPart) -> DataFrame | str:
    """Return the answers to a part, on a worker, by the bundle that the driver has checked.

    Where it is refused the reason, which needs no traceback.
    """
    digest = bundle.manifest.digest
    try:
        if digest not in _SERVICES:
            _SERVICES[digest] = bundle.service()
        return answer_part(_SERVICES[digest], part)
    except HwdsError as error:
        return str(error)


_SERVICES: dict[str, Service] = {}
"""By digest what answers by a bundle in this process."""


def run_batch(
    service: Service,
    bundle: str,
    source: Path,
    out: Path,
    rows: int = PART,
    kept: Callable[[Path], None] = lambda path: None,
    answering: Answering | None = None,
) -> int:
    """Write the answers to the rows of a file as Parquet files of so many rows each.

    Return how many rows there are.

    A part that is there is not computed again, where bundle, source and the size of parts are the
    same.

    Args:
        service: Answers rows, each by itself.
        bundle: The digest of its bundle.
        source: A file of rows in one of `hwds.frames.files.FORMATS`.
        out: A folder.
        rows: Rows of a part.
        kept: A function that takes each file once it is written.
        answering: Answers parts elsewhere, by the same bundle; None answers them here, in turn.

    Raises:
        ConfigError: The source is no such file, the bundle answers no single rows, or the folder
            is of another batch.
        DataError: The source is damaged, or a row is no question, with the part that it is in.
    """
    if service.kind != "rows":
        raise ConfigError(
            f"batch: this bundle answers {service.kind}; a batch is of rows that stand alone."
        )
    _refuse_other(str(source))
    if not source.is_file():
        raise ConfigError(f"batch: {source} must be a file.")
    kept(_begin_batch(out, {"bundle": bundle, "source": sha256(source), "rows": rows}))
    total, texts = (
        0,
        file_suffix(source) in TEXT,
    )  # the bundle says what is a number: 007 may be an id

    def missing() -> Iterator[BatchPart]:
        nonlocal total
        for number, part in enumerate(_parts(source, rows)):
            first, total = total, total + part.height
            if not _file(out, number).is_file():
                yield BatchPart(number, first, part, texts)

    for number, answers in (answering or answer_in_turn(service))(missing()):
        path = _file(out, number)
        write_atomically(path, lambda place, table=answers: table.write_parquet(place))  # type: ignore[misc]
        kept(path)
    write_text(out / DONE, f"{total}\n")
    kept(out / DONE)
    return total


def _file(out: Path, number: int) -> Path:
    return out / f"part-{number:06d}.parquet"


def run_far_batch(
    service: Service,
    bundle: str,
    source: str,
    out: str,
    rows: int,
    s3: Any,
    answering: Answering | None = None,
) -> int:
    """Do as `run_batch` where the file, or the folder of parts, is s3://BUCKET/KEY.

    The file is brought to this disk whole; a part leaves it once it is in S3.

    Args:
        service: Answers rows, each by itself.
        bundle: The digest of its bundle.
        source: A file as of `run_batch`, here or in S3.
        out: A folder, here or in S3.
        rows: Rows of a part.
        s3: The client of S3.
        answering: See `run_batch`.

    Raises:
        ConfigError, DataError: See `run_batch`.
    """
    _refuse_other(source)
    with tempfile.TemporaryDirectory() as scratch:
        here = Path(source)
        if source.startswith(SCHEME):
            here = Path(scratch) / Path(source).name
            with aws_refusals(f"batch: {source}"):
                s3.download_file(*s3_place(source), str(here))
        if not out.startswith(SCHEME):
            return run_batch(service, bundle, here, Path(out), rows, answering=answering)
        folder, (bucket, prefix) = (
            Path(scratch) / "out",
            s3_place(f"{SCHEME}{out.removeprefix(SCHEME).rstrip('/')}/"),
        )
        folder.mkdir()
        for key in s3_keys(s3, f"{SCHEME}{bucket}/{prefix}", empty=True):
            (
                folder / key.removeprefix(prefix).replace("/", "%")
            ).touch()  # a part in a folder below is none of this batch
        if (folder / STATE).is_file():
            s3.download_file(bucket, f"{prefix}{STATE}", str(folder / STATE))

        def upload(path: Path) -> None:
            s3.upload_file(str(path), bucket, f"{prefix}{path.name}")
            if path.suffix == ".parquet":
                path.write_bytes(b"")

        return run_batch(service, bundle, here, folder, rows, upload, answering)


def _refuse_other(source: str) -> None:
    """Refuse the name of a file that is not read here.

    Raises:
        ConfigError: It is one.
    """
    if file_suffix(Path(source)) not in FORMATS:
        raise ConfigError(f"batch: {source} must be a file {', '.join(FORMATS)}.")


def _parts(source: Path, rows: int) -> Iterator[DataFrame]:
    """Yield the rows of a file, so many at a time, without holding more.

    Raises:
        DataError: It is damaged.
    """
    at = 0
    try:
        scan = FORMATS[file_suffix(source)](source)
        while (part := scan.slice(at, rows).collect(engine="streaming")).height:
            yield part
            at += part.height
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError) as error:
        raise DataError(
            f"batch: {source.name} cannot be read: {str(error).splitlines()[0]}."
        ) from error


def answer_part(service: Service, part: BatchPart) -> DataFrame:
    """Return the answers to the rows of a part.

    Raises:
        DataError: A row is no question, with the part that it is in.
    """
    fields, first = service.question_schema()["properties"], part.first
    questions = [_question(row, fields) for row in part.rows.iter_rows(named=True)]
    try:
        if part.texts:
            questions = [
                _type_cells(row, fields, first + place) for place, row in enumerate(questions)
            ]
        for place, question in enumerate(questions):
            question.setdefault("id", first + place)
        answers = service.answer(questions)
    except DataError as error:
        raise DataError(
            f"part {part.number} (rows {first + 1} to {first + len(questions)}): {error}"
        ) from error
    return _table(answers)


def _type_cells(row: Mapping[str, str], fields: Fields, place: int) -> Json:
    return {name: cell_of(name, text, fields[name], place) for name, text in row.items()}


def _question(row: Fields, fields: Fields) -> Json:
    """Return what a question may bear of a row; a file has other columns too."""
    return {name: value for name, value in row.items() if name in fields and value is not None}


def _table(answers: Sequence[Answer]) -> DataFrame:
    names = dict.fromkeys(name for answer in answers for name in answer)
    kinds = {"id": pl.String, "tier": pl.String}
    return DataFrame(
        [
            Series(name, [answer.get(name) for answer in answers], kinds.get(name, pl.Float64))
            for name in names
        ]
    )


def _begin_batch(out: Path, terms: Fields) -> Path:
    """Write what a batch is of, or check that a folder is of the same one.

    Return the file that says it.

    Raises:
        ConfigError: It is of another one.
    """
    path = out / STATE
    if path.is_file():
        if json.loads(path.read_text()) != dict(terms):
            raise ConfigError(
                "batch: the folder of answers holds another batch (another bundle, file or size "
                "of parts)."
            )
        return path
    if out.is_dir() and any(out.iterdir()):
        raise ConfigError("batch: the folder of answers has other files; take another.")
    out.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(dict(terms)))
    return path
