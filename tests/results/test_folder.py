"""What a folder holds is read whole, or refused in a line that says which file is damaged."""

import pytest

from hwds.errors import HwdsError
from hwds.results.folder import RunFolder


@pytest.mark.parametrize(
    ("file", "read"),
    [
        ("scores.parquet", RunFolder.read_tables),
        ("timings.parquet", RunFolder.read_tables),
        ("config.yaml", RunFolder.read_config),
        ("provenance.json", RunFolder.read_provenance),
    ],
)
def test_a_file_that_was_cut_short_is_said(made, file, read):
    folder = RunFolder(made("sales/aa11"))
    path = folder.path / file
    path.write_bytes(path.read_bytes()[:5])
    with pytest.raises(HwdsError, match=rf"aa11/{file}: is damaged: .+; delete it, and the same command makes it again\.$"):
        read(folder)
