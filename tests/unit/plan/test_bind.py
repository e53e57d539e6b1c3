"""Binding a policy to a schema: whatever does not fit is found before a row is read."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.plan.bind import bind, subject_root
from airflow_veil.privacy.plan.plan import Plan
from airflow_veil.privacy.policy.load import LoadedPolicy, load

POLICY = """\
version: 1
name: shop
owner: data@example.com
keys: {file: ring.json}
datasets:
  customers:
    source: customers.parquet
    subject: id
    columns:
      name: {class: direct_identifier, treat: drop}
      email: {class: direct_identifier, type: string, treat: {token: {domain: email}}}
      id: {class: direct_identifier, treat: {token: {domain: customer}}}
      joined: {class: quasi_identifier, type: date, treat: {date_shift: {max_days: 30}}}
      born: {class: quasi_identifier, type: date, treat: {generalize: {to: year}}}
      notes: {class: free_text, treat: {redact: {names_from: [name]}}}
"""

SCHEMA = pa.schema(
    {
        "id": pa.int64(),
        "name": pa.string(),
        "email": pa.string(),
        "joined": pa.date32(),
        "born": pa.date32(),
        "notes": pa.string(),
    }
)


def _load(folder: Path, text: str) -> LoadedPolicy:
    path = folder / "policy.yaml"
    path.write_text(text)
    return load(path)


def _bind(folder: Path, schema: pa.Schema = SCHEMA, text: str = POLICY, **options: object) -> Plan:
    return bind(_load(folder, text), "customers", schema, **options)  # type: ignore[arg-type]


def _replaced(name: str, kind: pa.DataType) -> pa.Schema:
    return SCHEMA.set(SCHEMA.get_field_index(name), pa.field(name, kind))


class TestBind:
    def test_columns_come_in_the_source_s_order(self, tmp_path: Path) -> None:
        """The release has its columns as the source has them, whatever the order in the policy."""
        assert [column.name for column in _bind(tmp_path).columns] == SCHEMA.names

    def test_a_column_says_what_becomes_of_it(self, tmp_path: Path) -> None:
        """Types, inputs and domain are settled from the schema alone."""
        plan = _bind(tmp_path)

        assert plan.column("notes").inputs == ("name",)
        assert plan.column("joined").inputs == ("id",)
        assert plan.column("joined").key_domain == "customers.id"
        assert plan.column("email").key_domain == "email"
        assert plan.column("name").output_type is None
        assert plan.column("id").output_type == pa.string()

    def test_relative_files_start_at_the_policy_s_folder(self, tmp_path: Path) -> None:
        """Hierarchies are found beside the policy, wherever the process runs."""
        assert _bind(tmp_path).root == tmp_path.resolve()

    def test_keyed_columns_get_the_version(self, tmp_path: Path) -> None:
        """The version that new values are made with is fixed in the plan, for keyed columns only."""
        plan = _bind(tmp_path, key_version=3)

        assert {column.name for column in plan.columns if column.key_version == 3} == {
            "id",
            "email",
            "joined",
        }
        assert plan.key_versions == (3,)

    def test_a_keyed_filter_gets_the_version(self, tmp_path: Path) -> None:
        """A key rotated between two tables of a release must not draw other people in the second."""
        sampled = POLICY.replace("    subject: id\n", "    subject: id\n    sample: {fraction: 0.5}\n")

        assert _bind(tmp_path, text=sampled, key_version=3).row_binding(None).key_version == 3
        assert _bind(tmp_path, text=sampled, key_version=3).row_key_version == 3
        assert _bind(tmp_path, key_version=3).row_key_version is None

    def test_an_unknown_data_set_names_the_known(self, tmp_path: Path) -> None:
        """A data set that is not there is told with those that are."""
        with pytest.raises(SchemaError, match=r"has no data set orders\. Expected: one of customers"):
            bind(_load(tmp_path, POLICY), "orders", SCHEMA)


class TestColumns:
    def test_a_missing_column_is_an_error(self, tmp_path: Path) -> None:
        """What the policy names must be there."""
        with pytest.raises(SchemaError, match="column born is not in the source"):
            _bind(tmp_path, SCHEMA.remove(SCHEMA.get_field_index("born")))

    def test_all_problems_are_told_at_once(self, tmp_path: Path) -> None:
        """One run shows everything that has to be mended."""
        with pytest.raises(
            SchemaError, match="column born is not in the source; column notes is not"
        ) as caught:
            _bind(tmp_path, pa.schema([SCHEMA.field(i) for i in range(4)]))

        assert "policy.yaml, data set customers" in str(caught.value)

    def test_a_new_column_is_dropped_and_reported(self, tmp_path: Path) -> None:
        """By default what is not named stays behind, and the plan says so."""
        plan = _bind(tmp_path, SCHEMA.append(pa.field("shoe_size", pa.int8())))

        assert plan.unnamed == ("shoe_size",)
        assert plan.dropped == ("name", "shoe_size")
        assert "shoe_size" not in plan.output_schema.names

    def test_a_new_column_fails_where_the_policy_says_so(self, tmp_path: Path) -> None:
        """`on_new_column: fail` stops the run and names the columns."""
        strict = POLICY.replace("    subject: id\n", "    subject: id\n    on_new_column: fail\n")
        wider = SCHEMA.append(pa.field("shoe_size", pa.int8())).append(pa.field("hat_size", pa.int8()))

        with pytest.raises(SchemaError, match="the policy does not name: shoe_size, hat_size"):
            _bind(tmp_path, wider, strict)
        assert _bind(tmp_path, SCHEMA, strict).unnamed == ()

    def test_a_doubled_column_is_an_error(self, tmp_path: Path) -> None:
        """Of two columns with one name nobody knows which is meant."""
        with pytest.raises(SchemaError, match="more than one column named email"):
            _bind(tmp_path, SCHEMA.append(pa.field("email", pa.string())))

    def test_a_reserved_name_is_an_error(self, tmp_path: Path) -> None:
        """A source cannot pass a column off as one that staged tables carry."""
        with pytest.raises(SchemaError, match="column __veil_raw_name begins with `__veil_`"):
            _bind(tmp_path, SCHEMA.append(pa.field("__veil_raw_name", pa.string())))

    def test_a_release_of_nothing_is_an_error(self, tmp_path: Path) -> None:
        """A policy that drops every column has nothing to release."""
        nothing = POLICY.partition("      name:")[0] + "      id: {class: direct_identifier, treat: drop}\n"

        with pytest.raises(SchemaError, match="nothing to release"):
            _bind(tmp_path, SCHEMA, nothing)


class TestTypes:
    def test_another_type_than_declared_is_an_error(self, tmp_path: Path) -> None:
        """A declared type is a promise of the source."""
        with pytest.raises(SchemaError, match="column email is int64, the policy declares string"):
            _bind(tmp_path, _replaced("email", pa.int64()))

    @pytest.mark.parametrize(
        "kind",
        [
            pytest.param(pa.large_string(), id="wide-offsets"),
            pytest.param(pa.dictionary(pa.int32(), pa.string()), id="dictionary"),
        ],
    )
    def test_storage_is_not_type(self, tmp_path: Path, kind: pa.DataType) -> None:
        """How a source stores text does not break a declared type."""
        assert _bind(tmp_path, _replaced("email", kind)).column("email").source_type == kind

    def test_a_type_that_the_treatment_cannot_take_is_an_error(self, tmp_path: Path) -> None:
        """Undeclared types are checked against the treatment."""
        with pytest.raises(SchemaError, match="column notes is int64, which `redact` cannot take"):
            _bind(tmp_path, _replaced("notes", pa.int64()))

    def test_a_type_that_changed_since_the_last_release_is_an_error(self, tmp_path: Path) -> None:
        """Text that becomes a number overnight is looked at by someone before it is released."""
        with pytest.raises(SchemaError, match="column id is string, at the last release it was int64"):
            _bind(tmp_path, _replaced("id", pa.string()), previous={"id": "int64"})

    def test_the_same_type_as_before_is_fine(self, tmp_path: Path) -> None:
        """Columns that were not released before, and those that did not change, pass."""
        assert _bind(tmp_path, previous={"id": "int64", "gone": "string"}).columns

    def test_a_change_that_the_policy_declares_is_fine(self, tmp_path: Path) -> None:
        """A reviewed type in the policy wins over what was released before."""
        assert _bind(tmp_path, previous={"email": "int64"}).columns


class TestReads:
    def test_an_unnamed_input_is_an_error(self, tmp_path: Path) -> None:
        """A treatment reads named columns only, so that someone decided what they are."""
        unnamed = POLICY.replace("names_from: [name]", "names_from: [nickname]")

        with pytest.raises(SchemaError, match="`redact` reads nickname, which the policy does not name"):
            _bind(tmp_path, SCHEMA.append(pa.field("nickname", pa.string())), unnamed)

    def test_an_unnamed_filter_column_is_an_error(self, tmp_path: Path) -> None:
        """A row filter reads named columns only."""
        filtered = POLICY.replace("    subject: id\n", "    subject: id\n    where: shoe_size > 3\n")

        with pytest.raises(SchemaError, match="`where` reads shoe_size, which the policy does not name"):
            _bind(tmp_path, SCHEMA.append(pa.field("shoe_size", pa.int8())), filtered)

    def test_an_unnamed_subject_is_an_error(self, tmp_path: Path) -> None:
        """Whose data a row is must be a named column, though it may be dropped."""
        with pytest.raises(SchemaError, match="`subject` reads person, which the policy does not name"):
            _bind(tmp_path, text=POLICY.replace("subject: id", "subject: person"))


def _shop(**subjects: str) -> str:
    """A policy of data sets with one column `id` and the subjects given, as YAML."""
    lines = ["version: 1", "name: shop", "owner: data@example.com", "datasets:"]
    for name, subject in subjects.items():
        lines += [f"  {name}:", f"    source: {name}.parquet", f"    subject: {subject}"]
        lines += ["    columns:", "      id: {class: none, treat: keep}"]
    return "\n".join(lines)


class TestSubjectRoot:
    @pytest.mark.parametrize(
        ("subjects", "root"),
        [
            pytest.param({"a": "id"}, "a.id", id="itself"),
            pytest.param({"a": "{column: id, references: b.id}", "b": "id"}, "b.id", id="one-step"),
            pytest.param(
                {"a": "{column: id, references: b.id}", "b": "{column: id, references: c.id}", "c": "id"},
                "c.id",
                id="two-steps",
            ),
            pytest.param(
                {"a": "{column: id, references: b.other}", "b": "id"}, "b.other", id="not-the-subject"
            ),
            pytest.param({"a": "{none: these are machines}"}, "", id="nobody"),
            pytest.param(
                {"a": "{column: id, references: b.id}", "b": "{none: a list of codes}"},
                "b.id",
                id="to-nobody",
            ),
        ],
    )
    def test_references_end_at_one_name(self, tmp_path: Path, subjects: dict[str, str], root: str) -> None:
        """All tables about the same people have one root."""
        assert subject_root(_load(tmp_path, _shop(**subjects)).policy, "a") == root

    @pytest.mark.parametrize(
        "subjects",
        [
            pytest.param({"a": "{column: id, references: a.id}"}, id="itself"),
            pytest.param(
                {"a": "{column: id, references: b.id}", "b": "{column: id, references: a.id}"}, id="pair"
            ),
            pytest.param(
                {
                    "a": "{column: id, references: b.id}",
                    "b": "{column: id, references: c.id}",
                    "c": "{column: id, references: b.id}",
                },
                id="further-on",
            ),
        ],
    )
    def test_a_circle_is_an_error(self, tmp_path: Path, subjects: dict[str, str]) -> None:
        """References without an end name no population."""
        with pytest.raises(SchemaError, match="circle"):
            subject_root(_load(tmp_path, _shop(**subjects)).policy, "a")

    def test_a_reference_to_nowhere_is_an_error(self, tmp_path: Path) -> None:
        """A misspelt reference must not quietly become a key domain of its own."""
        text = _shop(a="{column: id, references: customers.id}", b="id")

        with pytest.raises(
            SchemaError, match=r"data set a: .* no data set customers\. Expected: one of a, b"
        ):
            subject_root(_load(tmp_path, text).policy, "a")
