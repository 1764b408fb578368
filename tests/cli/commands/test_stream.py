"""`hwds stream`: the page's own example from a run to alerts, from files and the standard input,
and refusals in a line.
"""

import json
import shutil

import pytest

from tests.test_readme import follow


@pytest.fixture
def outputs(hwds, once, tmp_path):
    """What the commands of docs/stream.md print, in their folder."""
    return once(lambda: follow("A stream of one's own", tmp_path, hwds))


def test_the_page_of_streams_says_what_happens(hwds, outputs, tmp_path):
    alerts = [json.loads(line) for line in outputs[1].splitlines()]
    assert [(row["id"], row["what"], row["sensor"]) for row in alerts] == [
        ("pump 2@303#1", "opened", "flow"),
        ("pump 2@303#2", "closed", "flow"),
    ]
    assert alerts[1]["cycle"] == 368
    assert outputs[2] == ""
    more = [
        json.dumps({"pump": "pump 2", "second": 400 + k, "heat": 42, "flow": 5}) for k in range(3)
    ]
    piped = tmp_path / "more.jsonl"
    piped.write_text("\n".join([*more, "rubbish"]))
    said = hwds("stream pumps --from more.jsonl --store plant")
    assert [json.loads(line)["id"] for line in said.out.splitlines()] == ["pump 2@402#1"]
    assert "1,204 lines: 1,203 readings of 3 machines" in said.err
    assert json.loads((tmp_path / "plant" / "dead.jsonl").read_text())["line"] == "rubbish"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "stream: must be followed by one run, got 0."),
        ("pumps other", "stream: must be followed by one run, got 2."),
        ("pumps raise_aftr=2", "stream: no setting 'raise_aftr'; did you mean 'raise_after'?"),
        ("pumps --form x", "stream: no flag '--form'; did you mean '--from'?"),
        ("pumps --from nothing.jsonl", "stream: --from nothing.jsonl: No such file or directory."),
        (
            "pumps --to smtp://x",
            "stream: --to: must begin with http://, https://, mqtt://, mqtts://, sns://, got "
            "'smtp://x'",
        ),
        ("pumps --patience nan", "--patience: must be from 0 to 1,000,000, got nan."),
        ("pumps --patience soon", "--patience: must be a number, got 'soon'."),
        ("nothing", "no run 'nothing'"),
    ],
)
def test_wrong_words_are_refused_in_a_line(hwds, outputs, words, message):
    assert message in hwds(f"stream {words}").line


def test_a_run_without_a_kept_model_is_refused(hwds, outputs, tmp_path):
    shutil.rmtree(next(tmp_path.glob("outputs/runs/pumps/*/model")))
    assert "no saved model" in hwds("stream pumps").line
