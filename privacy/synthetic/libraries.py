"""What synthetic tables need that the base installation does not bring, looked for before it is needed."""

from __future__ import annotations

from importlib.util import find_spec

from airflow_veil.privacy.errors import SyntheticError
from airflow_veil.privacy.synthetic.specification import Specification

EXTRA = "install the extra: pip install 'airflow-veil[synthetic]'"
_OF_SDV = {"sdv": "SDV"}
_OF_MBI = {"mbi": "OpenDP's MBI"}
_OF_EVALUATION = {"sdmetrics": "SDMetrics", "sklearn": "scikit-learn"}


def has_libraries(specification: Specification, *, evaluated: bool) -> None:
    """Look for what a method and an evaluation need, without importing it: before money is set aside or a row is read.

    Args:
        specification: What is made, and how.
        evaluated: Whether it is looked at before it is published.

    Raises:
        SyntheticError: Something is not installed.
    """
    if specification.word == "faker":
        return
    of_method = _OF_MBI if specification.method.private else _OF_SDV
    needed = {**of_method, **(_OF_EVALUATION if evaluated else {})}
    missing = [said for module, said in needed.items() if find_spec(module) is None]
    if missing:
        are = "is" if len(missing) == 1 else "are"
        raise SyntheticError(f"{', '.join(missing)} {are} not installed", where=specification.name, fix=EXTRA)
