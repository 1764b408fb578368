"""Decision: the recipe of what follows from the results of a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from polars import DataFrame

from hwds.core.errors import ConfigError, nearest
from hwds.core.extras import require_installed
from hwds.core.recipe import Recipe
from hwds.evaluation.protocol import Evaluation
from hwds.frames.panel import Panel
from hwds.results.tables import Tables, Verdict

if TYPE_CHECKING:
    from hwds.core.questions import RowRule


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
        require_installed({f"decision_pack: '{name}'": ("xlsxwriter",)})

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
            tables: The tables of one run.
            frame: Its data.
            model: The label of the experiment's own model, whose evidence counts.
            protocol: The protocol that wrote the tables.
        """
        raise NotImplementedError(f"{type(self).__name__}.decide")

    def foresee(
        self,
        forecasts: DataFrame,
        tables: Tables,
        frame: Any,
        model: str,
        protocol: Evaluation[Any, Any],
    ) -> Verdict | None:
        """Return what to do by a forecast of the time after the data.

        None where there is nothing to decide.

        Args:
            forecasts: The forecasts, as `hwds predict` makes them.
            tables: The tables of the run, whose record the forecast is judged by.
            frame: The data after which they come.
            model: The label of the experiment's own model, which made them.
            protocol: The protocol that wrote the tables.
        """
        raise NotImplementedError(f"{type(self).__name__}.foresee")

    def row_rule(
        self,
        protocol: Evaluation[Any, Any],
        verdict: Mapping[str, Any] | None,
        seed: int,
        amount: str,
    ) -> RowRule | None:
        """Return what it says of rows that arrive one at a time; None where it says nothing.

        Args:
            protocol: The run's protocol.
            verdict: What it has decided on the run's rows.
            seed: The run's seed.
            amount: The column of what is at stake.
        """
        return None


class VolumeEvidence(ABC):
    """A protocol whose forecasts volumes can be decided from (`decision=volume_bands`)."""

    @property
    @abstractmethod
    def calibrated(self) -> bool:
        """True where the quantiles are others than the model's own, whose law its sample paths
        have.
        """

    def check_volumes(self, decision: str, *, paths: bool) -> None:
        """Refuse settings under which it has no evidence; called before the data is loaded.

        Args:
            decision: The name of the decision.
            paths: Whether sample paths are needed.

        Raises:
            ConfigError: With the field and its value.
        """
        return

    def check_volume_data(self, frame: Panel) -> None:
        """Refuse data of which it cannot say what was known when.

        Raises:
            ConfigError: With the field and its value.
        """
        return

    @abstractmethod
    def volume_steps(self, frame: Panel) -> tuple[int, int]:
        """Return the first and the last step that are forecast."""

    @abstractmethod
    def volume_evidence(self, forecasts: DataFrame, frame: Panel) -> DataFrame:
        """Return the forecasts of one model that deals are summed of, one row a series, cutoff and
        step.

        Columns: `series_id, cutoff, time, step`, quantiles (`q_0.5`), where there are `actual`,
        `seasonal_naive` and `paths`; `moment`, the cutoff, and `known`, when the actual is known,
        both as whole numbers on one clock. A sum over series is not among them.

        Args:
            forecasts: The forecasts of a back-test, or of the steps after the data.
            frame: The data.
        """
