"""A second look at the folder of models, by other code than what keeps and removes them."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path


def files_left(folder: Path, ended: Collection[str]) -> tuple[str, ...]:
    """The files and drafts in a folder whose name has that of a model that has ended.

    Args:
        folder: The folder of models; one that is not there holds nothing.
        ended: The names of models.

    Returns:
        The names of the files.
    """
    if not folder.exists():
        return ()
    names = [name for _, _, files in os.walk(folder) for name in files]
    return tuple(sorted(name for name in names if any(model_id in name for model_id in ended)))
