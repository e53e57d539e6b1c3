"""A batch whose plan is frozen: what is known of its people, what was noted of it, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_veil.privacy.erasure.dossier import Dossier
from airflow_veil.privacy.erasure.sealed import Sealed, unseal
from airflow_veil.privacy.errors import ErasureError
from airflow_veil.privacy.ledger.erasures import Batch, RequestState

if TYPE_CHECKING:
    from airflow_veil.privacy.release.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A batch whose plan is frozen.

    Attributes:
        batch_id: Its name.
        requests: The requests, by their opaque names.
        steps: What is to be done, in order.
        plan: What is going to be touched, in counts.
    """

    batch_id: str
    requests: tuple[str, ...]
    steps: tuple[str, ...]
    plan: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """The same for XCom and machines: names and counts."""
        return {
            "batch": self.batch_id,
            "requests": len(self.requests),
            "steps": list(self.steps),
            **self.plan,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Concluded:
    """How a batch ended.

    Attributes:
        batch_id: Its name.
        states: Request to its state.
        problems: What is left, named.
    """

    batch_id: str
    states: Mapping[str, RequestState]
    problems: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether all is done, but for what a hold keeps."""
        return all(state is not RequestState.INCOMPLETE for state in self.states.values())

    def as_dict(self) -> dict[str, Any]:
        """The same for XCom and machines."""
        counts = {
            state.value: sum(each is state for each in self.states.values())
            for state in dict.fromkeys(self.states.values())
        }
        return {"batch": self.batch_id, "requests": counts, "problems": list(self.problems)}


def frozen(workspace: Workspace, batch_id: str) -> Batch:
    """A batch of the policy whose plan is frozen.

    Raises:
        ErasureError: There is none of that name, it is not frozen, or the policy has changed since.
    """
    batch = workspace.ledger.erasures.batch(batch_id)
    if batch.policy != workspace.loaded.policy.name or batch.frozen_at is None:
        raise ErasureError("there is no such plan of this policy", where=batch_id, fix="plan first")
    digest = (batch.plan or {}).get("policy_digest")
    if digest != workspace.loaded.digest:
        raise ErasureError(
            "the policy has changed since the plan was frozen",
            where=batch_id,
            fix="go on with the policy as it was, and change it when the batch is concluded",
        )
    return batch


def dossier_in(workspace: Workspace, batch: Batch) -> Dossier:
    """What is known of a batch's people, opened.

    Raises:
        ErasureError: It is destroyed: the batch is concluded.
        TamperedError: What was sealed was changed.
        KeyRingError: The key ring cannot open it.
    """
    if batch.sealed is None or batch.key_version is None:
        raise ErasureError("the batch is concluded; what it knew is destroyed", where=batch.batch_id)
    closed = Sealed(batch.key_version, batch.sealed)
    return Dossier.from_bytes(unseal(closed, workspace.keys, about=batch.batch_id))


def since(batch: Batch) -> dict[str, Any]:
    """Data sets to recompute, with what their sources were when the plan was frozen."""
    recompute = (batch.plan or {}).get("recompute", {})
    return {dataset: told["since"] for dataset, told in recompute.items()}
