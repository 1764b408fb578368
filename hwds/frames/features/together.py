"""Several feature sets of rows as one."""

from __future__ import annotations

from typing import Annotated

from annotated_types import MinLen
from polars import DataFrame, Series

from hwds.core.errors import ConfigError
from hwds.frames.features.base import RowFeatures
from hwds.frames.rows import Live, LiveTogether
from hwds.frames.table import Table


class Together(RowFeatures):
    """Several feature sets of rows, in order: a later one can read the columns of those before it.

    Attributes:
        parts: The feature sets of rows that it joins.
    """

    parts: Annotated[tuple[RowFeatures, ...], MinLen(1)]

    def check(self, table: Table) -> None:
        """Refuse what a part refuses."""
        for part in self.parts:
            part.check(table)

    def absent(self, table: Table) -> tuple[str, ...]:
        """Return what any part lacks, each once."""
        return tuple(dict.fromkeys(name for part in self.parts for name in part.absent(table)))

    def live(self, schema: Table) -> Live:
        """Return the parts one after the other."""
        parts: list[Live] = []
        for part in self.parts:
            parts.append(part.live(schema))
            schema = schema.with_inputs(DataFrame(schema=dict(parts[-1].columns)))
        return LiveTogether(parts)

    def compute(self, table: Table) -> DataFrame:
        """Return the columns of all parts.

        Raises:
            ConfigError: Two parts make a column of the same name.
        """
        added: dict[str, Series] = {}
        for part in self.parts:
            columns = part.compute(table)
            taken = next((name for name in columns.columns if name in added), None)
            if taken:
                raise ConfigError(
                    f"features.parts: '{part.name}' makes the column '{taken}', which is there "
                    f"already."
                )
            added |= {name: columns[name] for name in columns.columns}
            table = table.with_inputs(columns)
        return DataFrame(added)
