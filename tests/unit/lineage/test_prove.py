"""The proof holds where every path is masked, and shows the way where one is not."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.lineage.cases import POLICY, RELEASE, RUNS, event, fused_records, make_plan, stepwise_records

from airflow_veil.privacy.errors import StorageError
from airflow_veil.privacy.lineage.prove import Proof, prove, prove_files
from airflow_veil.privacy.lineage.record import of_copy, of_detokenizing
from airflow_veil.privacy.plan.plan import Plan
from airflow_veil.privacy.storage.base import DatasetIdentity

Json = dict[str, Any]
Edit = Callable[[list[Json]], None]


def _facets(events: list[Json], number: int) -> Json:
    facets: Json = events[number]["outputs"][0]["facets"]
    return facets


def _transformations(facets: Json, column: str) -> list[Json]:
    """The transformations of a column by both facets."""
    return [
        *(item["transformations"][0] for item in facets["columnLineage"]["fields"][column]["inputFields"]),
        *(item["transformations"][0] for item in facets["lineage"]["fields"][column]["inputs"]),
    ]


def _ends(proof: Proof) -> set[tuple[str | None, str | None]]:
    return {(example.start.name, example.end.name) for example in proof.counterexamples}


@pytest.fixture(params=RUNS)
def events(plan: Plan, request: pytest.FixtureRequest) -> list[Json]:
    """The events of a release, by either way to run it."""
    return [event(record) for record in RUNS[request.param](plan)]


class TestHolds:
    def test_release_of_a_good_policy_is_proved(self, events: list[Json]) -> None:
        """Every path from an identifier passes a masking edge, in one pass or step by step."""
        proof = prove(events)

        assert (proof.holds, proof.counterexamples, proof.gaps) == (True, (), ())
        assert proof.paths_checked > 0
        assert [str(dataset) for dataset in proof.published] == ["file/releases/retail/customers"]

    def test_order_and_repetition_do_not_matter(self, events: list[Json]) -> None:
        """Events of the START, of a retry and in another order tell the same."""
        assert prove([*reversed(events), *events]) == prove(events)

    def test_roll_back_in_a_circle_is_proved(self, plan: Plan) -> None:
        """A release that is rolled back to is made of itself; the walk ends all the same."""
        records = fused_records(plan)
        back = of_copy(records[-1], RELEASE, stage="rollback", version="r0")

        assert prove([event(record) for record in [*records, back]]).holds

    def test_event_of_others_without_lineage_is_passed_over(self, events: list[Json]) -> None:
        """A task of somebody else that tells nothing of columns proves nothing wrong."""
        foreign = {
            "eventType": "COMPLETE",
            "job": {"name": "x"},
            "outputs": [{"namespace": "n", "name": "other"}],
        }

        assert prove([*events, foreign]).holds

    def test_proof_is_json(self, events: list[Json]) -> None:
        """A machine can read the proof."""
        assert json.loads(json.dumps(prove(events).as_dict()))["holds"] is True


def _unmask(column: str) -> Edit:
    """Say in both facets, of every event, that a column's treatment masks nothing."""

    def edit(events: list[Json]) -> None:
        for number in range(len(events)):
            facets = _facets(events, number)
            if column in facets["lineage"]["fields"]:
                for told in _transformations(facets, column):
                    told["masking"] = False

    return edit


class TestCounterexamples:
    def test_wrong_masking_is_found_with_its_path(self, events: list[Json]) -> None:
        """An identifier whose treatment does not mask is shown with the whole way to the release."""
        _unmask("email")(events)
        proof = prove(events)

        assert not proof.holds
        (example,) = [
            item for item in proof.counterexamples if item.start.dataset.name == "/data/customers.parquet"
        ]
        assert (example.why, example.start.name, str(example.end)) == (
            "direct_identifier",
            "email",
            "file/releases/retail/customers:email",
        )
        assert len(example.edges) == len(events)
        assert "DIRECT TRANSFORMATION, not masking" in str(example)

    def test_free_text_must_be_masked_as_well(self, events: list[Json]) -> None:
        """Free text counts as an identifier: anything may be in it."""
        _unmask("notes")(events)

        assert "free_text" in {example.why for example in prove(events).counterexamples}

    def test_missing_masking_masks_nothing(self, events: list[Json]) -> None:
        """A transformation that does not say whether it masks does not."""
        for number in range(len(events)):
            for told in _transformations(_facets(events, number), "card"):
                told.pop("masking")

        assert ("card", "card") in _ends(prove(events))

    def test_edge_without_transformation_masks_nothing(self, events: list[Json]) -> None:
        """An edge that says nothing of itself is taken for a copy."""
        for number in range(len(events)):
            facets = _facets(events, number)
            for item in facets["columnLineage"]["fields"]["card"]["inputFields"]:
                item.pop("transformations")
            for item in facets["lineage"]["fields"]["card"]["inputs"]:
                item.pop("transformations")

        assert ("card", "card") in _ends(prove(events))

    def test_identity_masks_nothing(self, events: list[Json]) -> None:
        """An identity that claims to mask contradicts itself."""
        for number in range(len(events)):
            for told in _transformations(_facets(events, number), "email"):
                told |= {"subtype": "IDENTITY", "masking": True}

        assert ("email", "email") in _ends(prove(events))

    def test_planted_path_is_found(self, events: list[Json]) -> None:
        """One more input of one column, told by both facets, is a way out."""
        source = events[0]["inputs"][0]
        planted = {"namespace": source["namespace"], "name": source["name"], "field": "name"}
        copied = [{"type": "DIRECT", "subtype": "IDENTITY", "masking": False}]
        facets = _facets(events, 0)
        facets["columnLineage"]["fields"]["country"]["inputFields"].append(
            planted | {"transformations": copied}
        )
        facets["lineage"]["fields"]["country"]["inputs"].append(
            planted | {"type": "DATASET", "transformations": copied}
        )

        assert _ends(prove(events)) == {("name", "country")}

    def test_kept_identifier_is_a_counterexample(self, tmp_path: Path) -> None:
        """A policy that keeps an identifier is not proved, whatever reason it gives."""
        plan = make_plan(
            tmp_path, POLICY.replace("country: {class: none", "country: {class: direct_identifier")
        )
        proof = prove([event(record) for record in fused_records(plan)])

        assert ("country", "country") in _ends(proof)

    def test_filter_by_an_identifier_is_a_counterexample(self, tmp_path: Path) -> None:
        """Who knows the condition learns of the value in every row that left."""
        plan = make_plan(tmp_path, POLICY.replace("country ==", "name =="))
        proof = prove([event(record) for record in fused_records(plan)])

        assert _ends(proof) == {("name", None)}

    def test_presence_of_an_identifier_may_decide(self, tmp_path: Path) -> None:
        """Dropping the rows that are nobody's tells nothing of who the others are."""
        plan = make_plan(tmp_path, POLICY.replace("country == 'PLANTED_COUNTRY'", "name is not null"))

        assert prove([event(record) for record in fused_records(plan)]).holds

    def test_detokenized_column_begins_a_path(self, plan: Plan) -> None:
        """What is turned back is an identifier again; publishing it is a counterexample."""
        made, published = fused_records(plan)
        back = of_detokenizing(published, DatasetIdentity("file", "/secret/back"), columns=["email"])
        again = of_copy(back, DatasetIdentity("file", "/releases/again"), stage="publish")

        assert prove(map(event, [made, published, back])).holds
        assert ("email", "email") in _ends(prove(map(event, [made, published, back, again])))

    def test_unclassified_source_counts_as_an_identifier(self, events: list[Json]) -> None:
        """A column of which nobody says what it is may be anything."""
        for told in events:
            for dataset in (*told["inputs"], *told["outputs"]):
                tags = dataset["facets"]["tags"]["tags"]
                tags[:] = [tag for tag in tags if tag["field"] != "country"]

        assert {example.why for example in prove(events).counterexamples} == {"unclassified"}

    def test_release_whose_making_is_not_told_is_a_counterexample(self, plan: Plan) -> None:
        """Of a publication alone, nobody knows how its columns were masked."""
        proof = prove([event(fused_records(plan)[-1])])

        assert "treated, but how is not told" in {example.why for example in proof.counterexamples}

    def test_roll_back_alone_explains_nothing(self, plan: Plan) -> None:
        """A column that is made of itself alone is not explained by that."""
        back = of_copy(fused_records(plan)[-1], RELEASE, stage="rollback")

        assert not prove([event(back)]).holds


def _forget(facet: str) -> Edit:
    def edit(events: list[Json]) -> None:
        del _facets(events, 0)[facet]

    return edit


def _forget_column(events: list[Json]) -> None:
    facets = _facets(events, 0)
    del facets["columnLineage"]["fields"]["country"]
    del facets["lineage"]["fields"]["country"]


def _differ(events: list[Json]) -> None:
    _facets(events, 0)["columnLineage"]["fields"]["country"]["inputFields"][0]["transformations"][0][
        "type"
    ] = "INDIRECT"


def _differ_on_rows(events: list[Json]) -> None:
    del _facets(events, 0)["columnLineage"]["dataset"]


def _no_schema(events: list[Json]) -> None:
    facets = _facets(events, 0)
    del facets["schema"]
    facets["veil_privacy"]["columns"] = []


def _malformed(events: list[Json]) -> None:
    events.append({"outputs": ["a string"]})


def _nothing_published(events: list[Json]) -> None:
    events.pop()


class TestGaps:
    @pytest.mark.parametrize(
        ("edit", "gap"),
        [
            (_forget("columnLineage"), "has no entry in `columnLineage`"),
            (_forget("lineage"), "has no entry in `lineage`"),
            (_forget_column, "column country has no entry in `lineage`"),
            (_differ, "differ on column country"),
            (_differ_on_rows, "differ on the rows"),
            (_no_schema, "its columns are not told"),
            (_malformed, "1 events are malformed"),
            (_nothing_published, "no event publishes a data set"),
        ],
        ids=[
            "no columnLineage",
            "no lineage",
            "no column",
            "differ",
            "rows differ",
            "no schema",
            "malformed",
            "none",
        ],
    )
    def test_what_is_not_told_cannot_be_proved(self, events: list[Json], edit: Edit, gap: str) -> None:
        """Lineage that is missing or contradicts itself fails the proof, and says where."""
        edit(events)
        proof = prove(events)

        assert not proof.holds
        assert any(gap in told for told in proof.gaps)

    def test_nothing_proves_nothing(self) -> None:
        """No events, no proof."""
        assert not prove([]).holds

    def test_later_event_does_not_fill_a_gap(self, events: list[Json]) -> None:
        """A run that tells nothing is not excused by one that did."""
        silent = copy.deepcopy(events)
        _forget_column(silent)

        assert not prove([*events, *silent]).holds


class TestFiles:
    def test_lines_of_several_files_are_one_proof(self, tmp_path: Path, plan: Plan) -> None:
        """Tasks may write to several files; together they tell the whole way."""
        paths = []
        for number, record in enumerate(stepwise_records(plan)):
            path = tmp_path / f"{number}.jsonl"
            path.write_text(json.dumps(event(record)) + "\n\n")
            paths.append(path)

        assert prove_files(paths).holds

    def test_torn_line_is_an_error_without_its_text(self, tmp_path: Path) -> None:
        """A line that is no event stops the proof; its text is not shown."""
        path = tmp_path / "lineage.jsonl"
        path.write_text('{}\n{"eventType": "PLANTED')

        with pytest.raises(StorageError, match=r"lineage\.jsonl:2") as raised:
            prove_files([path])
        assert "PLANTED" not in str(raised.value)
        assert raised.value.__cause__ is None

    def test_missing_file_is_an_error(self, tmp_path: Path) -> None:
        """No file, no proof."""
        with pytest.raises(StorageError, match="FileNotFoundError"):
            prove_files([tmp_path / "none.jsonl"])


class TestScale:
    def test_many_nights_stay_provable(self, plan: Plan) -> None:
        """Each night stages under new names; the walk visits what it reaches, not all pairs."""
        made, _ = fused_records(plan)
        nights = []
        for night in range(200):
            output = replace(made.about, identity=DatasetIdentity("file", f"/staging/{night}"))
            record = replace(made, output=output)
            nights += [event(record), event(of_copy(record, RELEASE, stage="publish", version=str(night)))]

        assert prove(nights).holds
