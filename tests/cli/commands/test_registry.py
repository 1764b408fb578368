"""A bundle is one version of MLflow's registry, with what gates said of its run as tags and
aliases.
"""

import shutil

from hwds.serve.gate import verdict_tags
from hwds.track.trackers.mlflow import mirror_bundle


def test_a_bundle_is_a_version_however_often_it_is_mirrored(tmp_path, own_home, empty_store):
    from mlflow import MlflowClient

    own_home.chdir(tmp_path)
    shutil.copy(empty_store, tmp_path / "store.db")
    address, folder = f"sqlite:///{tmp_path}/store.db", tmp_path / "bundle"
    folder.mkdir()
    (folder / "bundle.json").write_text("{}")
    first = mirror_bundle(
        address, "market", folder, "aaaa", {"gate.approval": "passed"}, {"approval": True}
    )
    again = mirror_bundle(
        address, "market", folder, "aaaa", {"gate.production": "passed"}, {"production": True}
    )
    second = mirror_bundle(
        address, "market", folder, "bbbb", {"gate.approval": "refused"}, {"approval": False}
    )
    client = MlflowClient(address)
    version = client.get_model_version("market", first)
    assert (first, again, second) == ("1", "1", "2")
    assert version.tags == {
        "hwds.bundle": "aaaa",
        "gate.approval": "passed",
        "gate.production": "passed",
    }
    assert sorted(version.aliases) == ["approval", "production"]
    assert client.get_model_version("market", second).aliases == []
    mirror_bundle(address, "market", folder, "bbbb", {}, {"approval": True})
    assert str(client.get_model_version_by_alias("market", "approval").version) == second
    mirror_bundle(address, "market", folder, "bbbb", {}, {"approval": False, "production": False})
    assert {
        alias: str(number)
        for alias, number in client.get_registered_model("market").aliases.items()
    } == {"production": "1"}
    assert [each.path for each in client.list_artifacts(version.run_id, "bundle")] == [
        "bundle/bundle.json"
    ]


def test_verdicts_are_tags():
    verdicts = {
        "approval": {
            "outcome": "passed",
            "when": "2026-01-02",
            "approval_status": "Approved",
            "approver": "A. Person",
        },
        "validation": {
            "outcome": "refused",
            "when": "2026-01-01",
            "approval_status": "Rejected",
            "approver": "",
        },
    }
    assert verdict_tags(verdicts) == {
        "gate.approval": "passed",
        "gate.validation": "refused",
        "approval_status": "Approved",
        "approver": "A. Person",
    }
    assert verdict_tags({}) == {}
