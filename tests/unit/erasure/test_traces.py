"""Values in the metadata of footers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_veil.privacy.erasure import traces
from airflow_veil.privacy.erasure.traces import Traces


@pytest.mark.parametrize("few", [0, 2000])
class TestTraces:
    @pytest.mark.parametrize(
        ("content", "held"),
        [
            ("p-7", True),
            ('{"who": "p-7"}', True),
            ("up-7", False),
            ("p-70", False),
            ("p-70 p-7", True),
            ("J\\u00f6", True),
            ("Jö", True),
            ("Jörg", False),
            ("+43 1", True),
            ("x+43 1", True),
            ("", False),
        ],
    )
    def test_words(self, content: str, held: bool, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Only as words of their own, plain or as JSON spells them."""
        monkeypatch.setattr(traces, "FEW", few)

        assert Traces.of(["p-7", "Jö", "+43 1", ""]).are_in(content.encode()) == held

    def test_entries(self, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """One that names somebody goes, by its key or by its value."""
        monkeypatch.setattr(traces, "FEW", few)
        entries = {b"a": b"for p-7", b"b": b"for all", b"p-7": b"x", b"pandas": b'{"columns": ["p-7"]}'}

        left = Traces.of(["p-7"]).metadata(entries)

        assert left == {b"b": b"for all", b"pandas": b'{"columns": ["p-7"], "attributes": {}}'}


@settings(deadline=None)
@given(
    texts=st.sets(st.text("ab1 ", min_size=1, max_size=4), max_size=6), content=st.text("ab1 ", max_size=30)
)
def test_both_ways_of_looking_agree(texts: set[str], content: str) -> None:
    """One by one, and all at once."""
    looked, raw = Traces.of(texts), content.encode()
    one_by_one = any(traces._holds(raw, text.encode()) for text in texts)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(traces, "FEW", 0)
        assert looked.are_in(raw) == one_by_one
    assert repr(looked) == f"Traces({len(texts)} values)"
