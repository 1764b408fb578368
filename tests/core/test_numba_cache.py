"""What numba cannot compile is refused in one line that names the file, the line and the function."""

import re

import numpy as np
import pytest

from hwds.core.errors import HwdsError
from hwds.core.numba_cache import compiled, helper


def unmarked(x):
    return x + 1.0


@helper
def marked(x):
    return x + 1.0


@helper
def through(x):
    return unmarked(x)


def calls_unmarked(x):
    return unmarked(x)


def calls_through(x):
    return through(x)


def calls_marked(x):
    return marked(x)


def makes_an_array(x):
    numbers = np.zeros(3)
    return numbers[0] + x


def asks_for_what_is_not_there(x):
    return x.name


def line_of(function, offset):
    return rf"test_numba_cache\.py:{function.__code__.co_firstlineno + offset}: {function.__name__}"


HINT = " calls 'unmarked', which is not compiled; mark 'unmarked' with hwds.core.numba_cache.helper."


@pytest.mark.parametrize(
    ("function", "where", "why"),
    [
        (calls_unmarked, line_of(calls_unmarked, 1), HINT),
        (calls_through, line_of(through, 2), HINT),
        (makes_an_array, line_of(makes_an_array, 1), ": numba cannot compile 'numbers = np.zeros(3)'."),
        (
            asks_for_what_is_not_there,
            line_of(asks_for_what_is_not_there, 1),
            ": numba cannot compile 'return x.name': Unknown attribute 'name' of type float64.",
        ),
    ],
)
def test_a_refusal_is_one_line(function, where, why):
    with pytest.raises(HwdsError, match=rf"{where}{re.escape(why)}$") as refused:
        compiled(function)(1.0)
    assert "\n" not in str(refused.value)


def test_a_marked_function_is_compiled():
    assert compiled(calls_marked)(1.0) == 2.0
