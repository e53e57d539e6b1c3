"""Running the plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.release.conftest import ACTOR, POLICY, Shop, night, people

from airflow_veil.privacy.errors import ReleaseError, StorageError, VeilError
from airflow_veil.privacy.release import service
from airflow_veil.privacy.release.done import Done
from airflow_veil.privacy.release.reference import Reference
from airflow_veil.privacy.release.workspace import Workspace
from airflow_veil.privacy.storage.base import DatasetIdentity, Source
from airflow_veil.privacy.transforms.base import Step


@dataclass(frozen=True)
class ChangedMeanwhile:
    """A real source that somebody overwrites while it is read."""

    inner: Source
    shop: Shop

    @property
    def identity(self) -> DatasetIdentity:
        return self.inner.identity

    def schema(self) -> pa.Schema:
        return self.inner.schema()

    def fingerprint(self) -> dict[str, Any]:
        return self.inner.fingerprint()

    def batches(self, columns: Sequence[str], *, batch_rows: int) -> Iterator[pa.RecordBatch]:
        yield from self.inner.batches(columns, batch_rows=batch_rows)
        self.shop.supply(people(60))


class OverwrittenWorkspace(Workspace):
    """A workspace whose source changes under the reader."""

    def source(self, dataset: str) -> Source:
        shop = Shop(self.loaded.path.parent)
        return ChangedMeanwhile(super().source(dataset), shop)


class TestStaging:
    def test_fused_and_stepwise_stage_the_same_rows(self, shop: Shop) -> None:
        """One pass or four tasks: the release is the same, to the byte of its values."""
        fused = shop.stage(night(0)).reference
        one_pass = _rows(shop, fused.release_id)
        stepwise = shop.stage(night(0), steps=True).reference

        assert stepwise.release_id == fused.release_id
        assert _rows(shop, stepwise.release_id).equals(one_pass)
        assert (fused.rows_in, fused.rows_out) == (stepwise.rows_in, stepwise.rows_out) == (50, 50)

    def test_only_named_columns_leave(self, shop: Shop) -> None:
        """Columns that the policy drops, or does not name, are not in what is staged."""
        staged = shop.stage(night(0)).reference

        assert _rows(shop, staged.release_id).column_names == ["id", "email", "phone", "born", "country"]

    @pytest.mark.parametrize("steps", [False, True], ids=["fused", "stepwise"])
    def test_a_source_that_changes_while_it_is_read_is_an_error(self, shop: Shop, steps: bool) -> None:
        """Rows of two versions are never mixed into one release."""
        workspace = OverwrittenWorkspace(loaded=shop.workspace().loaded, settings=shop.settings)
        reference = service.begin(workspace, "people", night(0), actor=ACTOR)

        with workspace, pytest.raises(StorageError, match="changed while it was read"):
            _first_task(workspace, reference, steps=steps)
        assert not shop.staged()

    def test_a_source_that_changed_since_the_run_began_is_an_error(self, shop: Shop) -> None:
        """What is released is the version whose fingerprint stands in the manifest."""
        reference = service.begin(shop.workspace(), "people", night(0), actor=ACTOR)
        shop.supply(people(60))

        with pytest.raises(StorageError, match="changed"):
            service.sanitize(shop.workspace(), reference, actor=ACTOR)
        assert not shop.staged()

    def test_a_policy_that_changed_since_the_run_began_is_an_error(self, shop: Shop) -> None:
        """All tasks of a run follow one plan."""
        reference = service.begin(shop.workspace(), "people", night(0), actor=ACTOR)
        shop.write(POLICY.replace("treat: keep", "treat: drop"))

        with pytest.raises(ReleaseError, match="changed since the run began"):
            service.sanitize(shop.workspace(), reference, actor=ACTOR)

    @pytest.mark.parametrize("step", [Step.TOKENIZE, Step.MASK, Step.GENERALIZE], ids=lambda s: s.value)
    def test_steps_run_in_their_order(self, shop: Shop, step: Step) -> None:
        """A step without the one before it is an error: it would read what is not there."""
        reference = service.begin(shop.workspace(), "people", night(0), actor=ACTOR)

        with pytest.raises(ReleaseError, match="follows"):
            service.run_step(shop.workspace(), reference, step, actor=ACTOR)

    def test_a_step_may_run_again(self, shop: Shop) -> None:
        """A retry of a step stages the same rows anew."""
        workspace = shop.workspace()
        reference = service.begin(workspace, "people", night(0), actor=ACTOR)
        minimized = service.run_step(workspace, reference, Step.MINIMIZE, actor=ACTOR).reference
        first = service.run_step(workspace, minimized, Step.TOKENIZE, actor=ACTOR).reference

        assert service.run_step(workspace, minimized, Step.TOKENIZE, actor=ACTOR).reference == first

    def test_a_step_after_a_scrub_says_what_to_do(self, shop: Shop) -> None:
        """Staging that is gone is an error that says to begin at the first step."""
        workspace = shop.workspace()
        reference = service.begin(workspace, "people", night(0), actor=ACTOR)
        minimized = service.run_step(workspace, reference, Step.MINIMIZE, actor=ACTOR).reference
        service.scrub(workspace, "people", night(0), orphans_after=0, actor=ACTOR)

        with pytest.raises(StorageError, match="from the first"):
            service.run_step(workspace, minimized, Step.TOKENIZE, actor=ACTOR)

    @pytest.mark.parametrize("steps", [False, True], ids=["fused", "stepwise"])
    def test_a_published_release_is_left_alone(self, shop: Shop, steps: bool) -> None:
        """The tasks of a night that is out already do nothing, and write nothing."""
        shop.release(night(0))
        before = {path: path.stat().st_mtime_ns for path in shop.releases.rglob("*")}

        shop.release(night(0), steps=steps)

        assert {path: path.stat().st_mtime_ns for path in shop.releases.rglob("*")} == before

    def test_an_empty_source_is_an_empty_release(self, shop: Shop) -> None:
        """No rows in, no rows out, with all columns and types."""
        shop.supply(people(0).cast(people(1).schema))
        shop.release(night(0))

        assert shop.current().num_rows == 0
        assert shop.current().column_names == ["id", "email", "phone", "born", "country"]

    def test_staged_rows_are_private(self, shop: Shop) -> None:
        """What lies between two steps can be read by its owner alone."""
        workspace = shop.workspace()
        reference = service.begin(workspace, "people", night(0), actor=ACTOR)
        service.run_step(workspace, reference, Step.MINIMIZE, actor=ACTOR)

        folders = [path for path in (shop.path / "home" / "staging").rglob("*") if path.is_dir()]
        assert folders
        assert {path.stat().st_mode & 0o777 for path in folders} == {0o700}

    def test_a_value_that_cannot_be_treated_is_not_told(self, shop: Shop) -> None:
        """The error names data set, column and treatment; the value stays out of message, cause and context."""
        table = people(3)
        cards = pa.array(["person1@example.org", "x" * 100_000, "unmistakable"])
        shop.supply(table.set_column(table.column_names.index("phone"), "phone", cards))
        shop.write(
            POLICY.replace("{mask: {keep_last: 2, length: 8}}", "{fpe: {domain: phone, keep_last: 4}}")
        )

        with pytest.raises(VeilError, match="phone") as caught:
            shop.stage(night(0))
        told = _everything(caught.value)
        assert "unmistakable" not in told
        assert "xxxx" not in told
        assert not shop.staged()


def _first_task(workspace: Workspace, reference: Reference, *, steps: bool) -> Done:
    if steps:
        return service.run_step(workspace, reference, Step.MINIMIZE, actor=ACTOR)
    return service.sanitize(workspace, reference, actor=ACTOR)


def _rows(shop: Shop, release_id: str) -> pa.Table:
    return pq.read_table(shop.releases / "people" / f".staged-{release_id}")


def _everything(error: BaseException | None) -> str:
    """An error with its causes and contexts, as any logger might print them."""
    told = ""
    while error is not None:
        told += f"{error!r} {error} {vars(error)} {error.args}"
        error = error.__cause__ or error.__context__
    return told
