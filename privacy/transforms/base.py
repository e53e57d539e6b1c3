"""The contract of a transform: what it takes, what it gives, what it promises, as data.

A transform is a frozen value that a policy wrote down (`mask: {keep_last: 4}`). It answers every question the
plan asks from types alone, so a policy that cannot work fails before a row is read. `prepare` derives keys and
tables once and returns a kernel that works on whole Arrow columns.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

from airflow_veil.privacy.described import Described
from airflow_veil.privacy.lazy import pa
from airflow_veil.privacy.transforms.family import Family, family_of

Kernel: TypeAlias = "Callable[[pa.Array, Mapping[str, pa.Array]], pa.Array]"
"""`kernel(column, inputs) -> column`: same length; `inputs` holds the raw columns that `Transform.inputs` names."""

RowKernel: TypeAlias = "Callable[[Mapping[str, pa.Array]], pa.BooleanArray]"
"""`kernel(inputs) -> keep`: one boolean a row, never null."""


class Step(StrEnum):
    """The steps of a release, in the order they run; minimization comes first."""

    MINIMIZE = "minimize"
    TOKENIZE = "tokenize"
    MASK = "mask"
    GENERALIZE = "generalize"


class Keys(Protocol):
    """What a transform needs of the key ring."""

    @property
    def current(self) -> int:
        """The version that new values are made with."""

    def subkey(self, purpose: str, domain: str, *, version: int | None = None, length: int = 32) -> bytes:
        """The key of one purpose and domain; see `airflow_veil.privacy.keys.ring`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Properties:
    """What a treated column still tells, and what it no longer does.

    Attributes:
        deterministic: Equal inputs give equal outputs, so the column can be joined and counted, and its
            frequencies show.
        reversible: Whoever holds the key can have the input back.
        unique: Distinct inputs give distinct outputs, so a unique column stays unique.
        hides_length: The output's length tells nothing of the input's.
        masks: The output does not hold the input's value; what lineage reports as `masking`.
        nulls: `kept` nulls stay null, `filled` they become a value, `all` everything becomes null.
    """

    deterministic: bool
    reversible: bool
    unique: bool
    hides_length: bool
    masks: bool
    nulls: Literal["kept", "filled", "all"] = "kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """Where a transform stands: the column it treats and what it may use there.

    Attributes:
        dataset: Name of the data set in the policy.
        column: Name of the column.
        type: Arrow type of the column as the source delivers it.
        subject: The column that says whose data a row is, if the data set has one.
        domain: The key domain, or None for a transform without a key.
        key_version: The version of the key ring to make values with.
        keys: The key ring; None where only types are asked.
        root: The folder that relative file names in the policy start from.
    """

    dataset: str
    column: str
    type: pa.DataType
    subject: str | None = None
    domain: str | None = None
    key_version: int = 0
    keys: Keys | None = field(default=None, repr=False)
    root: Path = Path()

    @property
    def where(self) -> str:
        """The place to name in an error."""
        return f"{self.dataset}.{self.column}"

    def subkey(self, purpose: str, *, length: int = 32, version: int | None = None) -> bytes:
        """The key of this column's domain for one purpose, `length` bytes.

        Raises:
            KeyRingError: There is no key ring, or the version is destroyed.
        """
        from airflow_veil.privacy.errors import KeyRingError

        if self.keys is None or self.domain is None:
            raise KeyRingError("No key ring was given", where=self.where, fix="name one under `keys:`")
        number = version or self.key_version or None
        return self.keys.subkey(purpose, self.domain, version=number, length=length)


class Transform(Described):
    """A treatment of one column; one sub-class a file, under its YAML word."""

    word: ClassVar[str]
    """The word in YAML, the file and the docs."""
    step: ClassVar[Step]
    """The step of the release that runs it."""
    needs_subject: ClassVar[bool] = False
    """Whether it works per person, so that the data set must name its subject."""

    @property
    @abstractmethod
    def properties(self) -> Properties:
        """What this treatment, with these parameters, promises."""

    @property
    @abstractmethod
    def takes(self) -> frozenset[Family]:
        """What columns can be treated; told without Arrow, so that checking a policy does not import it."""

    def accepts(self, source: pa.DataType) -> bool:
        """Whether a column of this type can be treated."""
        return family_of(source) in self.takes

    @property
    def settles(self) -> frozenset[Family]:
        """What columns keep their kind under it and, treated once more, stay as they are.

        Retention treats such columns where they lie, and knows by it what is done already. Told without Arrow.
        """
        return frozenset()

    @abstractmethod
    def output_type(self, source: pa.DataType) -> pa.DataType | None:
        """The type that comes out; None when the column is dropped."""

    def inputs(self, subject: str | None) -> tuple[str, ...]:
        """Other raw columns the kernel reads, by name; `subject` is the data set's subject column."""
        return ()

    def files(self) -> tuple[str, ...]:
        """Files that the treatment is made by, besides the policy; relative names start at the policy's folder."""
        return ()

    def key_domain(self, *, column: str, subject: str) -> str | None:
        """The key domain, given the qualified names `data_set.column` of the column and of its subject's root.

        Columns with the same domain and treatment stay joinable; all others cannot be linked by key.
        """
        return None

    def reverse(self, values: pa.Array, binding: Binding) -> pa.Array:
        """Turn treated values back into what they stand for; only where `properties.reversible` says so.

        Args:
            values: A column as released; nulls stay null.
            binding: The binding that the column was treated with.

        Raises:
            TransformError: The treatment cannot be turned back, or a value was not made by it.
            KeyRingError: The key version is destroyed.
        """
        from airflow_veil.privacy.errors import TransformError

        raise TransformError(f"`{self.word}` cannot be turned back", where=binding.where)

    @abstractmethod
    def prepare(self, binding: Binding) -> Kernel:
        """Derive keys and tables once, and return the kernel for batches of this column.

        Raises:
            KeyRingError: A key is needed and cannot be had.
            TransformError: A file that the parameters name cannot be used.
        """


class RowFilter(Described):
    """A treatment of rows: which of them leave at all."""

    word: ClassVar[str]
    """The word in YAML, the file and the docs."""
    keyed: ClassVar[bool] = False
    """Whether it needs the key ring."""

    @property
    def told(self) -> dict[str, Any]:
        """Its word and its parameters, as plain data."""
        return {self.word: self.model_dump(mode="json")}

    @abstractmethod
    def inputs(self, subject: str | None) -> tuple[str, ...]:
        """The raw columns the decision reads, by name."""

    @abstractmethod
    def prepare(self, binding: Binding, types: Mapping[str, pa.DataType]) -> RowKernel:
        """Return the kernel that says, for a batch, which rows stay; `types` are those of the inputs.

        Raises:
            TransformError: The filter does not fit the types.
        """
