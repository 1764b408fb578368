"""The one codec: every bit comes back, only classes that opted in are built, and what cannot be
read says so in one line.
"""

import json
import math
import pickle
import struct
import sys
from collections import deque
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from types import ModuleType
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwds.core import serialization
from hwds.core.errors import DataError
from hwds.core.serialization import (
    FILE,
    STORED_MARK,
    Serializable,
    Unserializable,
    buildable,
    class_path,
    dumps,
    load_fitted,
    loads,
    save_fitted,
)
from hwds.forecast.models.seasonal_naive import FittedSeasonalNaive, SeasonalNaive
from hwds.forecast.models.stack import Stack


@dataclass(frozen=True, eq=False)
class Everything(Serializable):
    """Fields of many kinds."""

    weights: np.ndarray
    layers: tuple[np.ndarray, ...]
    booster: bytes
    recipe: Any
    inner: Any = None


@Serializable.register
class Pair(NamedTuple):
    """A record."""

    left: Any
    right: Any


class Slotted(Serializable):
    """An object of attributes."""

    __slots__ = ("items", "times")

    def __init__(self):
        self.items, self.times = [Pair(1, 2.0)], [3]


class Stranger:
    """Has not opted in."""


def odd(bits):
    return struct.unpack("<d", struct.pack("<Q", bits))[0]


def assert_same(a, b):
    """Equal types and equal bits, all the way down."""
    assert type(a) is type(b)
    if isinstance(a, float):
        assert struct.pack("<d", a) == struct.pack("<d", b)
    elif isinstance(a, np.ndarray | np.generic):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert a.tobytes() == b.tobytes()
        assert np.asarray(a).flags.f_contiguous == np.asarray(b).flags.f_contiguous
    elif isinstance(a, dict):
        assert_same(list(a), list(b))
        assert_same(list(a.values()), list(b.values()))
    elif isinstance(a, list | tuple | deque):
        assert len(a) == len(b)
        for each, other in zip(a, b, strict=True):
            assert_same(each, other)
    elif isinstance(a, pl.DataFrame):
        assert a.equals(b)
        assert a.schema == b.schema
    elif isinstance(a, Everything | Slotted):
        names = getattr(a, "__slots__", None) or vars(a)
        for name in names:
            assert_same(getattr(a, name), getattr(b, name))
    else:
        assert a == b


def again(value):
    return loads(dumps(value), "memory")


VALUES = [
    None,
    True,
    2**80,
    -(2**63),
    "é\ud800\0",
    0.1,
    -0.0,
    5e-324,
    math.inf,
    -math.inf,
    math.nan,
    odd(0xFFF8000000000123),
    [1, "a", None, odd(0x7FF8000000000001)],
    [0.1, math.nan, -0.0] * 9,
    [1, 1.0, True],
    [],
    (1, 2),
    [(1, 2), (1.0, 2.0), (True, 2), (-0.0,), (0.0,), (1, 2)],
    [((1, (2.0,)), np.arange(2)), (np.arange(3.0), (np.ones(2),))],
    {"a": 1, 2: (3,), (1, "x"): [4], None: {}},
    {1, 2},
    frozenset("ab"),
    deque([1, (2,)], maxlen=5),
    b"",
    b"\x00\xff",
    bytearray(b"ab"),
    date(2024, 3, 1),
    datetime(2024, 3, 1, 12, 30, 0, 5),
    datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
    datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=2))),
    np.float32(0.1),
    np.int8(-3),
    np.bool_(True),
    np.datetime64("2024-03-01T12"),
    np.array("text"),
    np.array([], np.uint8),
    np.array([[1.5, np.nan]], np.float32),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(12).reshape(3, 4)[:, ::2],
    np.array([2**63], np.uint64),
    np.array([1 + 2j]),
    np.array([1], ">i4"),
    np.array(odd(0xFFF8000000000123)),
    Pair((1,), Pair(None, [])),
    Slotted(),
    SeasonalNaive(name="forecast/seasonal_naive", season=4),
    Stack(members=(SeasonalNaive(), SeasonalNaive(season=3))),
    pl.DataFrame(),
    pl.DataFrame(
        {"a": [1.5, None, math.nan], "b": ["x", None, "é"], "c": [date(2024, 3, 1), None, None]}
    ),
    pl.DataFrame(
        {"f": [0.1 * i for i in range(20)], "n": range(20)},
        schema={"f": pl.Float64, "n": pl.UInt32},
    ),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_every_bit_of_every_kind_comes_back(value):
    assert_same(again(value), value)
    assert_same(again([value, {"key": (value,)} if not isinstance(value, list) else value]), [
        value, {"key": (value,)} if not isinstance(value, list) else value
    ])  # fmt: skip


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
HASHABLE = st.recursive(PLAIN, lambda inner: st.tuples(inner, inner), max_leaves=4)
TREES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(HASHABLE, inner),
    max_leaves=20,
)


@given(TREES)
def test_any_tree_of_plain_values_comes_back(value):
    assert_same(again(value), value)


@pytest.mark.parametrize("name", ["PCG64", "PCG64DXSM", "Philox", "SFC64", "MT19937"])
def test_a_generator_goes_on_where_it_was(name):
    generator = np.random.Generator(getattr(np.random, name)(5))
    generator.integers(2**31, dtype=np.int32)  # leaves half of a word
    assert again(generator).bytes(40) == generator.bytes(40)


def test_equal_tuples_are_stored_once():
    one, many = dumps([("customer", 17)]), dumps([("customer", 17)] * 1000)
    assert len(many) < len(one) + 3000


def everything(**changes):
    made = Everything(
        np.ones((2, 2), np.float32),
        (np.arange(3), np.array("text")),
        b"\x01",
        SeasonalNaive(season=4),
    )
    return replace(made, **changes)


def test_saving_twice_gives_the_same_bytes_and_an_equal_object(tmp_path):
    for name in ("a", "b"):
        everything(inner=everything()).save(tmp_path / name)
    assert (tmp_path / "a" / FILE).read_bytes() == (tmp_path / "b" / FILE).read_bytes()
    assert_same(Everything.load(tmp_path / "a"), everything(inner=everything()))
    with pytest.raises(
        DataError, match=r"holds a '.*:Everything', not a '.*FittedSeasonalNaive'\.$"
    ):
        FittedSeasonalNaive.load(tmp_path / "a")


def test_a_fitted_model_is_found_again_by_its_class(tmp_path):
    fitted = FittedSeasonalNaive(12, (0.1, 0.5, 0.9))
    save_fitted(fitted, tmp_path / "model")
    assert load_fitted(tmp_path / "model") == fitted
    assert buildable(class_path(FittedSeasonalNaive)) is FittedSeasonalNaive


def test_an_object_that_stands_for_another_is_stored_as_it():
    class Standing(Serializable):
        def stored_as(self):
            return everything()

    assert_same(again(everything(inner=Standing())), everything(inner=everything()))


def test_an_empty_folder_has_no_model_and_an_old_one_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match=r"no saved model\.$"):
        load_fitted(tmp_path)
    (tmp_path / "class.json").write_text(
        '"hwds.forecast.models.seasonal_naive:FittedSeasonalNaive"'
    )
    with pytest.raises(
        DataError, match=r"of an older version of hwds; run again with save_model=final\.$"
    ):
        load_fitted(tmp_path)


@pytest.mark.parametrize("place", [0, len(STORED_MARK), len(STORED_MARK) + 20, -1])
def test_a_changed_byte_or_a_short_file_is_refused(tmp_path, place):
    save_fitted(everything(), tmp_path)
    data = bytearray((tmp_path / FILE).read_bytes())
    data[place] ^= 1
    for damaged in (data, data[:-1], data[:10], b""):
        (tmp_path / FILE).write_bytes(damaged)
        with pytest.raises(
            DataError, match=rf"{FILE}: is damaged; run again with save_model=final\.$"
        ):
            load_fitted(tmp_path)


def test_a_model_of_another_version_is_refused_in_one_line(tmp_path, monkeypatch):
    save_fitted(everything(), tmp_path)

    @dataclass(frozen=True)
    class Fewer(Serializable):
        weights: np.ndarray

    module = sys.modules[__name__]
    monkeypatch.setattr(module, "Everything", Fewer)
    with pytest.raises(
        DataError, match=r"is of another version \('.*Fewer' has other fields\); run again"
    ):
        load_fitted(tmp_path)
    monkeypatch.setattr(module, "Everything", Stranger)
    with pytest.raises(DataError, match=r"'.*:Everything' is no Serializable and no Recipe"):
        load_fitted(tmp_path)
    monkeypatch.delattr(module, "Everything")
    with pytest.raises(DataError, match=r"has no attribute 'Everything'\); run again"):
        load_fitted(tmp_path)


def test_a_file_builds_no_class_of_a_package_that_nobody_named(tmp_path, monkeypatch):
    data = dumps(FittedSeasonalNaive(12, (0.5,)))
    monkeypatch.setattr(serialization, "class_path", lambda cls: "antigravity:Anything")
    monkeypatch.setattr(serialization, "_check_importable", lambda path, cls: None)
    forged = dumps(FittedSeasonalNaive(12, (0.5,)))
    assert "antigravity" not in sys.modules
    with pytest.raises(
        DataError,
        match=r"'antigravity:Anything' is of a package that neither hwds nor the config names",
    ):
        loads(forged, "forged")
    assert "antigravity" not in sys.modules
    assert loads(data, "sound") == FittedSeasonalNaive(12, (0.5,))


def test_a_package_whose_recipe_is_imported_is_named(monkeypatch):
    module = ModuleType("my_company.models")
    monkeypatch.setitem(sys.modules, "my_company.models", module)
    with pytest.raises(DataError, match="neither hwds nor the config names"):
        buildable("my_company.models:Fitted")
    made = type("Mine", (SeasonalNaive,), {"__module__": "my_company.models", "__doc__": "Mine."})
    module.Fitted = type("Fitted", (Serializable,), {"__module__": "my_company.models"})
    assert made.__module__ == "my_company.models"
    assert buildable("my_company.models:Fitted") is module.Fitted


def test_nothing_is_pickled(tmp_path):
    save_fitted(everything(), tmp_path)
    for file in tmp_path.iterdir():
        with pytest.raises(
            (pickle.UnpicklingError, UnicodeDecodeError, ValueError, KeyError, EOFError)
        ):
            pickle.loads(file.read_bytes())


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (np.array([{}], object), r"an array of object cannot be stored\."),
        (Stranger(), r"a '.*:Stranger' cannot be stored: its class is no Serializable\."),
        (pl.DataFrame({"a": [[1]]}), r"a table with a column of List\(Int64\) cannot be stored\."),
        (len, "a 'builtins:builtin_function_or_method' cannot be stored"),
        (everything(inner=lambda: 0), "a 'builtins:function' cannot be stored"),
    ],
)
def test_what_has_no_stored_form_is_refused_on_saving(value, line):
    with pytest.raises(Unserializable, match=f"^{line}"):
        dumps([value])


def test_a_class_that_would_not_be_found_again_is_refused_on_saving():
    class Local(Serializable):
        pass

    with pytest.raises(Unserializable, match=r"Local' cannot be stored"):
        dumps(Local())


def forged(tree, content=b"", **head):
    """A file with a checksum that fits, made by somebody who has read this module."""
    text = json.dumps({"tree": tree, "tuples": [], "classes": [], "arrays": {}} | head).encode()
    body = len(text).to_bytes(8, "little") + text + content
    return STORED_MARK + serialization._checksum(body) + body


HALF = ["tuple", 0]
FORGED = {
    "an array named a thousand times": forged(
        ["list", [["array", "|u1", [9], False, 0]] * 1000], b"x" * 9, arrays={"|u1": 9}
    ),
    "tuples of tuples of tuples": forged(
        ["tuple", 39], tuples=[["plain", [1]], *(["tuples", [level, level]] for level in range(39))]
    ),
    "an array longer than the file": forged(
        ["array", "<f8", [2**40], False, 0], arrays={"<f8": 2**40}
    ),
    "an array of another shape": forged(
        ["array", "|u1", [2**62, 4], False, 0], b"x" * 9, arrays={"|u1": 9}
    ),
    "an array of objects": forged(["array", "|O", [1], False, 0], b"x" * 9, arrays={"|O": 1}),
    "a type that is none": forged(None, arrays={"x": 1}),
    "a tuple before it is there": forged(HALF, tuples=[["list", [HALF]]]),
    "a depth without end": forged(json.loads('["list",[' * 400 + "1" + "]]" * 400)),
    "another decoder": forged(["system", "x"]),
    "a table of unequal columns": forged(
        ["table", ["a", "b"], ["Int64", "Int64"], [["plain", [1]], ["plain", [1, 2]]]]
    ),
    "a column of texts that is one of numbers": forged(
        ["table", ["a"], ["Int64"], [["plain", ["x"]]]]
    ),
    "a date that is none": forged(["date", "9999-99-99"]),
    "no tree": STORED_MARK
    + serialization._checksum(b"\x02\0\0\0\0\0\0\0{}")
    + b"\x02\0\0\0\0\0\0\0{}",
}


@pytest.mark.parametrize("data", FORGED.values(), ids=FORGED)
def test_a_file_that_would_grow_without_end_is_refused_in_one_line(data):
    with pytest.raises(DataError, match=r"^forged: is of another version \(.*\); make it again\.$"):
        loads(data, "forged")
