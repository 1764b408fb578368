"""Dataset: the recipe of a frame."""

from __future__ import annotations

from typing import ClassVar

from hwds.frames.base import Frame
from hwds.recipe import Recipe


class Truth(Recipe):
    """A model that knows what no other can; the protocols of its `task` can ask it."""

    task: ClassVar[str] = ""
    local: ClassVar[bool] = False


class Dataset(Recipe):
    """What `dataset=` chooses: it loads a Panel, a Table or a World; `gives` says which."""

    gives: ClassVar[type] = Frame

    def load(self) -> Frame:
        """The frame, checked.

        Raises:
            DataError: The data is absent or wrong.
        """
        raise NotImplementedError(f"{type(self).__name__}.load")

    def truth(self) -> Truth | None:
        """A model that knows the simulator's parameters and forecasts the true conditional distribution; None for real data.

        It is asked on the same cells as the experiment's models, where the protocol is of its task; its score is the floor that
        no model can beat but by chance.
        """
        return None

    def source(self) -> str:
        """Where the data is to be had, for `hwds data`: source, licence, columns and digest in a line or two."""
        return "simulated; nothing to fetch."
