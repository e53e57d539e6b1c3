"""What people are known by: each value once, the first request's, sealed and opened the same."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_veil.privacy.erasure.subjects import Subjects, joined

PART = st.lists(
    st.tuples(st.one_of(st.none(), st.sampled_from(["", "a", "b", "é", "1", "01"])), st.integers(0, 5)),
    max_size=8,
)
PARTS = st.lists(st.tuples(st.sampled_from(["x.id", "y.id"]), PART), max_size=5)


def built(
    parts: list[tuple[str, list[tuple[str | None, int]]]],
) -> tuple[Subjects, dict[str, dict[str, int]]]:
    """Subjects, and the same in Python."""
    subjects, expected = Subjects(), dict[str, dict[str, int]]()
    for domain, part in parts:
        texts = pa.array([text for text, _ in part], pa.string())
        subjects = subjects.with_(domain, texts, np.array([owner for _, owner in part], np.int32))
        for text, owner in part:
            if text is not None:
                expected.setdefault(domain, {}).setdefault(text, owner)
    return subjects, expected


class TestSubjects:
    @settings(deadline=None)
    @given(parts=PARTS)
    def test_each_value_is_the_first_ones(
        self, parts: list[tuple[str, list[tuple[str | None, int]]]]
    ) -> None:
        """Nulls are nobody."""
        subjects, expected = built(parts)

        for domain in ("x.id", "y.id", "z.id"):
            known = subjects.of(domain)
            assert dict(zip(known.texts.to_pylist(), known.owners.tolist(), strict=True)) == expected.get(
                domain, {}
            )
        assert subjects.values == sum(map(len, expected.values()))

    @settings(deadline=None)
    @given(parts=PARTS)
    def test_bytes_and_back(self, parts: list[tuple[str, list[tuple[str | None, int]]]]) -> None:
        """Nothing is lost, and nothing added."""
        subjects, expected = built(parts)
        again = Subjects.from_bytes(subjects.to_bytes())

        for domain, values in expected.items():
            known = again.of(domain)
            assert dict(zip(known.texts.to_pylist(), known.owners.tolist(), strict=True)) == values
        assert again.values == subjects.values

    def test_it_shows_no_value(self) -> None:
        """Nor does what is in it."""
        subjects, _ = built([("x.id", [("canary", 0)])])

        assert "canary" not in f"{subjects!r} {subjects.of('x.id')!r}"

    def test_joining(self) -> None:
        """Parts that were found one after the other."""
        texts, owners = joined(
            [(pa.array(["a"]), np.array([1], np.int32)), (pa.array(["b"]), np.array([0], np.int32))]
        )

        assert (texts.to_pylist(), owners.tolist()) == (["a", "b"], [1, 0])
        assert len(joined([])[0]) == 0
