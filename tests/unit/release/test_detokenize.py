"""Turning tokens back."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.release.conftest import ACTOR, POLICY, Shop, night, people

from airflow_veil.privacy.errors import KeyRingError, ReleaseError, TamperedError, TransformError, VeilError
from airflow_veil.privacy.keys.file import KeyFile
from airflow_veil.privacy.release.detokenize import Detokenized, detokenize

REASON = "Support case 4711: the customer asked us to call back"


@pytest.fixture
def released(shop: Shop) -> Shop:
    """A shop after a night."""
    shop.release(night(0))
    return shop


def _turn_back(shop: Shop, *, columns: tuple[str, ...] = ("email",), reason: str = REASON) -> Detokenized:
    return detokenize(
        shop.workspace(),
        "people",
        input="releases/people/current",
        output="back",
        columns=columns,
        reason=reason,
        actor=ACTOR,
    )


def _kinds(shop: Shop) -> list[str]:
    return [entry.kind for entry in shop.ledger.evidence() if entry.kind.startswith("detokenize")]


class TestDetokenize:
    def test_gives_the_source_back(self, released: Shop) -> None:
        """Reversible tokens become what they stood for, nulls stay null, other columns are copied."""
        done = _turn_back(released)
        back = pq.read_table(released.path / "back")

        assert back.column("email").equals(people().column("email"))
        assert back.drop_columns(["email"]).equals(released.current().drop_columns(["email"]))
        assert (done.rows, done.values) == (50, 45)

    def test_only_the_owner_can_read_it(self, released: Shop) -> None:
        """Files of mode 0600 in a folder of mode 0700."""
        _turn_back(released)
        folder = released.path / "back"

        assert folder.stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}

    def test_is_evidence_before_and_after(self, released: Shop) -> None:
        """Who, why and which columns is written before the first value is read, and counts after the last."""
        _turn_back(released)
        begun, done = released.ledger.evidence()[-2:]

        assert (begun.kind, done.kind) == ("detokenize.begun", "detokenize.done")
        assert begun.actor == done.actor == ACTOR
        assert begun.content["reason"] == REASON
        assert begun.content["columns"] == ["email"]
        assert done.content["values"] == 45
        assert "@example.org" not in begun.payload + done.payload

    def test_an_attempt_that_fails_has_begun(self, released: Shop) -> None:
        """Also an attempt that ends in an error leaves its reason in the evidence, and no file."""
        _tamper(released)

        with pytest.raises(TamperedError):
            _turn_back(released)
        assert _kinds(released) == ["detokenize.begun"]
        assert not list(released.path.glob("back/*.parquet"))

    @pytest.mark.parametrize("reason", ["", "   ", "because", "  short   "], ids=repr)
    def test_needs_a_reason(self, released: Shop, reason: str) -> None:
        """No reason, no values: and nothing is noted or written."""
        with pytest.raises(ReleaseError, match="reason"):
            _turn_back(released, reason=reason)
        assert not _kinds(released)
        assert not (released.path / "back").exists()

    @pytest.mark.parametrize("column", ["id", "phone", "born", "country", "name", "unknown"])
    def test_what_is_one_way_stays_one_way(self, released: Shop, column: str) -> None:
        """A column that does not leave reversibly is refused, before anything is noted."""
        with pytest.raises(TransformError, match=column):
            _turn_back(released, columns=("email", column))
        assert not _kinds(released)

    def test_an_output_that_is_there_is_left_alone(self, released: Shop) -> None:
        """Nothing is overwritten."""
        (released.path / "back").mkdir()

        with pytest.raises(ReleaseError, match="already"):
            _turn_back(released)

    def test_a_tampered_token_is_refused_without_its_value(self, released: Shop) -> None:
        """A token that does not authenticate is an error that shows neither token nor value."""
        token = _tamper(released)

        with pytest.raises(VeilError) as refused:
            _turn_back(released)
        assert token not in f"{refused.value!r}{refused.value}{refused.value.__cause__}{refused.value.args}"

    def test_after_a_rotation_old_tokens_are_readable(self, released: Shop) -> None:
        """Tokens tell which key version made them."""
        KeyFile(released.settings.key_file).rotate()
        _turn_back(released)

        assert pq.read_table(released.path / "back").column("email").equals(people().column("email"))

    def test_a_destroyed_key_is_the_end(self, released: Shop) -> None:
        """Tokens of a destroyed version are unreadable for good."""
        keys = KeyFile(released.settings.key_file)
        keys.rotate()
        keys.destroy(1)

        with pytest.raises(KeyRingError, match="destroyed"):
            _turn_back(released)
        assert not list(released.path.glob("back/*.parquet"))

    def test_fpe_is_turned_back_by_the_version_of_its_release(self, shop: Shop) -> None:
        """Format-preserving encryption cannot tell its version: the release's manifest does, after a rotation."""
        cards = [f"4{i:015d}" for i in range(50)]
        table = people()
        index = table.column_names.index("phone")
        shop.supply(table.set_column(index, "phone", pa.array(cards)))
        shop.write(POLICY.replace("{mask: {keep_last: 2, length: 8}}", "{fpe: {domain: card, keep_last: 4}}"))
        shop.release(night(0))
        KeyFile(shop.settings.key_file).rotate()

        _turn_back(shop, columns=("phone", "email"))

        back = pq.read_table(shop.path / "back")
        assert back.column("phone").to_pylist() == cards
        assert back.column("email").equals(table.column("email"))

    def test_the_output_is_no_release(self, released: Shop) -> None:
        """What is turned back lies outside the releases, which stay as they were."""
        before = sorted(released.releases.rglob("*"))
        _turn_back(released)

        assert sorted(released.releases.rglob("*")) == before


def _tamper(shop: Shop) -> str:
    """Change one character in the middle of a token of the current release; returns the changed token."""
    (file,) = (shop.releases / "people" / "current").glob("*.parquet")
    table = pq.read_table(file)
    tokens = table.column("email").to_pylist()
    middle = len(tokens[0]) // 2
    tokens[0] = tokens[0][:middle] + ("A" if tokens[0][middle] != "A" else "B") + tokens[0][middle + 1 :]
    Path(file).unlink()
    pq.write_table(table.set_column(table.column_names.index("email"), "email", pa.array(tokens)), file)
    assert json.loads((file.parent / "_manifest.json").read_text())
    return str(tokens[0])
