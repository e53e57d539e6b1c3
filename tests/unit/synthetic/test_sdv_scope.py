# ruff: noqa: NPY002, SIM117, PT012 - what the libraries draw from is put back
"""What SDV says and raises: nothing of it gets out but lines of how far it is."""

from __future__ import annotations

import logging
import sys
import warnings

import numpy as np
import pytest

from airflow_veil.privacy.errors import StorageError, SyntheticError
from airflow_veil.privacy.synthetic.sdv_scope import sdv_scope
from airflow_veil.privacy.synthetic.seeds import seed_of, seeded

pytest.importorskip("sdv", reason="NOT CHECKED: the extra `synthetic` is not installed")


class TestScope:
    def test_nothing_is_said(
        self, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        """Neither printed, warned of nor logged; afterwards all is as before."""
        import ctgan.synthesizers.ctgan as module

        logger, bar = logging.getLogger("sdv.single_table.base"), module.tqdm
        with (
            caplog.at_level(logging.DEBUG),
            warnings.catch_warnings(record=True) as warned,
            sdv_scope("fitting", "made", seed=0),
        ):
            print("canary")
            print("canary", file=sys.stderr)
            warnings.warn("canary", stacklevel=1)
            logger.error("canary")
        logger.error("loud again")

        assert "canary" not in "".join(capsys.readouterr())
        assert warned == []
        assert [record.message for record in caplog.records] == ["loud again"]
        assert module.tqdm is bar

    def test_loops_are_told_of(self, capsys: pytest.CaptureFixture[str]) -> None:
        """By ten lines at most, which reach who prints them."""
        import deepecho.models.par as module

        told: list[str] = []

        def progress(line: str) -> None:
            told.append(line)
            print(line)

        with sdv_scope("fitting par", "made", seed=0, progress=progress):
            for _ in module.tqdm(range(500), disable=True):
                print("noise")

        assert len(told) == 10
        assert told[-1] == "fitting par: epochs, 500 of 500"
        assert capsys.readouterr().out.splitlines() == told

    def test_what_is_raised_is_told_by_type_and_place(self) -> None:
        """Its text may quote rows; our own errors pass."""
        with pytest.raises(
            SyntheticError, match=r"fitting failed with ValueError at .*test_sdv_scope"
        ) as caught:
            with sdv_scope("fitting", "made", seed=0):
                raise ValueError("canary")
        with pytest.raises(StorageError, match="ours"), sdv_scope("fitting", "made", seed=0):
            raise StorageError("ours")
        with pytest.raises(SyntheticError, match="more memory"), sdv_scope("fitting", "made", seed=0):
            raise MemoryError

        assert "canary" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


class TestSeeds:
    def test_places_have_seeds_of_their_own(self) -> None:
        """Of near seeds and places as well."""
        assert len({seed_of(seed, place) for seed in range(50) for place in ("a", "b")}) == 100
        assert seed_of(1, "a", "b") != seed_of(1, "ab")

    def test_random_numbers_are_put_back(self) -> None:
        """Also when something is raised."""
        np.random.seed(1)
        expected = np.random.random(3).tolist()
        np.random.seed(1)
        first = [np.random.random()]
        with pytest.raises(ZeroDivisionError), seeded(7):
            np.random.random(100)
            _ = 1 / 0

        assert first + np.random.random(2).tolist() == expected
