"""What every synthesizer is: it fits a model to tables, and a model draws tables.

    specification, training rows ──fit──► Model ──sample──► batches, table by table
                                           │
                                           └──to_bytes──► sealed store ──from_bytes──► Model

A model is made of personal data unless its method is differentially private; whoever holds one keeps it as such.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    import pyarrow as pa

Tables: TypeAlias = "Mapping[str, pa.Table]"
"""Tables by name; a column of the specification each."""

Progress: TypeAlias = Callable[[str], None]
"""Takes a line about how far it is: names, counts and shares, no value."""


class Model(Protocol):
    """A fitted model."""

    method: str
    """The word of its method in a policy."""

    def sample(
        self,
        *,
        seed: int,
        rows: int | None = None,
        given: Mapping[str, str | int | float | bool] | None = None,
    ) -> Iterator[tuple[str, pa.RecordBatch]]:
        """Draw rows, in constant memory: batches of related tables take turns, and no row is before one it refers to.

        Args:
            seed: The same seed gives the same rows.
            rows: How many, of the table that refers to no other (with `par`: how many sequences); what the policy
                says if not said, and as many as were learned from where it does not.
            given: Values that learned columns of a single table have in every row (conditional sampling); dates as
                ISO 8601 writes them.

        Yields:
            The name of a table and a batch of the schema that the specification gives it; at most
            `specification.BATCH_ROWS` rows.

        Raises:
            SyntheticError: The model cannot draw that.
        """

    def to_bytes(self) -> bytes:
        """The model, to be sealed and stored."""


class Synthesizer(Protocol):
    """Fits models of one method to one specification."""

    def fit(self, tables: Tables, *, seed: int, progress: Progress) -> Model:
        """Fit a model.

        Args:
            tables: The training rows as `training` gives them: only columns that are learned, references and keys, in
                the specification's types; keys are numbers of no meaning.
            seed: Makes a fit repeatable, but for noise that protects people.
            progress: Told how far it is.

        Raises:
            SyntheticError: The rows do not fit the specification, or the method cannot be fitted to them.
        """

    def from_bytes(self, content: bytes) -> Model:
        """A model that `to_bytes` gave. Only for content that was authenticated: it may hold a pickle.

        Raises:
            SyntheticError: It is none of this method and specification.
        """
