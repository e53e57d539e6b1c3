"""numpy and Arrow, imported when something of them is first used.

Airflow parses each DAG file anew, every thirty seconds, in a process of its own: loading and checking a policy has to
do without these two, which take longer to import than all the rest. Modules that a policy is checked by import their
names from here; the type checker sees the packages themselves.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["np", "pa", "pc"]


class _Lazy:
    """Stands for a module; what was asked for once is an attribute of its own from then on."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(import_module(self._name), attribute)
        setattr(self, attribute, value)
        return value


if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    np, pa, pc = map(_Lazy, ("numpy", "pyarrow", "pyarrow.compute"))
