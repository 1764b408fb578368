"""The server of a bundle keeps its contracts, and refuses in words what a client did."""

import asyncio
import hashlib
import io
import json
import logging
import os
import shutil
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import polars as pl
import pytest

from hwds.core.errors import ConfigError
from hwds.core.secrets import visible
from hwds.serve.bundle.manifest import files_of, read_bundle, signing_key
from hwds.serve.server.settings import ServerSettings
from tests.support.fuzzed_bodies import bodies

testclient = pytest.importorskip("starlette.testclient")
run = pytest.importorskip("hwds.serve.server.run")
ROW = {"id": "A-17", "spent": 80.5, "quantity": 3, "channel": "online", "visits": 0.2}


def ask(client, body, form="application/json", accept=""):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(
        "/invocations", content=content, headers={"content-type": form, "accept": accept}
    )


def test_sagemakers_contract(client):
    ping = client.get("/ping")
    assert (ping.status_code, ping.content) == (200, b"")
    said = client.get("/execution-parameters").json()
    assert said == {
        "MaxConcurrentTransforms": 8,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": 6,
    }
    answer = ask(client, ROW)
    assert answer.status_code == 200
    assert answer.json()["id"] == "A-17"
    assert client.put("/invocations").status_code == 405
    assert client.get("/nothing").status_code == 404


def test_as_many_answers_as_questions_in_every_format(client):
    rows = [ROW | {"id": str(place), "spent": 10.0 + place} for place in range(5)]
    wanted = ask(client, rows).json()
    assert [answer["id"] for answer in wanted] == ["0", "1", "2", "3", "4"]
    lines = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
    for form in ("application/jsonlines", "application/x-ndjson", "application/json"):
        got = ask(client, lines, form)
        assert [json.loads(line) for line in got.text.splitlines()] == wanted
    csv = ask(client, pl.DataFrame(rows).write_csv().encode(), "text/csv")
    assert csv.headers["content-type"].startswith("text/csv")
    assert [line.split(",")[0] for line in csv.text.splitlines()] == ["0", "1", "2", "3", "4"]
    assert [float(line.split(",")[1]) for line in csv.text.splitlines()] == [
        answer["score"] for answer in wanted
    ]
    bare = (
        pl.DataFrame(rows)
        .select("id", "spent", "quantity", "channel", "visits")
        .write_csv(include_header=False)
    )
    assert ask(client, bare.encode(), "text/csv").text == csv.text
    buffer = io.BytesIO()
    pl.DataFrame(rows).write_ipc_stream(buffer)
    assert ask(client, buffer.getvalue(), "application/vnd.apache.arrow.stream").json() == wanted
    assert ask(client, rows, accept="application/jsonlines").text.count("\n") == 5


def test_mlflows_protocol(client):
    wanted = {"predictions": ask(client, [ROW, ROW]).json()}
    split = {"columns": list(ROW), "data": [list(ROW.values())] * 2}
    columns = {name: [value, value] for name, value in ROW.items()}
    for body in (
        {"instances": [ROW, ROW]},
        {"dataframe_records": [ROW, ROW]},
        {"dataframe_split": split},
        {"inputs": columns},
    ):
        assert ask(client, body).json() == wanted
    assert client.get("/version").json()["model"] == "classify/logistic"


def test_kserves_protocol(client):
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    known = client.get("/v2/models/classify-logistic").json()
    assert {tensor["name"] for tensor in known["inputs"]} == set(ROW)
    inputs = [
        {"name": name, "shape": [1], "datatype": "FP64", "data": [value]}
        for name, value in ROW.items()
    ]
    said = client.post(
        "/v2/models/classify-logistic/infer", json={"id": "q", "inputs": inputs}
    ).json()
    told = {tensor["name"]: tensor["data"][0] for tensor in said["outputs"]}
    assert said["id"] == "q"
    assert told["score"] == ask(client, ROW).json()["score"]
    endless = [inputs[0] | {"shape": [1] * 33}]
    assert (
        client.post("/v2/models/classify-logistic/infer", json={"inputs": endless}).status_code
        == 400
    )
    assert client.post("/v2/models/other/infer", json={"inputs": inputs}).status_code == 404
    assert client.post("/v2/models/classify-logistic/infer", content=b"[").status_code == 400


REFUSALS = [
    (b"{", "application/json", "", 400, "is no JSON"),
    (b"[]", "application/json", "", 400, "at least one question"),
    ({"spent": "x"}, "application/json", "", 400, "'spent' must be a finite number, got 'x'"),
    ({"spnt": 1}, "application/json", "", 400, "no column 'spnt'; did you mean 'spent'?"),
    ({"bad": 1}, "application/json", "", 400, "no column 'bad'"),
    (b'{"spent": 1, "spent": 2}', "application/json", "", 400, "'spent' stands twice"),
    (b'[{"a": {"b": 1, "b": 1}}]', "application/json", "", 400, "'b' stands twice"),
    (b'{"spent": 1, "spent": 1}', "application/jsonlines", "", 400, "line 1: is no JSON"),
    (b'{"spent": 1_0}', "application/json", "", 400, "is no JSON"),
    (b"spent,quantity\n1_0,1", "text/csv", "", 400, "'spent' must be a number, got '1_0'"),
    (b"spent,quantity\n1,1_0", "text/csv", "", 400, "'quantity' must be a number, got '1_0'"),
    ("spent\n\u0661\u0662".encode(), "text/csv", "", 400, "'spent' must be a number"),
    ("quantity\n\u0663".encode(), "text/csv", "", 400, "'quantity' must be a number"),
    ("spent\n\uff11".encode(), "text/csv", "", 400, "'spent' must be a number"),
    ({"spnt": None}, "application/json", "", 400, "no column 'spnt'; did you mean 'spent'?"),
    ([ROW, 5], "application/json", "", 400, "question 1: must be a JSON object, got int"),
    (b'{"spent": NaN}', "application/json", "", 400, "NaN is no number of JSON"),
    (ROW, "application/xml", "", 415, "'application/xml' is not read here"),
    (ROW, "application/json; charset=utf-16", "", 415, "UTF-8"),
    (ROW, "application/json", "image/png", 406, "nothing of 'image/png' is written here"),
    (b"spent,quantity\n1", "text/csv", "", 400, "row 1: must have 2 values"),
    (b"nonsense", "application/vnd.apache.arrow.stream", "", 400, "is no Arrow stream"),
    (b"\xff", "application/jsonlines", "", 400, "is no UTF-8"),
    (b'{"spent": 1}\n{"spent"\n', "application/jsonlines", "", 400, "line 2: is no JSON"),
]


@pytest.mark.parametrize(("body", "form", "accept", "status", "said"), REFUSALS)
def test_what_a_client_did_is_refused_in_words(client, body, form, accept, status, said):
    answer = ask(client, body, form, accept)
    assert answer.status_code == status
    assert said in answer.json()["error"]


@pytest.mark.parametrize(
    ("said", "status"), [("true", 200), ("0", 200), ("null", 400), ("", 400), ("1&reasons=1", 400)]
)
def test_reasons_are_asked_for_by_yes_or_no(client, said, status):
    answer = client.post(f"/invocations?reasons={said}", json=ROW)
    assert answer.status_code == status
    assert ("reasons" in answer.json()) == (said == "true")


def test_limits(serve):
    client = serve(most_megabytes=0.001, most_rows=2)
    assert "bytes" in ask(client, b" " * 2000).json()["error"]
    assert ask(client, b" " * 2000).status_code == 413
    assert ask(client, [{"spent": 1}] * 3).status_code == 413
    stream = client.post(
        "/invocations", content=iter([b" " * 600] * 4), headers={"content-type": "application/json"}
    )
    assert stream.status_code == 413
    assert (
        client.post("/invocations", content=b"x", headers={"content-encoding": "gzip"}).status_code
        == 415
    )


def test_overload_and_slow_answers_get_503(serve, monkeypatch):
    client = serve(waiting=0)
    busy = ask(client, [ROW] * 65)
    assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
    slow = serve(seconds=0.01)
    core = slow.core

    def answer(questions, *, reasons=False):
        time.sleep(0.2)
        return []

    monkeypatch.setattr(core.loaded.service, "answer", answer)
    assert "takes longer than 0.01 s" in ask(slow, [ROW] * 65).json()["error"]


def test_what_has_waited_too_long_is_not_begun(serve, monkeypatch):
    client, begun = serve(seconds=0.01), []
    core = client.core
    monkeypatch.setattr(
        core.loaded.service,
        "answer",
        lambda questions, *, reasons=False: begun.append(1) or time.sleep(0.3),
    )
    assert {ask(client, [ROW] * 65).status_code for _ in range(4)} == {503}
    core._threads.submit(int).result(5)
    assert len(begun) == 1


def arrow(rows, **settings):
    buffer = io.BytesIO()
    rows.write_ipc_stream(buffer, **settings)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("rows", "settings", "status", "said"),
    [
        (
            pl.DataFrame({"spent": pl.Series([None]).new_from_index(0, 10_000_000)}),
            {},
            413,
            "rows in one request",
        ),
        (
            pl.DataFrame({"spent": pl.zeros(9000, eager=True)}),
            {"compression": "zstd"},
            415,
            "compressed Arrow",
        ),
        (
            pl.DataFrame({"channel": pl.Series(["x" * 10_000]).new_from_index(0, 5000)}),
            {},
            413,
            "texts that rows share",
        ),
    ],
)
def test_few_bytes_of_arrow_do_not_become_many(client, rows, settings, status, said):
    body = arrow(rows, **settings)
    assert len(body) < 100_000
    answer = ask(client, body, "application/vnd.apache.arrow.stream")
    assert (answer.status_code, said in answer.json()["error"]) == (status, True)


def test_no_damaged_arrow_stream_is_more_than_refused(client):
    """Polars' own reader ends the process by some of these bytes."""
    random, rows = Random(3), pl.DataFrame([ROW, ROW | {"id": "B"}])
    whole = arrow(rows.with_columns(pl.col("channel").cast(pl.Categorical)))
    statuses = Counter()
    for _ in range(400):
        body = bytearray(whole)
        for place in random.sample(range(len(whole)), 4):
            body[place] = random.randrange(256)
        answer = ask(client, bytes(body), "application/vnd.apache.arrow.stream")
        statuses[answer.status_code] += 1
    assert set(statuses) <= {200, 400, 413, 415}
    assert statuses[400] > 200


def test_tokens(serve):
    client = serve(tokens=(hashlib.sha256(b"secret").hexdigest(),))
    assert client.get("/ping").status_code == 200
    assert ask(client, ROW).status_code == 401
    assert client.get("/metrics").status_code == 401
    wrong, right = ({"authorization": f"Bearer {token}"} for token in ("other", "secret"))
    assert client.post("/invocations", json=ROW, headers=wrong).status_code == 401
    assert client.post("/invocations", json=ROW, headers=right).status_code == 200


def test_counts_and_pages(client):
    ask(client, [ROW, ROW])
    ask(client, b"{")
    text = client.get("/metrics").text
    assert 'hwds_requests_total{status="200"} 1' in text
    assert 'hwds_requests_total{status="400"} 1' in text
    assert "hwds_rows_total 2" in text
    assert "hwds_request_seconds_count 2" in text
    described = client.get("/openapi.json").json()
    assert {"/invocations", "/ping", "/execution-parameters"} <= set(described["paths"])
    assert "Answer questions" in client.get("/docs").text


def test_capture_is_sampled_and_redacted(serve, tmp_path):
    client = serve(capture=str(tmp_path / "cap"), redact=("channel",), sample=0.5)
    for place in range(20):
        ask(client, ROW | {"id": str(place)})
    lines = [
        json.loads(line)
        for path in (tmp_path / "cap").glob("*.jsonl")
        for line in path.read_text().splitlines()
    ]
    assert 3 <= len(lines) <= 17
    asked = json.loads(lines[0]["captureData"]["endpointInput"]["data"])
    assert asked["channel"] == "***"
    assert asked["spent"] == 80.5
    assert "score" in json.loads(lines[0]["captureData"]["endpointOutput"]["data"])


def test_capture_draws_questions_without_ids_by_what_they_say_and_hides_what_reasons_would_tell(
    serve, tmp_path
):
    client = serve(capture=str(tmp_path / "cap"), redact=("channel",), sample=0.3)
    for place in range(30):
        client.post("/invocations?reasons=1", json={"spent": 10.0 + place, "channel": "online"})
    written = "".join(path.read_text() for path in (tmp_path / "cap").glob("*.jsonl"))
    assert 3 <= written.count("captureData") <= 20
    assert written.count(r"reasons\": \"***\"") == written.count("captureData")


def test_the_log_of_a_refusal_has_no_value_where_fields_are_not_to_be_written(serve, caplog):
    for redact, said in (
        ((), ", got 'secret'."),
        (("spent",), "must be a finite number"),
        (("id",), "not logged, for it names an id"),
    ):
        caplog.clear()
        with caplog.at_level(logging.INFO, "hwds.server"):
            assert "secret" in ask(serve(redact=redact), {"spent": "secret"}).json()["error"]
        assert json.loads(caplog.records[-1].message)["why"].endswith(said)


def test_the_log_has_no_character_that_is_not_seen(client, caplog):
    hostile = "a\x1b[2Jb\x9b31mc\u202ed\u2028e\x85\r\nf"
    with caplog.at_level(logging.INFO, "hwds.server"):
        ask(client, {"spent": hostile})
    line = run.JsonLogFormatter().format(caplog.records[-1])
    assert visible(line) == line
    assert "\n" not in line
    assert repr(hostile)[1:20] in json.loads(line)["said"]["why"]


def test_a_capture_that_cannot_be_written_costs_no_answer(serve, tmp_path):
    client = serve(capture=str(tmp_path))
    for hour in (datetime.now(UTC), datetime.now(UTC) + timedelta(hours=1)):
        (tmp_path / f"{hour:%Y-%m-%d-%H}-{os.getpid()}.jsonl").symlink_to("/dev/full")
    assert ask(client, ROW).status_code == 200
    assert "hwds_capture_failures_total 1" in client.get("/metrics").text
    client.core._capture = None  # whose buffer cannot be emptied


def test_the_bundle_that_has_answered_is_named_though_it_is_replaced_meanwhile(serve):
    core = serve(batch_ms=20).core
    core._batches._together = 2

    async def run():
        under_way = asyncio.create_task(core.answer([ROW], reasons=False))
        await asyncio.sleep(0.001)
        core.loaded = core.loaded._replace(digest="another")
        return await under_way

    digest = core.loaded.digest
    _, reply = core.infer(
        json.dumps({"inputs": [{"name": "spent", "data": [1.0]}]}).encode(), "orders"
    )
    assert asyncio.run(run())[1] == digest
    assert json.loads(reply([{"id": "0"}], digest).body)["model_version"] == digest


def test_a_new_bundle_is_taken_up_and_a_wrong_one_is_not(bundle, home, tmp_path, serve):
    folder = tmp_path / "live"
    shutil.copytree(bundle.folder, folder)
    client = serve(folder=str(folder))
    core = client.core
    before = client.get("/version").json()["bundle"]
    (folder / "card.md").write_text("changed")
    asyncio.run(core.reload())
    assert client.get("/version").json()["bundle"] == before
    assert "hwds_reload_failures_total 1" in client.get("/metrics").text
    manifest = replace(bundle.manifest, files=files_of(folder))
    manifest.write(folder, signing_key(home / "key.pem"))
    asyncio.run(core.reload())
    assert client.get("/version").json()["bundle"] == manifest.digest != before
    assert ask(client, ROW).headers["x-hwds-bundle"] == read_bundle(folder, None)[0].digest


def test_sagemakers_variables(monkeypatch):
    plain = ServerSettings("folder")
    named = plain.with_platform(
        {
            "SAGEMAKER_BATCH": "true",
            "SAGEMAKER_MAX_PAYLOAD_IN_MB": "20",
            "SAGEMAKER_BATCH_STRATEGY": "single_record",
            "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "3",
        }
    )
    assert (named.batch, named.most_megabytes, named.strategy, named.concurrent) == (
        True,
        20.0,
        "SINGLE_RECORD",
        3,
    )
    for name, value in (("SAGEMAKER_MAX_PAYLOAD_IN_MB", "x"), ("SAGEMAKER_BATCH_STRATEGY", "Some")):
        with pytest.raises(ConfigError, match=name):
            plain.with_platform({name: value})
    monkeypatch.setenv("HWDS_SERVER", named.to_text())
    assert ServerSettings.of_environment() == named


def test_no_fuzzed_body_is_a_failure_of_the_server(client):
    statuses = [ask(client, *body).status_code for body in bodies(300, 7, [ROW])]
    assert set(statuses) <= {200, 400, 406, 413, 415}
    assert statuses.count(400) > 100


def test_a_body_that_is_cut_short_is_no_body(client):
    sent, parts = (
        [],
        iter(
            [
                {"type": "http.request", "body": b'{"spent": 1}\n', "more_body": True},
                {"type": "http.disconnect"},
            ]
        ),
    )

    async def receive():
        return next(parts)

    async def send(message):
        sent.append(message)

    headers = [(b"content-type", b"application/jsonlines"), (b"content-length", b"100")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/invocations",
        "headers": headers,
        "query_string": b"",
    }
    asyncio.run(client.app(scope, receive, send))
    assert sent[0]["status"] == 408
    assert b"closed before the body had arrived" in sent[1]["body"]


def test_a_request_that_outlives_the_grace_of_the_server_is_told_so(client):
    sent, headers = [], [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/invocations"}

    async def send(message):
        sent.append(message)

    async def ended():
        asked = scope | {"headers": headers, "query_string": b""}
        task = asyncio.ensure_future(client.app(asked, asyncio.Event().wait, send))
        await asyncio.sleep(0.05)
        task.cancel()
        await task

    asyncio.run(ended())
    assert sent[0]["status"] == 503
    assert b"the server ends" in sent[1]["body"]
