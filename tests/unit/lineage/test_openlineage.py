"""What is emitted fits the specification, and both lineage facets say the same."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest
from tests.unit.lineage.cases import RELEASE, RUNS, SOURCE, event, fused_records, staged

from airflow_veil.privacy.lineage import openlineage
from airflow_veil.privacy.lineage.record import Assertion, of_copy, of_reading, of_stage
from airflow_veil.privacy.plan.plan import Plan
from airflow_veil.privacy.plan.stage import fused


def _output(told: dict[str, Any]) -> dict[str, Any]:
    (output,) = told["outputs"]
    return output


def _untyped(item: dict[str, Any]) -> dict[str, Any]:
    """An input of the newer facet, without the word that the older one lacks."""
    return {key: value for key, value in item.items() if key != "type"}


class TestEvents:
    @pytest.mark.parametrize("run", RUNS)
    @pytest.mark.parametrize("kind", ["START", "COMPLETE", "FAIL"])
    def test_events_validate(self, plan: Plan, schemas: ModuleType, run: str, kind: str) -> None:
        """Every event fits the core schema, and every facet its own."""
        for record in RUNS[run](plan):
            assert schemas.event_errors(event(record, kind=kind)) == []

    def test_start_validates_without_counts(self, plan: Plan, schemas: ModuleType) -> None:
        """Before the run there are no statistics, rather than wrong ones."""
        told = event(of_stage(fused(plan), SOURCE, staged("fused")), kind="START")

        assert schemas.event_errors(told) == []
        assert "outputStatistics" not in _output(told)["outputFacets"]

    def test_reading_validates(self, plan: Plan, schemas: ModuleType) -> None:
        """Validation tells of its input: the assertions, and whose data it was."""
        checked = [
            Assertion(name="unique", column="email", success=True),
            Assertion(name="rows", success=False),
        ]
        told = event(of_reading(fused_records(plan)[0], assertions=checked))

        assert schemas.event_errors(told) == []
        assert told["outputs"] == []
        assert told["inputs"][0]["facets"][openlineage.FACET]["stage"] == "validate"
        assert told["inputs"][0]["inputFacets"]["dataQualityAssertions"]["assertions"] == [
            {"assertion": "unique", "column": "email", "success": True, "params": {}},
            {"assertion": "rows", "success": False, "params": {}},
        ]


class TestValidator:
    """The validator itself can fail; else the tests above would prove nothing."""

    @pytest.mark.parametrize(
        ("place", "wrong"),
        [
            (("outputs", 0, "facets", "columnLineage", "fields", "email", "inputFields", 0, "field"), 7),
            (("outputs", 0, "facets", "lineage", "fields", "email", "inputs", 0, "type"), "JOB?"),
            (("outputs", 0, "facets", "veil_privacy", "policyDigest"), "not hex"),
            (("outputs", 0, "facets", "veil_privacy", "surprise"), "unknown word"),
            (("outputs", 0, "facets", "veil_privacy", "_producer"), "no uri"),
            (("outputs", 0, "outputFacets", "outputStatistics", "rowCount"), "seven"),
        ],
        ids=lambda value: str(value[-1]) if isinstance(value, tuple) else None,
    )
    def test_wrong_event_is_refused(
        self, plan: Plan, schemas: ModuleType, place: tuple[str | int, ...], wrong: object
    ) -> None:
        """A wrong word anywhere in an event or a facet is found."""
        told = event(fused_records(plan)[0])
        holder: Any = told
        for key in place[:-1]:
            holder = holder[key]
        holder[place[-1]] = wrong

        assert schemas.event_errors(told)

    def test_run_event_without_a_run_is_refused(self, plan: Plan, schemas: ModuleType) -> None:
        """The top of the core schema would let it pass as an event of another kind."""
        told = event(fused_records(plan)[0])
        del told["run"]

        assert schemas.errors(told, "https://openlineage.io/spec/2-0-2/OpenLineage.json") == []
        assert schemas.event_errors(told)

    def test_spec_s_own_samples_validate(self, schemas: ModuleType) -> None:
        """The specification's own good samples pass, so the registry is whole."""
        samples = sorted((schemas.spec_folder() / "tests" / "LineageFacet").glob("*.json"))

        assert samples
        for sample in samples:
            facet = json.loads(sample.read_text())["lineage"]
            assert schemas.errors(facet, facet["_schemaURL"]) == []


class TestLineageFacets:
    @pytest.mark.parametrize("run", RUNS)
    def test_both_facets_are_equal(self, plan: Plan, run: str) -> None:
        """The old and the new lineage facet tell the same edges, a column and the rows alike."""
        for record in RUNS[run](plan):
            facets = _output(event(record))["facets"]
            fields = facets["lineage"]["fields"]
            old = {name: entry["inputFields"] for name, entry in facets["columnLineage"]["fields"].items()}
            new = {name: [_untyped(item) for item in entry["inputs"]] for name, entry in fields.items()}
            rows = [_untyped(item) for item in facets["lineage"]["inputs"] if "field" in item]

            assert old == new
            assert facets["columnLineage"]["dataset"] == rows

    def test_every_output_column_has_an_entry(self, plan: Plan) -> None:
        """No column of the output is left unexplained, and none that is not in it is explained."""
        facets = _output(event(fused_records(plan)[0]))["facets"]
        names = [field["name"] for field in facets["schema"]["fields"]]

        assert list(facets["columnLineage"]["fields"]) == names
        assert list(facets["lineage"]["fields"]) == names

    def test_older_consumers_read_what_masks(self, plan: Plan) -> None:
        """The deprecated type says MASKED or IDENTITY where it is one of them, else nothing."""
        fields = _output(event(fused_records(plan)[0]))["facets"]["columnLineage"]["fields"]

        assert fields["email"]["transformationType"] == "MASKED"
        assert fields["country"]["transformationType"] == "IDENTITY"


class TestTags:
    def test_raw_columns_bear_their_class_and_masked_ones_their_origin(self, plan: Plan) -> None:
        """A class is a fact of the raw column; what was masked only comes from it."""
        told = event(fused_records(plan)[0])

        def tags(dataset: dict[str, Any]) -> dict[str, str]:
            return {
                tag["key"]: tag["value"]
                for tag in dataset["facets"]["tags"]["tags"]
                if tag["field"] == "email"
            }

        assert tags(told["inputs"][0]) == {
            "veil.class": "direct_identifier",
            "veil.category": "user.contact.email",
        }
        assert tags(_output(told)) == {
            "veil.origin": "direct_identifier",
            "veil.category": "user.contact.email",
            "veil.treatment": "token",
        }

    def test_treated_column_that_shows_bears_its_class(self, plan: Plan) -> None:
        """Relative noise leaves a zero as it is: treated, but still what it was."""
        told = _output(event(fused_records(plan)[0]))["facets"]["tags"]["tags"]

        assert {tag["key"]: tag["value"] for tag in told if tag["field"] == "income"} == {
            "veil.class": "sensitive",
            "veil.treatment": "noise",
        }


class TestPrivacyFacet:
    def test_facet_tells_what_the_standard_lacks(self, plan: Plan) -> None:
        """Dropped columns, technique, key version, digests and rows."""
        facet = _output(event(fused_records(plan)[0]))["facets"]["veil_privacy"]
        columns = {column["name"]: column for column in facet["columns"]}

        assert facet["_schemaURL"] == "urn:airflow-veil:facet:privacy:1"
        assert facet["dropped"] == [
            {"name": "name", "reason": "policy"},
            {"name": "unplanned", "reason": "unnamed"},
        ]
        assert (facet["policyDigest"], facet["planDigest"]) == (plan.policy_digest, plan.digest)
        assert (facet["rowsIn"], facet["rowsOut"], facet["keyVersions"]) == (10, 7, [2])
        assert columns["email"]["technique"] == "AES-SIV token (RFC 5297), domain email, key version 2"

    def test_only_a_publication_is_published(self, plan: Plan) -> None:
        """Staged data is not published; the release is, under its version."""
        made, published = (_output(event(record))["facets"] for record in fused_records(plan))

        assert (made["veil_privacy"]["published"], "version" in made) == (False, False)
        assert (published["veil_privacy"]["published"], published["version"]["datasetVersion"]) == (
            True,
            "r1",
        )


class TestNoValues:
    @pytest.mark.parametrize("run", RUNS)
    def test_no_parameter_reaches_an_event(self, plan: Plan, run: str) -> None:
        """Constants and literals of `where` are values, and values do not reach lineage."""
        assert "PLANTED" not in json.dumps([event(record) for record in RUNS[run](plan)])


class TestRedaction:
    def test_airflow_s_redaction_leaves_lineage_whole(self, plan: Plan, schemas: ModuleType) -> None:
        """Airflow hides what stands under a key that sounds like a secret; column names are no secrets."""
        from airflow.providers.openlineage.utils.utils import OpenLineageRedactor
        from openlineage.client.serde import Serde

        record = of_copy(fused_records(plan)[0], RELEASE, stage="publish")
        (before,), (after,) = openlineage.outputs(record), openlineage.outputs(record)
        redacted = OpenLineageRedactor().redact(after, max_depth=20)

        assert Serde.to_dict(redacted) == Serde.to_dict(before)
