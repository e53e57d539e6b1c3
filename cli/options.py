"""Arguments and options that several commands share, so that they are called the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Policy = Annotated[Path, typer.Argument(help="The policy file.", metavar="POLICY", show_default=False)]
Dataset = Annotated[
    str | None, typer.Option("--dataset", "-d", help="One data set of the policy; all where not said.")
]
OneDataset = Annotated[
    str, typer.Option("--dataset", "-d", help="The data set of the policy.", show_default=False)
]
