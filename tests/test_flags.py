import pytest

from hwds.errors import ConfigError
from hwds.flags import one_run, parsed


def test_names_and_flags_are_told_apart():
    words = ["a", "--store", "x.db", "b", "--power", "--key=id"]
    assert parsed("serve", words, ("--store", "--key"), ("--power",)) == (
        ["a", "b"],
        {"--store": "x.db", "--power": "", "--key": "id"},
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["a", "--stor", "x"], "serve: no flag '--stor'; did you mean '--store'?"),
        (["a", "--store"], "serve: --store must be followed by a file."),
        (["a", "--store", "--power"], "serve: --store must be followed by a file."),
    ],
)
def test_refused(words, told):
    with pytest.raises(ConfigError) as refused:
        parsed("serve", words, ("--store",), ("--power",), value="file")
    assert str(refused.value) == told


def test_one_run_is_one():
    assert one_run("serve", ["a"]) == "a"
    with pytest.raises(ConfigError, match="serve: must be followed by one run, got 2"):
        one_run("serve", ["a", "b"])
