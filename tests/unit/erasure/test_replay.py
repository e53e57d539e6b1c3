"""After a restore: who was erased is found again."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.erasure.music import CANARY, POLICY, Music, subjects, tables
from tests.unit.erasure.test_suppression import PEOPLE, without

from airflow_veil.privacy.erasure.replay import found_again
from airflow_veil.privacy.erasure.subjects import Subjects
from airflow_veil.privacy.errors import ErasureError, KeyRingError, StorageError


def owners(found: Subjects, requests: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Domain to value to the request that it was erased by."""
    return {
        domain: {
            text: requests[owner]
            for text, owner in zip(known.texts.to_pylist(), known.owners.tolist(), strict=True)
        }
        for domain, known in found.domains.items()
    }


@pytest.fixture
def clean(music: Music) -> Music:
    """Customers 3 and 8 were erased, and are nowhere in the sources."""
    music.erase(PEOPLE)
    sources = tables()
    invoices = [104, 105, 114, 115]
    tickets = without(without(sources["tickets"], "customer", ["3", "8"]), "author", ["3"])
    referrer = [None if name in ("3", "8") else name for name in tickets["referrer"].to_pylist()]
    words = [None if name is None else "some" for name in referrer]
    tickets = tickets.set_column(3, "referrer", pa.array(referrer)).set_column(4, "words", pa.array(words))
    music.supply(
        customers=without(sources["customers"], "CustomerId", [3, 8]),
        invoices=without(sources["invoices"], "InvoiceId", invoices),
        lines=without(sources["lines"], "InvoiceId", invoices),
        tickets=tickets,
    )
    return music


class TestFoundAgain:
    def test_nobody_in_clean_sources(self, clean: Music) -> None:
        """What was erased and not brought back is not found."""
        found, requests = found_again(clean.workspace())

        assert (found.values, requests) == (0, ())

    def test_everything_after_a_restore(self, clean: Music) -> None:
        """All values of each domain, with the requests that erased them."""
        clean.supply()
        found, requests = found_again(clean.workspace())

        assert requests == ("r1", "r2")
        assert owners(found, requests) == {
            "customers.CustomerId": {"3": "r1", "8": "r2"},
            "customers.Email": {f"{CANARY}3@example.org": "r1", f"{CANARY}8@example.org": "r2"},
            "invoices.InvoiceId": {"104": "r1", "114": "r2", "105": "r1", "115": "r2"},
        }
        assert CANARY not in repr(found)

    @pytest.mark.parametrize(
        ("table", "domain", "values"),
        [
            ("lines", "invoices.InvoiceId", {"104", "105", "114", "115"}),
            ("invoices", "customers.CustomerId", {"3", "8"}),
            ("tickets", "customers.CustomerId", {"3", "8"}),
        ],
    )
    def test_one_table_restored(self, clean: Music, table: str, domain: str, values: set[str]) -> None:
        """Rows are found where they are, though the rows that led to them are gone."""
        pq.write_table(tables()[table], clean.path / f"{table}.parquet")
        found, requests = found_again(clean.workspace())

        assert {name: set(known) for name, known in owners(found, requests).items()} == {domain: values}

    def test_by_an_identifier_alone(self, clean: Music) -> None:
        """The restored row has another number and the old address."""
        row = tables()["customers"].slice(2, 1).set_column(0, "CustomerId", pa.array([999]))
        clean.supply(customers=row)
        found, requests = found_again(clean.workspace())

        assert "customers.CustomerId" in found.domains
        assert owners(found, requests)["customers.Email"] == {f"{CANARY}3@example.org": "r1"}

    def test_by_cells_that_were_masked(self, clean: Music) -> None:
        """A ticket that they referred, the row being somebody else's."""
        row = pq.read_table(clean.path / "tickets.parquet").slice(0, 1)
        row = row.set_column(3, "referrer", pa.array(["8"]))
        pq.write_table(row, clean.path / "tickets.parquet")
        found, requests = found_again(clean.workspace())

        assert owners(found, requests) == {"customers.CustomerId": {"8": "r2"}}

    def test_what_stays_by_law_is_not_found(self, clean: Music) -> None:
        """Or it would be found after each erasure again."""
        old = "references: customers.CustomerId}\n    erasure: delete"
        new = old.replace("delete", '{exempt: "the tax law wants them for ten years"}')
        clean.write(POLICY.replace(old, new))
        pq.write_table(tables()["invoices"], clean.path / "invoices.parquet")

        assert found_again(clean.workspace())[0].values == 0

    def test_under_two_key_versions(self, clean: Music) -> None:
        """Who was erased before a rotation and who after it; one who was erased twice is the first request's."""
        clean.keys.rotate()
        clean.erase(subjects(customers__CustomerId=["5", "3"]), batch="b2", requests=("r8", "r9"))
        pq.write_table(tables()["customers"], clean.path / "customers.parquet")
        found, requests = found_again(clean.workspace())

        assert requests == ("r1", "r2", "r8")
        assert owners(found, requests)["customers.CustomerId"] == {"3": "r1", "5": "r8", "8": "r2"}

    def test_the_subjects_can_be_suppressed_as_they_are(self, clean: Music) -> None:
        """What is found is what was suppressed: erasing it once more adds nothing."""
        clean.supply()
        found, requests = found_again(clean.workspace())

        assert clean.erase(found, batch="b2", requests=requests) == 0

    def test_a_source_that_cannot_be_read_is_an_error(self, clean: Music) -> None:
        """It is not known who is in it."""
        (clean.path / "lines.parquet").write_bytes(b"PAR1 no more PAR1")

        with pytest.raises(StorageError):
            found_again(clean.workspace())

    def test_a_key_that_is_gone_is_an_error(self, clean: Music) -> None:
        """Nobody is told that a restore is clean that nobody can look through."""
        clean.keys.rotate()
        clean.keys.destroy(1)

        with pytest.raises(KeyRingError, match="suppression list needs it"):
            found_again(clean.workspace())

    def test_a_policy_without_erasure(self, clean: Music) -> None:
        """Nobody says where to look."""
        text = POLICY[: POLICY.index("erasure:\n  identifiers")].replace("    erasure: delete\n", "")
        begin, end = text.index("    erasure:\n"), text.index("    columns:\n      ticket")
        clean.write(text[:begin] + text[end:])

        with pytest.raises(ErasureError, match="nothing of erasure"):
            found_again(clean.workspace())

    def test_an_empty_list_reads_nothing(self, music: Music) -> None:
        """No key ring, no source."""
        music.keys.path.unlink()
        for name in tables():
            (music.path / f"{name}.parquet").unlink()

        assert found_again(music.workspace()) == (Subjects(), ())
