"""The studies that ship: their plans compose, and what was frozen follows from its own tables by
its own rule.
"""

from pathlib import Path

import pytest

from hwds.cli.study import jobs_of
from hwds.core.study import Study
from hwds.results.comparison import StudyResult
from hwds.stats.effects import holm

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = sorted(path.parent for path in (ROOT / "experiments").glob("*/study.yaml"))


def test_five_studies_ship():
    names = {
        "lstm_or_xgboost",
        "price_policy",
        "labels_or_anomalies",
        "pooled_or_network",
        "boosting_or_network_for_life",
    }
    assert {folder.name for folder in FOLDERS} >= names


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_plan_composes_and_its_frozen_answer_follows_from_its_frozen_tables(folder):
    study = Study.read(folder / "study.yaml")
    assert (folder / "study.yaml").read_text().startswith(f"# python -m hwds study {folder.name}\n")
    one = Study(**{**vars(study), "seeds": study.seeds[:1]})
    assert len(jobs_of(one, ["compute=serial"])) == len(study.experiments)
    found = StudyResult.read(folder / "results")
    assert (found.plan, found.plan_hash) == (study.plan, study.plan_hash), (
        "the plan is that under which it was run"
    )
    assert not found.amended
    verdicts = dict(zip(found.contrasts["contrast"], found.contrasts["verdict"], strict=True))
    assert found.verdict == study.answer(verdicts)
    assert len(verdicts) == len(study.experiments) * len(study.rivals)
    assert found.contrasts["p_holm"].to_list() == pytest.approx(
        holm(found.contrasts["p_value"].to_list())
    )
    assert found.scores["run"].n_unique() == len(study.experiments) * len(study.seeds)
    for page in ("README.md", "report.md"):
        assert found.verdict in " ".join((folder / page).read_text().split()), (
            f"{page} says another verdict"
        )
    assert (folder / "report.html").stat().st_size < 500_000
