"""The operators of synthetic data: fit a model, draw rows from it, evaluate them, publish; or all of it in one task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_veil.operators.base import VeilOperator, actor
from airflow_veil.operators.interval import interval_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_veil.privacy.lineage.model import LineageRecord
    from airflow_veil.privacy.release.synthetic_reference import Made, SyntheticReference
    from airflow_veil.privacy.release.workspace import Workspace

Given = Mapping[str, str | int | float | bool]
"""Column to the value that it has in every row."""


class _SynthesisOperator(VeilOperator):
    """A task that works on a synthesis; it tells in the task's log how far it is.

    Args:
        synthesis: Name of what is made up, in the policy.
    """

    names: ClassVar[str] = "syntheses"

    def __init__(self, *, synthesis: str, **kwargs: Any) -> None:
        super().__init__(dataset=synthesis, **kwargs)
        self.records: tuple[LineageRecord, ...] = ()

    def made(self, done: Made) -> dict[str, Any]:
        """Note what was done, for lineage and the log, and hand it on: names and counts, no score."""
        self.records = done.lineage
        (self.log.warning if done.warns else self.log.info)("%s", done.summary)
        return done.reference.as_xcom()

    def tell_assets(self, context: Context, told: dict[str, Any]) -> None:
        """Tell the assets what was published."""
        for asset in self.outlets:
            context["outlet_events"][asset].extra = told

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Lineage of what was done, of all tables."""
        from airflow_veil.hooks.lineage import operator_lineage

        return operator_lineage(*self.records)


class _AfterSynthesisOperator(_SynthesisOperator):
    """A task over what the task before handed on.

    Args:
        after: Its output: `fit.output`.
    """

    template_fields: Sequence[str] = (*VeilOperator.template_fields, "after")

    def __init__(self, *, after: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.after = after

    @property
    def reference(self) -> SyntheticReference:
        """The release that was handed on."""
        from airflow_veil.privacy.release.synthetic_reference import SyntheticReference

        return SyntheticReference.from_xcom(self.after, dataset=self.dataset)


class _DrawingOperator(_SynthesisOperator):
    """A task that draws rows.

    Args:
        rows: How many, of the table that refers to no other; as the policy says if None.
        given: Values that columns have in every row: a release of its own, under a suffix.
        suffix: What tells that release from the one of the whole; needed with `given`.
        seed: What rows are drawn by; the policy's if None.
    """

    template_fields: Sequence[str] = (*_SynthesisOperator.template_fields, "given", "suffix")

    def __init__(
        self,
        *,
        rows: int | None = None,
        given: Given | None = None,
        suffix: str = "",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rows = rows
        self.given = given
        self.suffix = suffix
        self.seed = seed

    @property
    def asked(self) -> dict[str, Any]:
        """What is asked of the drawing."""
        return {"rows": self.rows, "given": self.given, "suffix": self.suffix, "seed": self.seed}


class FitModelOperator(_SynthesisOperator):
    """Fit the model of a synthesis, and keep it, sealed.

    It is fitted once for the specification, the version of the data and the run's interval: a retry, a cleared task and
    a second run take the model that is there. Erased people are left out of what it learns from. A method that is
    differentially private is paid for before a row is read, and its noise drawn once; killed after that, the money
    stays spent.
    """

    def run(self, workspace: Workspace, context: Context) -> dict[str, Any]:
        """Fit; hands on the model's name."""
        from airflow_veil.privacy.release import synthesize

        interval = interval_of(context)
        return self.made(
            synthesize.fit(workspace, self.dataset, interval, actor=actor(context), progress=self.log.info)
        )

    def planned_lineage(self, workspace: Workspace) -> LineageRecord | None:
        """The fit as planned."""
        from airflow_veil.privacy.release import synthesize

        return synthesize.planned_fit(workspace, self.dataset)


class SynthesizeOperator(_AfterSynthesisOperator, _DrawingOperator):
    """Draw rows from a fitted model, and stage them beside the destination, in constant memory.

    Args:
        rows: How many, of the table that refers to no other; as the policy says if None.
        given: Values that columns have in every row: a release of its own, under a suffix.
        suffix: What tells that release from the one of the whole.
        seed: What rows are drawn by; the policy's if None.
    """

    template_fields: Sequence[str] = (*_AfterSynthesisOperator.template_fields, "given", "suffix")

    def run(self, workspace: Workspace, context: Context) -> dict[str, Any]:
        """Draw and stage; hands on releases and counts."""
        from airflow_veil.privacy.release import synthesize

        return self.made(
            synthesize.sample(
                workspace,
                self.reference,
                interval_of(context),
                actor=actor(context),
                progress=self.log.info,
                **self.asked,
            )
        )


class EvaluateSyntheticOperator(_AfterSynthesisOperator):
    """Measure staged synthetic rows, and stop where a bound of the policy does not hold.

    Rows that the model never saw are the control of all attacks. Scores are internal evidence, and not handed on.
    """

    def run(self, workspace: Workspace, context: Context) -> dict[str, Any]:
        """Evaluate; hands on the release."""
        from airflow_veil.privacy.release import synthesize

        return self.made(
            synthesize.evaluate(workspace, self.reference, actor=actor(context), progress=self.log.info)
        )


class PublishSyntheticOperator(_AfterSynthesisOperator):
    """Commit staged synthetic tables with their manifests, parents first, and make them current."""

    def run(self, workspace: Workspace, context: Context) -> dict[str, Any]:
        """Publish; hands on the release, and tells its assets."""
        from airflow_veil.privacy.release import synthesize

        done = synthesize.publish(workspace, self.reference, actor=actor(context))
        told = self.made(done)
        self.tell_assets(context, told)
        return told


class ScrubSyntheticOperator(_SynthesisOperator):
    """Remove what a run staged and did not publish; a teardown behind the last task, as `ScrubStagingOperator`.

    Args:
        suffix: What tells the release from the one of the whole.
    """

    template_fields: Sequence[str] = (*_SynthesisOperator.template_fields, "suffix")

    def __init__(self, *, suffix: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.suffix = suffix

    def run(self, workspace: Workspace, context: Context) -> dict[str, Any]:
        """Scrub; hands on how many staged outputs went."""
        from airflow_veil.privacy.release import synthesize

        scrubbed = synthesize.scrub(
            workspace, self.dataset, interval_of(context), actor=actor(context), suffix=self.suffix
        )
        self.log.info("Removed %d staged outputs of this run and %d orphans", scrubbed.own, scrubbed.orphans)
        return {"own": scrubbed.own, "orphans": scrubbed.orphans}


class SyntheticDataOperator(_DrawingOperator):
    """Fit a model, draw rows, evaluate them and publish them, in one task: for DAGs of your own.

    With `given` it is conditional sampling: rows in which columns have the given values, released under a suffix,
    beside the release of the whole. The model is the one of the run's interval, fitted if there is none yet.

    Args:
        rows: How many, of the table that refers to no other; as the policy says if None.
        given: Values that columns have in every row.
        suffix: What tells that release from the one of the whole; needed with `given`.
        seed: What rows are drawn by; the policy's if None.
    """

    def run(self, workspace: Workspace, context: Context) -> dict[str, Any]:
        """All steps; hands on the release, and tells its assets."""
        from airflow_veil.privacy.release import synthesize

        steps = synthesize.run(
            workspace,
            self.dataset,
            interval_of(context),
            actor=actor(context),
            progress=self.log.info,
            **self.asked,
        )
        for step in steps[:-1]:
            self.log.info("%s", step.summary)
        told = self.made(steps[-1])
        # What was drawn is made of the sources; what was published is a copy of that.
        self.records = (*steps[0].lineage, *steps[1].lineage, *steps[-1].lineage)
        self.tell_assets(context, told)
        return told

    def planned_lineage(self, workspace: Workspace) -> LineageRecord | None:
        """The fit as planned."""
        from airflow_veil.privacy.release import synthesize

        return synthesize.planned_fit(workspace, self.dataset)
