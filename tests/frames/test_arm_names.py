import numpy as np
import pytest

from hwds.frames.arm_names import arm_name


@pytest.mark.parametrize(
    ("value", "name"),
    [(99.0, "99"), (9.99, "9.99"), (np.float64(9.99), "9.99"), (14999010.0, "14999010"), (7, "7"), ("A", "A")],
)
def test_two_numbers_never_have_one_name(value, name):
    assert arm_name(value) == name
