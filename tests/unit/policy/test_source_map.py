"""Reading YAML with places: two readers, one result."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from airflow_veil.privacy.policy import source_map

POLICIES = sorted((Path(__file__).parents[3] / "configs").glob("*.yaml"))

libyaml = pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML was built without libyaml")


class TestRead:
    @libyaml
    @pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
    def test_both_readers_tell_the_same(self, path: Path) -> None:
        """What libyaml reads, and where, is what PyYAML reads."""
        text = path.read_text()

        fast, slow = (
            source_map._read(loader(text)) for loader in (source_map._LibyamlLoader, source_map._Loader)
        )

        assert fast == slow

    @libyaml
    @pytest.mark.parametrize(
        "text",
        [
            "é: {ü: NO, 'ж': 2024-01-01}",
            "a: [~, null, true, yes, 1_000, 0x1F, 1e3, .5]",
            "a: &x {b: 1}\nc: *x",
            "",
        ],
        ids=["not-ascii", "scalars", "alias", "empty"],
    )
    def test_both_readers_keep_texts_as_texts(self, text: str) -> None:
        """Only `true`, `false`, null and numbers are more than texts, in both; columns count characters."""
        fast, slow = (
            source_map._read(loader(text)) for loader in (source_map._LibyamlLoader, source_map._Loader)
        )

        assert fast == slow

    @pytest.mark.parametrize("text", ["{a:}", "{a:, b: 1}"])
    def test_what_libyaml_refuses_is_read(self, text: str) -> None:
        """A word with nothing after it may stand at the end of a flow mapping."""
        assert source_map.read(text).data["a"] is None
