"""What cannot be written is one line, and leaves nothing behind."""

import pytest

from hwds.core.errors import HwdsError
from hwds.core.files import write_text


def test_a_file_in_the_place_of_a_folder_is_said(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(HwdsError, match=r"file/a\.txt: cannot be written: "):
        write_text(tmp_path / "file" / "a.txt", "text")
    (tmp_path / "folder").mkdir()
    with pytest.raises(HwdsError, match=r"folder: cannot be written: Is a directory"):
        write_text(tmp_path / "folder", "text")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "mine"
