"""Decision: the recipe of what follows from the results of a run."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, ClassVar

import polars as pl

from hwds.core.errors import ConfigError, nearest
from hwds.core.recipe import Recipe
from hwds.evaluation.protocol import Evaluation
from hwds.results.tables import Tables, Verdict


class Decision(Recipe):
    """The recipe that `decision=` chooses: it reads a run's tables and says what to do. It changes
    no number of the run.

    Class attributes: `tasks`, those of the protocols whose results it can read, empty for all;
    `foresees`, whether it also decides from a forecast of what comes after the data; `reports`, of
    a decision outside of a family, the `hwds.report.hooks.TableReport` of each table of its verdict
    as `package.module:NAME`, which `family.py` names in a family; `packs`, the
    `hwds.report.hooks.DecisionPack` of each name that `decision_pack` takes, in the same way.
    """

    tasks: ClassVar[tuple[str, ...]] = ()
    foresees: ClassVar[bool] = False
    reports: ClassVar[Mapping[str, str]] = {}
    packs: ClassVar[Mapping[str, str]] = {}

    def check_protocol(self, protocol: Evaluation[Any, Any]) -> None:
        """Refuse a protocol whose results it cannot read; called before the data is loaded.

        Raises:
            ConfigError: Its task is none of those, or it does not compute what is needed.
        """
        if self.tasks and protocol.task not in self.tasks:
            raise ConfigError(
                f"decision: '{self.name}' decides from a task of {', '.join(self.tasks)};"
                f" protocol '{protocol.name}' is of {protocol.task or 'none'}."
            )

    def check_model(self, model: Any) -> None:
        """Refuse a model of whose answers nothing can be decided; called before the data is loaded.

        Raises:
            ConfigError: It does not say what is needed.
        """

    def check_pack(self, name: str) -> None:
        """Refuse a pack that it does not have, or whose workbook cannot be written.

        Called before the data is loaded.

        Raises:
            ConfigError: With the packs that it has.
        """
        if name == "none":
            return
        if name not in self.packs:
            raise ConfigError(
                f"decision_pack: decision '{self.name}' has no pack "
                f"'{name}'{nearest(name, ['none', *self.packs])}"
            )
        if find_spec("xlsxwriter") is None:
            raise ConfigError(
                f"decision_pack: '{name}' needs XlsxWriter for its workbook: pip install "
                f"'hwds[xlsx]'."
            )

    def check_data(self, frame: Any, protocol: Evaluation[Any, Any]) -> None:
        """Refuse data from which it cannot decide; called before the first cell.

        Raises:
            ConfigError: A field does not fit the data.
        """

    def decide(
        self, tables: Tables, frame: Any, model: str, protocol: Evaluation[Any, Any]
    ) -> Verdict | None:
        """Return what to do; None where there is nothing to decide.

        Args:
            tables: Of one run.
            frame: Its data.
            model: The label of the experiment's own model, whose evidence counts.
            protocol: The protocol that wrote the tables.
        """
        raise NotImplementedError(f"{type(self).__name__}.decide")

    def foresee(
        self,
        forecasts: pl.DataFrame,
        tables: Tables,
        frame: Any,
        model: str,
        protocol: Evaluation[Any, Any],
    ) -> Verdict | None:
        """Return what to do by a forecast of the time after the data.

        None where there is nothing to decide.

        Args:
            forecasts: As `hwds predict` makes them.
            tables: Of the run, whose record the forecast is judged by.
            frame: The data after which they come.
            model: The label of the experiment's own model, which made them.
            protocol: The protocol that wrote the tables.
        """
        raise NotImplementedError(f"{type(self).__name__}.foresee")
