"""What was erased stays erased, though upstream sends it again."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest
from tests.unit.erasure.music import ACTOR, CANARY, POLICY, QUERIES, Music, night, subjects, tables
from typer.testing import CliRunner

from airflow_veil.cli.main import app
from airflow_veil.privacy.erasure.judged import Judged
from airflow_veil.privacy.erasure.subjects import Subjects
from airflow_veil.privacy.erasure.suppressing import Suppressing, left_out, suppressing
from airflow_veil.privacy.erasure.suppression import Suppression, hashes_of, suppression_of
from airflow_veil.privacy.errors import ErasureError, KeyRingError, SchemaError, TransformError
from airflow_veil.privacy.keys.ring import KeyRing
from airflow_veil.privacy.ledger.suppression import Suppressed
from airflow_veil.privacy.release import dp_release
from airflow_veil.privacy.release.detokenize import detokenize
from airflow_veil.privacy.transforms.canonical import canonical

ERASED = [3, 8]
PEOPLE = subjects(
    customers__CustomerId=["3", "8"],
    customers__Email=[f"{CANARY}3@example.org", f"{CANARY}8@example.org"],
    invoices__InvoiceId=["104", "114", "105", "115"],
)
"""Customers 3 and 8 with all that leads to their rows."""
DOMAIN = "customers.CustomerId"
REASON = "Support case 4711: the customer asked us to call back"


def no_ring(_: str) -> KeyRing:
    """A key ring that must not be opened."""
    raise AssertionError("the key ring was opened")


def listed(ring: KeyRing, values: pa.Array, *, version: int = 1) -> Suppression:
    """A list of some values."""
    texts = canonical(values, where="test")
    hashes = {digest.hex(): "r1" for digest in hashes_of(texts, ring, DOMAIN, version).to_pylist()}
    return Suppression(Suppressed({DOMAIN: {version: hashes}}), lambda: ring)


def without(table: pa.Table, column: str, gone: list[Any]) -> pa.Table:
    """A table without the rows that have some values; nulls stay."""
    mask = pc.fill_null(pc.is_in(table[column], pa.array(gone, table[column].type)), fill_value=False)
    return table.filter(pc.invert(mask))


@pytest.fixture
def erased(music: Music) -> Music:
    """Customers 3 and 8 were erased, and upstream sends them again."""
    music.erase(PEOPLE)
    return music


class TestSuppress:
    def test_keeps_keyed_hashes_of_all_values(self, music: Music) -> None:
        """Each domain under a key of its own; the request of each value; nothing raw, and no plain hash."""
        assert music.erase(PEOPLE) == 8
        found = music.ledger.suppression.of("music")
        ring = music.keys.load()

        assert {domain: len(versions[1]) for domain, versions in found.domains.items()} == {
            DOMAIN: 2,
            "customers.Email": 2,
            "invoices.InvoiceId": 4,
        }
        expected = hashes_of(pa.array(["3", "8"]), ring, DOMAIN, 1).to_pylist()
        assert found.of(DOMAIN)[1] == {expected[0].hex(): "r1", expected[1].hex(): "r2"}
        assert hashes_of(pa.array(["3"]), ring, "invoices.InvoiceId", 1)[0].as_py() != expected[0]
        assert CANARY.encode() not in (music.path / "home" / "ledger.db").read_bytes()

    def test_again_is_the_same(self, erased: Music) -> None:
        """A retry adds nothing."""
        before = erased.ledger.suppression.of("music")

        assert erased.erase(PEOPLE) == 0
        assert erased.ledger.suppression.of("music") == before

    def test_nobody_opens_no_key_ring(self, music: Music) -> None:
        """Without values there is nothing to hash."""
        music.keys.path.unlink()

        assert music.erase(Subjects()) == 0

    def test_a_value_that_is_nobodys_is_an_error(self, music: Music) -> None:
        """Owners are numbers of the batch's requests."""
        with pytest.raises(ErasureError, match="none of the requests"):
            music.erase(PEOPLE, requests=("r1",))
        assert not music.ledger.suppression.of("music")


class TestMask:
    """`Suppression.mask`."""

    @pytest.mark.parametrize(
        "column",
        [
            pa.array([3, None, 4, 8, 3], pa.int64()),
            pa.array([3, None, 4, 8, 3], pa.int16()),
            pa.array([3, None, 4, 8, 3], pa.uint64()),
            pa.array([3.0, None, 4.0, 8.0, 3.0]),
            pa.array(["3", None, "4", "8", "3"]),
            pa.array(["3", None, "4", "8", "3"], pa.large_string()),
            pa.array(["3", None, "4", "8", "3"]).dictionary_encode(),
            pa.array([3, None, 4, 8, 3]).dictionary_encode().cast(pa.dictionary(pa.uint8(), pa.int64())),
        ],
        ids=lambda column: str(column.type),
    )
    def test_a_number_is_the_same_person_in_all_types(self, column: pa.Array) -> None:
        """As integers, floats, text and dictionaries; nulls name nobody; a slice is what it shows."""
        suppression = listed(KeyRing.generate(), pa.array([3, 8]))

        assert suppression.mask(column, DOMAIN).tolist() == [True, False, False, True, True]
        assert suppression.mask(column[1:4], DOMAIN).tolist() == [False, False, True]

    def test_spelling_counts(self) -> None:
        """What is written "007" is not the number 7, nor is one address another in capitals."""
        suppression = listed(KeyRing.generate(), pa.array(["7", "a@example.org"]))
        column = pa.array(["007", "7", "A@example.org", "a@example.org", "7 ", ""])

        assert suppression.mask(column, DOMAIN).tolist() == [False, True, False, True, False, False]

    def test_another_domain(self) -> None:
        """A number of one table says nothing of the same number in another."""
        suppression = listed(KeyRing.generate(), pa.array([3]))

        assert not suppression.mask(pa.array([3]), "invoices.InvoiceId").any()

    @pytest.mark.parametrize("rows", [0, 3])
    def test_nulls_open_no_key_ring(self, rows: int) -> None:
        """Nothing is hashed where nobody is named."""
        suppression = Suppression(Suppressed({DOMAIN: {1: {"ab" * 32: "r1"}}}), lambda: no_ring(""))

        assert not suppression.mask(pa.nulls(rows, pa.int64()), DOMAIN).any()

    def test_two_versions(self) -> None:
        """Who was erased before a rotation, and who after it."""
        old = KeyRing.generate()
        new = old.rotate()
        first = listed(old, pa.array([3])).suppressed.of(DOMAIN)[1]
        second = listed(new, pa.array([8]), version=2).suppressed.of(DOMAIN)[2]
        suppression = Suppression(Suppressed({DOMAIN: {1: first, 2: second}}), lambda: new)

        assert suppression.mask(pa.array([3, 4, 8]), DOMAIN).tolist() == [True, False, True]

    @pytest.mark.parametrize("ring", ["destroyed", "other"])
    def test_a_key_that_is_gone_is_an_error(self, ring: str) -> None:
        """Nobody is let through because they could not be looked up."""
        before = KeyRing.generate().rotate()
        suppressed = listed(before, pa.array([3]), version=2 if ring == "other" else 1).suppressed
        now = before.destroy(1) if ring == "destroyed" else KeyRing.generate()
        suppression = Suppression(suppressed, lambda: now)

        for look in (lambda: suppression.mask(pa.array([3]), DOMAIN), lambda: suppression.ready(DOMAIN)):
            with pytest.raises(KeyRingError, match="suppression list needs it"):
                look()

    def test_what_cannot_be_spelled_is_an_error(self) -> None:
        """Half a number names nobody, and tells that the column is not what it was."""
        with pytest.raises(TransformError):
            listed(KeyRing.generate(), pa.array([3])).mask(pa.array([3.5]), DOMAIN)

    def test_many_batches(self) -> None:
        """Values that come again are remembered rightly, also beyond what is kept, in any order."""
        ring, draw = KeyRing.generate(), np.random.default_rng(7)
        gone = draw.choice(50_000, 500, replace=False)
        suppression = listed(ring, pa.array(gone))

        for _ in range(8):
            column = draw.integers(0, 50_000, 20_000)
            assert (suppression.mask(pa.array(column), DOMAIN) == np.isin(column, gone)).all()

    def test_shows_no_value(self) -> None:
        """Neither the list nor what it remembers has a text with values."""
        suppression = listed(KeyRing.generate(), pa.array([CANARY]))
        suppression.mask(pa.array([CANARY, f"{CANARY}2"]), DOMAIN)

        assert CANARY not in repr(suppression)


class TestJudged:
    def test_gives_up_where_values_do_not_come_again(self) -> None:
        """A column of names that each stand once is judged as it comes, and not kept for ever."""
        judged, asked = Judged(), []

        def judge(values: pa.Array) -> np.ndarray:
            asked.append(len(values))
            return np.asarray(pc.equal(pc.bit_wise_and(values, 7), 0))

        for batch in range(8):
            numbers = np.arange(batch << 16, (batch + 1) << 16)
            assert (judged(pa.array(numbers), judge) == (numbers & 7 == 0)).all()
        assert sum(asked) == 8 << 16
        assert repr(judged) == f"Judged({1 << 18} values)"

    def test_asks_once_for_what_comes_again(self) -> None:
        """Both verdicts are remembered."""
        judged, asked = Judged(), []

        def judge(values: pa.Array) -> np.ndarray:
            asked.extend(values.to_pylist())
            return np.asarray(pc.equal(values, "b"))

        for _ in range(3):
            assert judged(pa.array(["a", "b", None]), judge).tolist()[:2] == [False, True]
        assert sorted(filter(None, asked)) == ["a", "b"]


def _both(test: Any) -> Any:
    return pytest.mark.parametrize("steps", [False, True], ids=["fused", "stepwise"])(test)


class TestRelease:
    @_both
    def test_leaves_erased_people_out(self, erased: Music, steps: bool) -> None:
        """Their rows are not released, all others are what they would be; multi-hop, text and null subjects, too."""
        erased.write(
            POLICY.replace("treat: {token: {domain: customer}}", 'treat: keep, unsafe_reason: "for the test"')
        )
        for name in tables():
            erased.release(name, steps=steps)
        sources = tables()

        assert erased.current("customers")["CustomerId"].equals(
            without(sources["customers"], "CustomerId", ERASED)["CustomerId"]
        )
        invoices = without(sources["invoices"], "CustomerId", ERASED).drop_columns(["CustomerId"])
        assert erased.current("invoices").equals(invoices)
        # Lines have no customer: they are found by invoices.
        lines = without(sources["lines"], "InvoiceId", [104, 105, 114, 115]).drop_columns(["InvoiceId"])
        assert erased.current("lines").equals(lines)
        tickets = without(without(sources["tickets"], "customer", ["3", "8"]), "author", ["3"])
        assert erased.current("tickets")["ticket"].equals(tickets["ticket"])
        assert None in tickets["customer"].to_pylist()

    def test_fused_and_stepwise_are_equal(self, erased: Music) -> None:
        """The same rows, the same tokens, the same counts."""
        erased.release("customers", 0)
        fused, told = erased.current("customers"), json.loads(erased.manifest("customers"))
        erased.release("customers", 1, steps=True)
        stepwise, again = erased.current("customers"), json.loads(erased.manifest("customers"))

        assert stepwise.equals(fused)
        assert told["suppressed_rows"] == again["suppressed_rows"] == 2
        assert told["counts_fused"]["dropped_rows"] == again["counts_minimize"]["dropped_rows"]
        assert "suppressed" not in again["counts_generalize"]["dropped_rows"]

    def test_others_are_what_they_were(self, music: Music) -> None:
        """A release after the erasure is the one before less the erased rows."""
        music.release("customers", 0)
        before = music.current("customers")
        music.erase(PEOPLE)
        music.release("customers", 1)

        keep = [number not in ERASED for number in tables()["customers"]["CustomerId"].to_pylist()]
        assert music.current("customers").equals(before.filter(pa.array(keep)))

    def test_cells_of_rows_that_are_also_somebody_elses_become_null(self, erased: Music) -> None:
        """Who referred a ticket is masked, as in the source; the row stays."""
        erased.release("tickets")
        table = {row["ticket"]: row for row in erased.current("tickets").to_pylist()}

        # Customer 3 referred ticket 4, customer 8 ticket 9, which customer 3 wrote.
        assert table[4] == {"ticket": 4, "referrer": None, "words": None}
        assert 9 not in table
        assert table[5] == {"ticket": 5, "referrer": "4", "words": f"{CANARY} words of 5"}
        assert json.loads(erased.manifest("tickets"))["suppressed_cells"] == 2

    @_both
    def test_tells_counts_and_nothing_else(
        self, erased: Music, steps: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Counts in the summary, the manifest, evidence and the reference, and they add up; no value anywhere."""
        caplog.set_level(logging.DEBUG)
        done = erased.release("lines", steps=steps)
        manifest = json.loads(erased.manifest("lines"))
        counts = manifest["counts_minimize" if steps else "counts_fused"]
        (published,) = [e for e in erased.ledger.evidence() if e.kind == "release.published"]

        assert "12 rows of erased people left out" in done[0].summary
        assert manifest["suppressed_rows"] == published.content["suppressed_rows"] == 12
        assert counts["dropped_rows"] == {"suppressed": 12}
        assert counts["rows_in"] - 12 == counts["rows_out"] == 108
        assert (done[-1].reference.rows_in, done[-1].reference.rows_out) == (120, 108)
        assert done[0].lineage is not None
        assert done[0].lineage.input.rows == 120
        told = caplog.text + erased.manifest("lines") + published.payload + repr(done)
        told = told.replace(str(erased.path), "")
        # Numbers that stand for themselves: digests, and times, hold any three digits by chance.
        assert not re.search(r"(?<![0-9a-z.])(?:104|105|114|115)(?![0-9a-z])", told)

    def test_nothing_raw_is_told(self, erased: Music, caplog: pytest.LogCaptureFixture) -> None:
        """Neither in manifests nor in logs, summaries or the ledger."""
        caplog.set_level(logging.DEBUG)
        done = erased.release("customers")

        assert CANARY not in caplog.text + erased.manifest("customers") + repr(done)
        assert CANARY.encode() not in (erased.path / "home" / "ledger.db").read_bytes()

    def test_after_a_rotation(self, music: Music) -> None:
        """Who was erased before and after a rotation is left out; until a key that is needed is destroyed."""
        music.erase(subjects(customers__CustomerId=["3"]))
        music.keys.rotate()
        music.erase(subjects(customers__CustomerId=["8"]), batch="b2")
        music.release("invoices")

        assert music.ledger.suppression.versions("music") == {1, 2}
        assert music.current("invoices").num_rows == 36
        music.keys.destroy(1)
        with pytest.raises(KeyRingError, match="cannot be told from who was not") as refused:
            music.release("invoices", 1)
        assert "customers.CustomerId" in str(refused.value)
        assert music.current("invoices").num_rows == 36

    def test_who_comes_back_is_released(self, erased: Music) -> None:
        """After the request is taken off the list, explicitly."""
        erased.ledger.suppression.remove("music", "r1", reason="ticket 4712: signed up again", actor=ACTOR)
        erased.release("invoices")

        assert erased.current("invoices").equals(
            without(tables()["invoices"], "CustomerId", [8]).drop_columns(["CustomerId"])
        )

    @pytest.mark.parametrize("action", ["exempt", "recompute"])
    def test_what_stays_by_law_is_not_released(self, erased: Music, action: str) -> None:
        """A law that makes rows stay in a table does not make them leave it."""
        old = "references: customers.CustomerId}\n    erasure: delete"
        new = old.replace("delete", f'{{{action}: "the tax law wants them for ten years"}}')
        erased.write(POLICY.replace(old, new))
        erased.release("invoices")

        assert erased.current("invoices").num_rows == 36

    def test_text_files(self, erased: Music) -> None:
        """A CSV file that spells customers as text, in a column that nobody released."""
        csv.write_csv(tables()["invoices"], erased.path / "invoices.csv")
        erased.write(POLICY.replace("invoices.parquet", "invoices.csv"))
        erased.release("invoices")

        assert erased.current("invoices")["InvoiceId"].equals(
            without(tables()["invoices"], "CustomerId", ERASED)["InvoiceId"]
        )

    def test_everybody_erased(self, music: Music) -> None:
        """A release without rows has its columns."""
        music.erase(subjects(customers__CustomerId=[str(i) for i in range(1, 21)]))
        music.release("invoices")

        assert music.current("invoices").num_rows == 0
        assert music.current("invoices").column_names == ["InvoiceId", "Total"]


class TestWithoutEntries:
    @_both
    def test_never_opens_the_key_ring(self, music: Music, steps: bool) -> None:
        """Nor is a source other than it was; the manifest says zero."""
        music.keys.path.unlink()
        music.release("invoices", steps=steps)

        assert music.current("invoices").num_rows == 40
        assert json.loads(music.manifest("invoices"))["suppressed_rows"] == 0

    def test_other_domains_do_not_count(self, music: Music) -> None:
        """Who was erased from elsewhere costs nothing here."""
        music.erase(subjects(customers__CustomerId=["3"]))
        music.keys.path.unlink()
        source = music.workspace().source("lines")

        assert suppressing(music.workspace(), "lines", source) is source

    def test_nothing_is_said_where_nobody_can_be_erased(self, music: Music) -> None:
        """Manifests and evidence of a policy without `erasure` are what they were."""
        text = POLICY[: POLICY.index("erasure:\n  identifiers")].replace("    erasure: delete\n", "")
        begin, end = text.index("    erasure:\n"), text.index("    columns:\n      ticket")
        music.write(text[:begin] + text[end:])
        done = music.release("invoices")

        assert "suppress" not in music.manifest("invoices")
        assert "erased" not in done[0].summary
        assert "suppressed_rows" not in music.ledger.evidence()[-1].content


class TestFailsClosed:
    def test_erasure_was_taken_out_of_the_policy(self, erased: Music) -> None:
        """The list is still there, and nobody says in which columns its people are."""
        text = POLICY[: POLICY.index("erasure:\n  identifiers")].replace("    erasure: delete\n", "")
        begin, end = text.index("    erasure:\n"), text.index("    columns:\n      ticket")
        erased.write(text[:begin] + text[end:])

        with pytest.raises(ErasureError, match="says nothing of erasure any more"):
            erased.release("invoices")

    def test_a_data_set_was_renamed(self, erased: Music) -> None:
        """By another name nobody would be found."""
        erased.write(
            POLICY.replace("  customers:\n", "  clients:\n")
            .replace("customers.C", "clients.C")
            .replace("customers.E", "clients.E")
        )

        with pytest.raises(ErasureError, match="if it was renamed") as refused:
            erased.release("invoices")
        assert "customers.CustomerId" in str(refused.value)

    def test_what_is_no_longer_looked_for_is_no_rename(self, erased: Music) -> None:
        """Requests no longer name people by an address, and lines are not in the policy any more."""
        text = POLICY.replace(", customers.Email]", "]")
        begin, end = text.index("  lines:\n"), text.index("  tickets:\n")
        erased.write(text[:begin] + text[end:])
        erased.release("invoices")

        assert erased.current("invoices").num_rows == 36

    def test_the_column_is_gone(self, erased: Music) -> None:
        """What has to be looked up must be there, though it is not released."""
        source = erased.workspace().source("invoices")
        edges = suppressing(erased.workspace(), "invoices", source)
        assert isinstance(edges, Suppressing)
        pq.write_table(tables()["invoices"].drop_columns(["CustomerId"]), erased.path / "invoices.parquet")
        again = Suppressing(erased.workspace().source("invoices"), edges.suppression, edges.edges)

        with pytest.raises(SchemaError, match="no column CustomerId"):
            list(again.batches(["Total"], batch_rows=10))

    def test_no_key_ring(self, erased: Music) -> None:
        """Nothing is released where the list cannot be checked."""
        erased.keys.path.unlink()

        with pytest.raises(KeyRingError):
            erased.release("invoices")
        assert not (erased.path / "releases" / "invoices" / "current").exists()


class TestSuppressing:
    """The source decorator."""

    @pytest.fixture
    def source(self, erased: Music) -> Suppressing:
        found = suppressing(erased.workspace(), "invoices", erased.workspace().source("invoices"))
        assert isinstance(found, Suppressing)
        return found

    @pytest.mark.parametrize(
        "columns",
        [["Total"], ["CustomerId"], ["Total", "CustomerId", "InvoiceId"], ["InvoiceId", "Total"], []],
        ids=lambda columns: "-".join(columns) or "none",
    )
    @pytest.mark.parametrize("batch_rows", [1, 7, 1000])
    def test_gives_the_columns_that_were_asked(
        self, source: Suppressing, columns: list[str], batch_rows: int
    ) -> None:
        """In their order, without the one that is only looked up; batches are no longer than asked."""
        batches = list(source.batches(columns, batch_rows=batch_rows))

        assert all(batch.schema.names == columns and batch.num_rows <= batch_rows for batch in batches)
        assert sum(batch.num_rows for batch in batches) == 36
        expected = without(tables()["invoices"], "CustomerId", ERASED).select(columns)
        if columns:
            assert pa.Table.from_batches(batches).equals(expected)
        assert left_out(source).rows == 4

    def test_is_the_source_in_all_else(self, source: Suppressing) -> None:
        """Name, schema and version are those of what is read."""
        assert source.identity == source.source.identity
        assert source.schema() == source.source.schema()
        assert source.fingerprint() == source.source.fingerprint()

    def test_counts_the_last_reading(self, source: Suppressing) -> None:
        """Two readings are not one of twice the rows."""
        for _ in range(2):
            list(source.batches(["Total"], batch_rows=10))
        assert left_out(source).rows == 4

    def test_closes_what_it_reads(self, source: Suppressing) -> None:
        """A consumer that stops lets go of the files."""
        closed = []

        class Closing:
            identity, schema, fingerprint = source.identity, source.schema, source.fingerprint

            def batches(self, columns: list[str], *, batch_rows: int) -> Iterator[pa.RecordBatch]:
                try:
                    yield from source.source.batches(columns, batch_rows=batch_rows)
                finally:
                    closed.append(True)

        batches = Suppressing(Closing(), source.suppression, source.edges).batches(["Total"], batch_rows=2)  # type: ignore[arg-type]
        next(iter(batches))
        batches.close()  # type: ignore[attr-defined]

        assert closed == [True]

    def test_a_list_is_loaded_as_it_is_then(self, erased: Music) -> None:
        """What was loaded stays for the run, and the next run sees what came since."""
        workspace = erased.workspace()
        before = suppression_of(workspace)
        erased.erase(subjects(customers__CustomerId=["5"]), batch="b2")

        assert not before.mask(pa.array([5]), DOMAIN).any()
        assert suppression_of(workspace).mask(pa.array([5]), DOMAIN).all()


class TestAnswers:
    def test_do_not_count_erased_people(self, music: Music) -> None:
        """Two hops away: lines, invoices, customers. With so much budget the noise is a step or two."""
        music.write(POLICY + QUERIES)
        counted = []
        for number in range(2):
            dp_release.release(music.workspace(), "sold", night(number), actor=ACTOR)
            counted.append(
                dict(
                    zip(
                        *(music.current("sold")[name].to_pylist() for name in ("Track", "value")), strict=True
                    )
                )
            )
            music.erase(PEOPLE)

        assert counted[0]["a"] == pytest.approx(80, abs=3)
        assert counted[1]["a"] == pytest.approx(72, abs=3)
        assert counted[0]["b"] == pytest.approx(40, abs=3)
        assert counted[1]["b"] == pytest.approx(36, abs=3)

    def test_do_not_tell_how_many(self, erased: Music) -> None:
        """How many rows of a private table were left out is an exact figure of it."""
        erased.write(POLICY + QUERIES)
        done = dp_release.release(erased.workspace(), "sold", night(0), actor=ACTOR)

        assert "suppress" not in erased.manifest("sold") + done.summary
        assert all("suppressed_rows" not in entry.content for entry in erased.ledger.evidence())

    def test_give_the_money_back_where_the_list_cannot_be_checked(self, erased: Music) -> None:
        """No key ring, no answer, and nothing is spent."""
        erased.write(POLICY + QUERIES)
        erased.keys.path.unlink()

        with pytest.raises(KeyRingError):
            dp_release.release(erased.workspace(), "sold", night(0), actor=ACTOR)
        (charge,) = erased.ledger.budgets.charges("people")
        assert charge.state == "void"


class TestDetokenize:
    """A release from before the erasure, whose tokens are still in somebody's hands."""

    @pytest.fixture
    def held(self, music: Music) -> Music:
        music.release("customers")
        music.erase(PEOPLE)
        return music

    def back(self, music: Music, *columns: str) -> tuple[pa.Table, Any]:
        done = detokenize(
            music.workspace(),
            "customers",
            input="releases/customers/current",
            output="back",
            columns=columns,
            reason=REASON,
            actor=ACTOR,
        )
        return pq.read_table(music.path / "back"), done

    def test_an_erased_persons_values_do_not_come_back(self, held: Music) -> None:
        """They are null and counted; all others come back, and columns that are copied stay."""
        table, done = self.back(held, "Email")
        emails = tables()["customers"]["Email"].to_pylist()

        assert table["Email"].to_pylist() == [None if i + 1 in ERASED else v for i, v in enumerate(emails)]
        assert table.drop_columns(["Email"]).equals(held.current("customers").drop_columns(["Email"]))
        assert (done.rows, done.values, done.withheld) == (20, 18, 2)
        assert held.ledger.evidence()[-1].content["withheld"] == 2

    def test_nor_does_what_stands_in_their_rows(self, held: Music) -> None:
        """Nobody asked for the address, but it tells whose the telephone is."""
        table, done = self.back(held, "Phone")
        phones = tables()["customers"]["Phone"].to_pylist()

        assert table["Phone"].to_pylist() == [None if i + 1 in ERASED else v for i, v in enumerate(phones)]
        assert table["Email"].equals(held.current("customers")["Email"])
        assert done.withheld == 2

    def test_nobody_erased(self, music: Music) -> None:
        """All values come back."""
        music.release("customers")
        table, done = self.back(music, "Email", "Phone")

        assert table["Email"].equals(tables()["customers"]["Email"])
        assert (done.values, done.withheld) == (40, 0)

    def test_a_list_that_cannot_be_checked(self, held: Music) -> None:
        """Nothing is turned back, and nothing noted as begun."""
        held.keys.rotate()
        held.keys.destroy(1)

        with pytest.raises(KeyRingError, match="suppression list needs it"):
            self.back(held, "Email")
        assert not (held.path / "back").exists()


class TestCommandLine:
    def veil(self, music: Music, *args: Any) -> str:
        env = {"VEIL_HOME": str(music.path / "home"), "VEIL_DATA_ROOT": str(music.path)}
        env |= dict.fromkeys(("VEIL_KEYS", "VEIL_LEDGER", "VEIL_LINEAGE", "VEIL_AUDIT_KEY", "VEIL_DEBUG"), "")
        result = CliRunner(env=env).invoke(app, [str(arg) for arg in args])
        assert result.exit_code == 0, result.output
        return result.output

    def test_run_leaves_them_out_and_says_so(self, erased: Music) -> None:
        """`veil run`: in words, in counts."""
        said = self.veil(erased, "run", erased.policy, "-d", "customers")

        assert "20 rows in, 18 out" in said
        assert "Left out: 2 rows of erased people" in said
        assert erased.current("customers").num_rows == 18
        assert CANARY not in said

    def test_diff_leaves_them_out(self, erased: Music) -> None:
        """`veil diff` shows what a release would be."""
        told = json.loads(self.veil(erased, "diff", erased.policy, "-d", "customers", "--json"))
        said = self.veil(erased, "diff", erased.policy, "-d", "customers", "--unsafe-show-values")

        assert (told["rows_in"], told["rows_out"], told["suppressed_rows"]) == (18, 18, 2)
        assert "2 rows of erased people left out" in said
        assert f"{CANARY}3@example.org" not in said
        assert f"{CANARY}2@example.org" in said
