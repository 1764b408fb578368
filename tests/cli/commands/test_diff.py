import json

from .conftest import SALES, run_id


def test_two_runs_side_by_side(hwds, sales, tmp_path):
    runs = []
    for words in ("seed=0", "model=forecast/naive seed=0"):
        assert hwds(f"{SALES} {words}").code == 0
        runs.append(run_id(tmp_path))
    said = hwds(f"diff {runs[0][:8]} {runs[1]}")
    assert said.code == 0
    assert "Settings:" in said.out
    assert "Scores that differ" in said.out
    assert "dataset.path" not in said.out, "only what differs"
    assert "versions and the machine are the same" in " ".join(said.out.split())
    data = json.loads(hwds(f"diff {runs[0]} {runs[1]} --json").out)
    assert [each["name"] for each in data["changes"]] == ["model", "fingerprint"]
    assert {each["model"] for each in data["scores"]} == {"the own model"}
    assert data["comparable"] is True
    assert hwds(f"diff {runs[0]} {runs[0]}").out.startswith("Nothing differs")


def test_what_is_wrong_is_refused_in_one_line(hwds, sales):
    assert "diff: must be followed by two runs, got 1" in hwds("diff a").line
    assert hwds(SALES).code == 0
    assert (
        "no run 'adhok' below outputs/runs; did you mean 'adhoc'?" in hwds("diff adhoc adhok").line
    )
