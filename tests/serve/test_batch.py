"""Batches go on where they were killed, and a Lambda answers what its triggers send."""

import base64
import json

import polars as pl
import pytest

from hwds.core.errors import ConfigError, DataError, HwdsError
from hwds.serve.batch import run_batch, run_far_batch
from hwds.serve.runtime import answer_gateway, answer_records, handler
from hwds.serve.runtime import service as opened

ROW = {"id": "A", "spent": 80.5, "quantity": 3, "channel": "online", "visits": 0.2}


@pytest.fixture
def service(bundle):
    return bundle.service()


def test_a_batch_goes_on_where_it_was(service, tmp_path, monkeypatch):
    rows = pl.DataFrame(
        [ROW | {"id": str(place), "spent": 10.0 + place, "other": 1} for place in range(25)]
    )
    rows.write_parquet(tmp_path / "in.parquet")
    rows.write_csv(tmp_path / "in.csv")
    assert run_batch(service, "b", tmp_path / "in.parquet", tmp_path / "out", rows=10) == 25
    parts = sorted((tmp_path / "out").glob("part-*.parquet"))
    whole = pl.concat(map(pl.read_parquet, parts))
    assert whole["id"].to_list() == rows["id"].to_list()
    assert whole["score"].to_list() == [
        service.answer([row])[0]["score"] for row in rows.drop("other").to_dicts()
    ]
    before = parts[0].read_bytes()
    parts[2].unlink()
    (tmp_path / "out" / "_SUCCESS").unlink()
    asked = []
    answer = service.answer
    monkeypatch.setattr(
        service,
        "answer",
        lambda questions, **more: asked.append(len(questions)) or answer(questions, **more),
    )
    assert run_batch(service, "b", tmp_path / "in.parquet", tmp_path / "out", rows=10) == 25
    assert asked == [5]
    assert parts[0].read_bytes() == before
    assert run_batch(service, "b", tmp_path / "in.csv", tmp_path / "csv", rows=100) == 25
    assert (
        pl.read_parquet(tmp_path / "csv" / "part-000000.parquet")["score"].to_list()
        == whole["score"].to_list()
    )


def test_a_batch_in_s3_goes_on_where_it_was(service, aws, tmp_path, monkeypatch):
    s3 = aws("s3")
    s3.create_bucket(
        Bucket="batches", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    pl.DataFrame(
        [ROW | {"id": str(place), "spent": 10.0 + place} for place in range(25)]
    ).write_parquet(tmp_path / "in.parquet")
    s3.upload_file(str(tmp_path / "in.parquet"), "batches", "rows/in.parquet")
    places = "s3://batches/rows/in.parquet", "s3://batches/out/"
    assert run_far_batch(service, "b", *places, 10, s3) == 25
    assert run_far_batch(service, "b", places[0], str(tmp_path / "out"), 10, s3) == 25
    names = [
        each["Key"].removeprefix("out/")
        for each in s3.list_objects_v2(Bucket="batches", Prefix="out/")["Contents"]
    ]
    assert names == sorted(path.name for path in (tmp_path / "out").iterdir())
    for name in names:
        kept = s3.get_object(Bucket="batches", Key=f"out/{name}")["Body"].read()
        assert kept == (tmp_path / "out" / name).read_bytes()
    for name in ("part-000002.parquet", "_SUCCESS"):
        s3.delete_object(Bucket="batches", Key=f"out/{name}")
    asked, answer = [], service.answer
    monkeypatch.setattr(
        service,
        "answer",
        lambda questions, **more: asked.append(len(questions)) or answer(questions, **more),
    )
    assert run_far_batch(service, "b", *places, 10, s3) == 25
    assert asked == [5]
    with pytest.raises(ConfigError, match="holds another batch"):
        run_far_batch(service, "c", *places, 10, s3)
    s3.copy_object(
        Bucket="batches", Key="part-000000.parquet", CopySource="batches/out/part-000000.parquet"
    )
    s3.delete_object(Bucket="batches", Key="out/part-000000.parquet")
    s3.copy_object(
        Bucket="batches",
        Key="out/more/part-000000.parquet",
        CopySource="batches/part-000000.parquet",
    )
    assert run_far_batch(service, "b", *places, 10, s3) == 25
    assert asked == [5, 10], "a part of a batch in a folder below is none of this one"
    with pytest.raises(HwdsError, match=r"batch: s3://batches/rows/none.csv: .*Not Found"):
        run_far_batch(service, "b", "s3://batches/rows/none.csv", places[1], 10, s3)
    with pytest.raises(DataError, match=r"'s3:///' must be s3://BUCKET/KEY"):
        run_far_batch(service, "b", places[0], "s3://", 10, s3)
    with pytest.raises(ConfigError, match=r"s3://batches/rows/in.json must be a file .csv, .tsv, "):
        run_far_batch(service, "b", "s3://batches/rows/in.json", places[1], 10, s3)


def test_a_batch_refuses_in_words(service, tmp_path):
    pl.DataFrame({"spent": ["x"]}).write_csv(tmp_path / "bad.csv")
    with pytest.raises(
        DataError, match=r"part 0 \(rows 1 to 1\): .*'spent' must be a number, got 'x'"
    ):
        run_batch(service, "b", tmp_path / "bad.csv", tmp_path / "out")
    with pytest.raises(ConfigError, match="holds another batch"):
        run_batch(service, "c", tmp_path / "bad.csv", tmp_path / "out")
    with pytest.raises(ConfigError, match="must be a file"):
        run_batch(service, "b", tmp_path / "none.csv", tmp_path / "out2")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match=r"^batch: cut.parquet cannot be read: parquet: [^\n]*$"):
        run_batch(service, "b", tmp_path / "cut.parquet", tmp_path / "out3")
    with pytest.raises(ConfigError, match="has other files; take another"):
        run_batch(service, "b", tmp_path / "bad.csv", tmp_path)


def test_ids_of_a_csv_are_texts_and_numbers_are_read_as_the_bundle_says(service, tmp_path):
    rows = [ROW | {"id": f"{place:03d}", "spent": 10} for place in range(150)] + [
        ROW | {"id": "150", "spent": 10.5}
    ]
    pl.DataFrame([{name: str(value) for name, value in row.items()} for row in rows]).write_csv(
        tmp_path / "in.csv"
    )
    assert run_batch(service, "b", tmp_path / "in.csv", tmp_path / "out") == 151
    answers = pl.read_parquet(tmp_path / "out" / "part-000000.parquet")
    assert answers["id"].to_list() == [row["id"] for row in rows]
    assert answers["score"][-1] == service.answer([rows[-1]])[0]["score"]


def kinesis(content, number):
    return {"kinesis": {"data": base64.b64encode(content).decode(), "sequenceNumber": number}}


def test_lambda_answers_its_triggers(bundle, home, monkeypatch, service, tmp_path):
    monkeypatch.setenv("HWDS_BUNDLE", str(bundle.folder))
    monkeypatch.setenv("HWDS_TRUSTED_KEYS", str(home / "key.pem.pub"))
    monkeypatch.setenv("HWDS_DEAD_LETTERS", str(tmp_path / "dead.jsonl"))
    opened.cache_clear()
    wanted, whole = handler(ROW), service.answer([ROW])[0]
    assert wanted["id"] == ROW["id"]
    assert wanted["score"] == pytest.approx(whole["score"], rel=1e-12)
    assert handler([ROW]) == [wanted]
    body = json.dumps(ROW)
    assert json.loads(handler({"requestContext": {}, "body": body})["body"]) == wanted
    coded = {
        "httpMethod": "POST",
        "body": base64.b64encode(body.encode()).decode(),
        "isBase64Encoded": True,
    }
    assert json.loads(handler(coded)["body"]) == wanted
    assert answer_gateway(service, {"body": '{"spent": "x"}'})["statusCode"] == 400
    assert answer_gateway(service, {"body": None})["statusCode"] == 400
    sent = []
    stream = [
        kinesis(body.encode(), "1"),
        kinesis(b"{", "2"),
        kinesis(b"\xff", "3"),
        {"body": body, "messageId": "m"},
    ]
    assert answer_records(service, stream, sent.append) == {"batchItemFailures": []}
    assert sent == [whole, whole]
    assert [
        json.loads(line)["why"][:4] for line in (tmp_path / "dead.jsonl").read_text().splitlines()
    ] == ["body", "reco"]
    opened.cache_clear()


def test_kinesis_begins_again_at_the_first_failure(service, monkeypatch):
    sent, answer = [], service.answer

    def fails(questions, **more):
        if questions[0]["id"] == "2":
            raise HwdsError("the disk is full")
        return answer(questions, **more)

    monkeypatch.setattr(service, "answer", fails)
    stream = [
        kinesis(json.dumps(ROW | {"id": str(number)}).encode(), f"s{number}")
        for number in (1, 2, 3)
    ]
    assert answer_records(service, stream, sent.append) == {
        "batchItemFailures": [{"itemIdentifier": name} for name in ("s2", "s3")]
    }
    assert [each["id"] for each in sent] == ["1"]


def test_sqs_keeps_what_comes_after_a_failure(service, monkeypatch):
    def fails(questions, **more):
        raise HwdsError("the disk is full")

    monkeypatch.setattr(service, "answer", fails)
    queue = [{"body": json.dumps(ROW), "messageId": name} for name in "ab"]
    assert answer_records(service, queue, print)["batchItemFailures"] == [
        {"itemIdentifier": name} for name in "ab"
    ]


@pytest.mark.parametrize("suffix", [".tsv", ".arrow", ".ipc"])
def test_a_batch_reads_what_datasets_read(service, tmp_path, suffix):
    rows = pl.DataFrame([ROW | {"id": f"{place:03d}", "spent": 10.5} for place in range(3)])
    rows.write_parquet(tmp_path / "in.parquet")
    if suffix == ".tsv":
        rows.write_csv(tmp_path / f"in{suffix}", separator="\t")
    else:
        rows.write_ipc(tmp_path / f"in{suffix}")
    answers = []
    for kind in (".parquet", suffix):
        assert run_batch(service, "b", tmp_path / f"in{kind}", tmp_path / kind) == 3
        answers.append(pl.read_parquet(tmp_path / kind / "part-000000.parquet"))
    assert answers[0].equals(answers[1])
