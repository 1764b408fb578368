import time

import pytest

from hwds.core.errors import HwdsError
from hwds.results.index import PROGRESS_FILE, RunProgress, delete_progress

PROGRESS = RunProgress(12, 3600, 2, 0.0, 200.0, 366.0, "forecast/naive at 2021: mase 0.49")


def test_what_is_said_is_read_until_the_end(tmp_path):
    assert RunProgress.read(tmp_path) is None
    PROGRESS.write(tmp_path)
    assert RunProgress.read(tmp_path) == PROGRESS
    delete_progress(tmp_path)
    assert not list(tmp_path.iterdir())
    delete_progress(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"done": 1}', '{"done": 1, "other": 1}'])
def test_a_file_that_says_nothing_is_none(tmp_path, text):
    (tmp_path / PROGRESS_FILE).write_text(text)
    assert RunProgress.read(tmp_path) is None


def test_a_folder_that_is_gone_is_an_error_in_words(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HwdsError, match="cannot be written"):
        PROGRESS.write(tmp_path / "file")


def test_in_words():
    assert PROGRESS.sentence(running=False) == (
        "stopped at 12 of 3,600 cells, 2 failed after 3.3 min; forecast/naive at 2021: mase 0.49"
    )
    began = RunProgress(1, 4, 0, time.time() - 100, 100.0, 300.0)
    assert began.sentence(running=True) == "1 of 4 cells after 1.7 min, about 5.0 min left"
    longer = RunProgress(1, 4, 0, time.time() - 7200, 100.0, 300.0)
    assert longer.sentence(running=True) == "1 of 4 cells after 2.0 h", "what was foreseen is past"
