"""A bundle is made of a run, answers as it did, and is refused where anything of it was changed."""

import io
import itertools
import json
import os
import random
import re
import shutil
import socket
import threading

import polars as pl
import pytest
import yaml

from hwds import Table, detection
from hwds.bandit.live.service import LiveSettings
from hwds.core.errors import ConfigError, DataError, HwdsError
from hwds.core.onnx_graph import GraphScorer
from hwds.evaluation.serving import row_model
from hwds.experiment.spec import check_stored
from hwds.serve.bundle.card import missing_fields, read_fields
from hwds.serve.bundle.content import RowContent
from hwds.serve.bundle.make import make_bundle
from hwds.serve.bundle.manifest import MANIFEST, SIGNATURE, read_bundle, signing_key, trusted_keys
from hwds.serve.bundle.prove import prove_bundle
from hwds.serve.bundle.reference import read_cases, worst_difference
from hwds.serve.runtime import GraphModel
from hwds.serve.services.opening import Bundle
from tests.serve.conftest import CARD
from tests.support.rows import toy_rows


def test_it_holds_what_a_server_needs_and_nothing_that_runs_code(bundle):
    names = {
        path.relative_to(bundle.folder).as_posix()
        for path in bundle.folder.rglob("*")
        if path.is_file()
    }
    wanted = {
        "bundle.json",
        "bundle.sig",
        "card.md",
        "card.json",
        "card.sagemaker.json",
        "config.json",
        "conformal.json",
        "decision.json",
        "latency.json",
        "licences.csv",
        "model.onnx",
        "model/fitted.hwds",
        "parity/cases.jsonl",
        "reference.json",
        "requirements.lock",
        "schema.arrow",
        "schema.json",
    }
    assert wanted <= names
    assert not [
        name for name in names if name.endswith((".pkl", ".pickle", ".joblib", ".py", ".dill"))
    ]
    assert set(bundle.manifest.files) == names - {MANIFEST, SIGNATURE}
    assert "numpy==" in (bundle.folder / "requirements.lock").read_text()
    assert "Fraud desk" in (bundle.folder / "card.md").read_text()


def test_its_proof_is_over_real_rows_and_has_a_graph(bundle):
    parity = bundle.manifest.parity
    assert parity["rows"] == 256
    assert parity["worst_difference"] <= parity["tolerance"]
    assert parity["graph"]["worst_difference"]["score"] <= 1e-9
    assert parity["cases"]["nothing known"] == "answered"
    assert (
        "no field" in parity["cases"]["an unknown field"]
        or "no column" in parity["cases"]["an unknown field"]
    )


def test_the_reference_is_of_what_answers(run):
    learned, calibrated, asked = (
        Table.of(
            toy_rows(300, seed=seed).data.select("spent", "quantity", "channel", "bad"), label="bad"
        )
        for seed in range(3)
    )
    fitted = detection.XGBoost(trees=30, calibration="isotonic").fit(learned, calibrate=calibrated)
    model, experiment = row_model(fitted), check_stored(run.read_config(secrets=True))
    content = RowContent(experiment, run, model, asked, asked, model.score(asked), 10)
    graph, numbers, texts, _ = model.graph()
    read = asked.data.select(*numbers, pl.col(list(texts)).cast(pl.String)).to_dicts()
    served = GraphScorer(graph.SerializeToString(), numbers, texts).score(read)["score"]
    assert content._served().score.tolist() == served.tolist()
    assert served.tolist() != content.scored.score.tolist()


def test_an_answer_bears_its_id_and_what_is_decided(bundle):
    service = bundle.service()
    case = read_cases(bundle.folder / "parity")[0][0]
    answer, again = service.answer([case.question, {"spent": 50.0}])
    assert answer["id"] == case.question["id"]
    assert answer["tier"] in ("block", "review", "pass")
    assert again["id"] == "1"
    assert again["tier"] is not None
    assert service.answer([{"quantity": 3}])[0]["tier"] is None
    assert service.answer([{"spent": 1e9}])[0]["tier"] in ("block", "review")
    assert service.answer([{"spent": 1e9}])[0]["expected_gain"] > 0
    assert service.answer([case.question], reasons=True)[0]["reasons"]


def changed(bundle, tmp_path, change):
    folder = tmp_path / "changed"
    shutil.copytree(bundle.folder, folder)
    change(folder)
    return folder


def flip(name):
    def change(folder):
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)

    return change


def resigned(folder):
    signing_key(folder.parent / "other.pem")
    read_bundle(folder, None)[0].write(folder, signing_key(folder.parent / "other.pem"))


def piped(name):
    def change(folder):
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return change


def bound(folder):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(folder / "more"))


def older(folder):
    stored = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(stored | {"format": 0}))


CHANGES = {
    "a flipped bit of the model": (flip("model/fitted.hwds"), "has other bytes than were signed"),
    "a flipped bit of the graph": (flip("model.onnx"), "has other bytes than were signed"),
    "a flipped bit of the manifest": (flip(MANIFEST), "differs from the signed file"),
    "a flipped bit of the signature": (flip(SIGNATURE), "signed"),
    "a truncated file": (
        lambda folder: (folder / "schema.json").write_text("{"),
        "has other bytes",
    ),
    "a file that is gone": (lambda folder: (folder / "decision.json").unlink(), "is absent"),
    "a file that was added": (lambda folder: (folder / "more.py").write_text("1"), "was added"),
    "a link": (lambda folder: (folder / "more").symlink_to("/etc/passwd"), "is a link"),
    "a link to a folder": (lambda folder: (folder / "more").symlink_to("/etc"), "is a link"),
    "a hard link": (
        lambda folder: (folder.parent / "outside").hardlink_to(folder / "model.onnx"),
        r"model\.onnx: is a hard link",
    ),
    "a hard link of the manifest": (
        lambda folder: (folder.parent / "outside").hardlink_to(folder / MANIFEST),
        r"bundle\.json: is a hard link",
    ),
    "a pipe": (lambda folder: os.mkfifo(folder / "more"), "is no plain file"),
    "a pipe for the graph": (piped("model.onnx"), "is no plain file"),
    "a pipe for the manifest": (piped(MANIFEST), "is no plain file"),
    "a socket": (bound, "is no plain file"),
    "an empty folder": (lambda folder: (folder / "more").mkdir(), "more: is an empty folder"),
    "an empty folder in a folder": (
        lambda folder: (folder / "state" / "a" / "b").mkdir(parents=True),
        "a/b: is an empty folder",
    ),
    "no signature": (lambda folder: (folder / SIGNATURE).unlink(), "is not signed"),
    "another signer": (resigned, "is signed by"),
    "an older layout": (older, "differs from the signed file"),
    "no manifest": (lambda folder: (folder / MANIFEST).unlink(), "is no bundle"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_was_changed_is_refused(bundle, home, tmp_path, name):
    change, said = CHANGES[name]
    with pytest.raises(DataError, match=said):
        Bundle.open(changed(bundle, tmp_path, change), str(home / "key.pem.pub"))


def test_an_older_layout_that_is_signed_is_refused(bundle, home, tmp_path):
    folder = changed(bundle, tmp_path, older)
    content = (folder / MANIFEST).read_bytes()
    key = signing_key(home / "key.pem")
    signed = json.loads((folder / SIGNATURE).read_text()) | {"signature": key.sign(content).hex()}
    (folder / SIGNATURE).write_text(json.dumps(signed))
    with pytest.raises(DataError, match="is of layout 0, this hwds reads 1"):
        Bundle.open(folder, str(home / "key.pem.pub"))


def test_keys(home, tmp_path, monkeypatch):
    assert (home / "key.pem").stat().st_mode & 0o077 == 0
    with pytest.raises(ConfigError, match="no public key"):
        trusted_keys(str(tmp_path))
    (tmp_path / "bad.pub").write_text("abc")
    with pytest.raises(ConfigError, match="64 hexadecimal digits"):
        trusted_keys(str(tmp_path))
    (tmp_path / "bad.pem").write_text("abc")
    with pytest.raises(ConfigError, match="is no key that can be used"):
        signing_key(tmp_path / "bad.pem")


def test_a_model_that_answers_otherwise_gets_no_bundle(bundle, run, home, tmp_path, monkeypatch):
    cases, tolerance = read_cases(bundle.folder / "parity")
    with pytest.raises(HwdsError, match=r"'score' is 2\.0 and was 1\.0 in the run"):
        worst_difference({"score": 1.0}, {"score": 2.0}, tolerance, "question '1'")
    with pytest.raises(HwdsError, match=r"'rows/#' is 1 and was 2"):
        worst_difference(
            {"rows": [{"mean": 1.0}, {"mean": 1.0}]},
            {"rows": [{"mean": 1.0}]},
            tolerance,
            "question '1'",
        )

    def other(made):
        folder = made.folder
        text = (folder / "parity" / "cases.jsonl").read_text()
        (folder / "parity" / "cases.jsonl").write_text(
            text.replace(f'"score": {cases[3].answer["score"]}', '"score": 7.5')
        )
        manifest = read_bundle(bundle.folder, None)[0]
        assert manifest.files
        from dataclasses import replace

        from hwds.serve.bundle.manifest import files_of

        replace(manifest, files=files_of(folder)).write(folder, signing_key(home / "key.pem"))
        return prove_bundle(Bundle.of_any_signer(folder))

    monkeypatch.chdir(home)
    with pytest.raises(HwdsError, match=r"'score' is .* and was 7.5 in the run"):
        make_bundle(
            str(run.path),
            tmp_path / "none",
            key=home / "key.pem",
            fields={},
            budget=5000,
            prove=other,
        )
    assert not list(tmp_path.iterdir())


def test_a_quantile_near_zero_has_the_noise_of_its_series():
    def answer(mean, low, score):
        return {
            "rows": [
                {"mean": 1.0, "q_0.1": low, "score": score},
                {"mean": mean, "q_0.1": 0.0, "score": 1.0},
            ]
        }

    assert worst_difference(
        answer(1999.0, 0.040, 0.5), answer(1999.0, 0.042, 0.5), 1e-4, "q"
    ) == pytest.approx(1e-6)
    with pytest.raises(DataError, match=r"'rows/0/q_0.1' is 0.042 and was 0.04"):
        worst_difference(answer(1.0, 0.040, 0.5), answer(1.0, 0.042, 0.5), 1e-4, "q")
    with pytest.raises(DataError, match=r"'rows/0/score'"):
        worst_difference(answer(1999.0, 0.0, 0.5), answer(1999.0, 0.0, 0.501), 1e-4, "q")


def test_a_slow_model_gets_no_bundle(run, home, tmp_path, monkeypatch):
    monkeypatch.chdir(home)
    with pytest.raises(HwdsError, match="99 % of answers take up to"):
        make_bundle(
            str(run.path),
            tmp_path / "none",
            key=home / "key.pem",
            fields={},
            budget=1e-5,
            n_cases=20,
            prove=prove_bundle,
        )
    with pytest.raises(ConfigError, match="is there already"):
        make_bundle(str(run.path), tmp_path, key=home / "key.pem", fields={})
    assert not list(tmp_path.iterdir())


def test_its_columns_in_arrow_are_those_of_a_question(bundle, client):
    columns = pl.read_ipc_stream(bundle.folder / "schema.arrow")
    assert columns.columns == list(
        json.loads((bundle.folder / "schema.json").read_text())["properties"]
    )
    row = pl.DataFrame(
        [{"id": "a", "spent": 90.0, "quantity": 2, "channel": "online", "visits": 0.5}],
        schema=columns.schema,
    )
    body = io.BytesIO()
    row.write_ipc_stream(body)
    answer = client.post(
        "/invocations",
        content=body.getvalue(),
        headers={"content-type": "application/vnd.apache.arrow.stream"},
    )
    assert answer.json() == client.post("/invocations", json=row.to_dicts()).json()


def test_its_card_is_read_by_other_registries(bundle, aws):
    head, said, _ = (bundle.folder / "card.md").read_text().split("---\n", 2)
    metadata, card = yaml.safe_load(said), json.loads((bundle.folder / "card.json").read_text())
    assert head == ""
    (result,) = metadata["model-index"][0]["results"]
    assert result["task"]["type"] == "tabular-classification"
    assert [each["value"] for each in result["metrics"]] == [
        each["value"] for each in card["metrics"]
    ]
    content = (bundle.folder / "card.sagemaker.json").read_text()
    aws("sagemaker").create_model_card(
        ModelCardName="orders", Content=content, ModelCardStatus="Draft"
    )
    kept = json.loads(aws("sagemaker").describe_model_card(ModelCardName="orders")["Content"])
    assert kept["intended_uses"]["intended_uses"] == CARD["intended_use"]
    assert len(kept["evaluation_details"][0]["metric_groups"][0]["metric_data"]) == len(
        card["metrics"]
    )


def test_a_card(tmp_path):
    path = tmp_path / "card.yaml"
    path.write_text("owner: Desk\nlimits: TODO\n")
    assert missing_fields(read_fields(path)) == [
        "approver",
        "intended_use",
        "out_of_scope",
        "limits",
        "contact",
    ]
    path.write_text("ownr: Desk\n")
    with pytest.raises(ConfigError, match="no field 'ownr'; did you mean 'owner'"):
        read_fields(path)
    path.write_text("- 1\n")
    with pytest.raises(ConfigError, match="must be a mapping"):
        read_fields(path)


def test_settings_of_a_policy_are_refused_where_none_plays(run, home, tmp_path):
    with pytest.raises(
        ConfigError, match=r"--live: run .* is of protocol 'prequential', which plays no policy"
    ):
        make_bundle(
            str(run.path), tmp_path / "no", key=home / "key.pem", fields=CARD, live=LiveSettings()
        )


TRIES = 300
"""Openings while another thread puts other files in a bundle."""


def swap(folder, false, stop):
    """Put false files and the true ones in a bundle in turn: by a rename, or in place."""
    true = {name: (folder / name).read_bytes() for name in false}
    for turn in itertools.count():
        for name, content in (false, true)[turn % 2].items():
            path = folder / name if turn // 2 % 2 else folder.parent / "part"
            path.write_bytes(content)
            path.replace(folder / name)
        if stop.wait(random.Random(turn).uniform(0, 0.02)):
            return


def false_files(folder):
    """Return the graph, the model and the rule with other numbers, each of them lawful alone."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(folder / "model.onnx")
    for each in graph.graph.initializer:
        values = numpy_helper.to_array(each)
        if values.dtype.kind == "f":
            each.CopyFrom(numpy_helper.from_array(values * 3 + 1, each.name))
    stored = (folder / "decision.json").read_bytes()
    return {
        "model.onnx": graph.SerializeToString(),
        "decision.json": re.sub(rb'("capacity": )\d+', rb"\g<1>99999", stored),
    }


def test_no_file_that_is_swapped_after_the_check_answers(bundle, home, tmp_path):
    folder, trust = tmp_path / "swapped", str(home / "key.pem.pub")
    shutil.copytree(bundle.folder, folder)
    rows = [case.question for case in read_cases(bundle.folder / "parity")[0][:5]]
    openings = (
        lambda: Bundle.open(folder, trust).service(),
        lambda: GraphModel(folder, trust),
    )
    right = [opening().answer(rows) for opening in openings]
    stop, refused = threading.Event(), 0
    thread = threading.Thread(target=swap, args=(folder, false_files(folder), stop))
    thread.start()
    try:
        for turn in range(TRIES):
            try:
                answers = openings[turn % 2]().answer(rows)
            except DataError:
                refused += 1
            else:
                assert answers == right[turn % 2]
    finally:
        stop.set()
        thread.join()
    assert 0 < refused < TRIES
