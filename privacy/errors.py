"""The errors of airflow-veil: what is wrong, where, what was expected and how to fix it, never a value.

VeilError
├── PolicyError        the policy file does not check (holds every finding)
├── SchemaError        the source does not fit the policy: a missing column, a changed type
├── TransformError     a column cannot be treated as the policy says
├── KeyRingError       the key ring is missing, unreadable, readable by others, or a version is destroyed
│   └── TamperedError  a ciphertext does not authenticate
├── StorageError       a source or an output cannot be read or written
├── ReleaseError       a release cannot be committed, found or rolled back
│   ├── ExpectationsFailedError  the staged data does not meet its expectation suite
│   └── PersonalDataFoundError   a column holds personal data that the policy does not declare
├── LedgerError        the database of record cannot be used
│   ├── BudgetError            a privacy budget is not what was named, or cannot be changed so
│   │   └── BudgetExhaustedError  what is left of a budget does not pay for the answer
│   └── AnswerBusyError        somebody else is making the answer just now
├── RetentionError     rows cannot be deleted as the policy says, or a hold cannot be placed or lifted
│   ├── ApprovalNeededError  more would be deleted, or with another clock, than goes without somebody's approval
│   └── UnverifiedError  a second look does not find what a run says that it did
├── ModelError         a model cannot be loaded or attacked, or is denied
├── ErasureError       a person cannot be erased as the policy says; what is left is named
├── AuditError         evidence is not what was signed, or cannot be checked
└── InternalError      our own bug
"""

from __future__ import annotations

from typing import Any


class VeilError(Exception):
    """The root: a message made of parts, so that it can say where and how to fix it.

    Args:
        what: What is wrong, in one sentence, with names, types and counts only.
        where: File, data set or column it concerns.
        expected: What would have been right.
        fix: What the reader can do about it.

    Attributes:
        retryable: Whether trying again later, with nothing changed, may succeed.
    """

    retryable = False

    def __init__(self, what: str, *, where: str = "", expected: str = "", fix: str = "") -> None:
        self.what, self.where, self.expected, self.fix = what, where, expected, fix
        super().__init__(what)

    def __str__(self) -> str:
        parts = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.expected:
            parts.append(f"Expected: {self.expected}")
        if self.fix:
            parts.append(f"Fix: {self.fix}")
        return ". ".join(part.rstrip(".") for part in parts) + "."

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(cls: type[VeilError], args: tuple[Any, ...], state: dict[str, Any]) -> VeilError:
    """Restore an error across processes; keyword arguments do not survive the default way."""
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class PolicyError(VeilError):
    """The policy does not check; `findings` holds every mistake with its file, line and column."""

    def __init__(self, findings: tuple[Any, ...]) -> None:
        self.findings = findings
        count = len(findings)
        super().__init__(
            f"{count} mistake{'s' if count != 1 else ''} in the policy:\n"
            + "\n".join(f"  {finding}" for finding in findings),
        )


class SchemaError(VeilError):
    """The source's schema does not fit the policy."""


class TransformError(VeilError):
    """A column holds something its treatment cannot take; nothing of it is released."""


class KeyRingError(VeilError):
    """The key ring cannot be used."""


class TamperedError(KeyRingError):
    """A ciphertext does not authenticate: it was changed, or made with another key or domain."""


class StorageError(VeilError):
    """A source cannot be read or an output cannot be written."""

    retryable = True


class ReleaseError(VeilError):
    """A release cannot be committed, found or rolled back."""


class ExpectationsFailedError(ReleaseError):
    """The staged data does not meet its expectation suite; it is not published."""


class PersonalDataFoundError(ReleaseError):
    """A column holds personal data that the policy does not declare; nothing is released."""


class LedgerError(VeilError):
    """The database of record cannot be used."""

    retryable = True


class BudgetError(LedgerError):
    """A privacy budget is not what was named, or does not allow what was asked of it."""

    retryable = False


class BudgetExhaustedError(BudgetError):
    """What is left of a privacy budget in its period does not pay for what was asked."""


class AnswerBusyError(LedgerError):
    """Somebody else is making the same answer just now: it is drawn once, so wait for theirs."""


class RetentionError(VeilError):
    """Rows cannot be deleted as the policy says, or a hold cannot be placed or lifted; nothing was deleted."""


class ApprovalNeededError(RetentionError):
    """Nothing was deleted: somebody has to look at the plan and approve it, with a reason."""


class UnverifiedError(RetentionError):
    """Rows were deleted, and a second look at the source does not find what it should; the next run looks anew."""

    retryable = True


class ErasureError(VeilError):
    """A person cannot be erased as the policy says; the request stays open, and what is left is named."""


class SyntheticError(VeilError):
    """A synthetic table cannot be made as the policy says; nothing is published."""


class ModelError(VeilError):
    """A model cannot be loaded or attacked, or attacks reach more than its bounds; nothing is shared."""


class AuditError(VeilError):
    """Evidence, a checkpoint or a proof is not what was recorded and signed, or cannot be checked."""


class InternalError(VeilError):
    """A bug of airflow-veil: an invariant of its own does not hold."""
