"""What numba cannot compile is refused in one line that names the file, the line and the
function.
"""

import re

import numpy as np
import pytest

from hwds.core.compiling import OPTIONS, compiled, helper, helper_options
from hwds.core.errors import HwdsError


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


HINT = " calls 'unmarked', which is not compiled; mark 'unmarked' with hwds.core.compiling.helper."


@pytest.mark.parametrize(
    ("function", "where", "why"),
    [
        (calls_unmarked, line_of(calls_unmarked, 1), HINT),
        (calls_through, line_of(through, 2), HINT),
        (
            makes_an_array,
            line_of(makes_an_array, 1),
            ": numba cannot compile 'numbers = np.zeros(3)'.",
        ),
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


@helper
def smoothed(total, x):
    return 0.9 * total + 0.1 * through_twice(x)


@helper
def through_twice(x):
    return marked(x) * 2.0 if x > 0.0 else -marked(x)


def smooths(numbers):
    total = 0.0
    for number in numbers:
        total = smoothed(total, number)
    return total


def test_helpers_of_helpers_compute_what_plain_python_does():
    numbers = np.random.default_rng(1).normal(size=1000)
    assert compiled(smooths)(numbers) == smooths(numbers)


@pytest.mark.parametrize(
    ("options", "runs"), [(OPTIONS, True), (helper_options(), False)], ids=["called", "helper"]
)
def test_a_helper_gets_no_machine_code_of_its_own(options, runs):
    import numba
    from numba.core.compiler_lock import global_compiler_lock

    function = numba.njit(**options)(marked)
    function.compile((numba.float64,))
    (made,) = function.overloads.values()
    with global_compiler_lock:
        assert (made.library.get_pointer_to_function(made.fndesc.llvm_func_name) != 0) == runs
