"""`veil demo data`."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
from tests.unit.cli.conftest import Installation


class TestData:
    def test_writes_three_files(self, bare: Installation, tmp_path: Path) -> None:
        """The folder is made; the JSON says what is in it."""
        found = json.loads(
            bare.ok("demo", "data", "--customers", "50", "--out", tmp_path / "a" / "b", "--json")
        )

        assert [Path(item["file"]).name for item in found] == [
            "customers.parquet",
            "orders.parquet",
            "order_lines.parquet",
        ]
        assert all(pq.read_metadata(item["file"]).num_rows == item["rows"] for item in found)

    def test_same_seed_same_bytes(self, bare: Installation, tmp_path: Path) -> None:
        """The same seed writes the same files, another one others."""
        contents = []
        for name, seed in (("a", "3"), ("b", "3"), ("c", "4")):
            bare.ok("demo", "data", "--customers", "50", "--seed", seed, "--out", tmp_path / name)
            contents.append([path.read_bytes() for path in sorted((tmp_path / name).iterdir())])

        assert contents[0] == contents[1]
        assert all(one != other for one, other in zip(contents[0], contents[2], strict=True))

    def test_a_folder_that_cannot_be_written(self, bare: Installation, tmp_path: Path) -> None:
        """The exit code is that of storage."""
        (tmp_path / "file").write_text("")

        assert bare.veil("demo", "data", "--customers", "5", "--out", tmp_path / "file").exit_code == 4

    def test_no_customers(self, bare: Installation, tmp_path: Path) -> None:
        """A data set has one customer at least; none is a usage error."""
        assert bare.veil("demo", "data", "--customers", "0", "--out", tmp_path).exit_code == 2
