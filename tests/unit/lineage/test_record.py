"""The record says what the plan does, and nothing else."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from tests.unit.lineage.cases import COUNTS, RELEASE, RUNS, SOURCE, WRITTEN, staged

from airflow_veil.privacy.lineage.model import Kind, LineageRecord, Reason, Subtype
from airflow_veil.privacy.lineage.record import Assertion, of_copy, of_detokenizing, of_reading, of_stage
from airflow_veil.privacy.lineage.technique import _WORDS, technique
from airflow_veil.privacy.plan.plan import Plan
from airflow_veil.privacy.plan.stage import CARRIED, fused, stage
from airflow_veil.privacy.transforms.base import Step
from airflow_veil.privacy.transforms.registry import TRANSFORMS


@pytest.fixture
def record(plan: Plan) -> LineageRecord:
    """A fused run."""
    return of_stage(fused(plan), SOURCE, staged("fused"), COUNTS, WRITTEN)


def _edges(record: LineageRecord, target: str | None) -> dict[str, tuple[Kind, Subtype, bool]]:
    return {
        edge.source: (edge.kind, edge.subtype, edge.masking) for edge in record.edges if edge.target == target
    }


class TestOfStage:
    def test_edges_equal_the_plan(self, record: LineageRecord, plan: Plan) -> None:
        """An output column has an edge from each column that the plan reads for it, and from no other."""
        told = {(edge.source, edge.target) for edge in record.edges if edge.target is not None}

        assert told == {(raw, column.name) for column in plan.released for raw in column.reads}

    def test_masking_is_the_treatment_s_own_property(self, record: LineageRecord, plan: Plan) -> None:
        """Whether an edge masks is what the treatment promises, not what lineage wishes."""
        for column in plan.released:
            kind, _subtype, masking = _edges(record, column.name)[column.name]

            assert (kind, masking) == (Kind.DIRECT, column.properties.masks)

    def test_kept_column_is_an_unmasked_identity(self, record: LineageRecord) -> None:
        """What is kept arrives as it is."""
        assert _edges(record, "country") == {"country": (Kind.DIRECT, Subtype.IDENTITY, False)}

    def test_names_that_redaction_knows_decide(self, record: LineageRecord) -> None:
        """A column that redaction reads decides over the text; it does not arrive."""
        assert _edges(record, "notes")["name"] == (Kind.INDIRECT, Subtype.CONDITIONAL, True)

    @pytest.mark.parametrize("column", ["birth_date", "nickname", "income"])
    def test_keyed_subject_is_masked(self, record: LineageRecord, column: str) -> None:
        """The subject goes through a key, even where the column's own value shows."""
        assert _edges(record, column)["customer_id"] == (Kind.INDIRECT, Subtype.CONDITIONAL, True)

    def test_filters_concern_the_rows(self, record: LineageRecord) -> None:
        """What decides which rows leave is told of the rows: `where` unmasked, the keyed sample masked."""
        assert _edges(record, None) == {
            "country": (Kind.INDIRECT, Subtype.FILTER, False),
            "customer_id": (Kind.INDIRECT, Subtype.FILTER, True),
        }

    def test_dropped_columns_have_a_reason_and_no_entry(self, record: LineageRecord) -> None:
        """A dropped column is reported and is nowhere in the output."""
        assert {item.name: item.reason for item in record.dropped} == {
            "name": Reason.POLICY,
            "unplanned": Reason.UNNAMED,
        }
        assert not {"name", "unplanned"} & {field.name for field in record.about.fields}
        assert not {"name", "unplanned"} & {edge.target for edge in record.edges}

    def test_counts_are_unknown_before_the_run(self, plan: Plan) -> None:
        """At the start there is a plan, and no figure."""
        before = of_stage(fused(plan), SOURCE, staged("fused"))

        assert (before.input.rows, before.about.rows, before.about.bytes, before.about.files) == (None,) * 4

    def test_counts_are_told_after_the_run(self, record: LineageRecord) -> None:
        """Rows, bytes and files are those that were counted."""
        figures = record.input.rows, record.about.rows, record.about.bytes, record.about.files

        assert figures == (10, 7, 4096, 1)

    def test_key_versions_are_those_of_the_output(self, record: LineageRecord) -> None:
        """The key versions are those that the columns were made with."""
        assert record.key_versions == (2,)

    def test_raw_column_of_a_step_is_still_raw(self, plan: Plan) -> None:
        """Before its step, a staged column has its class and no treatment; carried ones too."""
        fields = {
            field.name: field
            for field in of_stage(stage(plan, Step.MINIMIZE), SOURCE, staged("minimize")).about.fields
        }

        assert (fields["email"].column_class, fields["email"].treatment) == ("direct_identifier", None)
        assert (fields[CARRIED + "name"].column_class, fields[CARRIED + "name"].masked) == (
            "direct_identifier",
            False,
        )

    def test_steps_join_by_name(self, plan: Plan) -> None:
        """Each step reads only columns that the step before has told of."""
        records = RUNS["stepwise"](plan)

        for before, after in pairwise(records):
            assert {edge.source for edge in after.edges} <= {field.name for field in before.about.fields}

    def test_steps_together_drop_what_the_plan_drops(self, plan: Plan) -> None:
        """Each dropped column is reported by one step."""
        dropped = [item.name for record in RUNS["stepwise"](plan) for item in record.dropped]

        assert sorted(dropped) == sorted(plan.dropped)


class TestOfCopy:
    def test_copy_is_the_identity(self, record: LineageRecord) -> None:
        """Publishing changes no column and masks none."""
        copy = of_copy(record, RELEASE, stage="publish", version="r1")

        assert {edge.source for edge in copy.edges} == {field.name for field in record.about.fields}
        assert all(
            (edge.source == edge.target, edge.subtype, edge.masking) == (True, Subtype.IDENTITY, False)
            for edge in copy.edges
        )
        assert (copy.input.identity, copy.about.identity) == (record.about.identity, RELEASE)
        assert (copy.about.version, copy.about.published) == ("r1", True)

    def test_copy_knows_how_its_columns_were_treated(self, record: LineageRecord) -> None:
        """A release shows the treatment of its columns, though another task did it."""
        assert of_copy(record, RELEASE, stage="publish").about.fields == record.about.fields


class TestOfReading:
    def test_reading_has_no_output(self, record: LineageRecord) -> None:
        """Validation reads what was staged, writes nothing, and tells what was met."""
        checked = Assertion(name="expect_column_values_to_be_unique", column="email", success=True)
        reading = of_reading(record, assertions=[checked])

        assert (reading.output, reading.edges, reading.stage) == (None, (), "validate")
        assert (reading.input.identity, reading.assertions) == (record.about.identity, (checked,))


class TestOfDetokenizing:
    def test_turned_back_column_is_raw_again(self, record: LineageRecord) -> None:
        """What is turned back bears its class again; the rest stays as it was."""
        back = of_detokenizing(record, RELEASE, columns=["email"])
        fields = {field.name: field for field in back.about.fields}

        assert (fields["email"].masked, fields["email"].treatment) == (False, None)
        assert (fields["card"].masked, fields["card"].treatment) == (True, "fpe")
        assert not back.about.published


class TestLineageRecord:
    @pytest.mark.parametrize("run", RUNS)
    def test_json_brings_the_record_back(self, plan: Plan, run: str) -> None:
        """A manifest can hold a record and give it back."""
        for record in RUNS[run](plan):
            assert LineageRecord.from_dict(json.loads(json.dumps(record.as_dict()))) == record

    def test_no_parameter_is_in_the_record(self, plan: Plan) -> None:
        """Constants and literals of `where` are values; a record has no place for them."""
        for run in RUNS.values():
            assert "PLANTED" not in "".join(map(repr, run(plan)))


class TestTechnique:
    def test_every_treatment_has_words(self) -> None:
        """A treatment that leaves a column has words for what it did."""
        assert set(TRANSFORMS) - {"drop"} == set(_WORDS)

    @pytest.mark.parametrize(
        ("column", "words"),
        [
            ("email", "AES-SIV token (RFC 5297), domain email, key version 2"),
            ("customer_id", "one-way HMAC-SHA-256 token, domain customer, key version 2"),
            ("country", "kept as it is"),
        ],
    )
    def test_words_name_technique_domain_and_version(self, plan: Plan, column: str, words: str) -> None:
        """The words say what an auditor asks first."""
        assert technique(plan.column(column)) == words

    def test_noise_is_not_called_differential_privacy(self, plan: Plan) -> None:
        """Noise says aloud what it is not."""
        assert "not differential privacy" in technique(plan.column("income"))
