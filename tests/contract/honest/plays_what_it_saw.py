"""A policy that learns from the customers that it met."""

from tests.support.leaks import InTurn as Model  # noqa: F401
